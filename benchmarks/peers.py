# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Small recognisers of the two kinds that the paper compares with, and train_hf.py with one of them.

    python -m htr_convtext.benchmarks.peers crnn --data_dir my_lines --size tiny --output_dir runs/crnn

A peer takes the place of HTR-ConvText's backbone and encoder, and has no Textual Context Module. What is around it
stays the same: images, CTC head, loss, training and its options. A frame is four pixels wide; with a stem that moves
by two columns, as the released model's, that of resnet-vit is eight. `--model_name_or_path` gives a peer its alphabet,
its images and its stem, and its weights too where they are those of the same kind of peer, which gets no new classes
for characters that it lacks.
"""

import argparse
import copy
import math
import sys
from functools import partial
from pathlib import Path

import torch
from datasets import DatasetDict
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import SAFE_WEIGHTS_NAME

from .. import train_hf
from ..configuration_htr_convtext import HTRConvTextConfig
from ..modeling_htr_convtext import HTRConvTextBasicLayer, HTRConvTextForCTC, HTRConvTextStem
from ..training.arguments import HTRConvTextTrainingArguments
from ..training.options import DataArguments, ModelArguments
from ..training.starting_model import StartingModel, check_new_model_options, load_model, trained_processor

PEERS = ("crnn", "resnet-vit")


class CRNN(nn.Module):
    """
    Convolutions and a bidirectional LSTM, the kind of network of Shi et al. (arXiv 1507.05717).

    Args:
        image_height: Pixels of a line, a multiple of 16.
    """

    width_strides = (2, 2, 1, 1)

    def __init__(self, image_height: int):
        super().__init__()
        channels, poolings = (32, 64, 128, 128), [(2, columns) for columns in self.width_strides]
        hidden_size = 256  # in each direction
        rows = image_height // 16
        layers: list[nn.Module] = []
        for before, after, pooling in zip((1, *channels), channels, poolings, strict=False):
            convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.LeakyReLU(), nn.MaxPool2d(pooling)]
        self.backbone = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.lstm = nn.LSTM(rows * channels[-1], hidden_size, 2, batch_first=True, dropout=0.2, bidirectional=True)
        self.output_size = 2 * hidden_size

    def forward(self, pixel_values: torch.Tensor, **kwargs) -> BaseModelOutput:
        features = self.backbone(pixel_values)  # (batch, channels, rows, frames)
        features, _ = self.lstm(self.dropout(features.flatten(1, 2).transpose(1, 2)))
        return BaseModelOutput(last_hidden_state=features)


class ResNetViT(nn.Module):
    """
    A ResNet whose columns a plain transformer encoder reads, the kind of network of HTR-VT (arXiv 2409.08573).

    Args:
        config: For the ResNet's stem and basic layers, which are HTR-ConvText's.
        longest_width: Pixels of a line; a plain transformer has one learned position for each frame. There are twice
            as many, as augmentation stretches lines.
    """

    def __init__(self, config: HTRConvTextConfig, longest_width: int):
        super().__init__()
        self.width_strides = (config.backbone_width_strides[0], 2, 2, 1)
        channels, strides = (64, 128, 192), [(2, columns) for columns in self.width_strides[1:]]
        layers: list[nn.Module] = [HTRConvTextStem(config)]
        stem = config.backbone_hidden_sizes[0]
        for before, after, stride in zip((stem, *channels), channels, strides, strict=False):
            layers += [HTRConvTextBasicLayer(config, before, after, stride)]
            layers += [HTRConvTextBasicLayer(config, after, after, (1, 1))]
        self.backbone = nn.Sequential(*layers)
        width = channels[-1]  # of the transformer, too
        frames = -(-2 * longest_width // math.prod(self.width_strides))
        self.positions = nn.Parameter(0.02 * torch.randn(frames, width))
        layer = nn.TransformerEncoderLayer(width, 6, 4 * width, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, nn.LayerNorm(width), enable_nested_tensor=False)
        self.output_size = width

    def forward(self, pixel_values: torch.Tensor, **kwargs) -> BaseModelOutput:
        features = self.backbone(pixel_values).mean(2).transpose(1, 2)  # (batch, frames, channels)
        return BaseModelOutput(last_hidden_state=self.encoder(features + self.positions[: features.shape[1]]))


def peer(name: str, config: HTRConvTextConfig, longest_width: int = 512) -> HTRConvTextForCTC:
    """
    A recogniser with another network inside.

    Args:
        name: `"crnn"` or `"resnet-vit"`.
        config: Vocabulary, images and CTC loss. The model's own says how wide the peer's frames are.
        longest_width: Pixels of a line.
    """
    network = CRNN(config.image_height) if name == "crnn" else ResNetViT(config, longest_width)
    config = copy.deepcopy(config)
    config.backbone_width_strides = list(network.width_strides)
    model = HTRConvTextForCTC(config)
    model.add_module("htr_convtext", network)
    model.ctc_head = nn.Linear(network.output_size, config.vocab_size)
    return model


def optimized_for_inference(model: HTRConvTextForCTC) -> HTRConvTextForCTC:
    """A peer, in place, with what makes HTR-ConvText fast: fused batch norms, and maps that are channels last."""
    model.optimize_for_inference()
    network: nn.Module = model.htr_convtext
    if isinstance(network, CRNN):
        network.backbone = fused(network.backbone).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def fused(layers: nn.Sequential) -> nn.Sequential:
    """Layers with each batch norm fused into the convolution before it."""
    kept: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = kept.pop()
            assert isinstance(convolution, nn.Conv2d)
            layer = fuse_conv_bn_eval(convolution, layer)
        kept.append(layer)
    return nn.Sequential(*kept)


def load_peer(
    name: str,
    model_args: ModelArguments,
    data_args: DataArguments,
    args: HTRConvTextTrainingArguments,
    lines: DatasetDict,
) -> StartingModel:
    """
    What train_hf.py starts from, with another network.

    Raises:
        ValueError: As of [`load_model`], or if nothing is trained and the folder is that of another network.
    """
    folder = model_args.model_name_or_path
    if folder is not None and (trained := trained_peer(name, Path(folder))):
        processor, model, _ = trained
        check_new_model_options(model_args, model.config, processor.image_processor)
        return trained
    if not args.do_train:
        raise ValueError(f"Nothing is trained, and --model_name_or_path {folder} is no {name} that was.")
    processor, model, _ = load_model(model_args, data_args, args, lines)
    return processor, peer(name, model.config, processor.image_processor.size["width"]), None


def trained_peer(name: str, folder: Path) -> StartingModel | None:
    """A peer of before; None if the folder has no weights, or those of another network."""
    if not (folder / SAFE_WEIGHTS_NAME).is_file():
        return None
    processor = trained_processor(str(folder))
    config = HTRConvTextConfig.from_pretrained(folder)
    model = peer(name, config, processor.image_processor.size["width"])
    weights, own = load_file(folder / SAFE_WEIGHTS_NAME), model.state_dict()
    if {name: each.shape for name, each in weights.items()} != {name: each.shape for name, each in own.items()}:
        return None
    model.load_state_dict(weights)
    return processor, model, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=PEERS)
    options, train_options = parser.parse_known_args()
    train_hf.load_model = partial(load_peer, options.network)
    # The draft card begins its command with it.
    command = f"python -m htr_convtext.benchmarks.peers {options.network}"
    sys.argv = [command, *train_options, "--tcm_weight", "0"]
    train_hf.main()


if __name__ == "__main__":
    main()

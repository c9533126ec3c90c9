# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Small recognisers of the two kinds that the paper compares with, in place of HTR-ConvText's backbone and encoder.

What is around them stays the same: images, frames of four pixels, CTC head, loss and training.
"""

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from ..configuration_htr_convtext import HTRConvTextConfig
from ..modeling_htr_convtext import HTRConvTextBasicLayer, HTRConvTextForCTC, HTRConvTextStem

# Pixels; a plain transformer has one learned position for each of its frames.
LONGEST_WIDTH = 512


class CRNN(nn.Module):
    """
    Convolutions and a bidirectional LSTM, the kind of network of Shi et al. (arXiv 1507.05717).

    Args:
        channels: Of the four convolutions.
        hidden_size: Of the LSTM, in each direction.
    """

    def __init__(self, channels: tuple[int, ...] = (32, 64, 128, 128), hidden_size: int = 256):
        super().__init__()
        poolings = ((2, 2), (2, 2), (2, 1), (2, 1))
        layers: list[nn.Module] = []
        for before, after, pooling in zip((1, *channels), channels, poolings, strict=False):
            convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(after), nn.LeakyReLU(), nn.MaxPool2d(pooling)]
        self.backbone = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.lstm = nn.LSTM(4 * channels[-1], hidden_size, 2, batch_first=True, dropout=0.2, bidirectional=True)
        self.output_size = 2 * hidden_size

    def forward(self, pixel_values: torch.Tensor, **kwargs) -> BaseModelOutput:
        features = self.backbone(pixel_values)  # (batch, channels, 4, frames)
        features, _ = self.lstm(self.dropout(features.flatten(1, 2).transpose(1, 2)))
        return BaseModelOutput(last_hidden_state=features)


class ResNetViT(nn.Module):
    """
    A ResNet whose columns a plain transformer encoder reads, the kind of network of HTR-VT (arXiv 2409.08573).

    Args:
        config: For the ResNet's basic layers, which are HTR-ConvText's.
        channels: Of the stem and of the three stages.
        num_layers: Of the transformer, as wide as the last stage.
    """

    def __init__(self, config: HTRConvTextConfig, channels: tuple[int, ...] = (16, 64, 128, 192), num_layers: int = 4):
        super().__init__()
        strides = ((2, 2), (2, 2), (2, 1))
        layers: list[nn.Module] = [HTRConvTextStem(config)]
        for before, after, stride in zip(channels, channels[1:], strides, strict=False):
            layers += [HTRConvTextBasicLayer(config, before, after, stride)]
            layers += [HTRConvTextBasicLayer(config, after, after, (1, 1))]
        self.backbone = nn.Sequential(*layers)
        width = channels[-1]
        self.positions = nn.Parameter(0.02 * torch.randn(config.frames(LONGEST_WIDTH), width))
        layer = nn.TransformerEncoderLayer(width, 6, 4 * width, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.output_size = width

    def forward(self, pixel_values: torch.Tensor, **kwargs) -> BaseModelOutput:
        features = self.backbone(pixel_values).mean(2).transpose(1, 2)  # (batch, frames, channels)
        return BaseModelOutput(last_hidden_state=self.encoder(features + self.positions[: features.shape[1]]))


def peer(name: str, config: HTRConvTextConfig) -> HTRConvTextForCTC:
    """
    A recogniser with another network inside.

    Args:
        name: `"crnn"` or `"resnet-vit"`.
        config: Vocabulary, images and CTC loss.
    """
    model = HTRConvTextForCTC(config)
    network = CRNN() if name == "crnn" else ResNetViT(config)
    model.add_module("htr_convtext", network)
    model.ctc_head = nn.Linear(network.output_size, config.vocab_size)
    return model

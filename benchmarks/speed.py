# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reading speed beside other recognisers.

    python -m htr_convtext.benchmarks.speed --batch_size 4 --rounds 20

Every recogniser has random weights of its published configuration and reads noise, in turn within each round: the time
of a forward pass does not depend on what the weights say. TrOCR reads a line as a square of 384x384 pixels and writes
`--tokens` tokens greedily. The peers are those of `benchmarks.peers`, in inference mode as HTR-ConvText is: TrOCR and
kraken have no batch norms to fuse. kraken's default recogniser, where it is installed, reads lines 120 pixels high.
"""

import argparse
from collections.abc import Callable

import torch
from torch import nn
from transformers import (
    DeiTConfig,
    PretrainedConfig,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from ..configuration_htr_convtext import SIZES, HTRConvTextConfig
from ..console import at_least_one
from .peers import PEERS, optimized_for_inference, peer
from .timing import HEIGHT, machine, measure_steadily, new_network, print_table, quartiles, ratios

try:
    from kraken.lib.vgsl import TorchVGSLModel
except ImportError:
    TorchVGSLModel = None

TROCR_IMAGE_SIZE = 384
# Encoder and decoder of microsoft/trocr-small-handwritten and microsoft/trocr-base-handwritten.
TROCR = {
    "TrOCR-small": (
        DeiTConfig(hidden_size=384, num_attention_heads=6, intermediate_size=1536, image_size=TROCR_IMAGE_SIZE),
        {"d_model": 256, "decoder_layers": 6, "decoder_attention_heads": 8, "decoder_ffn_dim": 1024,
         "cross_attention_hidden_size": 384, "vocab_size": 64044, "tie_word_embeddings": False},
    ),
    "TrOCR-base": (
        ViTConfig(image_size=TROCR_IMAGE_SIZE),
        {"d_model": 1024, "decoder_layers": 12, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096,
         "cross_attention_hidden_size": 768, "vocab_size": 50265},
    ),
}  # fmt: skip
# kraken's default specification of a recogniser (ketos train), for 100 classes.
KRAKEN_HEIGHT = 120
KRAKEN_SPECIFICATION = (
    "[1,120,0,1 Cr3,13,32 Do0.1,2 Mp2,2 Cr3,13,32 Do0.1,2 Mp2,2 Cr3,9,64 Do0.1,2 Mp2,2 Cr3,9,64 Do0.1,2 S1(1x0)1,3 "
    "Lbx200 Do0.1,2 Lbx200 Do0.1,2 Lbx200 Do O1c100]"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch_size", type=at_least_one, default=4)
    parser.add_argument("--width", type=at_least_one, default=512, help="pixels of a line 64 pixels high")
    parser.add_argument("--rounds", type=at_least_one, default=20)
    parser.add_argument("--tokens", type=at_least_one, default=20, help="tokens that TrOCR writes for a line")
    parser.add_argument("--only", nargs="+", help="recognisers to compare; default: all")
    options = parser.parse_args()
    torch.manual_seed(0)
    makers = recognisers(options)
    if unknown := set(options.only or ()) - set(makers):
        parser.error(f"--only {min(unknown)!r}: there are {', '.join(makers)}.")
    makers = {name: make for name, make in makers.items() if not options.only or name in options.only}
    readers, parameters = {}, {}
    for name, make in makers.items():
        readers[name], parameters[name] = make()
    seconds, unsteadiness = measure_steadily(readers, options.rounds)
    print(f"batch {options.batch_size}, lines of {HEIGHT}x{options.width}, float32, {machine()}")
    print(f"{options.rounds} rounds; matrix products: quartiles {100 * unsteadiness:.0f} % apart")
    if TorchVGSLModel is None:
        print("kraken is not installed: not measured")
    first = next(iter(readers))
    rows = []
    for name in readers:
        milliseconds = quartiles(1000 * second / options.batch_size for second in seconds[name])
        rows.append([name, f"{parameters[name] / 1e6:.1f} M", milliseconds, ratios(seconds[name], seconds[first])])
    print_table(["", "parameters", "ms a line", f"time / {first}"], rows)


def recognisers(options: argparse.Namespace) -> dict[str, Callable[[], tuple[Callable, int]]]:
    """What makes each recogniser: how it reads a batch, and its number of parameters."""
    shape = (options.batch_size, options.width)
    makers: dict[str, Callable] = {
        f"HTR-ConvText {size}": lambda size=size: htr_convtext(size, *shape) for size in reversed(SIZES)
    }
    makers |= {name: lambda name=name: peer_network(name, *shape) for name in PEERS}
    makers |= {name: lambda name=name: trocr(name, options.batch_size, options.tokens) for name in TROCR}
    return makers | ({"kraken": lambda: kraken(*shape)} if TorchVGSLModel is not None else {})


def htr_convtext(size: str, batch_size: int, width: int) -> tuple[Callable, int]:
    model = new_network(size, "sdpa").optimize_for_inference()
    pixel_values = torch.rand(batch_size, 1, HEIGHT, width)
    return lambda: model(pixel_values), count_parameters(model)


def peer_network(name: str, batch_size: int, width: int) -> tuple[Callable, int]:
    model = peer(name, HTRConvTextConfig(**SIZES["tiny"]), width)
    parameters = count_parameters(model)
    optimized_for_inference(model)
    pixel_values = torch.rand(batch_size, 1, HEIGHT, width)
    return lambda: model(pixel_values), parameters


def trocr(name: str, batch_size: int, tokens: int) -> tuple[Callable, int]:
    encoder, decoder = TROCR[name]
    config: PretrainedConfig = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder, TrOCRConfig(**decoder), tie_word_embeddings=decoder.get("tie_word_embeddings", True)
    )
    config.decoder_start_token_id = config.decoder.eos_token_id
    config.pad_token_id = config.decoder.pad_token_id
    model = VisionEncoderDecoderModel(config).eval()
    pixel_values = torch.rand(batch_size, 3, TROCR_IMAGE_SIZE, TROCR_IMAGE_SIZE)
    length = {"min_new_tokens": tokens, "max_new_tokens": tokens, "num_beams": 1, "do_sample": False}
    start = {"decoder_start_token_id": config.decoder_start_token_id, "pad_token_id": config.pad_token_id}
    return lambda: model.generate(pixel_values, **length, **start), count_parameters(model)


def kraken(batch_size: int, width: int) -> tuple[Callable, int]:
    network = TorchVGSLModel(vgsl=KRAKEN_SPECIFICATION).nn.eval()
    pixel_values = torch.rand(batch_size, 1, KRAKEN_HEIGHT, width * KRAKEN_HEIGHT // HEIGHT)
    return lambda: network(pixel_values), count_parameters(network)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


if __name__ == "__main__":
    main()

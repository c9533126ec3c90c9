# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Where a size's reading time goes, part by part, and at what rate each part computes.

    python -m htr_convtext.benchmarks.parts --size tiny small base

In inference mode, float32. A part that needs more of the time than of the operations keeps a small size from being as
fast as it is small.
"""

import argparse
import statistics
import time
from collections import defaultdict
from functools import partial
from typing import Any

import torch
from torch import nn

from ..configuration_htr_convtext import SIZES
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextMobileViTLayer
from .timing import HEIGHT, count_flops, machine, new_network, print_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--width", type=int, default=512, help="pixels of a line 64 pixels high")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for size in options.size:
        report(size, new_network(size), torch.rand(options.batch_size, 1, HEIGHT, options.width), options.rounds)


def parts_of(model: HTRConvTextForCTC) -> dict[str, list[nn.Module]]:
    """The modules that a line passes, in order, by the part that they belong to."""
    network: Any = model.htr_convtext
    backbone, encoder = network.backbone, network.encoder
    parts: dict[str, list[nn.Module]] = {"stem": [backbone.stem]}
    for number, stage in enumerate(backbone.stages, start=1):
        parts[f"stage {number}, convolutions"] = [stage.layers]
        if isinstance(stage.mobilevit, HTRConvTextMobileViTLayer):
            transformer: Any = stage.mobilevit.transformer
            parts[f"stage {number}, MobileViT"] = [stage.mobilevit]
            parts[f"stage {number}, of it attention"] = [layer.attention for layer in transformer]
    parts["encoder, attention"] = [layer.self_attn for layer in encoder.layers]
    parts["encoder, convolution"] = [layer.conv for layer in encoder.layers]
    parts["encoder, feed-forward"] = [
        module for layer in encoder.layers for module in (layer.feed_forward1, layer.feed_forward2)
    ]
    parts["classifier"] = [model.ctc_head]
    return parts


@torch.no_grad()
def report(size: str, model: HTRConvTextForCTC, pixel_values: torch.Tensor, rounds: int) -> None:
    lines = len(pixel_values)
    flops = count_part_flops(model, pixel_values)
    seconds = time_parts(model.optimize_for_inference(), pixel_values, rounds)
    whole = statistics.median(seconds["network"])
    print(f"{size}, batch {lines}, {HEIGHT}x{pixel_values.shape[-1]}, {machine()}, {rounds} rounds, medians")
    rows = []
    for name, operations in flops.items():
        median = statistics.median(seconds[name])
        time_share, share = 100 * median / whole, 100 * operations / flops["network"]
        row = [f"{1000 * median / lines:.2f}", f"{time_share:.0f} %", f"{operations / lines / 1e9:.3f}"]
        rows.append([name, *row, f"{share:.0f} %", f"{operations / median / 1e9:.0f}"])
    print_table(["", "ms a line", "of the time", "GFLOP a line", "of all", "GFLOP/s"], rows)


def count_part_flops(model: HTRConvTextForCTC, pixel_values: torch.Tensor) -> dict[str, int]:
    """Floating-point operations of each part, and of the network."""
    counts = count_flops(model, pixel_values)
    names = {module: name for name, module in model.named_modules()}
    parts = parts_of(model).items()
    return {part: sum(counts.get(names[module], 0) for module in modules) for part, modules in parts} | {
        "network": counts[""]
    }


def time_parts(model: HTRConvTextForCTC, pixel_values: torch.Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds of each part, and of the network, in each round after one of warm-up."""
    clock: dict[str, float] = defaultdict(float)
    hooks = []
    parts: dict[str, list[nn.Module]] = {**parts_of(model), "network": [model]}
    for part, modules in parts.items():
        for module in modules:
            hooks.append(module.register_forward_pre_hook(partial(move, clock, part, -1)))
            hooks.append(module.register_forward_hook(partial(move, clock, part, 1)))
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        clock.clear()
        model(pixel_values)
        if number:
            for part, spent in clock.items():
                seconds[part].append(spent)
    for hook in hooks:
        hook.remove()
    return seconds


def move(clock: dict[str, float], part: str, direction: int, *hooked: Any) -> None:
    """Backwards by the time at which a module starts, forwards by that at which it ends."""
    clock[part] += direction * time.perf_counter()


if __name__ == "__main__":
    main()

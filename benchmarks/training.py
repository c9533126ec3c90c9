# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Training lines a second: a plain loop, and what each option of training adds or costs.

    python -m htr_convtext.benchmarks.training --size tiny --batch_size 8 --rounds 20

The baseline is a plain loop: eager attention, float32, torch's AdamW, no SAM, average or augmentation, batches in
memory. Every variant has a process of its own, because how memory is kept is a property of a process, and steps once
in each round, in turn, so that other load slows all alike; a step's time is divided by the first variant's of the same
round. The table has medians and quartiles over the rounds; on a GPU, the fast variants compute in bf16.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch

from ..configuration_htr_convtext import SIZES, HTRConvTextConfig
from ..console import at_least_one
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from ..training import (
    ExponentialMovingAverage,
    HTRConvTextWithTCM,
    LineAugmentation,
    keep_freed_memory,
    put_in_fast_modules,
)
from ..training.sam import perturbed
from .timing import HEIGHT, machine, measure, print_table, quartiles, ratios

LABEL_LENGTH = 50


@dataclass(frozen=True)
class Variant:
    """One way to train: the recipe's parts and the means to make them fast."""

    plain: bool = False
    fused: bool = True
    kept_memory: bool = True
    fast_modules: bool = True
    bf16: bool = False
    sam: bool = False
    ema: bool = False
    augment: bool = False


def variants(bf16: bool) -> dict[str, Variant]:
    """Rows of the table, the baseline first; `bf16` is the precision of the fast rows."""
    fast = Variant(bf16=bf16)
    return {
        "baseline: plain loop, float32": Variant(plain=True, fused=False, kept_memory=False, fast_modules=False),
        "+ SDPA, channels last": Variant(fused=False, kept_memory=False, fast_modules=False),
        "  ... and fused AdamW": Variant(kept_memory=False, fast_modules=False),
        "  ... and freed memory kept": Variant(fast_modules=False),
        "  ... and modules that are fast on a CPU": Variant(),
        "  ... and bf16": Variant(bf16=True),
        "fast + augmentation": replace(fast, augment=True),
        "fast + EMA": replace(fast, ema=True),
        "fast + SAM": replace(fast, sam=True),
        "fast + all three (the recipe)": replace(fast, augment=True, ema=True, sam=True),
    }


def make_network(variant: Variant, config: HTRConvTextConfig, device: str) -> HTRConvTextWithTCM:
    torch.manual_seed(0)
    model = HTRConvTextForCTC._from_config(config, attn_implementation="eager" if variant.plain else "sdpa")
    joint = HTRConvTextWithTCM(model, HTRConvTextTCM(config)).to(device).train()
    if variant.fast_modules and device == "cpu":
        put_in_fast_modules(joint)
    return joint


def make_step(variant: Variant, config: HTRConvTextConfig, batch: dict, device: str) -> Callable[[], None]:
    """One training step of a variant on a batch, as a function."""
    joint = make_network(variant, config, device)
    parameters = list(joint.parameters())
    optimizer = torch.optim.AdamW(parameters, 1e-4, foreach=False, fused=variant.fused or None)
    ema = ExponentialMovingAverage(joint.model, 0.9999) if variant.ema else None
    augmentation, generator = LineAugmentation(), torch.Generator().manual_seed(0)

    def step() -> None:
        pixel_values = batch["pixel_values"]
        if variant.augment:
            pixel_values = augmentation(pixel_values, generator)
        backward(joint, pixel_values, batch["labels"], variant.bf16)
        if variant.sam:
            with perturbed(parameters, 0.05):
                optimizer.zero_grad()
                backward(joint, pixel_values, batch["labels"], variant.bf16)
        optimizer.step()
        optimizer.zero_grad()
        if ema is not None:
            ema.update_parameters(joint.model)

    return step


def backward(joint: HTRConvTextWithTCM, pixel_values: torch.Tensor, labels: torch.Tensor, bf16: bool) -> None:
    with torch.autocast(pixel_values.device.type, torch.bfloat16, enabled=bf16):
        losses = joint(pixel_values=pixel_values, labels=labels)
    (0.1 * losses["ctc"] / len(pixel_values) + losses["tcm"] / labels.numel()).backward()


def run_variant(variant: Variant, size: str, batch_size: int, width: int, turns: Connection) -> None:
    """A variant's process: one step for every turn, until there are no more."""
    if variant.kept_memory:
        keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = HTRConvTextConfig(**SIZES[size])
    batch = {
        "pixel_values": torch.rand(batch_size, 1, HEIGHT, width, device=device),
        "labels": torch.randint(1, config.vocab_size, (batch_size, LABEL_LENGTH), device=device),
    }
    step = make_step(variant, config, batch, device)
    while turns.recv():
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        turns.send(True)


def measure_variants(rows: dict[str, Variant], options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every variant's step in every round."""
    spawn = get_context("spawn")
    turns = {}
    for name, variant in rows.items():
        turns[name], theirs = spawn.Pipe()
        arguments = (variant, options.size, options.batch_size, options.width, theirs)
        spawn.Process(target=run_variant, args=arguments, daemon=True).start()
        theirs.close()  # so that a process that dies ends the measurement instead of holding it up

    def step(turn: Connection) -> None:
        turn.send(True)
        turn.recv()

    seconds = measure({name: partial(step, turn) for name, turn in turns.items()}, options.rounds)
    for turn in turns.values():
        turn.send(False)
    return seconds


def table(seconds: dict[str, list[float]], batch_size: int) -> Iterator[list[str]]:
    """Lines a second of each variant, and its speed-up over the first."""
    first = next(iter(seconds.values()))
    for name, times in seconds.items():
        yield [name, quartiles(batch_size / second for second in times), ratios(first, times)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    parser.add_argument("--batch_size", type=at_least_one, default=16)
    parser.add_argument("--width", type=at_least_one, default=512, help="pixels")
    parser.add_argument("--rounds", type=at_least_one, default=5)
    options = parser.parse_args()

    cuda = torch.cuda.is_available()
    what = f"{options.size}, batch {options.batch_size} of 64x{options.width}, {options.rounds} rounds"
    print(f"{what}, {machine('cuda' if cuda else 'cpu')}")
    seconds = measure_variants(variants(cuda), options)
    print_table(["", "lines/s", "speed-up"], table(seconds, options.batch_size))


if __name__ == "__main__":
    main()

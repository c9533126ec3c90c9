# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Training lines a second: a plain loop, and what each option of training adds or costs.

    python -m htr_convtext.benchmarks.training --size tiny --rounds 20

The baseline is a plain loop: eager attention, float32, torch's AdamW, no SAM, average or augmentation, batches in
memory. Every variant has a process of its own, because how memory is kept is a property of a process, and steps once
in each round, in turn, so that other load slows all alike. The table has the median and quartiles over the rounds. The
last line is how fast lines come out of the data loader.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch
from datasets import Dataset

from ..configuration_htr_convtext import SIZES, HTRConvTextConfig
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from ..processing_htr_convtext import HTRConvTextProcessor
from ..training import (
    ExponentialMovingAverage,
    HTRConvTextWithTCM,
    LineAugmentation,
    LineCollator,
    keep_freed_memory,
    put_in_fast_modules,
)
from ..training.sam import perturbed
from .timing import HEIGHT, machine, measure

LABEL_LENGTH = 50


@dataclass(frozen=True)
class Variant:
    """One way to train: the recipe's parts and the means to make them fast."""

    plain: bool = False
    fused: bool = True
    kept_memory: bool = True
    fast_modules: bool = True
    bf16: bool = False
    compiled: bool = False
    sam: bool = False
    ema: bool = False
    augment: bool = False


def variants(bf16: bool, compiled: bool) -> dict[str, Variant]:
    """Rows of the table, the baseline first; `bf16` is the precision of the fast rows."""
    fast = Variant(bf16=bf16)
    rows = {
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
    return rows | ({"fast + torch.compile": replace(fast, compiled=True)} if compiled else {})


def make_step(variant: Variant, config: HTRConvTextConfig, batch: dict, device: str) -> Callable[[], None]:
    """One training step of a variant on a batch, as a function."""
    torch.manual_seed(0)
    attention = "eager" if variant.plain else "sdpa"
    model = HTRConvTextForCTC._from_config(config, attn_implementation=attention)
    joint = HTRConvTextWithTCM(model, HTRConvTextTCM(config)).to(device).train()
    if variant.fast_modules and device == "cpu" and not variant.compiled:
        put_in_fast_modules(joint)
    parameters = list(joint.parameters())
    optimizer = torch.optim.AdamW(parameters, 1e-4, foreach=False, fused=variant.fused or None)
    ema = ExponentialMovingAverage(model, 0.9999) if variant.ema else None
    forward = torch.compile(joint) if variant.compiled else joint
    augmentation, generator = LineAugmentation(), torch.Generator().manual_seed(0)

    def backward(pixel_values: torch.Tensor) -> None:
        with torch.autocast(device, torch.bfloat16, enabled=variant.bf16):
            losses = forward(pixel_values=pixel_values, labels=batch["labels"])
        (0.1 * losses["ctc"] / len(pixel_values) + losses["tcm"] / batch["labels"].numel()).backward()

    def step() -> None:
        pixel_values = batch["pixel_values"]
        if variant.augment:
            pixel_values = augmentation(pixel_values, generator)
        backward(pixel_values)
        if variant.sam:
            with perturbed(parameters, 0.05):
                optimizer.zero_grad()
                backward(pixel_values)
        optimizer.step()
        optimizer.zero_grad()
        if ema is not None:
            ema.update_parameters(model)
        if device == "cuda":
            torch.cuda.synchronize()

    return step


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


def loading_rate(batch_size: int, workers: int, lines: int = 2000) -> float:
    """Lines a second out of the prepared dataset and the collator, without a network behind them."""
    processor = HTRConvTextProcessor.for_dataset("iam")
    content = {"pixels": [bytes(64 * 512)] * lines, "width": [512] * lines, "labels": [[1] * LABEL_LENGTH] * lines}
    dataset = Dataset.from_dict(content)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size, shuffle=True, num_workers=workers, collate_fn=LineCollator(processor)
    )
    start = time.perf_counter()
    number = sum(len(batch["labels"]) for batch in loader)
    return number / (time.perf_counter() - start)


def table(seconds: dict[str, list[float]], batch_size: int) -> Iterator[str]:
    """Lines of the table: median lines a second, quartiles, speed-up over the first row."""
    baseline = statistics.median(next(iter(seconds.values())))
    yield f"{'':45}{'lines/s':>9}{'quartiles':>18}{'speed-up':>10}"
    for name, times in seconds.items():
        low, median, high = statistics.quantiles(times, n=4)
        rates = f"{batch_size / high:.1f} to {batch_size / low:.1f}"
        yield f"{name:45}{batch_size / median:9.1f}{rates:>18}{baseline / median:10.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--width", type=int, default=512, help="pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["float32", "bf16"], help="of the fast rows; bf16 on a GPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile too; compiling takes minutes on a CPU")
    parser.add_argument("--workers", type=int, default=0, help="processes of the data loader")
    options = parser.parse_args()

    cuda = torch.cuda.is_available()
    precision = options.precision or ("bf16" if cuda else "float32")
    what = f"{options.size}, batch {options.batch_size} of 64x{options.width}, {options.rounds} rounds"
    print(f"{what}, {machine('cuda' if cuda else 'cpu')}")
    rows = variants(precision == "bf16", options.compile)
    seconds = measure_variants(rows, options)
    for line in table(seconds, options.batch_size):
        print(line)
    rate = loading_rate(options.batch_size, options.workers)
    print(f"data loading with {options.workers} workers: {rate:.0f} lines/s")


if __name__ == "__main__":
    main()

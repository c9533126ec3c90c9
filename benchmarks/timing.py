# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks to time, clocks and tables: contenders take turns, and matrix products tell how steady the machine is."""

import statistics
import time
from collections.abc import Callable, Iterable

import torch
from torch.utils.flop_counter import FlopCounterMode

from .. import SIZES, HTRConvTextConfig, HTRConvTextForCTC

HEIGHT = 64
MATRIX_SIDE = 2048
MATRIX_PRODUCT = "matrix product"
WARM_UP_ROUNDS = 3
STEADY = 0.10
ATTEMPTS = 3


def new_network(size: str, attention: str = "eager") -> HTRConvTextForCTC:
    """A network of a size with weights from a fixed seed; with eager attention it is the baseline of all timing."""
    torch.manual_seed(0)
    return HTRConvTextForCTC._from_config(HTRConvTextConfig(**SIZES[size]), attn_implementation=attention).eval()


@torch.no_grad()
def measure(contenders: dict[str, Callable], rounds: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of each contender in each round, one after the other within a round, after rounds of warm-up."""
    synchronize: Callable = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + WARM_UP_ROUNDS):
        for name, run in contenders.items():
            synchronize()
            start = time.perf_counter()
            run()
            synchronize()
            if number >= WARM_UP_ROUNDS:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def measure_steadily(
    contenders: dict[str, Callable], rounds: int, device: str = "cpu"
) -> tuple[dict[str, list[float]], float]:
    """
    Seconds of each contender and of a matrix product, which tells the machine's rate, in each round.

    Returns:
        The steadiest of up to `ATTEMPTS` measurements, and how far apart the quartiles of the machine's rate were.
    """
    matrix = torch.rand(MATRIX_SIDE, MATRIX_SIDE, device=device)
    contenders = {**contenders, MATRIX_PRODUCT: lambda: matrix @ matrix}
    attempts = []
    for _ in range(ATTEMPTS):
        seconds = measure(contenders, rounds, device)
        low, middle, high = statistics.quantiles(seconds[MATRIX_PRODUCT], n=4)
        attempts.append((seconds, (high - low) / middle))
        if attempts[-1][1] <= STEADY:
            break
    return min(attempts, key=lambda attempt: attempt[1])


@torch.no_grad()
def count_flops(model: HTRConvTextForCTC, pixel_values: torch.Tensor) -> dict[str, int]:
    """
    Floating-point operations of matrix products and convolutions, counted by PyTorch, by a module's name.

    Args:
        model: With eager attention, because the counter does not know the CPU's fused one.
        pixel_values: Lines of shape `(batch, 1, height, width)`.
    """
    with FlopCounterMode(display=False) as counter:
        model(pixel_values)
    root = type(model).__name__
    return {
        name.removeprefix(root).lstrip("."): sum(counts.values()) for name, counts in counter.get_flop_counts().items()
    }


def quartiles(values: Iterable[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def ratios(ones: list[float], others: list[float]) -> str:
    """Quartiles of what was measured in the same round."""
    return quartiles(one / other for one, other in zip(ones, others, strict=True))


def print_table(header: list[str], rows: Iterable[list[str]]) -> None:
    """Names on the left, figures on the right, every column as wide as it needs."""
    cells = [header, *rows]
    first, *widths = (2 + max(map(len, column)) for column in zip(*cells, strict=True))
    for name, *figures in cells:
        print(name.ljust(first) + "".join(figure.rjust(width) for figure, width in zip(figures, widths, strict=True)))


def machine(device: str = "cpu") -> str:
    """Processor and releases, for the head of a table."""
    where = torch.cuda.get_device_name() if device.startswith("cuda") else f"CPU, {torch.get_num_threads()} threads"
    return f"{where}, torch {torch.__version__}"

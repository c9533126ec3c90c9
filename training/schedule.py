# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Learning rates: a linear warm-up, then half a cosine, at once or after a stretch at the highest rate."""

import math
from collections.abc import Callable

import torch

SCHEDULES = ("cosine", "trapezoid", "paper")
# Share of a trapezoid after its warm-up in which the rate falls.
FALL = 0.4


def learning_rate(
    step: int, total_steps: int, warmup_steps: int, maximum: float, minimum: float, schedule: str = "cosine"
) -> float:
    """
    Learning rate of an optimiser step.

    `"cosine"` is the textbook's: it begins where the warm-up ends and reaches its minimum with the last step.
    `"trapezoid"` stays at its maximum and goes along that cosine in its last 40 % (warm-up, stable, decay: S. Hu et
    al., 2024, arXiv 2404.06395): a training that begins with a trained network's weights keeps more of them.
    `"paper"` gives the published numbers: its cosine counts from the first step, so it falls a little at the warm-up's
    end, reaches its minimum `warmup_steps` early and rises a hair. The published code counts its iterations from 1 up
    to, not including, `total_steps`; a run of n steps is `total_steps = n + 1` of theirs.

    Args:
        step: Number of the step, from 0.
        total_steps: Steps of the whole training.
        warmup_steps: Steps of the warm-up, in which the rate is `maximum * (step + 1) / (warmup_steps + 1)`.
        maximum: Highest learning rate.
        minimum: Learning rate at the end.
        schedule: One of `SCHEDULES`.
    """
    if step < warmup_steps:
        return maximum * (step + 1) / (warmup_steps + 1)
    past = step if schedule == "paper" else step - warmup_steps
    last = total_steps - warmup_steps if schedule == "paper" else total_steps - 1 - warmup_steps
    progress = past / max(last, 1)
    if schedule != "paper":
        progress = min(progress, 1.0)
    if schedule == "trapezoid":
        progress = max(progress - (1 - FALL), 0.0) / FALL
    return minimum + (maximum - minimum) * (1 + math.cos(math.pi * progress)) / 2


def make_scheduler(
    optimizer: torch.optim.Optimizer,
    total_steps: int,
    warmup_steps: int,
    minimum: float,
    schedule: str,
    time_used: Callable[[], float],
    warmup_is_share: bool = False,
) -> torch.optim.lr_scheduler.LambdaLR:
    """
    The schedule as torch's scheduler.

    Args:
        optimizer: Its learning rates are the highest ones.
        total_steps: Steps of the whole training.
        warmup_steps: Steps of the warm-up.
        minimum: Learning rate at the end.
        schedule: One of `SCHEDULES`.
        time_used: Share of the training's time that is used up, 0 where time is not limited. A run that would end by
            time before `total_steps` goes through the schedule by time; its warm-up goes by steps, and
            may be cut short.
        warmup_is_share: Whether the warm-up was asked for as a share of the training, which time may end long before
            that share of the steps: then it, too, goes by time.

    Raises:
        ValueError: If the schedule is unknown.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"The learning rate schedule must be one of {SCHEDULES}. Got {schedule!r}.")
    maximum = optimizer.param_groups[0]["lr"]
    total, first = (total_steps + 1, 1) if schedule == "paper" else (total_steps, 0)

    def rate(step: int) -> float:
        return learning_rate(step, total, warmup_steps, maximum, minimum, schedule)

    def factor(step: int) -> float:
        if maximum == 0:
            return 0.0
        timed = int(time_used() * total)
        if warmup_is_share:
            return rate(max(step + first, timed)) / maximum
        highest = rate(timed) if timed >= warmup_steps else math.inf
        return min(rate(step + first), highest) / maximum

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Exponential moving average of a model's parameters and buffers, with the recipe's warm-up."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.optim.swa_utils import AveragedModel
from transformers import TrainerCallback

UPDATES_KEY = "ema_updates"


Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


def ema_decay(update: int, maximum: float, warmup: bool = True) -> float:
    """Decay of the given update, from 1: `min(maximum, (1 + n) / (10 + n))` with n half the update's number."""
    if not warmup:
        return maximum
    n = update / 2
    return min(maximum, (1 + n) / (10 + n))


class ExponentialMovingAverage(AveragedModel):
    """
    torch's averaged model with the recipe's decay. Whole-number buffers are copied.

    Args:
        model: The model to follow; the average starts as its copy.
        decay: Highest decay.
        warmup: Whether the decay rises to it, which soon forgets the weights at the start. Without, their share after
            n updates is `decay ** n`.
    """

    def __init__(self, model: torch.nn.Module, decay: float, warmup: bool = True):
        self.decay = decay
        self.warmup = warmup
        super().__init__(model, multi_avg_fn=self.average, use_buffers=True)
        # The base class copies instead of averaging while it has averaged nothing; the copy is there already.
        self.n_averaged += 1

    def average(self, averages: Tensors, values: Tensors, number: torch.Tensor | int) -> None:
        """Moves `averages` towards `values` in place; `number` counts the updates from 1."""
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 - ema_decay(int(number), self.decay, self.warmup))
        else:
            torch._foreach_copy_(averages, values)

    @property
    def updates(self) -> int:
        """Number of updates so far."""
        return int(self.n_averaged) - 1

    def restore(self, model: torch.nn.Module, updates: int) -> None:
        """Takes the average from `model` and the number of updates from a checkpoint."""
        self.module.load_state_dict(model.state_dict())
        self.n_averaged.fill_(updates + 1)

    @contextmanager
    def applied_to(self, model: torch.nn.Module) -> Iterator[None]:
        """Puts the average into `model`, in place so that compiled graphs stay valid; its own is back after."""
        targets = list(model.state_dict().values())
        own = [tensor.clone() for tensor in targets]
        copy_tensors(targets, list(self.module.state_dict().values()))
        try:
            yield
        finally:
            copy_tensors(targets, own)


def copy_tensors(targets: list[torch.Tensor], sources: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)


class EMACallback(TrainerCallback):
    """
    Keeps the average up to date during training.

    Args:
        trainer: The trainer, whose `ema` it updates after every optimiser step that was taken.
    """

    def __init__(self, trainer):
        self.trainer = trainer

    def on_optimizer_step(self, args, state, control, **kwargs):
        # An overflow in fp16 leaves the optimiser's step out, and then nothing is averaged.
        if not self.trainer.accelerator.optimizer_step_was_skipped:
            self.trainer.ema.update_parameters(self.trainer.recognizer)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Order of the training lines."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback
from transformers.trainer_pt_utils import get_length_grouped_indices


class LineSampler(Sampler[int]):
    """
    Shuffles the lines of each epoch, by the seed and the epoch's number alone, so that a resumed run sees them in the
    same order. With widths, lines of similar width share a batch (transformers' grouping), and the batches are
    shuffled, as otherwise every mega-batch would run from its widest lines to its narrowest.

    Args:
        lines: Number of lines.
        seed: Seed of the order.
        widths: Width of every line in pixels, or `None` to batch lines of any width.
        batch_size: Lines of the global batch, over which widths are alike.
    """

    def __init__(self, lines: int, seed: int, widths: list[int] | None = None, batch_size: int = 1):
        self.lines = lines
        self.seed = seed
        self.widths = widths
        self.batch_size = batch_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.lines

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of an epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        if self.widths is None:
            yield from torch.randperm(self.lines, generator=generator).tolist()
            return
        order = get_length_grouped_indices(self.widths, self.batch_size, generator=generator)
        whole = len(order) // self.batch_size * self.batch_size
        batches = torch.tensor(order[:whole]).view(-1, self.batch_size)
        batches = batches[torch.randperm(len(batches), generator=generator)]
        yield from batches.flatten().tolist() + order[whole:]


class EpochCallback(TrainerCallback):
    """
    Tells the sampler the epoch. Trainer does so too, but not when it resumes within an epoch on several processes.

    Args:
        sampler: The training sampler.
    """

    def __init__(self, sampler: LineSampler):
        self.sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.sampler.set_epoch(int(state.epoch or 0))

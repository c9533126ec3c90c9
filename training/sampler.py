# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Order of the training lines."""

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback
from transformers.trainer_pt_utils import get_length_grouped_indices


def line_weights(sources: Sequence[str | None], writers: Sequence[str | None], temperature: float) -> list[float]:
    """
    How often a line is drawn in an epoch on average. A source of n lines is drawn in proportion to n^temperature, and
    within it a writer of m lines in proportion to m^temperature, so that the lines of a small hand come more often
    than those of a big register (temperature sampling, as for languages in arXiv 1907.05019).

    Args:
        sources: Source of every line; those without one count as one source's.
        writers: Writer of every line; a source's lines without one count as one writer's.
        temperature: 1 draws every line alike, 0 every source alike and in it every writer.

    Returns:
        A weight for each line; their mean is 1.
    """
    hands = list(zip(sources, writers, strict=True))
    lines_of_source, lines_of_hand = Counter(sources), Counter(hands)
    hands_of_source: dict[str | None, float] = {}
    for (source, _), lines in lines_of_hand.items():
        hands_of_source[source] = hands_of_source.get(source, 0.0) + lines**temperature
    all_sources = sum(lines**temperature for lines in lines_of_source.values())

    def weight(hand: tuple[str | None, str | None]) -> float:
        lines = lines_of_hand[hand]
        source_share = lines_of_source[hand[0]] ** temperature / all_sources
        return len(hands) * source_share * lines**temperature / hands_of_source[hand[0]] / lines

    weight_of = {hand: weight(hand) for hand in lines_of_hand}
    return [weight_of[hand] for hand in hands]


class LineSampler(Sampler[int]):
    """
    Shuffles the lines of each epoch, by the seed and the epoch's number alone, so that a resumed run sees them in the
    same order. With widths, lines of similar width share a batch (transformers' grouping), and the batches are
    shuffled, as otherwise every mega-batch would run from its widest lines to its narrowest. With weights, an epoch is
    as long as without: a line of weight 0.4 comes in two epochs of five, one of weight 2.3 two or three times in each.

    Args:
        lines: Number of lines.
        seed: Seed of the order.
        widths: Width of every line in pixels, or `None` to batch lines of any width.
        batch_size: Lines of the global batch, over which widths are alike.
        weights: How often each line is drawn in an epoch on average, their mean 1; `None` draws each once.
    """

    def __init__(
        self,
        lines: int,
        seed: int,
        widths: list[int] | None = None,
        batch_size: int = 1,
        weights: list[float] | None = None,
    ):
        self.lines = lines
        self.seed = seed
        self.widths = widths
        self.batch_size = batch_size
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
        self.epoch = 0

    def __len__(self) -> int:
        return self.lines

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of an epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        drawn = list(range(self.lines)) if self.weights is None else self.draw(self.weights, generator)
        yield from (drawn[place] for place in self.shuffle(drawn, generator))

    def draw(self, weights: torch.Tensor, generator: torch.Generator) -> list[int]:
        """The lines of an epoch, `lines` in number: each as often as its weight says, rounded up or down by chance."""
        order = torch.randperm(self.lines, generator=generator)
        offset = torch.rand((), dtype=torch.float64, generator=generator)
        marks = (weights[order].cumsum(0) * (self.lines / weights.sum()) + offset).floor().long()
        marks[-1] = self.lines  # Which rounding may have missed.
        return order.repeat_interleave(marks.diff(prepend=marks.new_zeros(1))).tolist()

    def shuffle(self, drawn: list[int], generator: torch.Generator) -> Iterator[int]:
        """Places of the lines drawn in the order of training."""
        if self.widths is None:
            yield from torch.randperm(len(drawn), generator=generator).tolist()
            return
        widths = [self.widths[line] for line in drawn]
        order = get_length_grouped_indices(widths, self.batch_size, generator=generator)
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

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fitting temperatures so that scores are right as often as they say, and measuring how well they do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..decoding_htr_convtext import LEVELS, CTCHypothesis, check_temperatures, collapse_frames, score_paths
from ..training.metrics import align_characters, align_words, words
from .reading import NetworkLine

# Temperatures that are tried, each a tenth above the one before; 1 changes nothing.
TEMPERATURES = tuple(round(1.1**power, 3) for power in range(-6, 17))
BINS = 10
# Scores are kept from 0 and 1 by this, whose logarithm a single wrong one would make infinite.
SMALLEST = 1e-4


@dataclass
class Scored:
    """
    Scores of one level, their outcomes, and the hands that they are of.

    Args:
        scores: For each temperature tried and the level's own, of shape `(temperatures + 1, items)`.
        right: Whether a character or word is right; of a line, the share of its characters. Shape `(items,)`.
        hands: Number of the hand of each item, of shape `(items,)`.
    """

    scores: np.ndarray
    right: np.ndarray
    hands: np.ndarray

    def of_hands(self, hands: Iterable[int]) -> "Scored":
        chosen = np.isin(self.hands, list(hands))
        return Scored(self.scores[:, chosen], self.right[chosen], self.hands[chosen])

    @property
    def weights(self) -> np.ndarray:
        """Every hand weighs alike, however much it wrote; together 1."""
        _, members, counts = np.unique(self.hands, return_inverse=True, return_counts=True)
        return 1 / (len(counts) * counts[members])


def score_lines(
    lines: Sequence[NetworkLine],
    paths: Sequence[torch.Tensor],
    alphabet: str,
    hands: Sequence[int],
    temperatures: Mapping[str, float] | None = None,
) -> dict[str, Scored]:
    """
    Characters, words and lines that were read, with their scores at every temperature of `TEMPERATURES`, and at last
    at the level's own.

    Args:
        lines: The network's lines.
        paths: What a decoder read in each: a class for every frame, of shape `(frames,)`.
        alphabet: Characters of the classes 1, 2, ...
        hands: Number of the hand of each line.
        temperatures: Each level's own; 1 if `None`.
    """
    space_id = alphabet.find(" ") + 1 or None
    own = check_temperatures(temperatures)
    settings = [*(dict.fromkeys(LEVELS, value) for value in TEMPERATURES), own]
    found: dict[str, list[tuple[np.ndarray, np.ndarray, int]]] = {level: [] for level in LEVELS}
    for line, path, hand in zip(lines, paths, hands, strict=True):
        tried = [score_paths(line.logits[None], path[None], 0, space_id, setting)[0] for setting in settings]
        text = "".join(alphabet[index - 1] for index in tried[0].token_ids)
        found["line"].append((np.array([[one.score] for one in tried]), line_right(text, line.text), hand))
        if text:
            characters = np.array([one.scores for one in tried])
            found["character"].append((characters, characters_right(text, line.text), hand))
        if tried[0].words:
            of_words = np.array([[score for *_, score in one.words] for one in tried])
            found["word"].append((of_words, words_right(text, line.text), hand))
    return {level: joined(items) for level, items in found.items()}


def joined(items: Sequence[tuple[np.ndarray, np.ndarray, int]]) -> Scored:
    if not items:
        raise ValueError("Nothing was read in these lines: there are no scores to fit.")
    scores, right, hands = zip(*items, strict=True)
    numbers = [np.full(len(own), hand) for own, hand in zip(right, hands, strict=True)]
    return Scored(np.concatenate(scores, 1), np.concatenate(right), np.concatenate(numbers))


def path_of(hypothesis: CTCHypothesis) -> torch.Tensor:
    """A path through a line's frames that reads a hypothesis in its places, of shape `(frames,)`."""
    path = torch.zeros(hypothesis.frames, dtype=torch.long)
    for token_id, start, end in zip(hypothesis.token_ids, hypothesis.starts, hypothesis.ends, strict=True):
        path[start:end] = token_id
    assert collapse_frames(path[None])[0].tolist() == hypothesis.token_ids
    return path


def line_right(text: str, reference: str) -> np.ndarray:
    """Share of a line's characters that are right: 1 - CER, at least 0."""
    alignment = align_characters([text], [reference])
    edits = alignment.insertions + alignment.deletions + alignment.substitutions
    return np.array([max(0.0, 1 - edits / max(len(reference), len(text), 1))])


def characters_right(text: str, reference: str) -> np.ndarray:
    return right_of(align_characters([text], [reference]), len(text))


def words_right(text: str, reference: str) -> np.ndarray:
    """Whether each word between spaces is right, with its punctuation marks, in an alignment of all of them."""
    numbers = [sum(map(bool, words(word))) for word in text.split(" ") if word]
    right = right_of(align_words([text], [reference]), max(1, sum(numbers)))
    ends = np.cumsum(numbers)
    return np.array([right[end - number : end].min(initial=1) for end, number in zip(ends, numbers, strict=True)])


def right_of(alignment, length: int) -> np.ndarray:
    """Which of the items read are equal to one of the reference's, as 0 and 1 of shape `(length,)`."""
    right = np.zeros(length)
    for chunk in alignment.alignments[0]:
        if chunk.type == "equal":
            right[chunk.hyp_start_idx : chunk.hyp_end_idx] = 1
    return right


def fit_temperature(scored: Scored) -> float:
    """The temperature of `TEMPERATURES` with the least log loss, the mean over hands (Guo et al. 2017)."""
    scores = np.clip(scored.scores, SMALLEST, 1 - SMALLEST)
    scores = scores[: len(TEMPERATURES)]
    losses = -(scored.right * np.log(scores) + (1 - scored.right) * np.log(1 - scores)) @ scored.weights
    return TEMPERATURES[int(np.argmin(losses))]


def at_temperature(scored: Scored, temperature: float) -> np.ndarray:
    return scored.scores[TEMPERATURES.index(temperature)]


def cross_fitted(scored: Scored, hands: int) -> np.ndarray:
    """
    Scores of every item at the temperature that was fitted on the hands of the other half: what a hand that none was
    fitted on gets. With one hand, at the temperature fitted on it.
    """
    order = np.random.default_rng(0).permutation(hands)
    halves = [set(order[0::2].tolist()), set(order[1::2].tolist())]
    if hands < 2:
        return at_temperature(scored, fit_temperature(scored))
    scores = np.zeros(len(scored.right))
    for own, others in (halves, halves[::-1]):
        other = scored.of_hands(others)
        if len(other.right):
            chosen = np.isin(scored.hands, list(own))
            scores[chosen] = at_temperature(scored, fit_temperature(other))[chosen]
    return scores


def reliability(scores: np.ndarray, right: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """
    Mean score, share right and weight of the items in each of `BINS` bins of equal width, of shape `(BINS, 3)`; NaN in
    an empty bin.
    """
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    total = np.bincount(bins, weights, BINS)
    with np.errstate(invalid="ignore"):
        columns = [np.bincount(bins, weights * values, BINS) / total for values in (scores, right)]
    return np.stack([*columns, total], axis=1)


def expected_calibration_error(scores: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    """Mean difference between score and share right over the bins, by weight."""
    table = reliability(scores, right, weights)
    filled = table[:, 2] > 0
    return float((table[filled, 2] * abs(table[filled, 0] - table[filled, 1])).sum() / table[filled, 2].sum())


def area_under_risk_coverage(scores: np.ndarray, risks: np.ndarray) -> float:
    """
    Mean risk of the surest 1, 2, ... items, all of them at last; ties count with the mean of their risks. Least where
    the scores rank as the risks do.
    """
    values, members = np.unique(-scores, return_inverse=True)
    of_ties = np.bincount(members, risks) / np.bincount(members)
    ordered = of_ties[np.sort(members)]
    return float((np.cumsum(ordered) / np.arange(1, len(risks) + 1)).mean())


def after_checking(scores: np.ndarray, edits: np.ndarray, lengths: np.ndarray, share: float) -> float:
    """CER if that share of the lines, the least sure, is corrected by hand."""
    checked = np.argsort(scores, kind="stable")[: round(share * len(scores))]
    left = edits.sum() - edits[checked].sum()
    return float(left / max(lengths.sum(), 1))


__all__ = ["Scored", "area_under_risk_coverage", "expected_calibration_error", "fit_temperature", "score_lines"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fitting calibrations so that scores are right as often as they say, and measuring how well they do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ..decoding_htr_convtext import LEVELS, CTCHypothesis, calibrate
from ..training.metrics import align_characters, align_words, edits, words
from .reading import NetworkLine

BINS = 10
# Keeps a slope from growing without end where scores and outcomes agree in all items: weight of slope 1 and offset 0.
PRIOR = 1e-3
# Scores are kept from 0 and 1 by this, whose log odds a single wrong one would make infinite.
SMALLEST = 1e-4


@dataclass
class Scored:
    """
    Scores of one level, their outcomes, and the hands that they are of.

    Args:
        scores: As the decoder gives them, of shape `(items,)`.
        right: Whether a character or word is right; of a line, the share of its characters. Shape `(items,)`.
        hands: Number of the hand of each item, of shape `(items,)`.
    """

    scores: np.ndarray
    right: np.ndarray
    hands: np.ndarray

    def of_hands(self, hands: Iterable[int]) -> "Scored":
        chosen = np.isin(self.hands, list(hands))
        return Scored(self.scores[chosen], self.right[chosen], self.hands[chosen])

    @property
    def weights(self) -> np.ndarray:
        """Every hand weighs alike, however much it wrote; together 1."""
        _, members, counts = np.unique(self.hands, return_inverse=True, return_counts=True)
        return 1 / (len(counts) * counts[members])


def score_lines(
    lines: Sequence[NetworkLine], readings: Sequence[CTCHypothesis], alphabet: str, hands: Sequence[int]
) -> dict[str, Scored]:
    """
    Characters, words and lines that were read, with their scores.

    Args:
        lines: The network's lines.
        readings: What a decoder read in each.
        alphabet: Characters of the classes 1, 2, ...
        hands: Number of the hand of each line.
    """
    found: dict[str, list[tuple[Sequence[float], np.ndarray, int]]] = {level: [] for level in LEVELS}
    for line, reading, hand in zip(lines, readings, hands, strict=True):
        text = "".join(alphabet[index - 1] for index in reading.token_ids)
        found["line"].append(([reading.score], line_right(text, line.text), hand))
        if text:
            found["character"].append((reading.scores, characters_right(text, line.text), hand))
        if reading.words:
            found["word"].append(([score for *_, score in reading.words], words_right(text, line.text), hand))
    return {level: joined(items) for level, items in found.items()}


def joined(items: Sequence[tuple[Sequence[float], np.ndarray, int]]) -> Scored:
    if not items:
        raise ValueError("Nothing was read in these lines: there are no scores to fit.")
    scores, right, hands = zip(*items, strict=True)
    numbers = [np.full(len(own), hand) for own, hand in zip(right, hands, strict=True)]
    return Scored(np.concatenate(scores), np.concatenate(right), np.concatenate(numbers))


def line_right(text: str, reference: str) -> np.ndarray:
    """Share of a line's characters that are right: 1 - CER, at least 0."""
    wrong = edits(align_characters([text], [reference]))
    return np.array([max(0.0, 1 - wrong / max(len(reference), len(text), 1))])


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


def fit_calibration(scored: Scored) -> tuple[float, float]:
    """Slope and offset of the log odds with the least log loss, the mean over hands: logistic regression."""
    scores, right, weights = map(torch.tensor, (scored.scores, scored.right, scored.weights))
    log_odds = scores.clamp(SMALLEST, 1 - SMALLEST).logit()
    prior = torch.tensor([1.0, 0.0], dtype=log_odds.dtype)
    fitted = prior.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([fitted], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        losses = binary_cross_entropy_with_logits(fitted[0] * log_odds + fitted[1], right, reduction="none")
        value = (weights * losses).sum() + PRIOR * (fitted - prior).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    slope, offset = fitted.tolist()
    return max(slope, SMALLEST), offset


def cross_fitted(scored: Scored, hands: int) -> np.ndarray:
    """
    Scores of every item by the calibration that was fitted on the hands of the other half: what a hand that none was
    fitted on gets. With one hand, by that fitted on it.
    """
    order = np.random.default_rng(0).permutation(hands)
    halves = [set(order[0::2].tolist()), set(order[1::2].tolist())]
    if hands < 2:
        return calibrate(scored.scores, *fit_calibration(scored))
    scores = np.zeros(len(scored.right))
    for own, others in (halves, halves[::-1]):
        other = scored.of_hands(others)
        chosen = np.isin(scored.hands, list(own))
        # Where the other half has nothing to fit on, it is as with one hand.
        scores[chosen] = calibrate(scored.scores[chosen], *fit_calibration(other if len(other.right) else scored))
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


__all__ = ["Scored", "area_under_risk_coverage", "expected_calibration_error", "fit_calibration", "score_lines"]

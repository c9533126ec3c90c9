# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Calibration errors, rankings and calibrations of cases whose answers are known."""

import numpy as np
import pytest
import torch

from htr_convtext.decoding.calibration import (
    Scored,
    after_checking,
    area_under_risk_coverage,
    characters_right,
    cross_fitted,
    expected_calibration_error,
    fit_calibration,
    line_right,
    reliability,
    score_lines,
    words_right,
)
from htr_convtext.decoding.reading import NetworkLine
from htr_convtext.decoding_htr_convtext import calibrate, decode_greedily


def test_calibration_error_by_hand():
    """Two at 0.95 of which one is right, two at 0.25 of which none is: (0.45 + 0.25) / 2."""
    scores, right = np.array([0.95, 0.95, 0.25, 0.25]), np.array([1.0, 0.0, 0.0, 0.0])
    assert expected_calibration_error(scores, right, np.full(4, 0.25)) == pytest.approx(0.35)
    table = reliability(scores, right, np.full(4, 0.25))
    assert table[9].tolist() == pytest.approx([0.95, 0.5, 0.5]) and np.isnan(table[5, 0])
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0]), np.ones(2)) == 0


def test_hands_weigh_alike():
    scored = Scored(np.zeros(5), np.zeros(5), np.array([7, 7, 7, 7, 3]))
    assert scored.weights.tolist() == pytest.approx([0.125] * 4 + [0.5])


def test_risk_coverage_by_hand():
    risks = np.array([0.0, 0.2, 0.4])
    assert area_under_risk_coverage(-risks, risks) == pytest.approx((0 + 0.1 + 0.2) / 3)
    assert area_under_risk_coverage(risks, risks) == pytest.approx((0.4 + 0.3 + 0.2) / 3)
    assert area_under_risk_coverage(np.ones(3), risks) == pytest.approx(0.2)  # ties: by chance
    assert after_checking(np.array([0.9, 0.1, 0.5]), np.array([1.0, 4, 2]), np.full(3, 10.0), 1 / 3) == 0.1
    assert after_checking(np.array([0.9, 0.1, 0.5]), np.array([1.0, 4, 2]), np.full(3, 10.0), 0) == 7 / 30


def drawn(slope: float, offset: float, hands: int = 8, items: int = 4000) -> Scored:
    """Items that are right as often as their calibrated scores say."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(1, 2, size=items)
    right = (rng.random(items) < 1 / (1 + np.exp(-slope * log_odds - offset))).astype(float)
    return Scored(1 / (1 + np.exp(-log_odds)), right, rng.integers(hands, size=items))


@pytest.mark.parametrize("numbers", [(0.5, 0.0), (1.5, -1.0), (0.8, 1.5)])
def test_the_calibration_that_items_were_drawn_by_is_found(numbers):
    scored = drawn(*numbers)
    assert fit_calibration(scored) == pytest.approx(numbers, abs=0.15)
    errors = [
        expected_calibration_error(scores, scored.right, scored.weights)
        for scores in (scored.scores, cross_fitted(scored, 8))
    ]
    assert errors[1] < 0.025 < 0.05 < errors[0]


def test_outcomes_that_agree_with_all_scores_have_an_end():
    scores = np.array([0.9, 0.8, 0.1, 0.2])
    slope, offset = fit_calibration(Scored(scores, (scores > 0.5).astype(float), np.zeros(4)))
    assert 1 < slope < 20 and abs(offset) < 1
    slope, _ = fit_calibration(Scored(scores, (scores < 0.5).astype(float), np.zeros(4)))
    assert slope > 0  # the order of the scores is never turned


def test_a_half_is_scored_by_what_the_other_half_says():
    """One half is as right as its scores say, the other never: each gets what fits the other."""
    scored = drawn(1.0, 0.0, hands=2)
    scored.right[scored.hands == 1] = 0
    scores = cross_fitted(scored, 2)
    own = [fit_calibration(scored.of_hands({hand})) for hand in (0, 1)]
    for hand in (0, 1):
        chosen = scored.hands == hand
        assert scores[chosen].tolist() == calibrate(scored.scores[chosen], *own[1 - hand]).tolist()
    assert scores[scored.hands == 0].mean() < 0.05


def test_a_half_without_a_character_leaves_the_other_its_own_scores():
    """They were 0, and the calibration error 0.9: the second hand has blank lines."""
    scored = drawn(1.0, 0.0, hands=1)
    alone = calibrate(scored.scores, *fit_calibration(scored))
    assert cross_fitted(scored, 2).tolist() == cross_fitted(scored, 1).tolist() == alone.tolist()


def test_what_is_right():
    assert characters_right("abXd", "abcd").tolist() == [1, 1, 0, 1]
    assert words_right("the mil, by it", "the mill, by it").tolist() == [1, 0, 1, 1]
    assert words_right("the mi ll", "the mill").tolist() == [1, 0, 0]
    assert words_right("themill", "the mill").tolist() == [0]
    assert words_right("mill.", "mill").tolist() == [0]  # with its punctuation
    assert line_right("abXd", "abcd").tolist() == [0.75] and line_right("xxxxxxxx", "ab").tolist() == [0]
    assert line_right("", "ab").tolist() == [0]


def test_scores_are_those_of_the_decoder():
    alphabet = "ab "
    logits = 2 * torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(0))
    lines = [NetworkLine(line, "ab a") for line in logits]
    readings = decode_greedily(logits, 0, 3)
    scored = score_lines(lines, readings, alphabet, [0, 1, 1])
    assert scored["line"].scores.tolist() == [line.score for line in readings]
    assert scored["word"].scores.tolist() == [score for line in readings for *_, score in line.words]
    assert scored["character"].scores.tolist() == [score for line in readings for score in line.scores]
    assert all(len(own.scores) == len(own.right) == len(own.hands) for own in scored.values())

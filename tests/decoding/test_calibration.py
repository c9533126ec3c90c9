# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Calibration errors, rankings and temperatures of cases whose answers are known."""

import numpy as np
import pytest
import torch

from htr_convtext.decoding.calibration import (
    TEMPERATURES,
    Scored,
    after_checking,
    area_under_risk_coverage,
    characters_right,
    cross_fitted,
    expected_calibration_error,
    fit_temperature,
    line_right,
    path_of,
    reliability,
    score_lines,
    words_right,
)
from htr_convtext.decoding.reading import NetworkLine
from htr_convtext.decoding_htr_convtext import decode_greedily


def test_calibration_error_by_hand():
    """Two at 0.95 of which one is right, two at 0.25 of which none is: (0.45 + 0.25) / 2."""
    scores, right = np.array([0.95, 0.95, 0.25, 0.25]), np.array([1.0, 0.0, 0.0, 0.0])
    assert expected_calibration_error(scores, right, np.full(4, 0.25)) == pytest.approx(0.35)
    table = reliability(scores, right, np.full(4, 0.25))
    assert table[9].tolist() == pytest.approx([0.95, 0.5, 0.5]) and np.isnan(table[5, 0])
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0]), np.ones(2)) == 0


def test_hands_weigh_alike():
    scored = Scored(np.zeros((1, 5)), np.zeros(5), np.array([7, 7, 7, 7, 3]))
    assert scored.weights.tolist() == pytest.approx([0.125] * 4 + [0.5])


def test_risk_coverage_by_hand():
    risks = np.array([0.0, 0.2, 0.4])
    assert area_under_risk_coverage(-risks, risks) == pytest.approx((0 + 0.1 + 0.2) / 3)
    assert area_under_risk_coverage(risks, risks) == pytest.approx((0.4 + 0.3 + 0.2) / 3)
    assert area_under_risk_coverage(np.ones(3), risks) == pytest.approx(0.2)  # ties: by chance
    assert after_checking(np.array([0.9, 0.1, 0.5]), np.array([1.0, 4, 2]), np.full(3, 10.0), 1 / 3) == 0.1
    assert after_checking(np.array([0.9, 0.1, 0.5]), np.array([1.0, 4, 2]), np.full(3, 10.0), 0) == 7 / 30


def drawn(temperature: float, hands: int = 8, items: int = 4000) -> Scored:
    """Items that are right as often as their scores at a temperature say."""
    rng = np.random.default_rng(0)
    logits = rng.normal(2, 3, size=items)
    scores = np.array([1 / (1 + np.exp(-logits / value)) for value in TEMPERATURES])
    right = (rng.random(items) < 1 / (1 + np.exp(-logits / temperature))).astype(float)
    return Scored(scores, right, rng.integers(hands, size=items))


@pytest.mark.parametrize("temperature", [TEMPERATURES[3], TEMPERATURES[12]])
def test_the_temperature_that_items_were_drawn_at_is_found(temperature):
    scored = drawn(temperature)
    assert fit_temperature(scored) == pytest.approx(temperature, rel=0.11)
    before, after = scored.scores[TEMPERATURES.index(1.0)], cross_fitted(scored, 8)
    errors = [expected_calibration_error(scores, scored.right, scored.weights) for scores in (before, after)]
    assert errors[1] < 0.02 < errors[0]


def test_a_half_is_scored_by_what_the_other_half_says():
    """One half is right at temperature 1, the other never: each gets what fits the other."""
    scored = drawn(1.0, hands=2)
    scored.right[scored.hands == 1] = 0
    scores = cross_fitted(scored, 2)
    own = [fit_temperature(scored.of_hands({hand})) for hand in (0, 1)]
    assert own[0] != own[1]
    for hand in (0, 1):
        chosen = scored.hands == hand
        assert (scores[chosen] == scored.scores[TEMPERATURES.index(own[1 - hand])][chosen]).all()


def test_what_is_right():
    assert characters_right("abXd", "abcd").tolist() == [1, 1, 0, 1]
    assert words_right("the mil, by it", "the mill, by it").tolist() == [1, 0, 1, 1]
    assert words_right("the mi ll", "the mill").tolist() == [1, 0, 0]
    assert words_right("themill", "the mill").tolist() == [0]
    assert words_right("mill.", "mill").tolist() == [0]  # with its punctuation
    assert line_right("abXd", "abcd").tolist() == [0.75] and line_right("xxxxxxxx", "ab").tolist() == [0]
    assert line_right("", "ab").tolist() == [0]


def test_scores_at_every_temperature_are_those_of_the_decoder():
    alphabet = "ab "
    logits = 2 * torch.randn(3, 20, 4, generator=torch.Generator().manual_seed(0))
    lines = [NetworkLine(line, "ab a") for line in logits]
    readings = decode_greedily(logits, 0, 3)
    own = {"character": 1.3, "word": 2.0, "line": 0.7}
    scored = score_lines(lines, [path_of(reading) for reading in readings], alphabet, [0, 1, 1], own)
    for place, temperatures in ((TEMPERATURES.index(1.0), None), (-1, own)):
        expected = decode_greedily(logits, 0, 3, temperatures)
        assert scored["line"].scores[place] == pytest.approx([line.score for line in expected])
        assert scored["word"].scores[place] == pytest.approx([score for line in expected for *_, score in line.words])
        assert scored["character"].scores[place] == pytest.approx(
            [score for line in expected for score in line.scores]
        )

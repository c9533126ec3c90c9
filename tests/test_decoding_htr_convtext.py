# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""CTC frames to token ids, scores and positions, against a slow reference."""

import itertools

import numpy as np
import pytest
import torch

from htr_convtext.decoding_htr_convtext import collapse_frames, decode_greedily, describe_hypothesis, frames_needed


def slow_collapse(frames: list[int], blank_id: int = 0) -> list[int]:
    return [index for index, _ in itertools.groupby(frames) if index != blank_id and index >= 0]


@pytest.mark.parametrize("blank_id", [0, 3])
def test_collapse_of_every_line_of_five_frames(blank_id):
    frames = torch.tensor(list(itertools.product(range(4), repeat=5)))
    collapsed = collapse_frames(frames, blank_id)
    assert collapsed.shape == (4**5, 5) and collapsed.dtype == frames.dtype
    for line, found in zip(frames.tolist(), collapsed.tolist(), strict=True):
        expected = slow_collapse(line, blank_id)
        assert found == expected + [blank_id] * (5 - len(expected))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([[1, 1, 0, 1, 2, 2, 0, 0], [0, 0, 3, 3, 0, 0, 0, 0]], [[1, 1, 2], [3, 0, 0]]),
        ([[1, 2, 2, -100, -100], [0, 1, 0, 2, 2]], [[1, 2], [1, 2]]),
        ([[0, 0, 0]], [[]]),
        ([[7]], [[7]]),
    ],
)
def test_collapse(frames, expected):
    given = torch.tensor(frames)
    assert collapse_frames(given).tolist() == expected
    assert given.tolist() == frames


def test_collapse_of_no_lines():
    assert collapse_frames(torch.zeros(0, 12, dtype=torch.long)).shape == (0, 0)


def test_hypotheses_say_where_and_how_sure():
    logits = torch.full((1, 6, 3), -20.0)
    for frame, (index, logit) in enumerate([(0, 9), (1, 0.5), (1, 2), (0, 9), (1, 1), (2, 3)]):
        logits[0, frame, index] = logit
    probabilities = logits.softmax(-1)[0]
    (hypothesis,) = decode_greedily(logits)
    assert hypothesis.token_ids == [1, 1, 2] and hypothesis.frames == 6
    assert list(zip(hypothesis.starts, hypothesis.ends, strict=True)) == [(1, 3), (4, 5), (5, 6)]
    expected = [probabilities[2, 1], probabilities[4, 1], probabilities[5, 2]]
    assert hypothesis.scores == pytest.approx([float(value) for value in expected])
    reading = describe_hypothesis(hypothesis, ["a", " ", "b"], pixels_per_frame=4.0, width=22.0)
    assert reading["text"] == "a b" and reading["score"] == pytest.approx(np.mean(hypothesis.scores))
    assert [(item["start"], item["end"]) for item in reading["characters"]] == [(4, 12), (16, 20), (20, 22)]
    assert [(word["word"], word["start"], word["end"]) for word in reading["words"]] == [("a", 4, 12), ("b", 20, 22)]


def test_an_empty_reading_scores_nothing():
    logits = torch.zeros(1, 8, 3)
    logits[..., 0] = 30
    (hypothesis,) = decode_greedily(logits)
    assert describe_hypothesis(hypothesis, [], 4.0, 32.0) == {
        "text": "",
        "score": 0.0,
        "words": [],
        "characters": [],
    }


@pytest.mark.parametrize("label", [(), (1,), (1, 2), (1, 1), (1, 1, 2, 2), (2, 1, 1)])
def test_frames_needed_are_those_of_the_shortest_path(label):
    paths = (path for length in range(7) for path in itertools.product(range(3), repeat=length))
    shortest = next(path for path in paths if slow_collapse(list(path)) == list(label))
    assert frames_needed(label) == frames_needed("".join(map(str, label))) == len(shortest)

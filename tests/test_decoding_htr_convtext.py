# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""CTC frames to token ids, scores and positions, against a slow reference."""

import itertools

import numpy as np
import pytest
import torch

from htr_convtext.decoding_htr_convtext import (
    calibrate,
    check_calibration,
    collapse_frames,
    decode_greedily,
    describe_hypothesis,
    flag,
    frames_needed,
    score_paths,
)


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
    reading = describe_hypothesis(hypothesis, ["a", "a", "b"], pixels_per_frame=4.0, width=22.0)
    assert reading["text"] == "aab" and reading["score"] == hypothesis.score
    assert [(item["start"], item["end"]) for item in reading["characters"]] == [(4, 12), (16, 20), (20, 22)]
    assert [item["score"] for item in reading["characters"]] == hypothesis.scores
    assert [(word["word"], word["start"], word["end"]) for word in reading["words"]] == [("aab", 4, 22)]


def probability_of_text(frames: np.ndarray, text: list[int]) -> float:
    """Of all paths that collapse to a text; `frames` are probabilities of shape `(frames, vocab_size)`."""
    paths = itertools.product(range(frames.shape[1]), repeat=len(frames))
    return sum(
        float(np.prod(frames[np.arange(len(frames)), path])) for path in paths if slow_collapse(list(path)) == text
    )


def test_a_line_scores_the_probability_of_its_text_for_each_character():
    logits = 2 * torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(1))
    logits[..., 0] -= 3
    for line, hypothesis in zip(logits, decode_greedily(logits), strict=True):
        probability = probability_of_text(line.softmax(-1).numpy(), hypothesis.token_ids)
        assert hypothesis.token_ids
        assert hypothesis.score == pytest.approx(probability ** (1 / (len(hypothesis.token_ids) + 1)), rel=1e-5)


def test_each_level_has_its_calibration():
    logits = 3 * torch.randn(1, 12, 5, generator=torch.Generator().manual_seed(0))
    (plain,) = decode_greedily(logits, 0, 3)
    (hypothesis,) = decode_greedily(logits, 0, 3, {"character": [0.5, 1.0], "word": (2.0, -0.5)})
    (line,) = decode_greedily(logits, 0, 3, {"line": [0.5, 1.0]})
    assert hypothesis.score == plain.score and len(plain.words) > 1

    def log_odds(scores):
        return np.log(np.array(scores) / (1 - np.array(scores)))

    assert log_odds(hypothesis.scores) == pytest.approx(0.5 * log_odds(plain.scores) + 1, abs=1e-4)
    assert log_odds(line.score) == pytest.approx(0.5 * log_odds(plain.score) + 1, abs=1e-4)
    before, after = ([score for *_, score in read.words] for read in (plain, hypothesis))
    assert log_odds(after) == pytest.approx(2 * log_odds(before) - 0.5, abs=1e-3)
    assert [word[:2] for word in hypothesis.words] == [word[:2] for word in plain.words]


def test_calibrated_scores_keep_their_order_and_an_empty_line_its_nothing():
    assert calibrate([0.0, 0.5, 1.0], 2.0, 0.0) == pytest.approx([0, 0.5, 1], abs=1e-5)
    lowest, highest = calibrate([0.0, 1.0], 0.5, 0.0)  # Scores of exactly 0 and 1 have odds, too: a million to one.
    assert (lowest, highest) == pytest.approx((1 / 1001, 1000 / 1001), rel=1e-5)
    assert sorted(calibrate([0.9, 0.2, 0.999], 0.3, -1)) == calibrate([0.2, 0.9, 0.999], 0.3, -1).tolist()
    logits = torch.zeros(1, 5, 4)
    logits[..., 0] = 9
    assert decode_greedily(logits, calibration={"line": [1.0, 3.0]})[0].score == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_word_scores_the_probability_of_its_text_between_its_neighbours(seed):
    """Several lines at once, whose words have parts of several lengths."""
    space = 1
    logits = 1.5 * torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(seed))
    for line, hypothesis in zip(logits, decode_greedily(logits, 0, space), strict=True):
        ids = hypothesis.token_ids
        text = "".join(" " if token_id == space else str(token_id) for token_id in ids)
        assert [text[start:end] for start, end, _ in hypothesis.words] == text.split()
        for start, end, score in hypothesis.words:
            first = hypothesis.ends[start - 1] if start else 0
            last = hypothesis.starts[end] if end < len(ids) else 8
            expected = probability_of_text(line[first:last].softmax(-1).numpy(), ids[start:end])
            assert score == pytest.approx(expected, rel=1e-5)


def test_a_line_is_scored_alike_alone_and_among_others():
    logits = 3 * torch.randn(5, 40, 8, generator=torch.Generator().manual_seed(2))
    logits[2, :, 0] = 50  # reads nothing
    together = [line.score for line in decode_greedily(logits)]
    alone = [decode_greedily(line[None])[0].score for line in logits]
    assert together == pytest.approx(alone) and together[2] == 0 and min(together[:2] + together[3:]) > 0


def test_scores_of_another_path_than_the_best():
    logits = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(3))
    (hypothesis,) = score_paths(logits, torch.tensor([[1, 1, 0, 2, 2, 3]]), space_id=2)
    assert (hypothesis.token_ids, hypothesis.starts, hypothesis.ends) == ([1, 2, 3], [0, 3, 5], [2, 5, 6])
    probabilities = logits.softmax(-1)[0]
    expected = [probabilities[:2, 1].max(), probabilities[3:5, 2].max(), probabilities[5, 3]]
    assert hypothesis.scores == pytest.approx([float(value) for value in expected])
    assert [word[:2] for word in hypothesis.words] == [(0, 1), (2, 3)]


@pytest.mark.parametrize(
    ("calibration", "message"),
    [({"page": [1.0, 0.0]}, "'page'"), ({"word": [0, 1]}, "a word is a positive slope"), ({"line": "2"}, "'2'"),
     ({"line": [1.0, float("nan")]}, "nan"), ({"character": [True, 0]}, "True"), ({"word": [1.0]}, r"Got \[1.0\]"),
     ({"word": 2.0}, "Got 2.0")],
)  # fmt: skip
def test_wrong_calibrations_are_named(calibration, message):
    with pytest.raises(ValueError, match=message):
        check_calibration(calibration)


def test_unsure_words_and_lines_are_flagged():
    logits = torch.full((1, 5, 4), -9.0)
    for frame, (index, logit) in enumerate([(1, 9), (2, -8), (3, 9), (1, 9), (2, 9)]):
        logits[0, frame, index] = logit
    (hypothesis,) = decode_greedily(logits, 0, 3)
    reading = describe_hypothesis(hypothesis, ["a", "b", " ", "a", "b"], 4.0, 20.0)
    first, second = reading["words"]
    assert (first["word"], second["word"]) == ("ab", "ab") and first["score"] < 0.5 < second["score"]
    flag(reading, 0.5)
    assert (first["check"], second["check"], reading["check"]) == (True, False, reading["score"] < 0.5)
    flag(reading, second["score"])
    assert not second["check"], "a score as high as the threshold is enough"


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

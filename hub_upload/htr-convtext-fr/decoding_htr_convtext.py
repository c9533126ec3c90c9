# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""CTC decoding: frames to token ids, and to text with scores and positions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

# What a score is of; each level has a calibration of its own, see `check_calibration`.
LEVELS = ("character", "word", "line")
# A calibrated score stays this far from 0 and 1, where log odds have no end.
SUREST = 1e-6


@dataclass
class CTCHypothesis:
    """
    What a decoder read on one line, in frames. Every decoder gives these, and [`describe_hypothesis`] takes them.

    Args:
        token_ids: The characters' ids, without blanks.
        scores: Score of each character, 0 to 1.
        words: First character of each word, the one after its last, and its score, 0 to 1.
        starts: First frame of each character.
        ends: The frame after each character's last one.
        frames: Frames of the line.
        score: Score of the line, 0 to 1.
        log_score: Logarithm of what a beam search ranks its readings by; greedy decoding has one reading, and none.
    """

    token_ids: list[int]
    scores: list[float]
    words: list[tuple[int, int, float]]
    starts: list[int]
    ends: list[int]
    frames: int
    score: float
    log_score: float | None = None


def check_calibration(calibration: Mapping[str, Sequence[float]] | None) -> dict[str, list[float]]:
    """
    Calibration of all levels. The network's probabilities are too sure of themselves; a straight line through their
    log odds, fitted on lines of other hands, makes them right as often as they say (Platt 1999).

    Args:
        calibration: Slope and offset of the log odds for "character", "word" and "line"; 1 and 0, which change
            nothing, for those left out.

    Raises:
        ValueError: If there is no such level, or its numbers are not two, the first of them positive.
    """
    given = dict(calibration or {})
    for level, numbers in given.items():
        if level not in LEVELS:
            raise ValueError(f"There are calibrations of {', '.join(LEVELS)}. Got one of {level!r}.")
        if not are_numbers(numbers) or len(numbers) != 2 or numbers[0] <= 0:
            raise ValueError(f"The calibration of a {level} is a positive slope and an offset. Got {numbers!r}.")
    return {level: [float(number) for number in given.get(level, (1.0, 0.0))] for level in LEVELS}


def are_numbers(values: Any) -> bool:
    """Whether something is a list of finite numbers."""
    return isinstance(values, (list, tuple)) and all(
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) for value in values
    )


def calibrate(scores: Sequence[float] | np.ndarray, slope: float, offset: float) -> np.ndarray:
    """Scores, of shape `(items,)`, whose log odds are `slope` times those of `scores`, and `offset` more."""
    given = np.asarray(scores, dtype=np.float64)
    if (slope, offset) == (1.0, 0.0):
        return given
    kept = np.clip(given, SUREST, 1 - SUREST)
    return 1 / (1 + np.exp(-slope * np.log(kept / (1 - kept)) - offset))


def calibrate_hypothesis(hypothesis: CTCHypothesis, calibration: Mapping[str, Sequence[float]]) -> None:
    """Calibrates the scores of a reading, its words and its characters; that of an empty line stays 0."""
    hypothesis.scores = calibrate(hypothesis.scores, *calibration["character"]).tolist()
    words = calibrate([score for *_, score in hypothesis.words], *calibration["word"]).tolist()
    hypothesis.words = [(start, end, score) for (start, end, _), score in zip(hypothesis.words, words, strict=True)]
    if hypothesis.token_ids:
        (hypothesis.score,) = calibrate([hypothesis.score], *calibration["line"]).tolist()


def collapse_frames(token_ids: torch.Tensor, blank_id: int = 0) -> torch.Tensor:
    """
    Greedy CTC collapse: what repeats the frame before it is dropped, then blanks are.

    Args:
        token_ids: Best class of every frame, of shape `(batch_size, frames)`. Negative ids are padding.
        blank_id: The blank's id.

    Returns:
        Token ids of shape `(batch_size, longest)`, padded on the right with the blank.
    """
    emitted = (token_ids != blank_id) & (token_ids >= 0)
    emitted[:, 1:] &= token_ids[:, 1:] != token_ids[:, :-1]
    lengths = emitted.sum(dim=-1)
    longest = int(lengths.max()) if len(token_ids) else 0
    collapsed = token_ids.new_full((len(token_ids), longest), blank_id)
    places = torch.arange(longest, device=token_ids.device)
    collapsed[places < lengths[:, None]] = token_ids[emitted]
    return collapsed


def frames_needed(label: Sequence) -> int:
    """Frames that a CTC path of a label (text or token ids) has at least: a blank parts equal neighbours."""
    return len(label) + sum(first == second for first, second in pairwise(label))


def decode_greedily(
    logits: torch.Tensor,
    blank_id: int = 0,
    space_id: int | None = None,
    calibration: Mapping[str, Sequence[float]] | None = None,
) -> list[CTCHypothesis]:
    """
    The best class of every frame, collapsed.

    Args:
        logits: The network's logits of shape `(batch_size, frames, vocab_size)`.
        blank_id: The blank's id.
        space_id: Id of the character between words; `None` takes a line for one word.
        calibration: Calibration of the scores, see [`check_calibration`].
    """
    logits = logits.detach().float().cpu()
    hypotheses = score_paths(logits, logits.argmax(-1), blank_id, space_id)
    of_level = check_calibration(calibration)
    for hypothesis in hypotheses:
        calibrate_hypothesis(hypothesis, of_level)
    return hypotheses


def score_paths(
    logits: torch.Tensor, paths: torch.Tensor, blank_id: int = 0, space_id: int | None = None
) -> list[CTCHypothesis]:
    """
    Paths through the frames to characters with scores. A character's is the highest probability that it has in its
    frames. A word's is the probability of its text in the frames between its neighbours, a line's that of its text for
    each of its characters: both are sums over all paths, CTC's forward scores.

    Args:
        logits: The network's logits of shape `(batch_size, frames, vocab_size)`, float32 on the CPU.
        paths: A class for every frame, of shape `(batch_size, frames)`.
        blank_id: The blank's id.
        space_id: Id of the character between words; `None` takes a line for one word.
    """
    log_probs = logits.log_softmax(-1)
    on_path = log_probs.gather(-1, paths[..., None])[..., 0].exp().numpy()
    hypotheses = [collapse_line(*line, blank_id) for line in zip(paths.numpy(), on_path, strict=True)]
    set_line_scores(hypotheses, log_probs, blank_id)
    set_word_scores(hypotheses, log_probs, blank_id, space_id)
    return hypotheses


def set_line_scores(hypotheses: Sequence[CTCHypothesis], log_probs: torch.Tensor, blank_id: int) -> None:
    """
    Gives each line that says something the probability of its text to the power of 1 / (characters + 1): a mean over
    its characters and its end.

    Args:
        hypotheses: The lines.
        log_probs: Log probabilities of shape `(batch_size, frames, vocab_size)`.
        blank_id: The blank's id.
    """
    spans = [(line, 0, hypothesis.frames) for line, hypothesis in enumerate(hypotheses) if hypothesis.token_ids]
    texts = [hypotheses[line].token_ids for line, *_ in spans]
    for (line, *_), text, log_prob in zip(
        spans, texts, forward_scores(log_probs, spans, texts, blank_id), strict=True
    ):
        hypotheses[line].score = math.exp(log_prob / (len(text) + 1))


def set_word_scores(
    hypotheses: Sequence[CTCHypothesis], log_probs: torch.Tensor, blank_id: int, space_id: int | None
) -> None:
    """Finds each line's words, and gives them the probability of their text in the frames up to their neighbours."""
    spans, texts, places = [], [], []
    for line, hypothesis in enumerate(hypotheses):
        ids = hypothesis.token_ids
        edges = [-1, *(place for place, token_id in enumerate(ids) if token_id == space_id), len(ids)]
        for before, after in pairwise(edges):
            if after - before > 1:
                spans.append((line, *frames_between(hypothesis, before + 1, after)))
                texts.append(ids[before + 1 : after])
                places.append((line, before + 1, after))
    scores = forward_scores(log_probs, spans, texts, blank_id)
    for (line, start, end), log_prob in zip(places, scores, strict=True):
        hypotheses[line].words.append((start, end, math.exp(log_prob)))


def frames_between(hypothesis: CTCHypothesis, start: int, end: int) -> tuple[int, int]:
    """First frame, and the one after the last, between the neighbours of the characters from `start` to `end`."""
    first = hypothesis.ends[start - 1] if start > 0 else 0
    last = hypothesis.starts[end] if end < len(hypothesis.token_ids) else hypothesis.frames
    return first, last


def forward_scores(
    log_probs: torch.Tensor, spans: Sequence[tuple[int, int, int]], texts: Sequence[list[int]], blank_id: int
) -> list[float]:
    """
    Log probability of texts in parts of lines, over all paths that collapse to each.

    Args:
        log_probs: Log probabilities of shape `(batch_size, frames, vocab_size)`.
        spans: Line, first frame, and the frame after the last one, of each text.
        texts: Token ids of each.
        blank_id: The blank's id.
    """
    if not spans:
        return []
    lines, first, last = torch.tensor(spans).T
    lengths = torch.tensor([len(text) for text in texts])
    frames = (first + torch.arange(int((last - first).max()))[:, None]).clamp(max=log_probs.shape[1] - 1)
    targets = torch.nn.utils.rnn.pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
    losses = torch.nn.functional.ctc_loss(
        log_probs[lines, frames],  # (frames, texts, vocab_size)
        targets,
        last - first,
        lengths,
        blank=blank_id,
        reduction="none",
    )
    return (-losses).tolist()


def collapse_line(token_ids: np.ndarray, scores: np.ndarray, blank_id: int) -> CTCHypothesis:
    """One line's frames, ids and their probabilities of shape `(frames,)`, to characters with their frames."""
    starts = np.flatnonzero(np.diff(token_ids, prepend=-1))
    ends = np.append(starts[1:], len(token_ids))
    shown = token_ids[starts] != blank_id
    return CTCHypothesis(
        token_ids=token_ids[starts[shown]].tolist(),
        scores=np.maximum.reduceat(scores, starts)[shown].tolist(),
        words=[],
        starts=starts[shown].tolist(),
        ends=ends[shown].tolist(),
        frames=len(token_ids),
        score=0.0,
    )


def describe_hypothesis(
    hypothesis: CTCHypothesis, characters: Sequence[str], pixels_per_frame: float, width: float
) -> dict[str, Any]:
    """
    Args:
        hypothesis: What was read on a line.
        characters: Character of each of its token ids.
        pixels_per_frame: Pixels of the image for each frame.
        width: Width of the image in pixels; no position lies beyond it.

    Returns:
        `text`; `score`, 0 where nothing was read; `words` and `characters` with their scores and their horizontal
        spans from `start` to `end` in pixels.
    """
    described = [
        {"character": character, "score": score, "start": start, "end": end}
        for character, score, start, end in zip(
            characters,
            hypothesis.scores,
            to_pixels(hypothesis.starts, pixels_per_frame, width),
            to_pixels(hypothesis.ends, pixels_per_frame, width),
            strict=True,
        )
    ]
    return {
        "text": "".join(characters),
        "score": hypothesis.score,
        "words": words_of(described, hypothesis.words),
        "characters": described,
    }


def to_pixels(frames: Sequence[int], pixels_per_frame: float, width: float) -> list[float]:
    return [min(float(frame * pixels_per_frame), width) for frame in frames]


def words_of(characters: Sequence[dict[str, Any]], words: Sequence[tuple[int, int, float]]) -> list[dict[str, Any]]:
    """Words of characters with positions, with theirs."""
    return [
        {
            "word": "".join(character["character"] for character in characters[start:end]),
            "score": score,
            "start": characters[start]["start"],
            "end": characters[end - 1]["end"],
        }
        for start, end, score in words
    ]


def flag(reading: dict[str, Any], threshold: float) -> None:
    """Adds `check` to a reading and to each of its words: whether its score is below the threshold."""
    for item in (reading, *reading["words"]):
        item["check"] = item["score"] < threshold


__all__ = [
    "CTCHypothesis",
    "calibrate",
    "calibrate_hypothesis",
    "check_calibration",
    "collapse_frames",
    "decode_greedily",
    "describe_hypothesis",
    "flag",
    "frames_between",
    "frames_needed",
    "score_paths",
]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""CTC decoding: frames to token ids, and to text with scores and positions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch


@dataclass
class CTCHypothesis:
    """
    What a decoder read on one line, in frames. Every decoder gives these, and [`describe_hypothesis`] takes them.

    Args:
        token_ids: The characters' ids, without blanks.
        scores: Score of each character, 0 to 1.
        starts: First frame of each character.
        ends: The frame after each character's last one.
        frames: Frames of the line.
    """

    token_ids: list[int]
    scores: list[float]
    starts: list[int]
    ends: list[int]
    frames: int


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


def decode_greedily(logits: torch.Tensor, blank_id: int = 0) -> list[CTCHypothesis]:
    """
    The best class of every frame, collapsed. A character's score is the highest probability in its frames.

    Args:
        logits: The network's logits of shape `(batch_size, frames, vocab_size)`.
        blank_id: The blank's id.
    """
    logits = logits.detach().float()
    best = logits.max(-1)
    scores = (best.values - logits.logsumexp(-1)).exp().cpu().numpy()
    return [collapse_line(*line, blank_id) for line in zip(best.indices.cpu().numpy(), scores, strict=True)]


def collapse_line(token_ids: np.ndarray, scores: np.ndarray, blank_id: int) -> CTCHypothesis:
    """One line's frames, ids and their probabilities of shape `(frames,)`, to characters with their frames."""
    starts = np.flatnonzero(np.diff(token_ids, prepend=-1))
    ends = np.append(starts[1:], len(token_ids))
    run_scores = np.maximum.reduceat(scores, starts)
    shown = token_ids[starts] != blank_id
    return CTCHypothesis(
        token_ids=token_ids[starts[shown]].tolist(),
        scores=run_scores[shown].tolist(),
        starts=starts[shown].tolist(),
        ends=ends[shown].tolist(),
        frames=len(token_ids),
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
        `text`; `score`, the mean of its characters' scores and 0 where nothing was read; `words` and `characters`
        with their scores and their horizontal spans from `start` to `end` in pixels.
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
        "score": sum(hypothesis.scores) / len(hypothesis.scores) if hypothesis.scores else 0.0,
        "words": words_of(described),
        "characters": described,
    }


def to_pixels(frames: Sequence[int], pixels_per_frame: float, width: float) -> list[float]:
    return [min(float(frame * pixels_per_frame), width) for frame in frames]


def words_of(characters: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Characters with positions to words with positions; the mean of the characters' scores is a word's."""
    text = "".join(character["character"] for character in characters)
    words = []
    for match in re.finditer(r"[^ ]+", text):
        members = characters[match.start() : match.end()]
        words.append(
            {
                "word": match.group(),
                "score": sum(member["score"] for member in members) / len(members),
                "start": members[0]["start"],
                "end": members[-1]["end"],
            }
        )
    return words


__all__ = ["CTCHypothesis", "collapse_frames", "decode_greedily", "describe_hypothesis", "frames_needed"]

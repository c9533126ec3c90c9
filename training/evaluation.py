# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From the classes of frames to texts and their error rates."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction

from ..decoding_htr_convtext import collapse_frames
from .metrics import align_characters, all_error_rates, edits


@dataclass
class ReadLine:
    """
    A line that was read.

    Args:
        line_id: Its name in the dataset.
        reference: The transcription as the dataset has it.
        prediction: The text that was read.
        edits: Characters to insert, delete or substitute to get from one to the other.
        cer: `edits` over the reference's characters (or over 1 if it has none).
        writer: Who wrote it, where the dataset knows.
        source: Dataset that it is from, where the dataset knows.
        page: Page that it is from, where the dataset knows.
    """

    line_id: str
    reference: str
    prediction: str
    edits: int
    cer: float
    writer: str | None = None
    source: str | None = None
    page: str | None = None

    @property
    def hand(self) -> tuple[str | None, str | None]:
        """Source and writer: the lines of a source that tells no writers are one hand."""
        return self.source, self.writer

    def as_dict(self) -> dict[str, Any]:
        """The line as `predictions.json` has it."""
        return asdict(self)


def read_lines(frames: np.ndarray, index: np.ndarray, dataset, processor) -> list[ReadLine]:
    """
    Args:
        frames: Best class of every frame, of shape `(lines, frames)`, -100 where a line has none.
        index: Value of `index` in the dataset of each line, of shape `(lines,)`.
        dataset: Prepared lines; each must be among them exactly once.
        processor ([`HTRConvTextProcessor`]): The vocabulary.

    Returns:
        The lines in the dataset's order.
    """
    row_of = {value: row for row, value in enumerate(dataset["index"])}
    token_ids = collapse_frames(torch.from_numpy(frames).clamp(min=0))  # Frames that a line lacks show nothing.
    texts = processor.batch_decode(token_ids.tolist(), skip_special_tokens=True)
    read = {row_of[int(value)]: text for value, text in zip(index, texts, strict=True)}
    if len(row_of) != len(dataset) or len(read) != len(dataset):
        raise ValueError(
            f"{len(dataset)} lines were to be read and {len(read)} came back. Prepare each dataset as a whole."
        )
    predictions = [read[row] for row in range(len(dataset))]
    columns = (known(dataset, name) for name in ("writer", "source", "page"))
    lines = zip(dataset["line_id"], dataset["text"], predictions, *columns, strict=True)
    return [score_line(*line) for line in lines]


def known(dataset, column: str) -> list[Any]:
    """What a dataset tells of each line in a column that it may lack."""
    return list(dataset[column]) if column in dataset.column_names else [None] * len(dataset)


def score_line(
    line_id: str,
    reference: str,
    prediction: str,
    writer: str | None = None,
    source: str | None = None,
    page: str | None = None,
) -> ReadLine:
    """One line with its edits."""
    number = edits(align_characters([prediction], [reference]))
    return ReadLine(line_id, reference, prediction, number, number / max(len(reference), 1), writer, source, page)


def cer_of(lines: Iterable[ReadLine]) -> float:
    """CER of lines, from their edits."""
    lines = list(lines)
    return sum(line.edits for line in lines) / max(sum(len(line.reference) for line in lines), 1)


def grouped(lines: Iterable[ReadLine], group: Callable[[ReadLine], Hashable]) -> dict[Any, list[ReadLine]]:
    """Lines by what `group` gives for them."""
    groups: dict[Any, list[ReadLine]] = {}
    for line in lines:
        groups.setdefault(group(line), []).append(line)
    return groups


def with_text(groups: dict[Any, list[ReadLine]]) -> dict[Any, list[ReadLine]]:
    """The groups in which any character was transcribed."""
    return {name: members for name, members in groups.items() if any(line.reference for line in members)}


def error_rates_by_group(lines: list[ReadLine]) -> dict[str, float]:
    """
    Where there are several, `cer_source_NAME` of each source, and `cer_writers`, the mean of the writers' CER: what
    to expect of the next hand, in which one that wrote much counts as one that wrote little. Sources and hands whose
    transcriptions are all empty have no rate.
    """
    rates = {}
    by_source, by_hand = (with_text(grouped(lines, by)) for by in (lambda line: line.source, lambda line: line.hand))
    if len(by_source) > 1:
        rates = {f"cer_source_{source}": cer_of(members) for source, members in by_source.items()}
    if len(by_hand) > 1:
        rates["cer_writers"] = sum(cer_of(members) for members in by_hand.values()) / len(by_hand)
    return rates


def rate_names(dataset) -> list[str]:
    """Names of the rates that [`LineScorer`] gives for these lines."""
    known_hands = zip(known(dataset, "writer"), known(dataset, "source"), dataset["text"], strict=True)
    hands = {(writer, source) for writer, source, text in known_hands if text}
    return [*all_error_rates([""], [""]), *error_rates_by_group([score_line("", "a", "a", *hand) for hand in hands])]


class LineScorer:
    """
    `compute_metrics` of the trainer: scores against the raw transcriptions, every line, whatever its characters.

    Args:
        processor ([`HTRConvTextProcessor`]): The vocabulary.

    Attributes:
        dataset: The lines being evaluated; the trainer sets it.
        lines: What was read last.
    """

    def __init__(self, processor) -> None:
        self.processor = processor
        self.dataset: Any = None
        self.lines: list[ReadLine] = []

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        self.lines = read_lines(prediction.predictions, prediction.label_ids, self.dataset, self.processor)
        rates = all_error_rates([line.prediction for line in self.lines], [line.reference for line in self.lines])
        return {**rates, **error_rates_by_group(self.lines)}

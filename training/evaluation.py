# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From the classes of frames to texts and their error rates."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction

from ..decoding_htr_convtext import collapse_frames
from .metrics import HTRConvTextErrorRates, align_characters, edits


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
    """

    line_id: str
    reference: str
    prediction: str
    edits: int
    cer: float
    writer: str | None = None

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
    writers = dataset["writer"] if "writer" in dataset.column_names else [None] * len(dataset)
    return [score_line(*line) for line in zip(dataset["line_id"], dataset["text"], predictions, writers, strict=True)]


def score_line(line_id: str, reference: str, prediction: str, writer: str | None) -> ReadLine:
    """One line with its edits."""
    number = edits(align_characters([prediction], [reference]))
    return ReadLine(line_id, reference, prediction, number, number / max(len(reference), 1), writer)


class LineScorer:
    """
    `compute_metrics` of the trainer: scores against the raw transcriptions, every line, whatever its characters.

    Args:
        processor ([`HTRConvTextProcessor`]): The vocabulary.

    Attributes:
        dataset: The lines being evaluated; the trainer sets it.
        lines: What was read last.
    """

    def __init__(self, processor):
        self.processor = processor
        self.dataset = None
        self.lines: list[ReadLine] = []

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        self.lines = read_lines(prediction.predictions, prediction.label_ids, self.dataset, self.processor)
        metric = HTRConvTextErrorRates(keep_in_memory=True)
        return metric.compute(
            predictions=[line.prediction for line in self.lines], references=[line.reference for line in self.lines]
        )

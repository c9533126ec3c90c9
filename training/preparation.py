# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines as a dataset gives them to lines as training reads them, checked before the first step."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, Sequence, Value

from ..decoding_htr_convtext import frames_needed

logger = logging.getLogger(__name__)

# What preparation adds; the other columns stay, but for the image.
PREPARED_FEATURES = {
    "pixels": Value("binary"),
    "width": Value("int32"),
    "labels": Sequence(Value("int32")),
    "frames_needed": Value("int32"),
    "index": Value("int64"),
}
# The share of training lines that may be left out because CTC cannot emit their text. More are a sign of images that
# are made too narrow, or of texts that are of other lines.
MOST_LEFT_OUT = 0.05
NAMED_LINES = 3


def prepare_lines(dataset: Dataset, processor, config, training: bool = True, num_proc: int | None = None) -> Dataset:
    """
    Decodes and resizes every line once, into the Arrow cache, and refuses lines that cannot be trained on. Only a few
    whose text is longer than CTC can emit are left out, and named.

    Args:
        dataset: Lines with columns `image`, `text` and `line_id`.
        processor ([`HTRConvTextProcessor`]): Preprocessing and vocabulary.
        config ([`HTRConvTextConfig`]): The network, which says how many frames a line has.
        training: Whether labels must be complete. For evaluation a line with characters outside the vocabulary is
            kept, and they count as misread; its labels are left empty.
        num_proc: Processes to share the work.

    Returns:
        The lines with columns `pixels` (grey bytes, row by row), `width` (pixels), `labels`, `frames_needed` (by CTC
        for them) and `index` (in `dataset`), no `image`.

    Raises:
        ValueError: If there are no lines, or one is unreadable, empty, or holds a character outside the vocabulary;
            the message names it. If more than `MOST_LEFT_OUT` of all texts are longer than CTC can emit.
    """
    missing = {"image", "text", "line_id"} - set(dataset.column_names)
    if missing:
        raise ValueError(f"The dataset has no column {sorted(missing)}; it has {dataset.column_names}.")
    if len(dataset) == 0:
        raise ValueError("The split has no lines. Check the data folder and its list of lines.")
    if isinstance(dataset.features["image"], Image):
        # Opened by the image processor instead, which names the file in its errors.
        dataset = dataset.cast_column("image", Image(decode=False))
    features = Features({name: feature for name, feature in dataset.features.items() if name != "image"})
    features.update(PREPARED_FEATURES)
    prepared = dataset.map(
        prepare_line,
        with_indices=True,
        fn_kwargs={
            "image_processor": processor.image_processor,
            "tokenizer": processor.tokenizer,
            "training": training,
        },
        features=features,
        remove_columns=["image"],
        num_proc=num_proc,
        desc="Preparing lines",
    )
    return leave_out_too_long(prepared, config.frame_stride) if training else prepared


def prepare_line(line: Mapping[str, Any], index: int, image_processor, tokenizer, training: bool) -> dict[str, Any]:
    """The prepared columns of one line; see [`prepare_lines`]."""
    try:
        pixels = image_processor.resize_line(line["image"])
        labels = encode(line["text"], tokenizer, training)
    except (ValueError, OSError) as error:
        raise ValueError(f"Line {line['line_id']}: {error}") from error
    if training and not labels:
        raise ValueError(f"Line {line['line_id']}: the transcription is empty. Leave the line out or transcribe it.")
    return {
        "pixels": pixels.tobytes(),
        "width": pixels.shape[-1],
        "labels": labels,
        "frames_needed": frames_needed(labels),
        "index": index,
    }


def encode(text: str, tokenizer, training: bool) -> list[int]:
    if not training and not set(text) <= set(tokenizer.alphabet):
        return []
    return tokenizer.encode(text)


def leave_out_too_long(lines: Dataset, frame_stride: int) -> Dataset:
    """
    Args:
        lines: Prepared lines.
        frame_stride: Pixels from one CTC frame to the next.

    Returns:
        Those whose labels CTC can emit; a warning names some of the others.

    Raises:
        ValueError: If the others are more than a few; the message names one.
    """
    columns = lines.select_columns(["width", "frames_needed"]).with_format("numpy")[:]
    frames = -(-columns["width"] // frame_stride)
    fits = columns["frames_needed"] <= frames
    too_long = np.flatnonzero(~fits).tolist()
    if not too_long:
        return lines
    line = lines[too_long[0]]
    example = (
        f"Line {line['line_id']}: its transcription of {len(line['labels'])} characters needs "
        f"{line['frames_needed']} frames (one more between equal neighbours) and the image gives {frames[too_long[0]]}"
    )
    advice = "Correct it, split the line, or train on wider images (--keep_aspect_ratio, --image_width)."
    if len(too_long) > MOST_LEFT_OUT * len(lines):
        raise ValueError(
            f"{example}. {advice} So it is with {len(too_long)} of {len(lines)} lines. Transcription: {line['text']!r}"
        )
    names = ", ".join(lines[row]["line_id"] for row in too_long[1:NAMED_LINES])
    more = f" So it is with {len(too_long)} of {len(lines)} lines, such as {names}." if names else ""
    logger.warning(f"{example}. It is left out of the training.{more} {advice} Transcription: {line['text']!r}")
    return lines.select(np.flatnonzero(fits))

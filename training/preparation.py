# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines as a dataset gives them to lines as training reads them, checked before the first step."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset, Features, Image, Sequence, Value

from ..decoding_htr_convtext import frames_needed

# What preparation adds; the other columns stay, but for the image.
PREPARED_FEATURES = {
    "pixels": Value("binary"),
    "width": Value("int32"),
    "labels": Sequence(Value("int32")),
    "index": Value("int64"),
}


def prepare_lines(dataset: Dataset, processor, config, training: bool = True, num_proc: int | None = None) -> Dataset:
    """
    Decodes and resizes every line once, into the Arrow cache, and refuses lines that cannot be trained on.

    Args:
        dataset: Lines with columns `image`, `text` and `line_id`.
        processor ([`HTRConvTextProcessor`]): Preprocessing and vocabulary.
        config ([`HTRConvTextConfig`]): The network, which says how many frames a line has.
        training: Whether labels must be complete. For evaluation a line with characters outside the vocabulary is
            kept, and they count as misread; its labels are left empty.
        num_proc: Processes to share the work.

    Returns:
        The lines with columns `pixels` (grey bytes, row by row), `width` (pixels), `labels` and `index`, no `image`.

    Raises:
        ValueError: If there are no lines, or one is unreadable, empty, longer than CTC can emit, or holds a character
            outside the vocabulary; the message names it.
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
    return dataset.map(
        prepare_line,
        with_indices=True,
        fn_kwargs={
            "image_processor": processor.image_processor,
            "tokenizer": processor.tokenizer,
            "frame_stride": config.frame_stride,
            "training": training,
        },
        features=features,
        remove_columns=["image"],
        num_proc=num_proc,
        desc="Preparing lines",
    )


def prepare_line(
    line: Mapping[str, Any], index: int, image_processor, tokenizer, frame_stride: int, training: bool
) -> dict[str, Any]:
    """The prepared columns of one line; see [`prepare_lines`]."""
    try:
        pixels = image_processor.resize_line(line["image"])
        labels = encode(line["text"], tokenizer, training)
    except (ValueError, OSError) as error:
        raise ValueError(f"Line {line['line_id']}: {error}") from error
    if training:
        check_label(line["line_id"], line["text"], labels, -(-pixels.shape[-1] // frame_stride))
    return {"pixels": pixels.tobytes(), "width": pixels.shape[-1], "labels": labels, "index": index}


def encode(text: str, tokenizer, training: bool) -> list[int]:
    if not training and not set(text) <= set(tokenizer.alphabet):
        return []
    return tokenizer.encode(text)


def check_label(line_id: str, text: str, labels: list[int], frames: int) -> None:
    """
    Refuses a label that CTC cannot emit.

    Args:
        line_id: Name of the line.
        text: Its transcription.
        labels: Its classes.
        frames: Frames that the network gives for it.

    Raises:
        ValueError: If the label is empty or needs more frames.
    """
    if not labels:
        raise ValueError(f"Line {line_id}: the transcription is empty. Leave the line out or transcribe it.")
    needed = frames_needed(labels)
    if needed > frames:
        raise ValueError(
            f"Line {line_id}: its transcription of {len(labels)} characters needs {needed} frames (one more between "
            f"equal neighbours) and the image gives {frames}. Correct it, split the line, or train on wider images "
            f"(--keep_aspect_ratio, --image_width). Transcription: {text!r}"
        )

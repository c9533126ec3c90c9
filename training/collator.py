# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines to batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..processing_htr_convtext import pad_labels


class LineCollator:
    """
    Batches lines of any width: narrower ones are padded with white paper on the right to the widest.

    Each line is a dictionary with either `pixels` (grey bytes of [`prepare_lines`], `width` columns of them) or
    `image` (anything the image processor opens), and `labels` or `text`. Trainer takes a dataset's other columns away
    before a collator sees them, unless its arguments say `remove_unused_columns=False`.

    Without a collator, Trainer stacks what it gets: give it lines of one width as `pixel_values` of shape
    `(1, height, width)`, and `labels` padded with -100 to one length.

    Args:
        processor ([`HTRConvTextProcessor`]): Preprocessing and vocabulary.
        identify_lines: Whether batches also say how wide each line is by itself and which one it is, for
            [`HTRConvTextTrainer`], which reads every line as it would be read alone. A model does not take these.
    """

    def __init__(self, processor, identify_lines: bool = False):
        self.processor = processor
        self.identify_lines = identify_lines

    def __call__(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """
        Returns:
            `pixel_values` of shape `(batch_size, 1, height, widest)` and `labels` of shape
            `(batch_size, longest_label)`, padded with -100; with `identify_lines` also `widths` of shape
            `(batch_size,)`, and `index` of the same shape where lines have one.
        """
        images = [self.pixels(line) for line in lines]
        labels = [self.labels(line) for line in lines]
        batch = {"pixel_values": self.pad_images(images), "labels": torch.from_numpy(pad_labels(labels))}
        if self.identify_lines:
            batch["widths"] = torch.tensor([image.shape[-1] for image in images])
            if "index" in lines[0]:
                batch["index"] = torch.tensor([line["index"] for line in lines])
        return batch

    def pixels(self, line: Mapping[str, Any]) -> np.ndarray:
        """One line as grey bytes of shape `(height, width)`."""
        if "pixels" in line:
            return np.frombuffer(line["pixels"], dtype=np.uint8).reshape(-1, line["width"])
        return self.processor.image_processor.resize_line(line["image"])

    def labels(self, line: Mapping[str, Any]) -> Sequence[int]:
        if "labels" in line:
            return line["labels"]
        return self.processor.tokenizer.encode(line["text"])

    def pad_images(self, images: list[np.ndarray]) -> torch.Tensor:
        image_processor = self.processor.image_processor
        width = max(image.shape[-1] for image in images)
        shape = (len(images), 1, images[0].shape[0], width)
        pixel_values = np.full(shape, image_processor.padding_value, dtype=np.float32)
        for row, image in zip(pixel_values, images, strict=True):
            np.multiply(image, np.float32(image_processor.rescale_factor), out=row[0, :, : image.shape[-1]])
        return torch.from_numpy(pixel_values)

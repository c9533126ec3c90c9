# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines to batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

LABEL_PADDING = -100


class LineCollator:
    """
    Batches lines of any width: narrower ones are padded with white paper on the right to the widest.

    Each line is a dictionary with either `pixels` (grey bytes of [`prepare_lines`], `width` columns of them) or
    `image` (anything the image processor opens), and `labels` or `text`. `widths` says how wide each line is by
    itself, so that evaluation can read every line as it would be read alone.

    Args:
        processor ([`HTRConvTextProcessor`]): Preprocessing and vocabulary.
    """

    def __init__(self, processor):
        self.processor = processor

    def __call__(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """
        Returns:
            `pixel_values` of shape `(batch_size, 1, height, widest)`, `labels` of shape `(batch_size, longest_label)`
            padded with -100, `widths` of shape `(batch_size,)`, and `index` of the same shape where lines have one.
        """
        images = [self.pixels(line) for line in lines]
        labels = [self.labels(line) for line in lines]
        batch = {
            "pixel_values": self.pad_images(images),
            "labels": pad_labels(labels),
            "widths": torch.tensor([image.shape[-1] for image in images]),
        }
        if "index" in lines[0]:
            batch["index"] = torch.tensor([line["index"] for line in lines])
        return batch

    def pixels(self, line: Mapping[str, Any]) -> np.ndarray:
        """One line as grey bytes, or as float pixels where they come from an image, of shape `(height, width)`."""
        if "pixels" in line:
            return np.frombuffer(line["pixels"], dtype=np.uint8).reshape(-1, line["width"])
        return self.processor.image_processor([line["image"]])["pixel_values"][0][0]

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
            scale = np.float32(image_processor.rescale_factor if image.dtype == np.uint8 else 1)
            np.multiply(image, scale, out=row[0, :, : image.shape[-1]])
        return torch.from_numpy(pixel_values)


def pad_labels(labels: Sequence[Sequence[int]]) -> torch.Tensor:
    """Labels of any length to shape `(batch_size, longest_label)`, padded with -100."""
    tensors = [torch.tensor(label, dtype=torch.long) for label in labels]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=LABEL_PADDING)

# Copyright 2026 The HTR-ConvText for transformers authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""The "image-to-text" pipeline: line images in, transcriptions out."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import numpy as np
import torch
from transformers import Pipeline

from .processing_htr_convtext import load_image

# Batches that are loaded together where lines have widths of their own, to fill batches of one width.
BATCHES_TO_SORT = 8
# What has a length or can be iterated over, and still is one line.
SINGLE_LINES = (dict, str, bytes, bytearray, np.ndarray, torch.Tensor)


class HTRConvTextPipeline(Pipeline):
    """
    Reads handwritten lines: `pipeline("image-to-text", model=..., trust_remote_code=True)("line.png")`.

    Batches never change a reading: lines are run with others of exactly their padded width. The network is put into
    its inference mode (`optimize_for_inference`), in the type that it has.

    Args:
        model ([`HTRConvTextForCTC`] or [`ExportedHTRConvText`]): The network.
        processor ([`HTRConvTextProcessor`]): Its processor.
        kwargs: What every transformers pipeline takes: `device`, `batch_size`, `num_workers`.
    """

    _load_processor = True
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False

    def __init__(self, model, *args, **kwargs):
        device_map = getattr(model, "hf_device_map", None) or {}
        if "disk" not in device_map.values():
            super().__init__(model, *args, **kwargs)
            return
        # The base class computes where the first part lies, also if that is on disk.
        computing = [device for device in device_map.values() if device != "disk"]
        model.hf_device_map = {"": computing[0] if computing else "cpu"}
        super().__init__(model, *args, **kwargs)
        model.hf_device_map = device_map

    def __call__(self, inputs, **kwargs):
        """
        Args:
            inputs: One line image (path, URL, base64, bytes, PIL image, array, tensor) or many: a list, a generator,
                a dataset, or rows of one whose `image` column holds the image.
            batch_size: Lines that go through the network together. Where the processor keeps lines' aspect ratios,
                eight times as many are loaded at once and sorted by width.
            num_workers: Processes that load images.
            return_segments: Whether to add `words` and `characters` with their positions in the image's pixels.

        Returns:
            For one line `[{"generated_text": ..., "score": ...}]`, for many one such list each: a list for lists, a
            generator for generators and datasets.
        """
        if isinstance(inputs, list) and not inputs:
            return []
        if is_collection(inputs):
            inputs = Lines(inputs)
        elif is_stream(inputs):
            inputs = (line for line in inputs)
        batch_size = kwargs.pop("batch_size", None) or self._batch_size or 1
        if self.processor.image_processor.keep_aspect_ratio and batch_size > 1:
            kwargs["lines_at_once"] = batch_size
            batch_size *= BATCHES_TO_SORT
        return super().__call__(inputs, batch_size=batch_size, **kwargs)

    def save_pretrained(self, save_directory, **kwargs):
        """Saves model and processor as a folder that loads as it lies; the base class leaves the processor out."""
        super().save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory)

    def _sanitize_parameters(self, return_segments: bool | None = None, lines_at_once: int | None = None):
        forward = {} if lines_at_once is None else {"lines_at_once": lines_at_once}
        return {}, forward, {} if return_segments is None else {"return_segments": return_segments}

    def preprocess(self, inputs):
        if isinstance(inputs, dict) and "image" in inputs:
            inputs = inputs["image"]
        image = load_image(inputs)
        # An array, not a tensor: transformers' collate function concatenates tensors, and widths differ.
        pixel_values = self.processor.image_processor.preprocess_line(image)
        return {"pixel_values": pixel_values, "target_size": (image.height, image.width)}

    def _forward(self, model_inputs, lines_at_once: int | None = None):
        pixel_values, target_sizes = model_inputs["pixel_values"], model_inputs["target_size"]
        if isinstance(pixel_values, np.ndarray):  # batch_size=1 comes uncollated
            return {"reading": self.read([pixel_values], [target_sizes])[0]}
        return {"reading": self.read(pixel_values, target_sizes, lines_at_once)}

    def read(
        self,
        lines: Sequence[np.ndarray],
        target_sizes: Sequence[tuple[int, int]],
        lines_at_once: int | None = None,
    ) -> list[dict[str, object]]:
        """
        Args:
            lines: Preprocessed lines of shape `(channels, height, width)`, widths may differ.
            target_sizes: Height and width of each line's image in pixels.
            lines_at_once: Most lines in one batch of the network; `None` is no limit.

        Returns:
            Each line's reading, as the processor's `post_process_text_recognition` gives it.
        """
        if not self.model.is_optimized_for_inference:
            self.model.optimize_for_inference()
        readings: list[dict[str, object]] = [{} for _ in lines]
        for members in batches_of_one_width([line.shape[-1] for line in lines], lines_at_once):
            pixel_values = torch.from_numpy(np.stack([lines[i] for i in members])).to(self.device)
            outputs = SimpleNamespace(logits=self.model(pixel_values=pixel_values).logits)
            sizes = [target_sizes[i] for i in members]
            for i, reading in zip(members, self.processor.post_process_text_recognition(outputs, sizes), strict=True):
                readings[i] = reading
        return readings

    def postprocess(self, model_outputs, return_segments: bool = False):
        reading = model_outputs["reading"]
        result = {"generated_text": reading["text"], "score": reading["score"]}
        if return_segments:
            result.update(words=reading["words"], characters=reading["characters"])
        return [result]


def batches_of_one_width(widths: Sequence[int], lines_at_once: int | None = None) -> Iterator[list[int]]:
    """Indices of lines in batches of equal width, at most `lines_at_once` in each."""
    for width in sorted(set(widths)):
        members = [i for i, other in enumerate(widths) if other == width]
        size = lines_at_once or len(members)
        yield from (members[start : start + size] for start in range(0, len(members), size))


class Lines(torch.utils.data.Dataset):
    """A sized collection of line images that transformers' pipelines do not take for one, such as a dataset column."""

    def __init__(self, lines):
        self.lines = lines

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        return self.lines[index]


def is_collection(inputs) -> bool:
    """Whether inputs are many lines, but neither a list nor a torch dataset, which pipelines know themselves."""
    if isinstance(inputs, (list, *SINGLE_LINES, torch.utils.data.Dataset)):
        return False
    return hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__")


def is_stream(inputs) -> bool:
    """Whether inputs are lines one after the other, such as a streamed dataset, which pipelines take for one line."""
    if isinstance(inputs, (list, *SINGLE_LINES, torch.utils.data.Dataset)):
        return False
    return hasattr(inputs, "__iter__")


__all__ = ["HTRConvTextPipeline"]

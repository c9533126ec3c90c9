# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""An exported network that is called as the model is."""

import json
import math
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from transformers.exporters import ExportedModel
from transformers.exporters.base import EXPORT_MANIFEST_FILE
from transformers.exporters.configs import ExportFormat
from transformers.utils import cached_file

from .. import HTRConvTextConfig, HTRConvTextForCTC
from ..configuration_htr_convtext import checked_pixel_values
from ..modeling_htr_convtext import HTRConvTextCTCOutput

OPENVINO_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class ExportedHTRConvText:
    """
    A network on ONNX Runtime or OpenVINO with the call signature of [`HTRConvTextForCTC`]: the same pipeline,
    processor and post-processing take it for the model. It runs on the CPU.

    Args:
        exported ([`~transformers.exporters.ExportedModel`]): What [`export_model`] made, with or without a runtime.
    """

    # Pipelines ask; the runtimes fold and choose layouts by themselves.
    is_optimized_for_inference = True

    def __init__(self, exported: ExportedModel):
        self.exported = exported
        self.config = exported.config
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        # transformers' runner of OpenVINO has one infer request, which answers one thread at a time; ONNX Runtime's
        # session answers any number.
        one_at_a_time = exported.export_format == ExportFormat.OPENVINO
        self.turn = threading.Lock() if one_at_a_time else nullcontext()

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, dtype: torch.dtype = torch.float32, num_threads: int | None = None
    ) -> "ExportedHTRConvText":
        """
        Args:
            folder: What `python -m htr_convtext.export.convert` wrote, or such a repository of the Hub.
            dtype: What OpenVINO computes float layers in: `torch.float32`, whose readings are the model's;
                `torch.bfloat16` or `torch.float16`, where the CPU is faster at it. ONNX Runtime computes in float32.
            num_threads: Threads of the runtime; PyTorch's number if `None`.

        Raises:
            ValueError: If the runtime does not have that type.
        """
        manifest = json.loads(Path(cached_file(folder, EXPORT_MANIFEST_FILE)).read_text(encoding="utf-8"))
        options = runtime_options(manifest["export_format"], dtype, num_threads or torch.get_num_threads())
        return cls(ExportedModel.from_pretrained(folder, device="cpu", **options))

    def __call__(self, pixel_values: torch.Tensor) -> HTRConvTextCTCOutput:
        """
        Args:
            pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`, 0 ink to 1 paper.

        Returns:
            Logits of shape `(batch_size, config.frames(width), vocab_size)` and `last_hidden_state`.

        Raises:
            ValueError: If the images do not fit the configuration, or the width leaves half a patch or an odd sequence
                somewhere, where the network would resize.
        """
        pixel_values = checked_pixel_values(pixel_values, self.config)
        multiple = width_multiple(self.config)
        if pixel_values.shape[-1] % multiple:
            raise ValueError(
                f"An exported network reads widths that are multiples of {multiple} pixels. Got "
                f"{pixel_values.shape[-1]}: pad the lines with paper, or set the image processor's pad_to_multiple_of."
            )
        with self.turn:
            return self.exported(pixel_values=pixel_values.float())

    generate = HTRConvTextForCTC.generate
    as_pipeline = HTRConvTextForCTC.as_pipeline


def width_multiple(config: HTRConvTextConfig) -> int:
    """
    Pixels that an exported network's widths are multiples of: every map then splits into whole patches, and the
    sequence into pairs, so that the branches for other widths, which a graph cannot take, are never needed.
    """
    return config.frame_stride * math.lcm(config.patch_size, 2)


def runtime_options(export_format: str, dtype: torch.dtype, num_threads: int) -> dict[str, Any]:
    """What transformers' runner of a format is to be given for a type and a number of threads."""
    if export_format == ExportFormat.OPENVINO:
        if dtype not in OPENVINO_PRECISIONS:
            raise ValueError(f"OpenVINO computes in one of {list(OPENVINO_PRECISIONS)}. Got {dtype}.")
        return {
            "config": {
                "INFERENCE_PRECISION_HINT": OPENVINO_PRECISIONS[dtype],
                "INFERENCE_NUM_THREADS": num_threads,
            }
        }
    if dtype != torch.float32:
        raise ValueError(f"ONNX Runtime computes in torch.float32. Got {dtype}; OpenVINO has other types.")
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = num_threads
    return {"session_options": session_options}

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks for ONNX Runtime and OpenVINO: export, a runner that the pipeline takes for the model, verification."""

from .convert import export_model
from .runner import ExportedHTRConvText

__all__ = ["ExportedHTRConvText", "export_model"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks for ONNX Runtime and OpenVINO: export, a runner that the pipeline takes for the model, verification."""

from ..extras import needing

with needing("An exported network", "export"):
    from .runner import ExportedHTRConvText


def __getattr__(name: str):
    # At first use, as `python -m htr_convtext.export.convert` would otherwise find itself imported already.
    if name == "export_model":
        from .convert import export_model

        return export_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["ExportedHTRConvText", "export_model"]

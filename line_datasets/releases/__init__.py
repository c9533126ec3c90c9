# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Releases of the datasets that papers report: IAM, LAM, READ2016, HANDS-VNOnDB."""

import dataclasses
from typing import Any


def changed_options(options: Any, kind: type | None = None) -> list[str]:
    """Names of the fields of a dataclass, or of one that it extends, that are not at their defaults."""
    fields = dataclasses.fields(kind or options)
    return [field.name for field in fields if getattr(options, field.name) != field.default]

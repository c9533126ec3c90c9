# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Line data as users have it, as `datasets.DatasetDict`."""

from ..extras import needing

with needing("Loading lines", "train"):
    from .labels import Vocabulary, normalize_text, vocabulary
    from .loading import load_lines
    from .problems import LineDataError

__all__ = ["LineDataError", "Vocabulary", "load_lines", "normalize_text", "vocabulary"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Model folders for the Hub: converting the authors' checkpoints, model cards, uploading, and the released models."""

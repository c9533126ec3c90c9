# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Language models for the beam search, and confidences: building, tuning and calibrating, each a command."""

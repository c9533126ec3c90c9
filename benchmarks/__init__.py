# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Measurements of speed and accuracy, each a command that prints a table."""

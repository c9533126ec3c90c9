# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Releases of the datasets that papers report: IAM, LAM, READ2016, HANDS-VNOnDB."""

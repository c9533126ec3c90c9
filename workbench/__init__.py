# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
The workbench: read pages, correct lines, teach the model a hand and take everything away, in a browser.

A project is a folder of plain files, see [`project`]; what the browser shows is made in [`app`].
"""

# The model of a new project, seen from the root of this package.
RELEASED = "hub_upload/htr-convtext-fr"

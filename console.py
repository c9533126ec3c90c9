# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What commands print on, whatever it can show. It is free to import."""

import io
import sys


def print_any_character() -> None:
    """
    Lets standard output write `\\u22ce` for a character that its encoding lacks, as on Windows where it is cp1252,
    instead of failing at it. Standard error does so by itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")

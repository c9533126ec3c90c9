# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is said where the libraries of the extra `[pages]` are missing."""

INSTALL = "pip install htr-convtext[pages]"


def missing_extra(what: str, error: ImportError) -> ImportError:
    """The error for something that needs the extra: what it is, why it failed, and what to do."""
    return ImportError(f"{what} needs {error.name or error}, which is not here: {INSTALL}")

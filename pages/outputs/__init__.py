# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What becomes of transcribed pages: PAGE XML, ALTO, text, HTML and PDF of each document, tables of all lines."""

from ..extra import missing_extra

try:
    from .documents import DOCUMENT_FORMATS, document_files, write_document
    from .line_tables import COLLECTION_FORMATS, write_collection
except ImportError as error:
    raise missing_extra("Writing transcribed pages", error) from error

__all__ = [
    "COLLECTION_FORMATS",
    "DOCUMENT_FORMATS",
    "document_files",
    "write_collection",
    "write_document",
]

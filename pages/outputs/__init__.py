# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What becomes of transcribed pages: PAGE XML, ALTO, text, HTML and PDF of each document, tables of all lines."""

from ...extras import needing

with needing("Writing transcribed pages"):
    from .documents import DOCUMENT_FORMATS, OutputFile, output_files, write_document, write_file, writes_pictures
    from .line_tables import COLLECTION_FORMATS, collection_files, write_collection
    from .picture_files import picture_file

__all__ = [
    "COLLECTION_FORMATS",
    "DOCUMENT_FORMATS",
    "OutputFile",
    "collection_files",
    "output_files",
    "picture_file",
    "write_collection",
    "write_document",
    "write_file",
    "writes_pictures",
]

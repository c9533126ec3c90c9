# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages of handwriting and their lines: as PAGE XML and ALTO hold them, found on pictures, cut out and read."""

from ..extras import needing

with needing("Reading pages"):
    from .cropping import CropOptions, Cut, cut_line, plan_cut
    from .layout import LineText, Page, PageLine
    from .page_files import has_pages, read_pages
    from .page_images import find_page_image, open_page_image, plan_page_image
    from .page_sources import find_pages, open_source
    from .transcript import PageSource, TranscribedLine, TranscribedPage, Word
    from .transcription import ReadingOptions, transcribe

__all__ = [
    "CropOptions",
    "Cut",
    "LineText",
    "Page",
    "PageLine",
    "PageSource",
    "ReadingOptions",
    "TranscribedLine",
    "TranscribedPage",
    "Word",
    "cut_line",
    "find_page_image",
    "find_pages",
    "has_pages",
    "open_page_image",
    "open_source",
    "plan_cut",
    "plan_page_image",
    "read_pages",
    "transcribe",
]

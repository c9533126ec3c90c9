# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages of handwriting and their lines, as PAGE XML and ALTO hold them."""

from .cropping import CropOptions, Cut, cut_line, plan_cut
from .layout import LineText, Page, PageLine
from .page_files import has_pages, read_pages
from .page_images import find_page_image, open_page_image, plan_page_image

__all__ = [
    "CropOptions",
    "Cut",
    "LineText",
    "Page",
    "PageLine",
    "cut_line",
    "find_page_image",
    "has_pages",
    "open_page_image",
    "plan_cut",
    "plan_page_image",
    "read_pages",
]

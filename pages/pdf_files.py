# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages of PDF files as pictures, by pypdfium2."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from ..extras import needing

POINTS_AN_INCH = 72
# An image that covers this share of a page's width and height is the page's scan.
SCAN_SHARE = 0.9
# Of a picture; it takes up to four bytes for each.
MAX_PIXELS = 500_000_000

# PDFium answers one thread at a time.
PDFIUM = threading.RLock()


@contextlib.contextmanager
def open_pdf(path: Path) -> Iterator[Any]:
    """
    A `pypdfium2.PdfDocument`, for this thread alone.

    Raises:
        ImportError: If pypdfium2 is not installed.
        ValueError: If the file is empty, encrypted or damaged.
    """
    with needing("A PDF"):
        import pypdfium2
    with PDFIUM:
        if path.stat().st_size == 0:
            raise ValueError("the file is empty (0 bytes)")
        try:
            document = pypdfium2.PdfDocument(path)
            try:
                yield document
            finally:
                document.close()
        except pypdfium2.PdfiumError as error:
            encrypted = "password" in str(error).lower()
            raise ValueError(
                "the PDF is encrypted; save a copy without a password"
                if encrypted
                else f"not a readable PDF ({error})"
            ) from error


def count_pdf_pages(path: Path) -> int:
    """Pages of a PDF; for errors see [`open_pdf`]."""
    with open_pdf(path) as document:
        return len(document)


def pdf_page_size(path: Path, number: int) -> tuple[float, float]:
    """Width and height in points of a page, from 0, as it is shown; for errors see [`open_pdf`]."""
    with open_pdf(path) as document:
        return document[number].get_size()


def render_pdf_page(path: Path, number: int, dpi: float, width: int = 0) -> Image.Image:
    """
    A page of a PDF as a picture in RGB.

    A page that is a scan, one image over all of it, has that image's resolution; where something is drawn over it, at
    least that of other pages.

    Args:
        path: The file.
        number: The page, from 0.
        dpi: Pixels an inch of other pages.
        width: Width of the picture in pixels, if it is known already.

    Raises:
        ImportError: If pypdfium2 is not installed.
        ValueError: If the file is empty, encrypted or damaged, or the page has no extent or is too large.
    """
    with open_pdf(path) as document:
        page = document[number]
        across, down = page.get_size()
        if across < 1 or down < 1:
            raise ValueError(f"page {number + 1} has no extent")
        scale = width / across if width else own_scale(page, dpi / POINTS_AN_INCH)
        if not across * down * scale**2 < MAX_PIXELS:
            raise ValueError(
                f"page {number + 1} is {across / POINTS_AN_INCH:.0f} x {down / POINTS_AN_INCH:.0f} inches; at "
                f"{scale * POINTS_AN_INCH:.0f} pixels an inch it has more than {MAX_PIXELS / 1e6:.0f} million"
            )
        # PDFium rounds up; a page's size is of single precision.
        return page.render(scale=scale * (1 - 1e-5)).to_pil().convert("RGB")


def own_scale(page: Any, usual: float) -> float:
    """Pixels for each point of a page: those of its scan, or at least the usual ones if there are strokes on it."""
    import pypdfium2.raw

    strokes = page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_PATH], max_depth=2)
    scan = scan_scale(page)
    return max(scan, usual) if any(strokes) else scan or usual


def scan_scale(page: Any) -> float:
    """Pixels for each point of a page that is one image; 0 if it is not."""
    import pypdfium2.raw

    images = list(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=2))
    if len(images) != 1:
        return 0.0
    left, bottom, right, top = images[0].get_bounds()
    box_left, box_bottom, box_right, box_top = page.get_cropbox()
    across, down = right - left, top - bottom
    if across < SCAN_SHARE * (box_right - box_left) or down < SCAN_SHARE * (box_top - box_bottom):
        return 0.0
    pixels = sorted(images[0].get_px_size())  # The image may lie on its side.
    return max(long / side for long, side in zip(pixels, sorted((across, down)), strict=True))

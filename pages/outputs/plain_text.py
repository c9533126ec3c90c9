# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Plain text: one line a line in reading order, an empty line between regions, a form feed between pages."""

from collections.abc import Sequence

from ..transcript import TranscribedPage
from .line_content import clean_text, regions_of

PAGE_BREAK = "\f"  # As pdftotext and Tesseract have it.


def plain_text(pages: Sequence[TranscribedPage]) -> str:
    """
    The text of a document, in which a page that was not read is empty, so that each stands in its place.
    """
    texts = {page.source.number: page_text(page) for page in pages}
    return PAGE_BREAK.join(texts.get(number, "") for number in range(max(texts) + 1))


def page_text(page: TranscribedPage) -> str:
    """The text of a page. Lines that say nothing are left out, for an empty line is the end of a region."""
    regions = []
    for lines in regions_of(page):
        texts = [text for line in lines if (text := clean_text(line.text))]
        if texts:
            regions.append("".join(f"{text}\n" for text in texts))
    return "\n".join(regions)

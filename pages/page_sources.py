# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Opening the picture of a page."""

import pypdfium2
from PIL import Image

from .layout import Page
from .page_images import open_page_image, plan_page_image
from .transcript import PageSource


def open_source(source: PageSource, page: Page) -> Image.Image:
    """The picture of a page in the pixels that the page counts, in grey or RGB."""
    if source.image.suffix.lower() != ".pdf":
        return open_page_image(source.image, plan_page_image(source.image, page._replace(frame=source.frame)))
    document = pypdfium2.PdfDocument(source.image)
    try:
        sheet = document[source.frame]
        return sheet.render(scale=page.width / sheet.get_width()).to_pil().convert("RGB")
    finally:
        document.close()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Images that are not long: a few words of one line, or a page."""

import numpy as np
from PIL import Image, ImageOps

from ..pipeline_htr_convtext import (
    FAINTEST_INK,
    PAGE_HEIGHT,
    TALLEST,
    TWO_LINES,
    are_two_lines,
    count_lines,
    darkness_of_strokes,
    find_bands,
    has_dark_ground,
    make_small,
    mean_of_largest,
)
from ..processing_htr_convtext import to_grey

# The numbers were chosen on 404 squat lines of 13 hands, made 400 pixels high, and on 80 pieces of pages, of two to
# fifteen lines: 392 lines are recognised, and no piece is taken for one.
LINE_HEIGHT = 96  # pixels, in which lines usually come
# Strokes of letters that fill an image are wider than a closing at full size fills, and are not at a line's height:
# there they are at least so many times as dark. A page's letters get lighter.
DARKER = 1.5


def is_squat_line(picture: Image.Image) -> bool:
    """
    Whether an image that is not long is one line for certain, by its ink alone. Seen as large as they are, letters of
    a few words have bands of ink within them, as lines on a page have; at a line's height they have not.

    Args:
        picture: The image, in grey or RGB.
    """
    grey = to_grey(picture)
    if grey.height > min(PAGE_HEIGHT, TALLEST * grey.width):
        return False
    width = max(1, round(grey.width * LINE_HEIGHT / grey.height))
    ink = strokes(grey.resize((width, LINE_HEIGHT), Image.Resampling.BOX))
    if darkness(ink) < max(FAINTEST_INK, DARKER * darkness(strokes(grey))):
        return False
    bands = find_bands(ink)
    return any(bands) and count_lines(bands, is_long=False) == 1 and not are_two_lines(bands, 1, TWO_LINES[1])


def strokes(grey: Image.Image) -> np.ndarray:
    """How much darker each pixel of a small copy is than what is around, of shape (height, width)."""
    small = make_small(grey)
    return darkness_of_strokes(ImageOps.invert(small) if has_dark_ground(small) else small)


def darkness(ink: np.ndarray) -> float:
    """Mean of the darkest twentieth."""
    return mean_of_largest(ink, max(1, ink.size // 20))

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines cut out of pages, and the way back from a line's pixels to the page's."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from htr_convtext.pages import CropOptions, Cut
from htr_convtext.pages.cropping import cut_and_place

DOT = (100, -5)


def turned_line(angle: float, scale: int) -> tuple[Image.Image, Cut, tuple[float, float]]:
    """A page of 600 pixels, its image `scale` times as large, with a line turned by an angle and a dot in it."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def place(along: float, below: float) -> tuple[float, float]:
        return 300 + along * cosine - below * sine, 300 + along * sine + below * cosine

    page = Image.new("L", (600 * scale, 600 * scale), 220)
    (x, y), radius = place(*DOT), 4
    ImageDraw.Draw(page).ellipse([scale * v for v in (x - radius, y - radius, x + radius, y + radius)], fill=0)
    outline = [place(*corner) for corner in ((-200, -30), (200, -30), (200, 20), (-200, 20))]
    return page, Cut(tuple(outline), (600, 600), angle), (x, y)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("angle", [0, 10, 40, -60, 90, 180, -170])
@pytest.mark.parametrize("crop", ["polygon", "box"])
def test_a_point_of_the_line_is_found_again_on_the_page(angle, scale, crop):
    page, cut, dot = turned_line(angle, scale)
    line, placement = cut_and_place(page, cut, CropOptions(crop))
    rows, columns = np.nonzero(np.asarray(line) < 100)
    (found,) = placement.to_page([(columns.mean() + 0.5, rows.mean() + 0.5)])
    assert math.dist(found, dot) < 1
    if crop == "box" and abs(angle) in (40, 60, 90):  # Such a line is not turned, and its columns are no words.
        return
    word = placement.part(columns.mean() - 30, columns.mean() + 30, line.height)
    assert math.dist(np.mean(word, axis=0), dot) < 30
    assert max(math.dist(corner, dot) for corner in word) < 60


def test_a_word_is_as_high_as_the_outline_is_there():
    outline = ((0, 40), (200, 40), (200, 10), (400, 10), (400, 80), (0, 80))
    line, placement = cut_and_place(Image.new("L", (400, 100), 220), Cut(outline, (400, 100), 0.0), CropOptions())
    assert line.size == (400, 71)
    assert placement.part(20, 100, line.height) == [(20, 40), (100, 40), (100, 80), (20, 80)]
    assert placement.part(250, 300, line.height) == [(250, 10), (300, 10), (300, 80), (250, 80)]
    assert placement.part(500, 600, line.height) == [(500, 10), (600, 10), (600, 81), (500, 81)]
    assert placement.part(300, 400, line.height) == [(300, 10), (400, 10), (400, 80), (300, 80)]


@pytest.mark.parametrize(("mode", "paper", "beyond"), [("L", 200, 90), ("RGB", (210, 190, 150), (10, 20, 240))])
def test_what_is_beyond_the_outline_is_painted_in_the_colour_of_the_paper(mode, paper, beyond):
    page = Image.new(mode, (400, 100), beyond)
    outline = ((50, 20), (350, 40), (350, 80), (50, 60))
    ImageDraw.Draw(page).polygon(outline, fill=paper, outline=paper)
    line, _ = cut_and_place(page, Cut(outline, (400, 100), 0.0), CropOptions())
    assert line.getcolors() == [(line.width * line.height, paper)]

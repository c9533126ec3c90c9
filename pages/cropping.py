# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines cut out of the images of whole pages: the same cut for training and for reading."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from .geometry import Point, bounding_box, outline_mask, reading_angle
from .layout import PageLine

CROPS = ("polygon", "box")


@dataclasses.dataclass(frozen=True)
class CropOptions:
    """
    How lines are cut out of pages.

    Args:
        crop: "box": the axis-aligned box around the outline, as the papers on READ2016 cut it; "polygon": the same box
            with everything outside the outline painted in the median colour of what is inside, which is the paper's.
        turn_above: With "polygon", a line that is turned by more degrees than this (a slanted note, a scan that lies
            on its side or upside down) is turned back. 180 turns none.
    """

    crop: str = "polygon"
    turn_above: float = 15.0

    def __post_init__(self):
        if self.crop not in CROPS:
            raise ValueError(f"Unknown crop {self.crop!r}. Known: {', '.join(CROPS)}.")


class Cut(NamedTuple):
    """
    Where a line lies on its page.

    Attributes:
        points: Outline in pixels of a page of `size`.
        size: Width and height of the page that the points refer to; its image may be scaled.
        angle: Degrees, clockwise as seen, by which the line is turned.
    """

    points: tuple[Point, ...]
    size: tuple[int, int]
    angle: float


def plan_cut(line: PageLine, size: tuple[int, int], right_to_left: bool = False) -> tuple[Cut, str]:
    """Where a line lies on a page of a width and height, and a warning or ""; see [`~geometry.reading_angle`]."""
    angle, warning = reading_angle(line.baseline, line.polygon, right_to_left)
    return Cut(tuple(line.polygon), size, angle), warning


def cut_line(page: Image.Image, cut: Cut, options: CropOptions) -> Image.Image:
    """
    A line of a page.

    Args:
        page: Image of the whole page, in grey or RGB.
        cut: Where the line lies.
        options: How to cut it out.
    """
    scale_x, scale_y = page.width / cut.size[0], page.height / cut.size[1]
    points = [(x * scale_x, y * scale_y) for x, y in cut.points]
    box = bounding_box(points, page.size)
    line = page.crop(box)
    if options.crop == "polygon" and len(points) > 2:
        angle = cut.angle if abs(cut.angle) > options.turn_above else 0.0
        line = within_outline(line, [(x - box[0], y - box[1]) for x, y in points], angle)
    return line


def within_outline(line: Image.Image, points: Sequence[Point], angle: float) -> Image.Image:
    """The line with everything outside its outline in the colour of the paper, turned back by `angle` degrees."""
    mask = outline_mask(points, line.size)
    inside = np.asarray(line)[np.asarray(mask) > 0]
    if not len(inside):  # An outline that touches the page's edge from outside.
        return line
    paper = np.median(inside, axis=0).astype(np.uint8)
    colour = tuple(paper.tolist()) if line.mode == "RGB" else int(paper)
    painted = Image.composite(line, Image.new(line.mode, line.size, colour), mask)
    if not angle:
        return painted
    turned = painted.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=colour)
    return turned.crop(mask.rotate(angle, expand=True).getbbox())

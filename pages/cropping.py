# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines cut out of the images of whole pages: the same cut for training and for reading."""

import dataclasses
import math
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


class Placement:
    """
    Where the pixels of a line's image lie on its page: the way back from [`cut_line`].

    Args:
        turn: Matrix of shape `(2, 3)` that takes a point of the line's image to one of the page's image.
        scale: Pixels of the page's image for each pixel that the page counts, across and down.
        outline: Outline in pixels of the page's image.
    """

    def __init__(self, turn: np.ndarray, scale: tuple[float, float], outline: Sequence[Point]):
        self.turn = turn
        self.scale = scale
        # In pixels of the line's image.
        self.outline = (np.asarray(outline, dtype=float) - turn[:, 2]) @ np.linalg.inv(turn[:, :2]).T

    def to_page(self, points: Sequence[Point]) -> list[Point]:
        """Points of the line's image as points of the page, to a tenth of a pixel."""
        placed = (np.asarray(points, dtype=float) @ self.turn[:, :2].T + self.turn[:, 2]) / self.scale
        return [(round(float(x), 1), round(float(y), 1)) for x, y in placed]

    def part(self, start: float, end: float, height: float) -> list[Point]:
        """
        Corners on the page of what lies from column `start` to column `end` of the line's image, as high as the
        outline is there; as the image of `height` pixels where the outline is not.
        """
        rows = rows_between(self.outline, start, end)
        top, bottom = (max(0.0, rows.min()), min(height, rows.max())) if len(rows) else (0.0, height)
        top, bottom = (top, bottom) if bottom > top else (0.0, height)
        return self.to_page([(start, top), (end, top), (end, bottom), (start, bottom)])


def rows_between(outline: np.ndarray, start: float, end: float) -> np.ndarray:
    """Rows of an outline's corners from one column to another, and of where it crosses the two."""
    following = np.roll(outline, -1, axis=0)
    rows = [outline[(outline[:, 0] >= start) & (outline[:, 0] <= end), 1]]
    for column in (start, end):
        crosses = (outline[:, 0] - column) * (following[:, 0] - column) < 0
        begin, finish = outline[crosses], following[crosses]
        share = (column - begin[:, 0]) / (finish[:, 0] - begin[:, 0])
        rows.append(begin[:, 1] + share * (finish[:, 1] - begin[:, 1]))
    return np.concatenate(rows)


def cut_line(page: Image.Image, cut: Cut, options: CropOptions) -> Image.Image:
    """
    A line of a page.

    Args:
        page: Image of the whole page, in grey or RGB.
        cut: Where the line lies.
        options: How to cut it out.
    """
    return cut_and_place(page, cut, options)[0]


def cut_and_place(page: Image.Image, cut: Cut, options: CropOptions) -> tuple[Image.Image, Placement]:
    """A line of a page, as [`cut_line`] gives it, and the way back to the page."""
    scale = (page.width / cut.size[0], page.height / cut.size[1])
    points = [(x * scale[0], y * scale[1]) for x, y in cut.points]
    box = bounding_box(points, page.size)
    line = page.crop(box)
    turn = np.eye(2, 3)
    if options.crop == "polygon" and len(points) > 2:
        angle = cut.angle if abs(cut.angle) > options.turn_above else 0.0
        line, turn = within_outline(line, [(x - box[0], y - box[1]) for x, y in points], angle)
    turn[:, 2] += box[:2]
    return line, Placement(turn, scale, points)


def within_outline(line: Image.Image, points: Sequence[Point], angle: float) -> tuple[Image.Image, np.ndarray]:
    """
    The line with everything outside its outline in the colour of the paper, turned back by `angle` degrees, and the
    matrix of shape `(2, 3)` that takes points of the result to points of `line`.
    """
    mask = outline_mask(points, line.size)
    inside = np.asarray(line)[np.asarray(mask) > 0]
    if not len(inside):  # An outline that touches the page's edge from outside.
        return line, np.eye(2, 3)
    paper = np.median(inside, axis=0).astype(np.uint8)
    colour = tuple(paper.tolist()) if line.mode == "RGB" else int(paper)
    painted = Image.composite(line, Image.new(line.mode, line.size, colour), mask)
    if not angle:
        return painted, np.eye(2, 3)
    turned = painted.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=colour)
    box = mask.rotate(angle, expand=True).getbbox() or (0, 0, *turned.size)
    return turned.crop(box), turning_back(line.size, turned.size, box[:2], angle)


def turning_back(
    size: tuple[int, int], turned_size: tuple[int, int], corner: tuple[int, int], angle: float
) -> np.ndarray:
    """Matrix from points of a turned image, cut at a corner, to points of the image: Pillow turns about the centre."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    back = np.array([[cosine, -sine], [sine, cosine]])
    shift = np.array(size) / 2 + back @ (np.array(corner) - np.array(turned_size) / 2)
    return np.column_stack([back, shift])

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Outlines and baselines: reading their points, where they lie on a page, and which way up a line is."""

import functools
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

OUTSIDE_TOLERANCE = 0.01
ALMOST_LEVEL, ALMOST_REVERSED = 45.0, 135.0
# The outline counts as lying on one side of the baseline if its middle is this share of half its height away.
ON_ONE_SIDE, WHOLLY_ON_ONE_SIDE = 0.15, 0.6
UPRIGHT_SHAPE = 2.0
FROM_RIGHT_TO_LEFT = "baselines from right to left, taken as upright"
# Unicode's classes of letters that are read from right to left.
RIGHT_TO_LEFT = ("R", "AL")

Point = tuple[float, float]
Box = tuple[int, int, int, int]


def parse_points(text: str | None) -> list[Point]:
    """
    Points from "x,y x,y" or "x y x y"; none from a single number, as old files give for a level baseline.

    Raises:
        ValueError: If a piece is no number, or one lacks its partner.
    """
    pieces = re.split(r"[\s,;]+", (text or "").strip(" \t\r\n,;"))
    values = [float(piece) for piece in pieces if piece]
    if not all(map(math.isfinite, values)) or (len(values) > 1 and len(values) % 2):
        raise ValueError(f"{len(values)} numbers are no points: {(text or '')[:40]!r}")
    return list(zip(values[::2], values[1::2], strict=False))


def bounding_box(points: Sequence[Point], size: tuple[int, int]) -> Box:
    """
    Left, top, right and bottom (both exclusive) of the pixels that an outline touches, within the page: of one that
    lies outside, the nearest pixel.
    """
    xs, ys = zip(*points, strict=True)
    left, top = (min(max(0, int(min(at))), side - 1) for at, side in zip((xs, ys), size, strict=True))
    right, bottom = min(size[0], int(max(xs)) + 1), min(size[1], int(max(ys)) + 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def wrong_outline(points: Sequence[Point], width: int, height: int) -> str:
    """
    What is wrong with an outline, or "".

    It may leave the page by a hundredth of the page's sides, as outlines along the edge do.
    """
    if len(points) < 2:
        return "has no outline"
    xs, ys = zip(*points, strict=True)
    across, down = OUTSIDE_TOLERANCE * width, OUTSIDE_TOLERANCE * height
    leaves = min(xs) < -across or min(ys) < -down or max(xs) > width + across or max(ys) > height + down
    if leaves or max(xs) <= 0 or max(ys) <= 0 or min(xs) >= width or min(ys) >= height:
        return f"lies outside the page of {width} x {height} pixels"
    return "has an outline without extent" if max(xs) - min(xs) < 1 or max(ys) - min(ys) < 1 else ""


def outline_mask(points: Sequence[Point], size: tuple[int, int]) -> Image.Image:
    """
    Image of `size` that is 255 on and within an outline.

    Where an outline crosses itself, Pillow leaves out what it goes around twice, and the ink there; here everything
    that it encloses is within.
    """
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(points, fill=255, outline=255)
    if not crosses_itself(points):
        return mask
    lost = ImageChops.subtract(enclosed(points, size), mask)
    # One pixel more, for the sides between what is lost and what is not.
    return ImageChops.lighter(mask, lost.filter(ImageFilter.MaxFilter(3)))


def crosses_itself(points: Sequence[Point]) -> bool:
    """Whether two sides of an outline cross, or it comes back to one of its corners."""
    start = np.asarray(points, dtype=float)
    if len(set(points)) < len(points) - (points[0] == points[-1]):
        return True
    side = np.roll(start, -1, axis=0) - start
    # Entry (i, j): on which side of side i's line does side j begin, and where does it end?
    offset = start[None] - start[:, None]
    begins = side[:, None, 0] * offset[..., 1] - side[:, None, 1] * offset[..., 0]
    parted = begins * np.roll(begins, -1, axis=1) < 0
    return bool((parted & parted.T).any())


def enclosed(points: Sequence[Point], size: tuple[int, int]) -> Image.Image:
    """Image of `size` that is 255 off the outline wherever one cannot come from outside without crossing it."""
    left, top = (math.floor(min(values)) - 1 for values in zip(*points, strict=True))
    width, height = (math.ceil(max(values)) + 2 for values in zip(*points, strict=True))
    whole = Image.new("L", (width - left, height - top))
    ImageDraw.Draw(whole).line([(x - left, y - top) for x, y in (*points, points[0])], fill=255)
    walls = np.asarray(whole) > 0
    inside = Image.fromarray(np.where(outside(walls) | walls, np.uint8(0), np.uint8(255)))
    return inside.crop((-left, -top, size[0] - left, size[1] - top))


def outside(walls: np.ndarray) -> np.ndarray:
    """Pixels that can be reached from the first without crossing walls, by steps to the side, up and down."""
    reached = np.zeros_like(walls)
    reached[0, 0] = True
    before = 0
    while (now := int(reached.sum())) > before:
        before = now
        for view in (np.s_[:, :], np.s_[:, ::-1], np.s_[::-1, :]):
            for turned in ((reached[view], walls[view]), (reached[view].T, walls[view].T)):
                spread(*turned)
    return reached


def spread(reached: np.ndarray, walls: np.ndarray) -> None:
    """Marks what lies behind a reached pixel in its row, up to the next wall."""
    columns = np.arange(1, walls.shape[1] + 1)
    last_reached = np.maximum.accumulate(np.where(reached, columns, 0), axis=1)
    last_wall = np.maximum.accumulate(np.where(walls, columns, 0), axis=1)
    reached |= last_reached > last_wall


@functools.lru_cache(maxsize=1024)  # Every line of a page asks for its model's alphabet.
def right_to_left(text: str) -> bool:
    """Whether any letter of a text belongs to a script that is read from right to left."""
    return not text.isascii() and any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text)


def any_right_to_left(texts: Iterable[str]) -> bool:
    """Whether one of a page's texts has such a script: its numbers and foreign names hang from the same baselines."""
    return any(map(right_to_left, texts))


def mainly_right_to_left(text: str) -> bool:
    """Whether a text has more letters of scripts that are read from right to left than of others."""
    directions = [unicodedata.bidirectional(character) for character in text]
    return sum(direction in RIGHT_TO_LEFT for direction in directions) > directions.count("L")


def reading_angle(
    baseline: Sequence[Point], outline: Sequence[Point], right_to_left: bool = False
) -> tuple[float, str]:
    """
    Degrees, clockwise as seen, by which a line is turned from its upright position, and a warning or "".

    A baseline says where the letters stand, but not in which direction they are read: baselines of Hebrew and Arabic
    are drawn from right to left, and some tools draw them in any direction. So the outline decides, which reaches
    higher above the baseline than below it. Where it does not tell, a line drawn from right to left is upright.

    Args:
        baseline: Points of the baseline; unknown if there are less than two.
        outline: Points of the outline.
        right_to_left: Whether a script of the page is read from right to left, see [`any_right_to_left`].
    """
    if len(baseline) < 2 or baseline[0] == baseline[-1]:
        xs, ys = zip(*outline, strict=True) if outline else ((0.0,), (1.0,))
        stands = max(ys) - min(ys) > UPRIGHT_SHAPE * (max(xs) - min(xs))
        return 0.0, "outlines higher than wide and without a baseline, taken as upright" if stands and outline else ""
    (left, top), (right, bottom) = baseline[0], baseline[-1]
    drawn = math.degrees(math.atan2(bottom - top, right - left))
    reversed_ = drawn - 180 if drawn > 0 else drawn + 180
    side = side_of_outline(baseline, outline)
    if abs(drawn) <= ALMOST_LEVEL:
        below = side < -WHOLLY_ON_ONE_SIDE
        return drawn, "outlines below their baseline, taken as upright: are they upside down?" if below else ""
    if abs(drawn) < ALMOST_REVERSED:
        return (reversed_ if side < -ON_ONE_SIDE else drawn), ""
    if side > ON_ONE_SIDE and not right_to_left:
        return drawn, ""
    return reversed_, "" if side < -ON_ONE_SIDE else FROM_RIGHT_TO_LEFT


def side_of_outline(baseline: Sequence[Point], outline: Sequence[Point]) -> float:
    """
    Where the outline lies: 1 if wholly where letters stand on a baseline that is drawn in the direction of reading, -1
    if wholly on the other side, 0 if on both equally, or if it is no more than a line.
    """
    (left, top), (right, bottom) = baseline[0], baseline[-1]
    upward = np.array([bottom - top, left - right]) / math.hypot(right - left, bottom - top)
    heights = (np.asarray(outline, dtype=float).reshape(-1, 2) - np.mean(baseline, axis=0)) @ upward
    if not heights.size or np.ptp(heights) < 1:
        return 0.0
    return float((heights.max() + heights.min()) / np.ptp(heights))

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Finding lines on the image of a page: a text detector's boxes, joined where they are pieces of one line, split where
they hold two, put in reading order, each with a baseline and an outline.

The detector is that of RapidOCR (extra `[pages]`), whose weights are in its wheel.
"""

import dataclasses
import math
import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..extras import needing
from .geometry import Point
from .layout import LineText, PageLine

# The detector looks at a copy of the page whose longer side has at most this many pixels.
DETECTOR_SIDE = 2000

# Two boxes are pieces of one line if they stand at the same height and follow each other closely; see `continues`.
SAME_HEIGHT = 0.7  # they share this part of the lower one's height
SIMILAR_HEIGHT = 2.0  # the higher one has at most this many times the lower one's height
WIDEST_GAP = 1.0  # between them, against their mean height
LARGEST_OVERLAP = 1.0  # of their ends, against the same

# A box that is much higher than others, with a valley of ink between two bands, holds two lines; see `split_box`.
HIGH_BOX = 1.5  # times the median height
VALLEY = 0.35  # ink in the valley, against the weaker of the two bands
BAND_SHARE = 0.25  # of a box's height: no line is lower

# Columns are divided by a gutter that few lines cross; see `find_gutter`.
GUTTER_WIDTH = 0.5  # times the median height
CROSSING_LINES = 0.25  # of all lines
LINES_OF_A_COLUMN = 2
SAME_ROW = 0.5  # of its height that the centre of a line may lie lower than another of the same row

# An outline reaches beyond its box, as far as there is ink of its own, by this part of the height.
GROWTH = 0.35
STRETCH = 1.5  # heights of a box that its baseline and outline go straight on
LARGEST_STEP = 0.2  # of a box's height, from the whole line's baseline to that of a stretch
SMALLEST_DISTANCE = 0.3  # of baselines of two lines, against the height of a box
FOOT = 0.5  # of the fullest row's ink: below that, letters have ended
LETTERS = 0.4  # of the distance of two baselines, that is the lower line's own above its baseline


@dataclasses.dataclass
class Box:
    """
    A line, or a piece of one, as a rectangle that may be slanted.

    Attributes:
        left, right: Middle of its left and its right end, in pixels.
        height: Across it.
    """

    left: np.ndarray
    right: np.ndarray
    height: float

    @property
    def centre(self) -> np.ndarray:
        return (self.left + self.right) / 2

    @property
    def length(self) -> float:
        return float(np.hypot(*(self.right - self.left)))

    @property
    def direction(self) -> np.ndarray:
        """Unit vector from the left to the right end."""
        return (self.right - self.left) / max(self.length, 1e-6)

    @property
    def across(self) -> np.ndarray:
        """Unit vector from the upper to the lower edge."""
        return np.array([-self.direction[1], self.direction[0]])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        corners = self.corners
        return (*corners.min(axis=0), *corners.max(axis=0))

    @property
    def corners(self) -> np.ndarray:
        """Upper left, upper right, lower right, lower left, of shape `(4, 2)`."""
        half = self.across * self.height / 2
        return np.array([self.left - half, self.right - half, self.right + half, self.left + half])


def find_lines(picture: Image.Image, leftwards: bool = False) -> list[PageLine]:
    """
    The lines of a page, in reading order; columns are the regions.

    Args:
        picture: Image of the page, in grey or RGB.
        leftwards: Whether the columns are read from right to left.

    Returns:
        Lines without text, with an outline and a baseline in pixels of the image.

    Raises:
        ImportError: If the extra `[pages]` is not installed.
    """
    scale = min(1.0, DETECTOR_SIDE / max(picture.size))
    size = [max(1, round(side * scale)) for side in picture.size]
    small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0) if scale < 1 else picture
    boxes = detect_boxes(small)
    ink = ink_of(small)
    boxes = join_pieces([part for box in boxes for part in split_box(box, ink, median_height(boxes))])
    regions = reading_order(boxes, leftwards)
    boxes = [box for region in regions for box in region]
    names = [f"region_{number}" for number, region in enumerate(regions, 1) for _ in region]
    lines = []
    for number, (name, traced) in enumerate(zip(names, trace_lines(boxes, ink), strict=True), 1):
        baseline, outline = (on_page(points, scale, picture.size) for points in traced)
        lines.append(PageLine(f"line_{number}", name, LineText(), outline, baseline))
    return lines


def on_page(points: np.ndarray, scale: float, size: tuple[int, int]) -> list[Point]:
    placed = np.clip(points / scale, 0, np.array(size) - 1)
    return [(round(float(x)), round(float(y))) for x, y in placed]


# Detection


def detect_boxes(picture: Image.Image) -> list[Box]:
    """The boxes of RapidOCR's detector; none for an image without text."""
    pixels = np.asarray(picture.convert("RGB"))[:, :, ::-1]  # OpenCV's order of colours
    found = detector()(pixels, use_det=True, use_cls=False, use_rec=False).boxes
    return [box_of(np.asarray(corners, dtype=float)) for corners in ([] if found is None else found)]


# A detector keeps the image that it works on: each thread has its own.
THREAD = threading.local()


def detector():
    if not hasattr(THREAD, "detector"):
        THREAD.detector = make_detector()
    return THREAD.detector


def make_detector():
    with needing("Finding lines on the image of a page without PAGE XML or ALTO"):
        import onnxruntime  # noqa: F401  RapidOCR says only that some engine is missing.
        from rapidocr import RapidOCR
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.max_side_len": DETECTOR_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        }
    )


def box_of(corners: np.ndarray) -> Box:
    """The box of a detector's four corners, of shape `(4, 2)`, from the upper left one clockwise."""
    upper_left, upper_right, lower_right, lower_left = corners
    left, right = (upper_left + lower_left) / 2, (upper_right + lower_right) / 2
    height = (math.dist(upper_left, lower_left) + math.dist(upper_right, lower_right)) / 2
    return Box(left, right, max(height, 1.0))


def median_height(boxes: Sequence[Box]) -> float:
    return float(np.median([box.height for box in boxes])) if boxes else 1.0


def ink_of(picture: Image.Image) -> np.ndarray:
    """How much darker each pixel is than the paper around it, 0 to 255, of shape `(height, width)`."""
    import cv2

    grey = np.asarray(picture.convert("L"))
    around = max(3, max(grey.shape) // 60) | 1
    paper = cv2.blur(cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)), (around, around))
    darker = np.clip(paper.astype(np.int16) - grey, 0, 255).astype(np.uint8)
    least, _ = cv2.threshold(darker, 0, 255, cv2.THRESH_OTSU)
    darker[darker < least] = 0
    return darker


# Pieces and pairs of lines


def profile_of(box: Box, ink: np.ndarray, above: float = 0.0, below: float = 0.0) -> np.ndarray:
    """Ink of a box turned level, of shape `(rows, columns)`, with so much more above and below it."""
    import cv2

    columns, rows = max(1, round(box.length)), max(1, round(box.height + above + below))
    corner = box.left - box.across * (box.height / 2 + above)
    forward = np.column_stack([box.direction, box.across, corner])  # from the level box to the page
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(ink, forward, (columns, rows), flags=flags).astype(np.float32)


def split_box(box: Box, ink: np.ndarray, usual: float) -> list[Box]:
    """A box as it is, or as the two of the lines in it where it is high and has a valley between two bands of ink."""
    if box.height < HIGH_BOX * usual or box.length < box.height:
        return [box]
    rows = smooth(profile_of(box, ink).sum(axis=1))
    least = max(1, round(BAND_SHARE * len(rows)))
    inner = range(least, len(rows) - least)
    if not inner:
        return [box]
    cut = min(inner, key=lambda row: rows[row])
    if rows[cut] > VALLEY * min(rows[:cut].max(), rows[cut:].max()):
        return [box]
    parts = []
    for begin, end in ((0, cut), (cut, len(rows))):
        shift = box.across * ((begin + end) / 2 - box.height / 2)
        parts += split_box(Box(box.left + shift, box.right + shift, float(end - begin)), ink, usual)
    return parts


def smooth(profile: np.ndarray) -> np.ndarray:
    width = max(1, len(profile) // 12) | 1
    return np.convolve(np.pad(profile, width // 2, mode="edge"), np.ones(width) / width, "valid")


def join_pieces(boxes: Sequence[Box]) -> list[Box]:
    """Boxes of which those that continue each other are one."""
    lines: list[Box] = []
    for box in sorted(boxes, key=lambda box: float(box.left[0])):
        begun = [place for place, line in enumerate(lines) if continues(line, box)]
        if begun:
            nearest = max(begun, key=lambda place: float(lines[place].right[0]))
            lines[nearest] = join_two(lines[nearest], box)
        else:
            lines.append(box)
    return lines


def continues(first: Box, second: Box) -> bool:
    """Whether the second box goes on to the right of the first, as seen along both."""
    if np.abs(second.left - first.right).max() > 4 * max(first.height, second.height):
        return False
    direction = first.direction * first.length + second.direction * second.length
    direction = direction / np.hypot(*direction)
    across = np.array([-direction[1], direction[0]])
    lower, higher = sorted((first.height, second.height))
    shared = (first.height + second.height) / 2 - abs((second.left - first.right) @ across)
    gap = (second.left - first.right) @ direction
    mean = (lower + higher) / 2
    contained = (second.right - first.right) @ direction < 0 or (first.left - second.left) @ direction > 0
    return bool(
        not contained
        and higher <= SIMILAR_HEIGHT * lower
        and shared >= SAME_HEIGHT * lower
        and -LARGEST_OVERLAP * mean <= gap <= WIDEST_GAP * mean
    )


def join_two(first: Box, second: Box) -> Box:
    """The box around two that follow each other."""
    whole = Box(first.left, second.right, 1.0)
    offsets = (np.concatenate([first.corners, second.corners]) - whole.centre) @ whole.across
    shift = whole.across * (offsets.max() + offsets.min()) / 2
    return Box(first.left + shift, second.right + shift, float(np.ptp(offsets)))


# Reading order


def reading_order(boxes: Sequence[Box], leftwards: bool = False) -> list[list[Box]]:
    """Boxes in reading order, column by column, seen as if the page's lines were level."""
    seen = turn_level(boxes)
    places = {id(box): place for place, box in enumerate(seen)}
    return [[boxes[places[id(box)]] for box in region] for region in in_columns(seen, leftwards)]


def turn_level(boxes: Sequence[Box]) -> list[Box]:
    """
    Boxes of a page that is turned until its lines are level. On a slanted photo the end of a line stands at the height
    of the next one, and a gutter is not upright.
    """
    if not boxes:
        return []
    cosine, sine = slope_of(boxes)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    return [Box(turn @ box.left, turn @ box.right, box.height) for box in boxes]


def slope_of(boxes: Sequence[Box]) -> np.ndarray:
    """The direction of most of the writing: that of the box at which half of the length of all is flatter."""
    ordered = sorted(boxes, key=lambda box: math.atan2(box.direction[1], box.direction[0]))
    lengths = np.cumsum([box.length for box in ordered])
    return ordered[int(np.searchsorted(lengths, lengths[-1] / 2))].direction


def in_columns(boxes: Sequence[Box], leftwards: bool) -> list[list[Box]]:
    """
    Boxes of a level page: a gutter divides those beside it, and lines that cross it divide what is above from what is
    below.
    """
    gutter = find_gutter(boxes)
    if gutter is None:
        return [in_rows(boxes, leftwards)] if boxes else []
    left = [box for box in boxes if box.bounds[2] <= gutter]
    right = [box for box in boxes if box.bounds[0] >= gutter]
    beside = {id(box) for box in (*left, *right)}
    crossing = in_rows([box for box in boxes if id(box) not in beside], leftwards)
    regions: list[list[Box]] = []
    edges = [-math.inf, *sorted(float(box.centre[1]) for box in crossing), math.inf]
    for place, (above, below) in enumerate(zip(edges, edges[1:], strict=False)):
        for side in (right, left) if leftwards else (left, right):
            regions += in_columns([box for box in side if above <= box.centre[1] < below], leftwards)
        if place < len(crossing):
            regions.append([crossing[place]])
    return regions


def find_gutter(boxes: Sequence[Box]) -> float | None:
    """Column at which a page's lines divide into two that stand beside each other; None if there is none."""
    usual = median_height(boxes)
    bounds = np.array([box.bounds for box in boxes]).reshape(-1, 4)
    best: tuple[int, float, float] | None = None
    for start in sorted(set(bounds[:, 2])):
        left = bounds[bounds[:, 2] <= start]
        beyond = bounds[bounds[:, 0] > start]
        if len(left) < LINES_OF_A_COLUMN or len(beyond) < LINES_OF_A_COLUMN:
            continue
        width = beyond[:, 0].min() - start
        crossing = len(bounds) - len(left) - len(beyond)
        shared = min(left[:, 3].max(), beyond[:, 3].max()) - max(left[:, 1].min(), beyond[:, 1].min())
        if width < GUTTER_WIDTH * usual or crossing > CROSSING_LINES * len(bounds) or shared < usual:
            continue
        found = (crossing, -float(width), float(start + width / 2))
        best = min(best, found) if best else found
    return best[2] if best else None


def in_rows(boxes: Sequence[Box], leftwards: bool) -> list[Box]:
    """Boxes from top to bottom; those that stand at one height from left to right, or from right to left."""
    ordered = sorted(boxes, key=lambda box: box.centre[1])
    rows: list[list[Box]] = []
    for box in ordered:
        if rows and box.centre[1] - rows[-1][0].centre[1] < SAME_ROW * min(box.height, rows[-1][0].height):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda box: box.left[0], reverse=leftwards)]


# Baselines and outlines


def trace_lines(boxes: Sequence[Box], ink: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Baseline and outline of each line, as points of shape `(number, 2)`."""
    strips = [Strip(box, ink) for box in boxes]
    baselines = [strip.baseline for strip in strips]
    return [
        (baselines[number], strip.outline([*baselines[:number], *baselines[number + 1 :]]))
        for number, strip in enumerate(strips)
    ]


class Strip:
    """
    The ink of a line turned level, with some of what is above and below it, cut into stretches.

    Attributes:
        ink: Of shape `(rows, columns)`.
        first, last: Rows of the box's upper and lower edge.
        centres: Middle column of each stretch.
        stretches: Ink in each row of each stretch, of shape `(stretches, rows)`, smoothed.
    """

    def __init__(self, box: Box, ink: np.ndarray):
        self.box = box
        grown = GROWTH * box.height
        self.ink = profile_of(box, ink, grown, grown)
        self.first, self.last = round(grown), min(len(self.ink), round(grown + box.height))
        self.corner = box.left - box.across * (box.height / 2 + grown)
        number = max(1, round(box.length / (STRETCH * box.height)))
        self.centres = (np.arange(number) + 0.5) * box.length / number
        self.stretches = np.array([smooth(part.sum(axis=1)) for part in np.array_split(self.ink, number, axis=1)])
        self.feet = self.find_feet()

    def find_feet(self) -> np.ndarray:
        """The row of each stretch on which letters stand: where the ink of the fullest rows ends downwards."""
        whole = foot_of(self.stretches.sum(axis=0)[self.first : self.last])
        around = np.array([self.stretches[max(0, at - 1) : at + 2].sum(axis=0) for at in range(len(self.stretches))])
        feet = np.array([foot_of(rows[self.first : self.last]) for rows in around])
        reach = LARGEST_STEP * self.box.height
        return self.first + np.clip(feet, whole - reach, whole + reach)

    @property
    def baseline(self) -> np.ndarray:
        """Points on the page, of shape `(number, 2)`."""
        along = [0.0, *self.centres, self.box.length]
        return self.to_page(along, [self.feet[0], *self.feet, self.feet[-1]])

    def to_page(self, along: Sequence[float] | np.ndarray, down: Sequence[float] | np.ndarray) -> np.ndarray:
        return self.corner + np.outer(along, self.box.direction) + np.outer(down, self.box.across)

    def rows_of(self, points: np.ndarray) -> np.ndarray:
        """The row at the middle of each stretch where a polyline of the page passes; NaN where it does not."""
        offsets = points - self.corner
        along, down = offsets @ self.box.direction, offsets @ self.box.across
        order = np.argsort(along)
        return np.interp(self.centres, along[order], down[order], left=np.nan, right=np.nan)

    def outline(self, neighbours: Sequence[np.ndarray]) -> np.ndarray:
        """
        Points around the line's own ink, of shape `(number, 2)`.

        Args:
            neighbours: Baselines of other lines.
        """
        passing = np.array([self.rows_of(points) for points in neighbours]).reshape(-1, len(self.centres))
        edges = [
            self.edges(rows, foot, others[np.isfinite(others)])
            for rows, foot, others in zip(self.stretches, self.feet, passing.T, strict=True)
        ]
        along = [0.0, *self.centres, self.box.length]
        above, below = (self.to_page(along, [side[0], *side, side[-1]]) for side in zip(*edges, strict=True))
        return np.concatenate([above, below[::-1]])

    def edges(self, rows: np.ndarray, foot: float, others: np.ndarray) -> tuple[int, int]:
        """
        Rows between which a stretch is the line's: where there is least ink between its letters and the baseline of
        the line above, and between its baseline and the letters of the line below; without such lines, beyond its box.
        """
        apart = SMALLEST_DISTANCE * self.box.height
        upper = others[others < foot - apart].max(initial=-1.0)
        lower = others[others > foot + apart].min(initial=len(rows))
        if upper >= 0:
            top = least(rows, upper, foot - LETTERS * (foot - upper), last=False)
        else:
            top = least(rows, 0, self.first, last=True)
        if lower < len(rows):
            bottom = least(rows, foot, lower - LETTERS * (lower - foot), last=True)
        else:
            bottom = least(rows, self.last, len(rows), last=False)
        return top, bottom


def least(rows: np.ndarray, begin: float, end: float, last: bool) -> int:
    """The first or last row with the least ink from one row to another."""
    begin, end = round(begin), max(round(begin) + 1, round(end))
    part = rows[begin:end]
    if not len(part):
        return min(begin, len(rows))
    return begin + (len(part) - 1 - int(part[::-1].argmin()) if last else int(part.argmin()))


def foot_of(rows: np.ndarray) -> float:
    """The row where the ink of the fullest rows ends downwards; three quarters of the way down if there is none."""
    if not rows.size or rows.max() == 0:
        return 0.75 * len(rows)
    fullest = int(rows.argmax())
    below = np.flatnonzero(rows[fullest:] < FOOT * rows.max())
    return float(fullest + below[0] if below.size else len(rows))

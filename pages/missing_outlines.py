# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Outlines of lines of which a file tells the baseline alone, from the distances of the page's baselines."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .geometry import ALMOST_REVERSED, FROM_RIGHT_TO_LEFT, Point
from .layout import Page, PageLine

# How much of the way to the next baseline above and below is the line's own: letters reach further up than down.
ABOVE, BELOW = 0.7, 0.3
# No line is higher than one with baselines this many usual distances away.
FARTHEST = 1.3
# What is nearer than these parts of the usual distance and of the longest line is the line itself, drawn twice.
NEAREST, TWICE = 0.25, 0.01
# The usual distance on a page whose lines have no neighbours, against its height and its longest line; and the largest
# on a page where they are far apart, as in a title or a form.
ALONE, WIDEST = (1 / 30, 1 / 15), (1 / 25, 1 / 7)
PLACES = 20  # on the longest line, at which distances are looked at
# An outline goes beyond the ends of the baseline by this part of the usual distance.
BEYOND = 0.1
STEP, MOST_STEPS = 0.5, 200  # of the usual distance, between two corners of an outline
PARALLEL = math.cos(math.radians(45))

WARNING = "lines of which only the baseline is told, cut out by the distances of the baselines"


class Course(NamedTuple):
    """
    A baseline from the beginning of its line to the end, as it is read.

    Attributes:
        points: On the page, of shape `(number, 2)`.
        direction: Unit vector from the first point to the last.
        is_turned: Whether it was drawn from the end to the beginning.
    """

    points: np.ndarray
    direction: np.ndarray
    is_turned: bool

    @property
    def length(self) -> float:
        return float(np.hypot(*(self.points[-1] - self.points[0])))

    def seen_from(self, other: "Course") -> tuple[np.ndarray, np.ndarray]:
        """How far along another baseline, and how far below its first point, this one's points are, in order."""
        across = np.array([-other.direction[1], other.direction[0]])
        offsets = self.points - other.points[0]
        along = offsets @ other.direction
        order = np.argsort(along, kind="stable")
        return along[order], (offsets @ across)[order]


def with_outlines(page: Page) -> Page:
    """
    A page whose lines all have an outline, as far as they have a baseline. Where baselines were drawn by hand, PAGE
    may have no Coords, and ALTO no more than the box of the baseline.
    """
    missing = [place for place, line in enumerate(page.lines) if lacks_outline(line)]
    if not missing:
        return page
    courses = {place: course_of(line) for place, line in enumerate(page.lines) if has_baseline(line)}
    usual = usual_distance(list(courses.values()), page.height)
    lines = list(page.lines)
    for place in missing:
        others = [course for other, course in courses.items() if other != place]
        outline = on_page(outline_of(courses[place], others, usual), courses[place], page)
        lines[place] = lines[place]._replace(polygon=outline)
    turned = any(courses[place].is_turned for place in missing)
    return page._replace(lines=lines, warnings=(*page.warnings, WARNING, *[FROM_RIGHT_TO_LEFT] * turned))


def has_baseline(line: PageLine) -> bool:
    return len(line.baseline) > 1 and line.baseline[0] != line.baseline[-1]


def lacks_outline(line: PageLine) -> bool:
    """Whether a line has a baseline, and no outline but one without extent or the baseline's own box."""
    if line.problem or not has_baseline(line):
        return False
    if len(line.polygon) < 2:
        return True
    outline, baseline = (np.array([np.min(points, 0), np.max(points, 0)]) for points in (line.polygon, line.baseline))
    return bool((outline[1] - outline[0] < 1).any() or (np.abs(outline - baseline) <= 1).all())


def course_of(line: PageLine) -> Course:
    """The baseline of a line, turned where it is drawn from right to left: no outline tells that it is upside down."""
    points = np.asarray(line.baseline, dtype=float)
    across, down = points[-1] - points[0]
    is_turned = abs(math.degrees(math.atan2(down, across))) >= ALMOST_REVERSED
    points = points[::-1] if is_turned else points
    step = points[-1] - points[0]
    return Course(points, step / np.hypot(*step), is_turned)


def distances(course: Course, along: np.ndarray, others: Sequence[Course]) -> np.ndarray:
    """
    How far above a baseline, at some places along it, others are; NaN where they are not, and for those that run
    across. Of shape `(others, places)`.
    """
    own = np.interp(along, *course.seen_from(course))
    parallel = [other.seen_from(course) for other in others if abs(other.direction @ course.direction) > PARALLEL]
    found = [own - np.interp(along, *seen, left=np.nan, right=np.nan) for seen in parallel]
    return np.array(found).reshape(-1, len(along))


def nearest(found: np.ndarray, least: float) -> np.ndarray:
    """The smallest of the distances at each place that are larger than `least`; infinite where there is none."""
    return np.where(found > least, found, np.inf).min(axis=0, initial=np.inf)


def usual_distance(courses: Sequence[Course], height: int) -> float:
    """
    From one line of a page to the next.

    Args:
        courses: All baselines.
        height: Of the page, 0 if it is not told.
    """
    longest = max(course.length for course in courses)
    found: list[float] = []
    for place, course in enumerate(courses):
        # More places on a longer line: words between the lines count little.
        along = (np.arange(math.ceil(PLACES * course.length / longest)) + 0.5) * longest / PLACES
        away = np.abs(distances(course, along, [*courses[:place], *courses[place + 1 :]]))
        found += [distance for distance in nearest(away, TWICE * longest) if math.isfinite(distance)]
    on_page, and_long = WIDEST if found else ALONE
    bound = max(on_page * height, and_long * longest, 1.0)
    return min(float(np.median(found)), bound) if found else bound


def outline_of(course: Course, others: Sequence[Course], usual: float) -> np.ndarray:
    """
    Corners around a line, from its beginning along its upper edge and back along its lower one, of shape
    `(number, 2)`.

    Args:
        course: Its baseline.
        others: Those of the page's other lines.
        usual: The distance of two.
    """
    steps = 1 + int(min(course.length / (STEP * usual), MOST_STEPS))
    along = np.linspace(-BEYOND * usual, course.length + BEYOND * usual, steps + 1)
    found = distances(course, along, others)
    above, below = (nearest(side, NEAREST * usual) for side in (found, -found))
    above, below = (np.where(np.isfinite(side), np.minimum(side, FARTHEST * usual), usual) for side in (above, below))
    own = np.interp(along, *course.seen_from(course))
    across = np.array([-course.direction[1], course.direction[0]])
    upper, lower = (
        course.points[0] + np.outer(along, course.direction) + np.outer(down, across)
        for down in (own - ABOVE * above, own + BELOW * below)
    )
    return np.concatenate([upper, lower[::-1]])


def on_page(corners: np.ndarray, course: Course, page: Page) -> list[Point]:
    """Corners in whole pixels, on the page as far as its size is told and the baseline itself is."""
    size = [page.width or np.inf, page.height or np.inf]
    least, most = np.minimum(0, course.points.min(axis=0)), np.maximum(size, course.points.max(axis=0))
    return [(float(x), float(y)) for x, y in np.rint(np.clip(corners, least, most))]

"""What PAGE XML and ALTO have in common: a page with lines, their outlines, and an order to read them in."""

import math
import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

UNORDERED = 10**9

Point = tuple[float, float]


class PageLine(NamedTuple):
    """
    A line of a page.

    Attributes:
        identifier: Its own identifier.
        region: That of its region.
        text: Its transcription, "" if it has none.
        points: Outline in pixels of the page.
        baseline: Points on the line that the letters stand on, in the direction of reading; may be empty.
        place: Its place in the region, where the file tells.
    """

    identifier: str
    region: str
    text: str
    points: list[Point]
    baseline: list[Point]
    place: int | None = None


class Page(NamedTuple):
    """A page as its XML tells it; `width` and `height` in pixels, 0 where not told. Lines are in reading order."""

    image_name: str
    width: int
    height: int
    lines: list[PageLine]


def parse_points(text: str | None) -> list[Point]:
    """Points from "x,y x,y" or "x y x y"."""
    values = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text or "")]
    return list(zip(values[::2], values[1::2], strict=False))


def baseline_angle(baseline: list[Point]) -> float:
    """Degrees, clockwise, by which the direction of reading is turned from left to right; 0 if unknown."""
    if len(baseline) < 2 or baseline[0] == baseline[-1]:
        return 0.0
    (left, top), (right, bottom) = baseline[0], baseline[-1]
    return math.degrees(math.atan2(bottom - top, right - left))


def ordered_references(order: Element | None) -> list[Element]:
    """References of a ReadingOrder, groups unfolded, each group's members by their `index` where they have one."""
    if order is None:
        return []
    children = sorted(order, key=lambda element: int(element.get("index") or 0))
    return [ref for child in children for ref in (ordered_references(child) if len(child) else [child])]


def in_reading_order(lines: list[PageLine], order: list[str]) -> list[PageLine]:
    """Lines by the place of their region (or their own) in the order, then by their index; else as in the document."""
    places = {identifier: number for number, identifier in enumerate(order)}
    regions = {region: number for number, region in enumerate(dict.fromkeys(line.region for line in lines))}

    def key(line: PageLine) -> tuple[int, int, int]:
        ordered = places.get(line.identifier, places.get(line.region, UNORDERED))
        return ordered, regions[line.region], UNORDERED if line.place is None else line.place

    return sorted(lines, key=key)

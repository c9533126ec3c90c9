# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What PAGE XML and ALTO have in common: a page with lines, and an order to read them in."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from .geometry import Point
from .safe_xml import local_name

UNORDERED = 10**9


class LineText(NamedTuple):
    """
    The transcription that a file holds for a line.

    Attributes:
        text: The transcription, "" if there is none.
        problem: Why it is not certain which text is the transcription; "" if it is. The text is "" then.
        warning: What is odd about the text although it is taken.
        confidence: What a recogniser thought of it, 0 to 1; None if the file does not tell.
    """

    text: str = ""
    problem: str = ""
    warning: str = ""
    confidence: float | None = None


class PageLine(NamedTuple):
    """
    A line of a page; its place in `Page.lines` is the reading order.

    Attributes:
        identifier: Its own identifier.
        region: That of its region.
        transcription: What the file holds as its text.
        polygon: Outline in pixels of the page.
        baseline: Points on the line that the letters stand on; may be empty.
        place: Its place in the region, where the file tells.
        problem: What is wrong with its outline; "" if nothing is. [`~geometry.wrong_outline`] says more.
        tags: What the file calls it and its regions: PAGE's types and structures, the labels of ALTO's tags.
        number: The place of its element among the lines of its page in the file, from 0; None if no file holds it.
    """

    identifier: str
    region: str
    transcription: LineText
    polygon: list[Point]
    baseline: list[Point]
    place: int | None = None
    problem: str = ""
    tags: tuple[str, ...] = ()
    number: int | None = None

    @property
    def text(self) -> str:
        """The transcription, "" if it has none or it is uncertain."""
        return self.transcription.text

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the outline."""
        xs, ys = zip(*self.polygon, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


class Page(NamedTuple):
    """
    A page as its XML tells it.

    Attributes:
        image_name: The name of its image, as it is written; "" if there is none.
        width: In pixels, 0 where the file does not tell.
        height: In pixels, 0 where the file does not tell.
        lines: In reading order, with and without text.
        frame: Which frame of the image it is, from 0; None if the file does not tell.
        problems: What keeps the page, or a part of it, from being read.
        warnings: What is odd although it is read.
    """

    image_name: str
    width: int
    height: int
    lines: list[PageLine]
    frame: int | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def page_side(text: str | None) -> int:
    """Width or height in pixels, 0 if it is not told; ValueError if it is no number."""
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"a page's width or height is {text!r}, which is no number of pixels") from error


def whole_number(text: str | None) -> int:
    """A number of a file, 0 if there is none or it is no number."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def line_elements(page: Any) -> list[Any]:
    """The lines of a page element (of ElementTree or lxml) in the order of the file, by which they are numbered."""
    return page.findall(".//{*}TextLine")


def names_in_order(order: Element | None, key: str) -> list[str]:
    """
    Names that a ReadingOrder refers to, groups unfolded, each group's members by their `index` where they have one.
    What a group refers to itself, a region with regions in it, comes before the members.

    Args:
        order: The ReadingOrder, or a group of it.
        key: The attribute that holds a name.
    """
    if order is None:
        return []
    children = sorted(order, key=lambda child: whole_number(child.get("index")))
    return [name for child in children for name in (child.get(key, ""), *names_in_order(child, key)) if name]


def with_tags(
    element: Element, own_tags: Callable[[Element], tuple[str, ...]], inherited: tuple[str, ...] = ()
) -> Iterator[tuple[Element, tuple[str, ...]]]:
    """An element and those in it, as `Element.iter` gives them, each with its tags and those of what it is in."""
    tags = (*inherited, *own_tags(element))
    yield element, tags
    for child in element:
        yield from with_tags(child, own_tags, tags)


def with_regions_within(page: Element, order: Sequence[str], key: str) -> list[str]:
    """
    A reading order in which each region is followed by those in it that have no place, as the cells of a table have.

    Args:
        page: The page's element.
        order: Names of regions in their order.
        key: The attribute that holds an element's name.
    """
    named, elements = set(order), {element.get(key): element for element in page.iter()}

    def within(element: Element) -> Iterator[str]:
        for child in element:
            name = child.get(key, "")
            if name not in named and local_name(child) != "TextLine":
                yield from (name, *within(child))

    return [each for name in order for each in (name, *(within(elements[name]) if name in elements else ()))]


def in_reading_order(lines: Sequence[PageLine], order: Sequence[str]) -> list[PageLine]:
    """Lines by the place of their region (or their own) in the order, then by their index; else as in the document."""
    places = {identifier: number for number, identifier in enumerate(order)}
    regions = {region: number for number, region in enumerate(dict.fromkeys(line.region for line in lines))}

    def key(line: PageLine) -> tuple[int, int, int]:
        ordered = places.get(line.identifier, places.get(line.region, UNORDERED))
        return ordered, regions[line.region], UNORDERED if line.place is None else line.place

    return sorted(lines, key=key)

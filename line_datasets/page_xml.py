"""PAGE XML (2013 as Transkribus exports it, 2019 as eScriptorium does)."""

import re
from xml.etree.ElementTree import Element

from .page_layout import Page, PageLine, Point, in_reading_order, ordered_references, parse_points


def parse_page_xml(root: Element) -> Page:
    """
    A PAGE XML tree.

    The text of a line is that of its own TextEquiv, not of its words; of several, the first by `index`.

    Raises:
        ValueError: If the tree has no page, or a number is none.
    """
    page = root.find("{*}Page")
    if page is None:
        raise ValueError("no element Page")
    order = [ref.get("regionRef", "") for ref in ordered_references(page.find("{*}ReadingOrder"))]
    lines = [
        page_xml_line(line, region.get("id") or f"region {number}")
        for number, region in enumerate(page.iter())
        for line in region.findall("{*}TextLine")
    ]
    width, height = (int(float(page.get(name) or 0)) for name in ("imageWidth", "imageHeight"))
    return Page(page.get("imageFilename", ""), width, height, in_reading_order(lines, order))


def page_xml_line(line: Element, region: str) -> PageLine:
    equivalents = sorted(line.findall("{*}TextEquiv"), key=lambda element: int(element.get("index") or 0))
    text = equivalents[0].findtext("{*}Unicode") if equivalents else None
    index = re.search(r"readingOrder\s*\{\s*index\s*:\s*(\d+)", line.get("custom", ""))
    return PageLine(
        line.get("id", "?"),
        region,
        text or "",
        element_points(line.find("{*}Coords")),
        element_points(line.find("{*}Baseline")),
        int(index[1]) if index else None,
    )


def element_points(element: Element | None) -> list[Point]:
    """Points of a Coords or Baseline: its attribute, or the Point elements of older files."""
    if element is None:
        return []
    points = [(float(point.get("x", 0)), float(point.get("y", 0))) for point in element.findall("{*}Point")]
    return parse_points(element.get("points")) or points

"""ALTO (4 as eScriptorium and Transkribus export it, 2 as older Transkribus does)."""

from xml.etree.ElementTree import Element

from .page_layout import Page, PageLine, Point, in_reading_order, ordered_references, parse_points
from .xml_files import local_name


def parse_alto(root: Element) -> Page:
    """
    An ALTO tree.

    The text of a line is that of its String, SP and HYP; its outline is its Shape, or else its box.

    Raises:
        ValueError: If the tree has no page, its unit is not the pixel, or a number is none.
    """
    unit = root.findtext(".//{*}MeasurementUnit") or "pixel"
    if unit.strip() != "pixel":
        raise ValueError(f"MeasurementUnit is {unit}, not pixel")
    page = root.find(".//{*}Page")
    if page is None:
        raise ValueError("no element Page")
    order = [ref.get("REF", "") for ref in ordered_references(root.find(".//{*}ReadingOrder"))]
    lines = [
        alto_line(line, block.get("ID") or f"block {number}")
        for number, block in enumerate(page.iter())
        for line in block.findall("{*}TextLine")
    ]
    width, height = (int(float(page.get(name) or 0)) for name in ("WIDTH", "HEIGHT"))
    return Page(root.findtext(".//{*}fileName") or "", width, height, in_reading_order(lines, order))


def alto_line(line: Element, block: str) -> PageLine:
    parts = [(local_name(part), part.get("CONTENT", "")) for part in line]
    spaced = any(name == "SP" for name, _ in parts)
    strings = [" " if name == "SP" else text for name, text in parts if name in ("String", "SP", "HYP")]
    shape = line.find("{*}Shape/{*}Polygon")
    points = parse_points(shape.get("POINTS")) if shape is not None else []
    return PageLine(
        line.get("ID", "?"),
        block,
        ("" if spaced else " ").join(strings),
        points or box_points(line),
        parse_points(line.get("BASELINE")),
    )


def box_points(line: Element) -> list[Point]:
    box = [line.get(name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    if None in box:
        return []
    left, top, width, height = (float(value or 0) for value in box)
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]

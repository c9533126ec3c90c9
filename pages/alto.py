# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""ALTO 2 to 4 (4 as eScriptorium and newer Transkribus export it, 2 as older Transkribus does)."""

import math
from xml.etree.ElementTree import Element

from .geometry import Point, parse_points
from .layout import (
    LineText,
    Page,
    PageLine,
    in_reading_order,
    line_elements,
    names_in_order,
    page_side,
    with_regions_within,
    with_tags,
)
from .safe_xml import local_name

HYPHEN, SOFT_HYPHEN = "-", "\u00ad"


def parse_alto(root: Element) -> list[Page]:
    """
    The pages of an ALTO tree.

    The text of a line is that of its String, SP and HYP; its outline is its Shape, or else its box.

    Raises:
        ValueError: If the tree has no page, its unit is not the pixel, or the width or height of a page is no number.
    """
    unit = root.findtext(".//{*}MeasurementUnit") or "pixel"
    if unit.strip() != "pixel":
        raise ValueError(f"MeasurementUnit is {unit}, not pixel")
    pages = root.findall(".//{*}Page")
    if not pages:
        raise ValueError("no element Page")
    names = [(name.text or "").strip() for name in root.findall(".//{*}sourceImageInformation/{*}fileName")]
    order = names_in_order(root.find(".//{*}ReadingOrder"), "REF")
    labels = {tag.get("ID", ""): tag.get("LABEL", "") for tag in root.findall(".//{*}Tags/*")}
    parsed = [parse_one_page(page, order, labels) for page in pages]
    if len(names) == len(pages) or len(pages) == 1:
        names = names or [""]
        return [page._replace(image_name=name) for page, name in zip(parsed, names, strict=False)]
    # One image for several pages has a frame for each, as a TIFF of a whole book does.
    name = names[0] if names else ""
    return [page._replace(image_name=name, frame=number) for number, page in enumerate(parsed)]


def parse_one_page(page: Element, order: list[str], labels: dict[str, str]) -> Page:
    def own_tags(element: Element) -> tuple[str, ...]:
        found = [labels.get(name, "") for name in element.get("TAGREFS", "").split()]
        return tuple(filter(None, (element.get("TYPE", ""), *found)))

    numbers = {line: number for number, line in enumerate(line_elements(page))}
    lines: list[PageLine] = []
    warnings = []
    for number, (block, tags) in enumerate(with_tags(page, own_tags)):
        of_block = block.findall("{*}TextLine")
        if of_block and block.get("ROTATION", "0").strip(" 0.+-"):
            warnings.append("blocks with a ROTATION, which only baselines can tell here")
        name = block.get("ID") or f"block {number}"
        for line in of_block:
            lines.append(parse_line(line, name, (*tags, *own_tags(line)))._replace(number=numbers[line]))
    width, height = page_side(page.get("WIDTH")), page_side(page.get("HEIGHT"))
    ordered = in_reading_order(lines, with_regions_within(page, order, "ID"))
    return Page("", width, height, ordered, warnings=tuple(warnings))


def parse_line(line: Element, block: str, tags: tuple[str, ...] = ()) -> PageLine:
    polygon, problem = outline(line)
    try:
        baseline = parse_points(line.get("BASELINE"))
    except ValueError:
        baseline = []
    return PageLine(line.get("ID", "?"), block, line_text(line), polygon, baseline, problem=problem, tags=tags)


def line_text(line: Element) -> LineText:
    """
    The words of a line as they stand there: of a word that goes on in the next line, the part in this one, with the
    hyphen of its HYP. Words without an SP between any of them have a space there.
    """
    parts = [part for part in line if local_name(part) in ("String", "SP", "HYP")]
    names = [local_name(part) for part in parts]
    strings = [place for place, name in enumerate(names) if name == "String"]
    spaced = bool(strings) and "SP" in names[strings[0] : strings[-1]]
    text = ""
    for place, (name, part) in enumerate(zip(names, parts, strict=True)):
        if name == "SP":
            text += " "
        elif name == "HYP":
            text = text.rstrip(" ")
            text += "" if text.endswith((hyphen := written_hyphen(part), SOFT_HYPHEN)) else hyphen
        else:
            text += string_content(part) if spaced or place == strings[0] else f" {string_content(part)}"
    text = text.replace(SOFT_HYPHEN, HYPHEN) if "HYP" in names and text.endswith(SOFT_HYPHEN) else text
    silent = sum(not string_content(parts[place]).strip() for place in strings)
    if 0 < silent < len(strings):
        return LineText(problem=f"has {silent} of {len(strings)} words without CONTENT")
    return LineText(text, confidence=mean_confidence(parts))


def string_content(string: Element) -> str:
    """The word, or else that of its glyphs."""
    return string.get("CONTENT") or "".join(glyph.get("CONTENT", "") for glyph in string.findall("{*}Glyph"))


def written_hyphen(hyphen: Element) -> str:
    """The hyphen at the end of a line as it is seen: some tools write it as a soft hyphen, or not at all."""
    content = hyphen.get("CONTENT", "").strip()
    return HYPHEN if content in ("", SOFT_HYPHEN) else content


def mean_confidence(strings: list[Element]) -> float | None:
    """Mean of the words' WC, where any has one."""
    try:
        known = [float(value) for string in strings if (value := string.get("WC"))]
    except ValueError:
        return None
    return sum(known) / len(known) if known and all(map(math.isfinite, known)) else None


def outline(line: Element) -> tuple[list[Point], str]:
    """The line's Shape, or else its box; and what is wrong with it or ""."""
    shape = line.find("{*}Shape/{*}Polygon")
    box = [line.get(name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    try:
        if points := parse_points(shape.get("POINTS")) if shape is not None else []:
            return points, ""
        if None in box:
            return [], ""
        left, top, width, height = (float(value or 0) for value in box)
    except ValueError as error:
        return [], f"has a broken outline ({error})"
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)], ""

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""ALTO: readings put into the file that came in (2 to 4), or a new file (4.4)."""

import datetime
import re
from collections.abc import Mapping, Sequence

from lxml import etree

from ..layout import Page
from ..transcript import TranscribedLine, TranscribedPage, Word
from .editing_xml import (
    SCHEMA_INSTANCE,
    Identifiers,
    child,
    detached,
    insert,
    name_of,
    new_document,
    parse_for_editing,
    place_before,
    remove,
    serialize,
    timestamp,
)
from .line_content import (
    line_confidence,
    line_outline,
    lines_to_write,
    outline_box,
    regions_of,
    was_read,
    whole_points,
    words_or_line,
    written_confidence,
)

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
VERSION = 4
FIRST_WITH_WORD_SHAPES = 3
TEXT = ("String", "SP", "HYP")
CREATOR = "HTR-ConvText for transformers"


def write_into_alto(content: bytes, pages: Sequence[TranscribedPage], now: datetime.datetime) -> bytes:
    """
    An ALTO file with the readings of its lines.

    The words of a line that was read take the place of its String, SP and HYP; a hyphen at its end is part of its last
    word. A reading order that names one of them names the line instead. All else stays, and the whole file where no
    line was read.

    Args:
        content: The file.
        pages: Its pages, with lines that know their `number`.
        now: When it is written.

    Raises:
        ValueError: If the file is not the one that the pages were read from.
    """
    if not any(was_read(line) for page in pages for line in page.lines):
        return content
    tree = parse_for_editing(content)
    root = tree.getroot()
    version = major_version(root)
    identifiers = Identifiers(value for element in root.iter() if (value := element.get("ID")))
    line_of: dict[str, etree._Element] = {}  # By the ID of what is no longer in it.
    for page, lines in lines_to_write(pages, root.findall(".//{*}Page")):
        for target, line in lines:
            line_of |= dict.fromkeys(write_line(target, line, page.page, identifiers, version), target)
    for reference in root.iter("{*}ElementRef"):
        if (target := line_of.get(reference.get("REF", ""))) is not None:
            target.set("ID", target.get("ID") or identifiers.new("line"))
            reference.set("REF", target.get("ID", ""))
    note_software(root, pages[0].software, now, version, identifiers)
    return serialize(tree, content)


def rename_alto_images(content: bytes, names: Mapping[int, str]) -> bytes:
    """
    The file with other names of the pictures of pages, by the pages' numbers; pages of one picture have one name, and
    without any it is that of the file.
    """
    tree = parse_for_editing(content)
    elements = tree.getroot().findall(".//{*}sourceImageInformation/{*}fileName")
    if elements:
        for number, name in names.items():
            elements[min(number, len(elements) - 1)].text = name
    return serialize(tree, content)


def major_version(root: etree._Element) -> int:
    """2, 3 or 4, by the namespace or else the schema that the file names; 4 if neither tells."""
    namespace = etree.QName(root).namespace or ""
    if "ccs-gmbh" in namespace:
        return 2
    location = root.get(f"{{{SCHEMA_INSTANCE}}}schemaLocation", "") + root.get("SCHEMAVERSION", "")
    found = re.search(r"ns-v(\d)", namespace) or re.search(r"(?:alto/v|alto-v?|^)(\d)", location)
    return int(found[1]) if found else VERSION


def write_line(
    element: etree._Element, line: TranscribedLine, page: Page, identifiers: Identifiers, version: int
) -> list[str]:
    """Puts the words of a line in the place of its text, and gives the IDs that are gone."""
    place = place_before(element, TEXT)
    if place == len(element):
        place = next((number for number, each in enumerate(element, start=1) if name_of(each) == "Shape"), 0)
    removed = [each for each in element if name_of(each) in TEXT]
    for old in removed:
        remove(old)
    name = element.get("ID") or f"line_{line.line.number}"
    for made in text_elements(element, name, line, page, identifiers, version):
        insert(element, place, made)
        place += 1
    return [identifier for old in removed if (identifier := old.get("ID"))]


def text_elements(
    parent: etree._Element, name: str, line: TranscribedLine, page: Page, identifiers: Identifiers, version: int
) -> list[etree._Element]:
    """The words of a line as String, with an SP between any two; an empty String if it has none."""
    elements: list[etree._Element] = []
    before: Word | None = None
    words = words_or_line(line) or [Word("", line_confidence(line) or 0.0, line.line.polygon)]
    for number, word in enumerate(words, start=1):
        if before is not None:
            elements.append(detached(parent, "SP", **space_place(before, word, page)))
        points = whole_points(word.polygon, page)
        made = detached(parent, "String", ID=identifiers.new(f"{name}_w{number}"), CONTENT=word.text)
        for key, value in place_attributes(outline_box(points)).items():
            made.set(key, value)
        if line_confidence(line) is not None:
            made.set("WC", written_confidence(word.confidence, was_read(line)))
        if version >= FIRST_WITH_WORD_SHAPES and len(points) > 2:
            add_shape(made, points)
        elements.append(made)
        before = word
    return elements


def place_attributes(box: tuple[int, int, int, int]) -> dict[str, str]:
    return dict(zip(("HPOS", "VPOS", "WIDTH", "HEIGHT"), map(str, box), strict=True))


def space_place(before: Word, after: Word, page: Page) -> dict[str, str]:
    """The place of a space: from one word to the next, in whichever direction they are read."""
    first, second = (outline_box(whole_points(word.polygon, page)) for word in (before, after))
    left, right = sorted((first, second))
    begin = left[0] + left[2]
    return {"HPOS": str(begin), "VPOS": str(first[1]), "WIDTH": str(max(0, right[0] - begin))}


def add_shape(parent: etree._Element, points: Sequence[tuple[int, int]]) -> None:
    child(child(parent, "Shape"), "Polygon", POINTS=point_list(points))


def point_list(points: Sequence[tuple[int, int]]) -> str:
    """Points as eScriptorium and kraken write them."""
    return " ".join(f"{x} {y}" for x, y in points)


def note_software(
    root: etree._Element, software: str, now: datetime.datetime, version: int, identifiers: Identifiers
) -> None:
    """Adds who read the lines and when to the processing steps."""
    description = root.find("{*}Description")
    if description is None:
        description = detached(root, "Description")
        child(description, "MeasurementUnit", "pixel")
        insert(root, 0, description)
    name = "Processing" if version >= VERSION else "OCRProcessing"
    made = detached(description, name, ID=identifiers.new("text_recognition"))
    add_step(made if version >= VERSION else child(made, "ocrProcessingStep"), software, now, version)
    insert(description, len(description), made)


def add_step(parent: etree._Element, software: str, now: datetime.datetime, version: int) -> None:
    if version >= VERSION:
        child(parent, "processingCategory", "contentGeneration")
    child(parent, "processingDateTime", timestamp(now))
    child(parent, "processingStepDescription", "text recognition")
    used = child(parent, "processingSoftware")
    name, number, rest = name_and_version(software)
    child(used, "softwareCreator", CREATOR)
    child(used, "softwareName", name)
    if number:
        child(used, "softwareVersion", number)
    if rest:
        child(used, "applicationDescription", rest)


def name_and_version(software: str) -> tuple[str, str, str]:
    """Name, version and what else is told: "htr-convtext 0.1.0, model x" is "htr-convtext", "0.1.0" and "model x"."""
    found = re.fullmatch(r"(.*?)\s+v?(\d[\w.+\-]*)\b[\s,;:()]*(.*?)\)?", software)
    return (found[1], found[2], found[3]) if found else (software, "", "")


def new_alto(page: TranscribedPage, image_name: str, now: datetime.datetime) -> bytes:
    """
    An ALTO 4.4 file of a page.

    Args:
        page: The page.
        image_name: Path of its picture, seen from the file.
        now: When it is written.
    """
    root = etree.Element(f"{{{NAMESPACE}}}alto", nsmap={None: NAMESPACE, "xsi": SCHEMA_INSTANCE})
    root.set(f"{{{SCHEMA_INSTANCE}}}schemaLocation", f"{NAMESPACE} {SCHEMA}")
    root.set("SCHEMAVERSION", "4.4")
    identifiers = Identifiers()
    description = child(root, "Description")
    child(description, "MeasurementUnit", "pixel")
    child(child(description, "sourceImageInformation"), "fileName", image_name)
    step = child(description, "Processing", ID=identifiers.new("text_recognition"))
    add_step(step, page.software, now, VERSION)
    blocks = regions_of(page)
    names = [identifiers.new(lines[0].line.region) for lines in blocks]
    if names:
        order = child(child(root, "ReadingOrder"), "OrderedGroup", ID=identifiers.new("reading_order"))
        for name in names:
            child(order, "ElementRef", ID=identifiers.new(f"order_of_{name}"), REF=name)
    size = {"WIDTH": str(page.page.width), "HEIGHT": str(page.page.height)}
    element = child(child(root, "Layout"), "Page", ID=identifiers.new("page"), PHYSICAL_IMG_NR="1", **size)
    space = child(element, "PrintSpace", HPOS="0", VPOS="0", **size)
    for name, lines in zip(names, blocks, strict=True):
        box = outline_box([point for line in lines for point in line_outline(line, page.page)])
        block = child(space, "TextBlock", ID=name, **place_attributes(box))
        for line in lines:
            add_line(block, line, page.page, identifiers)
    return new_document(root)


def add_line(block: etree._Element, line: TranscribedLine, page: Page, identifiers: Identifiers) -> None:
    points = line_outline(line, page)
    name = identifiers.new(line.line.identifier)
    element = child(block, "TextLine", ID=name, **place_attributes(outline_box(points)))
    if len(line.line.baseline) > 1:
        element.set("BASELINE", point_list(whole_points(line.line.baseline, page)))
    if len(points) > 2:
        add_shape(element, points)
    element.extend(text_elements(element, name, line, page, identifiers, VERSION))

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""PAGE XML: readings put into the file that came in (2010 to 2019), or a new file (2019)."""

import datetime
import re
from collections.abc import Mapping, Sequence

from lxml import etree

from ..layout import Page, in_reading_order
from ..page_xml import parse_line
from ..transcript import TranscribedLine, TranscribedPage
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
    clean_text,
    line_confidence,
    line_outline,
    lines_to_write,
    outline_box,
    placed_words,
    regions_of,
    was_read,
    whole_points,
    written_confidence,
)

VERSION = "2019-07-15"
NAMESPACE = f"http://schema.primaresearch.org/PAGE/gts/pagecontent/{VERSION}"
# What the schema's sequences have behind a line's words; of a line or region, the first place for a text, too.
AFTER_WORDS = ("TextEquiv", "TextStyle", "UserDefined", "Labels")
# What `custom` tells of some characters of a text, as Transkribus writes it: unclear {offset:3; length:5;}
TAG_OF_CHARACTERS = re.compile(r"[^\s{}]+\s*\{[^{}]*\boffset\s*:[^{}]*\}\s*")
# The first versions with points as an attribute and with confidences, and with MetadataItem.
FIRST_WITH_POINTS, FIRST_WITH_ITEMS = "2013", "2018"


def write_into_page_xml(content: bytes, pages: Sequence[TranscribedPage], now: datetime.datetime) -> bytes:
    """
    A PAGE file with the readings of its lines.

    A line that was read gets its text, its confidence and its words; the words that it had go, and so do tags of
    characters of another text. Its readings of other indices stay. A region that has a text of its own gets that of
    its lines, if any of them was read. All else stays, and the whole file where no line was read.

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
    version = schema_version(root)
    identifiers = Identifiers(value for element in root.iter() if (value := element.get("id")))
    elements = root.findall("{*}Page")
    for page, lines in lines_to_write(pages, elements):
        write_page(page.page, lines, identifiers, version)
    note_software(root, pages[0].software, now, version)
    return serialize(tree, content)


def rename_page_images(content: bytes, names: Mapping[int, str]) -> bytes:
    """The file with other names of the pictures of pages, by the pages' numbers."""
    tree = parse_for_editing(content)
    pages = tree.getroot().findall("{*}Page")
    for number, name in names.items():
        pages[number].set("imageFilename", name)
    return serialize(tree, content)


def schema_version(root: etree._Element) -> str:
    """The version in the namespace, "2013-07-15" for example; the newest if there is none."""
    found = re.search(r"/(\d{4}-\d\d-\d\d)$", etree.QName(root).namespace or "")
    return found[1] if found else VERSION


def keeps_confidences(content: bytes) -> bool:
    """Whether the version of a PAGE file has a place for them."""
    return schema_version(parse_for_editing(content).getroot()) >= FIRST_WITH_POINTS


def write_page(
    page: Page, lines: Sequence[tuple[etree._Element, TranscribedLine]], identifiers: Identifiers, version: str
) -> None:
    regions: dict[etree._Element, None] = {}  # Each once, in their order.
    for element, line in lines:
        write_line(element, line, page, identifiers, version)
        regions[element.getparent()] = None
    for region in regions:
        if region.find("{*}TextEquiv") is not None:
            of_region = in_reading_order([parse_line(each, "", None) for each in region.findall("{*}TextLine")], [])
            if not any(line.transcription.problem for line in of_region):  # It is not certain what they say.
                set_text(region, "\n".join(line.text.strip() for line in of_region), None, version)


def write_line(
    element: etree._Element, line: TranscribedLine, page: Page, identifiers: Identifiers, version: str
) -> None:
    for word in element.findall("{*}Word"):
        remove(word)
    name = element.get("id") or f"line_{line.line.number}"
    for number, word in enumerate(placed_words(line), start=1):
        made = detached(element, "Word", id=identifiers.new(f"{name}_w{number}"))
        add_points(made, "Coords", whole_points(word.polygon, page), version)
        set_text(made, word.text, word.confidence, version)
        insert(element, place_before(element, AFTER_WORDS), made)
    if clean_text(line.text) != line.line.text:
        remove_tags_of_characters(element)
    set_text(element, clean_text(line.text), line.confidence, version)


def remove_tags_of_characters(element: etree._Element) -> None:
    """Takes out tags of characters: counted in another text, they are on the wrong ones."""
    custom = element.get("custom", "")
    if (kept := TAG_OF_CHARACTERS.sub("", custom).strip()) != custom:
        element.set("custom", kept)
        if not kept:
            del element.attrib["custom"]


def add_points(parent: etree._Element, name: str, points: Sequence[tuple[int, int]], version: str = VERSION) -> None:
    """Adds Coords or a Baseline, with points as the version has them: an attribute, or elements before 2013."""
    made = child(parent, name)
    points = points if len(points) > 1 else [*(points or [(0, 0)])] * 2  # The schema wants at least two.
    if version < FIRST_WITH_POINTS:
        for x, y in points:
            child(made, "Point", x=str(x), y=str(y))
    else:
        made.set("points", " ".join(f"{x},{y}" for x, y in points))


def set_text(
    element: etree._Element, text: str, confidence: float | None, version: str = VERSION, is_reading: bool = True
) -> None:
    """
    Makes a text the transcription of an element, in the sense of [`~page_xml.own_text`].

    The TextEquiv of index 0 or, without one, that without an index is written over; others stay, and where there are
    any with text, this one gets index 0 and no other keeps it.
    """
    equivalents = element.findall("{*}TextEquiv")
    target = next((each for index in ("0", None) for each in equivalents if each.get("index") == index), None)
    if target is None:
        target = detached(element, "TextEquiv")
        child(target, "Unicode", text)
        insert(element, place_before(element, AFTER_WORDS), target)
    else:
        replace_content(target, text)
    target.attrib.pop("conf", None)
    if confidence is not None and version >= FIRST_WITH_POINTS:
        target.set("conf", written_confidence(confidence, is_reading))
    others = [each for each in equivalents if each is not target and "".join(each.itertext()).strip()]
    if others:
        indices = [int(index) for each in others if (index := each.get("index", "0")).isdecimal()]
        highest = max(indices, default=0)
        target.set("index", "0")
        for place, other in enumerate((each for each in others if each.get("index") == "0"), start=1):
            other.set("index", str(highest + place))


def replace_content(equivalent: etree._Element, text: str) -> None:
    """Gives a TextEquiv one Unicode, and no PlainText of what it said before."""
    unicode = equivalent.find("{*}Unicode")
    for below in equivalent.findall("{*}Unicode") + equivalent.findall("{*}PlainText"):
        if below is not unicode:
            remove(below)
    if unicode is None:
        unicode = detached(equivalent, "Unicode")
        insert(equivalent, len(equivalent), unicode)
    for below in list(unicode):
        unicode.remove(below)
    unicode.text = text


def note_software(root: etree._Element, software: str, now: datetime.datetime, version: str) -> None:
    """Notes who read the lines and when: as a MetadataItem, or in the Comments of versions that have none."""
    metadata = root.find("{*}Metadata")
    if metadata is None:
        metadata = detached(root, "Metadata")
        child(metadata, "Creator", software)
        child(metadata, "Created", timestamp(now))
        insert(root, 0, metadata)
    changed = metadata.find("{*}LastChange")
    if changed is None:
        changed = detached(metadata, "LastChange")
        insert(metadata, 1 + last_place(metadata, ("Creator", "Created")), changed)
    changed.text = timestamp(now)
    if version >= FIRST_WITH_ITEMS:
        insert(metadata, 1 + last_place(metadata), detached(metadata, "MetadataItem", **reading_step(software, now)))
        return
    comments = metadata.find("{*}Comments")
    if comments is None:
        comments = detached(metadata, "Comments")
        insert(metadata, 1 + last_place(metadata, ("LastChange",)), comments)
    said = f"Text read by {software}, {timestamp(now)}"
    comments.text = f"{comments.text.rstrip()}\n{said}" if (comments.text or "").strip() else said


def reading_step(software: str, now: datetime.datetime) -> dict[str, str]:
    return {"type": "processingStep", "name": "text recognition", "value": software, "date": timestamp(now)}


def last_place(parent: etree._Element, names: Sequence[str] = ()) -> int:
    """The place of the last child of some names (of any, if none is given); -1 if there is none."""
    places = [place for place, each in enumerate(parent) if name_of(each) and (not names or name_of(each) in names)]
    return max(places, default=-1)


def new_page_xml(page: TranscribedPage, image_name: str, now: datetime.datetime) -> bytes:
    """
    A PAGE 2019 file of a page.

    Args:
        page: The page.
        image_name: Path of its picture, seen from the file.
        now: When it is written.
    """
    root = etree.Element(f"{{{NAMESPACE}}}PcGts", nsmap={None: NAMESPACE, "xsi": SCHEMA_INSTANCE})
    root.set(f"{{{SCHEMA_INSTANCE}}}schemaLocation", f"{NAMESPACE} {NAMESPACE}/pagecontent.xsd")
    metadata = child(root, "Metadata")
    child(metadata, "Creator", page.software)
    child(metadata, "Created", timestamp(now))
    child(metadata, "LastChange", timestamp(now))
    child(metadata, "MetadataItem", **reading_step(page.software, now))
    size = {"imageWidth": str(page.page.width), "imageHeight": str(page.page.height)}
    element = child(root, "Page", imageFilename=image_name, **size)
    identifiers = Identifiers()
    regions = regions_of(page)
    names = [identifiers.new(lines[0].line.region) for lines in regions]
    if names:
        order = child(child(element, "ReadingOrder"), "OrderedGroup", id=identifiers.new("reading_order"))
        for number, name in enumerate(names):
            child(order, "RegionRefIndexed", index=str(number), regionRef=name)
    for name, lines in zip(names, regions, strict=True):
        add_region(element, name, lines, page.page, identifiers)
    return new_document(root)


def add_region(
    parent: etree._Element, name: str, lines: Sequence[TranscribedLine], page: Page, identifiers: Identifiers
) -> None:
    region = child(parent, "TextRegion", id=name)
    left, top, width, height = outline_box([point for line in lines for point in line_outline(line, page)])
    right, bottom = left + width, top + height
    add_points(region, "Coords", [(left, top), (right, top), (right, bottom), (left, bottom)])
    for number, line in enumerate(lines):
        custom = f"readingOrder {{index:{number};}}"
        element = child(region, "TextLine", id=identifiers.new(line.line.identifier), custom=custom)
        add_points(element, "Coords", line_outline(line, page))
        if len(line.line.baseline) > 1:
            add_points(element, "Baseline", whole_points(line.line.baseline, page))
        if was_read(line):
            write_line(element, line, page, identifiers, VERSION)
        elif text := clean_text(line.text):
            set_text(element, text, line_confidence(line), is_reading=False)

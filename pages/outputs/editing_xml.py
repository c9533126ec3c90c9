# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Changing an XML file here and there, with everything else in it as it was."""

import datetime
import re
from collections.abc import Iterable
from typing import TypeGuard

from lxml import etree

DECLARATION = re.compile(r"\ufeff?(?:<\?xml\s.*?\?>\s*)?", re.DOTALL)
STEP = "  "
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def parse_for_editing(content: bytes) -> etree._ElementTree:
    """
    The tree of an XML file with its comments and processing instructions; entities and other files stay unread.

    Raises:
        ValueError: If it is malformed, or too deep or long to be a page.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.ElementTree(etree.fromstring(content, parser))
    except etree.XMLSyntaxError as error:
        raise ValueError(f"malformed XML ({error})") from error


def serialize(tree: etree._ElementTree, original: bytes) -> bytes:
    """The tree as a file with the declaration, encoding and line ends of the original."""
    encoding = tree.docinfo.encoding or "UTF-8"
    before = original.decode(encoding, "replace")
    text = DECLARATION.match(before)[0] + etree.tostring(tree, encoding="unicode")  # type: ignore[index]
    text += "\n" if before.endswith("\n") else ""
    if "\r\n" in before:
        text = re.sub("\r?\n", "\r\n", text)
    return text.encode(encoding, "xmlcharrefreplace")


def new_document(root: etree._Element) -> bytes:
    """A tree made here as a file."""
    etree.indent(root, STEP)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def sibling(element: etree._Element, name: str) -> str:
    """A name in the namespace of an element."""
    namespace = etree.QName(element).namespace
    return f"{{{namespace}}}{name}" if namespace else name


def child(parent: etree._Element, name: str, text: str | None = None, /, **attributes: str) -> etree._Element:
    """A new last child in the namespace of its parent, without regard to whitespace."""
    made = etree.SubElement(parent, sibling(parent, name), attributes)
    made.text = text
    return made


def detached(element: etree._Element, name: str, /, **attributes: str) -> etree._Element:
    """A new element in the namespace of another, to be put in by [`insert`]."""
    return element.makeelement(sibling(element, name), attributes)


def place_before(parent: etree._Element, names: Iterable[str]) -> int:
    """Where to insert so that none of these names comes before: the place of the first of them, or else the end."""
    wanted = set(names)
    places = (place for place, element in enumerate(parent) if name_of(element) in wanted)
    return next(places, len(parent))


def name_of(element: etree._Element) -> str:
    """Name without namespace; "" for comments and processing instructions."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def insert(parent: etree._Element, place: int, element: etree._Element) -> None:
    """Puts a new element at a place among its parent's children, indented as they are."""
    step = indentation_step(parent)
    if not len(parent) and is_layout(parent.text):
        closing, parent.text = parent.text, last_line(parent.text) + step
        element.tail = closing
        lay_out(element, parent.text, step)
    elif len(parent) and is_layout(parent.text):
        indent = last_line(parent.text)
        lay_out(element, indent, step)
        if place == 0:
            element.tail = indent
        elif not (parent[place - 1].tail or "").strip():
            element.tail, parent[place - 1].tail = parent[place - 1].tail, indent
    parent.insert(place, element)


def remove(element: etree._Element) -> None:
    """Takes an element out together with the whitespace before it; text behind it stays."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail or ""
    if before is not None:
        before.tail = tail if not (before.tail or "").strip() else (before.tail or "") + tail.strip()
    elif not (parent.text or "").strip():
        parent.text = parent.text if len(parent) > 1 and not tail.strip() else tail or None
    element.tail = None
    parent.remove(element)


def is_layout(text: str | None) -> TypeGuard[str]:
    return text is not None and not text.strip() and "\n" in text


def last_line(whitespace: str) -> str:
    return "\n" + whitespace.rpartition("\n")[2]


def indentation_step(parent: etree._Element) -> str:
    """By how much children stand further right than their parent."""
    if len(parent) and is_layout(parent.text) and is_layout(parent[-1].tail):
        indent, closing = last_line(parent.text), last_line(parent[-1].tail)
        if indent.startswith(closing) and indent != closing:
            return indent.removeprefix(closing)
    return STEP


def lay_out(element: etree._Element, indent: str, step: str) -> None:
    """Indents what is below a new element, whose own line begins with an indentation."""
    if not len(element):
        return
    element.text = indent + step
    for below in element:
        lay_out(below, indent + step, step)
        below.tail = indent + step
    element[-1].tail = indent


class Identifiers:
    """The identifiers of a document, to make new ones that are valid in XML and not among them."""

    def __init__(self, taken: Iterable[str] = ()):
        self.taken = set(taken)

    def new(self, wanted: str) -> str:
        name = re.sub(r"[^\w.\-]", "_", wanted)
        name = name if re.match(r"[^\W\d]", name) else f"_{name}"
        free, number = name, 2
        while free in self.taken:
            free, number = f"{name}_{number}", number + 1
        self.taken.add(free)
        return free


def timestamp(now: datetime.datetime) -> str:
    """A time in UTC as XML schemas want it."""
    return now.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A corrected line put into the PAGE XML of its page."""

import datetime

from ..pages import Page, TranscribedLine
from ..pages.layout import line_elements
from ..pages.outputs.editing_xml import Identifiers, parse_for_editing, serialize, timestamp
from ..pages.outputs.writing_page_xml import schema_version, write_page


def with_transcription(content: bytes, page: Page, line: TranscribedLine, now: datetime.datetime) -> bytes:
    """
    A PAGE file with another text for one of its lines; everything else stays, but for the text of the line's region.

    Args:
        content: The file.
        page: Its page.
        line: The line, which knows its `number`, with its new text. Without a confidence, people wrote it: its words
            get none either.
        now: When it is written.

    Raises:
        ValueError: If the file has no such line.
    """
    tree = parse_for_editing(content)
    root = tree.getroot()
    elements = line_elements(root.find("{*}Page"))
    number = line.line.number
    if number is None or number >= len(elements):
        raise ValueError(f"has no line {line.line.identifier} any more; was it changed meanwhile?")
    identifiers = Identifiers(value for element in root.iter() if (value := element.get("id")))
    write_page(page, [(elements[number], line)], identifiers, schema_version(root))
    if line.confidence is None:
        for equivalent in elements[number].findall("{*}Word/{*}TextEquiv"):
            equivalent.attrib.pop("conf", None)
    changed = root.find("{*}Metadata/{*}LastChange")
    if changed is not None:
        changed.text = timestamp(now)
    return serialize(tree, content)

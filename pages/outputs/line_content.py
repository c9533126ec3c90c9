# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What every output writes of a line: its text without what no file can hold, its words, its place."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import quote

from ..geometry import Point
from ..layout import Page, line_elements
from ..transcript import TranscribedLine, TranscribedPage, Word

# XML 1.0 has no place for these, whatever their form; tabs and line breaks are whitespace.
UNWRITABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
WHITESPACE = re.compile("[ \t\n\v\f\r\x85\u2028\u2029]+")
CONFIDENCE_DIGITS = 4


def clean_text(text: str) -> str:
    """A text in NFC on one line, with single spaces and without control characters."""
    return WHITESPACE.sub(" ", UNWRITABLE.sub("", unicodedata.normalize("NFC", text))).strip(" ")


def writable_name(name: str) -> str:
    """A file's name with what XML cannot hold, such as bytes that are no Unicode, as in a URL: readers undo that."""
    return UNWRITABLE.sub(lambda found: quote(found[0], errors="surrogateescape"), name)


def was_read(line: TranscribedLine) -> bool:
    """Whether the text is a reading, rather than the file's own or none."""
    return line.confidence is not None


def regions_of(page: TranscribedPage) -> list[list[TranscribedLine]]:
    """The lines of each region; of one that is left and comes back in the reading order, twice."""
    return [list(lines) for _, lines in groupby(page.lines, lambda line: line.line.region)]


def lines_to_write(
    pages: Sequence[TranscribedPage], elements: Sequence[Any]
) -> Iterator[tuple[TranscribedPage, list[tuple[Any, TranscribedLine]]]]:
    """
    The pages of an XML file, each with its lines that were read and their elements.

    Args:
        pages: Pages with lines that know their `number`.
        elements: The file's elements of pages.

    Raises:
        ValueError: If the file is not the one that the pages were read from.
    """
    for page in pages:
        if page.source.number >= len(elements):
            raise ValueError(f"has no page {page.source.number + 1} any more; was it changed meanwhile?")
        lines = line_elements(elements[page.source.number])
        found = []
        for line in filter(was_read, page.lines):
            if line.line.number is None or line.line.number >= len(lines):
                raise ValueError(f"has no line {line.line.identifier} any more; was it changed meanwhile?")
            found.append((lines[line.line.number], line))
        yield page, found


def line_confidence(line: TranscribedLine) -> float | None:
    """How sure the text is: the reading, or else what the file told of its own text."""
    return line.confidence if was_read(line) else line.line.transcription.confidence


def placed_words(line: TranscribedLine) -> list[Word]:
    """The words of a line if they make up its text, or else none."""
    words = [word._replace(text=clean_text(word.text)) for word in line.words]
    words = [word if word.polygon else word._replace(polygon=line.line.polygon) for word in words if word.text]
    return words if " ".join(word.text for word in words) == clean_text(line.text) else []


def words_or_line(line: TranscribedLine) -> list[Word]:
    """The words of a line, or its text in one piece, for formats that make texts of words; none without text."""
    text = clean_text(line.text)
    confidence = line_confidence(line)
    whole = [Word(text, 1.0 if confidence is None else confidence, line.line.polygon)] if text else []
    return placed_words(line) or whole


def written_confidence(confidence: float, is_reading: bool) -> str:
    """
    A confidence as files hold it, of as many digits as mean anything; of a reading below 1, which says that people
    wrote a text.
    """
    highest = 1 - 10**-CONFIDENCE_DIGITS if is_reading else 1.0
    rounded = round(min(max(confidence, 0.0), highest), CONFIDENCE_DIGITS)
    return f"{rounded:.{CONFIDENCE_DIGITS}f}".rstrip("0").rstrip(".")


def whole_points(points: Sequence[Point], page: Page) -> list[tuple[int, int]]:
    """Points in whole pixels on the page."""
    right, bottom = page.width or float("inf"), page.height or float("inf")
    return [(int(min(max(round(x), 0), right)), int(min(max(round(y), 0), bottom))) for x, y in points]


def outline_box(points: Sequence[tuple[int, int]]) -> tuple[int, int, int, int]:
    """Left, top, width and height of an outline in whole pixels; all 0 if it has no points."""
    if not points:
        return 0, 0, 0, 0
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def line_outline(line: TranscribedLine, page: Page) -> list[tuple[int, int]]:
    """The outline of a line, or its baseline where it has none; may be empty."""
    return whole_points(line.line.polygon or line.line.baseline, page)

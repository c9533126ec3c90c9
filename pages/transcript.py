# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What transcription makes of a page: each line's text, words and confidences, at their places on the page."""

from pathlib import Path
from typing import NamedTuple

from .geometry import Point
from .layout import Page, PageLine


class PageSource(NamedTuple):
    """
    Where a page comes from.

    Attributes:
        name: Its own, unique within a run: the document's, with the page's number where the document has several.
        document: The file that was given: an image, a PDF, or a PAGE or ALTO file.
        number: Which page of the document, from 0.
        image: The file of its picture; the document itself unless that is XML.
        frame: Which page or frame of that file, from 0.
        document_name: What the document's outputs are called: its path below the input without the suffix, with `/`
            between folders, unique within a run.
    """

    name: str
    document: Path
    number: int
    image: Path
    frame: int = 0
    document_name: str = ""


class Word(NamedTuple):
    """A word of a line: its text, how sure the reading is (0 to 1), and its outline in pixels of the page."""

    text: str
    confidence: float
    polygon: list[Point]


class TranscribedLine(NamedTuple):
    """
    A line of a page and its reading.

    Attributes:
        line: The line as the page's file tells it, or as it was found on the image.
        text: What it says; "" if nothing was read.
        confidence: How sure the reading is, 0 to 1; None if the text is the file's own and was kept.
        words: Its words in the order of the text; empty if the text was kept.
        doubtful: Whether the confidence, of a text that was kept the one in its file, is below the one that was asked
            for.
        problem: Why it was not read; "" if it was.
    """

    line: PageLine
    text: str
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    doubtful: bool = False
    problem: str = ""


class TranscribedPage(NamedTuple):
    """
    A page and the readings of its lines.

    Attributes:
        source: Where it comes from.
        page: Its size in pixels and its lines in reading order, also those that were not read; without those that
            were to be left out.
        lines: The reading of each line of `page.lines`, in the same order.
        software: Who read it: name and version of this package and the name of the model.
        problems: What is odd about the page although it was read.
        error: Why it could not be read; it has no lines then.
    """

    source: PageSource
    page: Page
    lines: tuple[TranscribedLine, ...]
    software: str
    problems: tuple[str, ...] = ()
    error: str = ""


class Problem(NamedTuple):
    """
    Something that went wrong or is odd.

    Attributes:
        where: The file, with the page and the line where there are several.
        what: What it is.
        is_failure: Whether a page or a result is missing for it.
    """

    where: str
    what: str
    is_failure: bool

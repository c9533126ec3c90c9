# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Transcribed pages for the tests of outputs, without a network: readings made up over real files."""

import datetime
from pathlib import Path

from PIL import Image, ImageDraw

from htr_convtext.pages import LineText, Page, PageLine, read_pages
from htr_convtext.pages.transcript import PageSource, TranscribedLine, TranscribedPage, Word

NOW = datetime.datetime(2026, 11, 25, 18, 30, 0, tzinfo=datetime.UTC)
SOFTWARE = "htr-convtext 0.1.0, model htr-convtext-fr"


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def split_words(text: str, line: PageLine, confidence: float) -> tuple[Word, ...]:
    """Words side by side in the line's box, as wide as they have characters."""
    left, top, right, bottom = line.box if line.polygon else (0, 0, 100, 10)
    step, words, begin = (right - left) / max(1, len(text)), [], 0
    for piece in text.split(" "):
        place = box(left + begin * step, top, left + (begin + len(piece)) * step, bottom)
        words.append(Word(piece, confidence, place))
        begin += len(piece) + 1
    return tuple(words)


def read_line(line: PageLine, text: str, confidence: float = 0.875) -> TranscribedLine:
    return TranscribedLine(line, text, confidence, split_words(text, line, confidence), confidence < 0.5)


def kept_line(line: PageLine) -> TranscribedLine:
    return TranscribedLine(line, line.text)


def transcribe(xml: Path, texts: dict[int, str] | None = None, image: Path | None = None) -> list[TranscribedPage]:
    """
    The pages of a PAGE or ALTO file with readings.

    Args:
        xml: The file.
        texts: Readings by the number of the line in its page; by default each line gets one. Others are kept.
        image: Its picture.
    """
    pages = []
    for number, page in enumerate(read_pages(xml)):
        source = PageSource(xml.stem, xml, number, image or xml.with_suffix(".jpg"), document_name=xml.stem)
        readings = {line.number: f"reading {line.number}" for line in page.lines} if texts is None else texts
        lines = tuple(
            read_line(line, readings[line.number]) if line.number in readings else kept_line(line)
            for line in page.lines
        )
        pages.append(TranscribedPage(source, page, lines, SOFTWARE))
    return pages


def drawn_page(
    folder: Path,
    texts: list[list[str]],
    name: str = "letter",
    size: tuple[int, int] = (800, 600),
    suffix: str = ".png",
    confidence: float = 0.875,
) -> TranscribedPage:
    """A page image with a black bar for each word, and its reading; `texts` has a list of lines for each region."""
    image = Image.new("L", size, 235)
    draw, lines, top = ImageDraw.Draw(image), [], 40
    for region, of_region in enumerate(texts, start=1):
        for number, text in enumerate(of_region, start=1):
            line = PageLine(
                f"line_{region}_{number}", f"region_{region}", LineText(), box(60, top, 60 + 12 * len(text), top + 24),
                [(60, top + 18), (60 + 12 * len(text), top + 18)],
            )  # fmt: skip
            lines.append(read_line(line, text, confidence))
            for word in lines[-1].words:
                draw.rectangle([*word.polygon[0], *word.polygon[2]], fill=20)
            top += 40
        top += 40
    path = folder / f"{name}{suffix}"
    image.save(path)
    page = Page(path.name, *size, [line.line for line in lines])
    return TranscribedPage(PageSource(name, path, 0, path, document_name=name), page, tuple(lines), SOFTWARE)

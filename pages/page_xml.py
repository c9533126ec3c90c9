# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""PAGE XML, 2010 to 2019 (2013 as Transkribus exports it, 2019 as eScriptorium does)."""

import contextlib
import math
import re
from collections.abc import Sequence
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

Reading = tuple[int | None, LineText]


def parse_page_xml(root: Element, text_index: int | None = None) -> list[Page]:
    """
    The pages of a PAGE XML tree: one in a valid file.

    The text of a line is that of its own TextEquiv; of its words, or their glyphs, where it has none. For which
    TextEquiv of several, see [`own_text`].

    Args:
        root: The root element.
        text_index: Which TextEquiv is the transcription, if not the usual one.

    Raises:
        ValueError: If the tree has no page, or its width or height is no number.
    """
    pages = root.findall("{*}Page")
    if not pages:
        raise ValueError("no element Page")
    return [parse_one_page(page, text_index) for page in pages]


def parse_one_page(page: Element, text_index: int | None) -> Page:
    order = names_in_order(page.find("{*}ReadingOrder"), "regionRef") or names_by_place(page)
    numbers = {line: number for number, line in enumerate(line_elements(page))}
    lines, warnings = [], []
    for number, (region, tags) in enumerate(with_tags(page, own_tags)):
        name = region.get("id") or f"region {number}"
        elements = region.findall("{*}TextLine")
        of_region = [parse_line(line, name, text_index, tags)._replace(number=numbers[line]) for line in elements]
        lines.extend(of_region)
        silent = all(line.transcription == LineText() for line in of_region)
        if of_region and silent and own_text(region).text.strip():
            warnings.append("texts of regions whose lines have none, not used")
    width, height = page_side(page.get("imageWidth")), page_side(page.get("imageHeight"))
    ordered = in_reading_order(lines, with_regions_within(page, order, "id"))
    return Page(page.get("imageFilename", "").strip(), width, height, ordered, warnings=tuple(warnings))


def names_by_place(page: Element) -> list[str]:
    """Names of the regions that have a place of their own, in the order of these."""
    placed = [(place, region.get("id", "")) for region in page if (place := own_place(region)) is not None]
    return [name for _, name in sorted(placed, key=lambda pair: pair[0]) if name]


def own_place(element: Element) -> int | None:
    """The place that Transkribus gives a line in its region, and a region on its page."""
    index = re.search(r"readingOrder\s*\{\s*index\s*:\s*(\d+)", element.get("custom", ""))
    return int(index[1]) if index else None


def own_tags(element: Element) -> tuple[str, ...]:
    """
    The type of a region, and the structure that Transkribus and eScriptorium give a region or a line, in which
    Transkribus writes a space as an escape.
    """
    structure = re.search(r"structure\s*\{[^}]*?type\s*:\s*([^;}]+)", element.get("custom", ""))
    named = re.sub(r"\\u([\da-fA-F]{4})", lambda escape: chr(int(escape[1], 16)), structure[1]) if structure else ""
    return tuple(filter(None, (element.get("type", ""), named.strip())))


def parse_line(line: Element, region: str, text_index: int | None, tags: tuple[str, ...] = ()) -> PageLine:
    polygon, problem = element_points(line.find("{*}Coords"))
    baseline, _ = element_points(line.find("{*}Baseline"))
    return PageLine(
        line.get("id", "?"),
        region,
        line_text(line, text_index),
        polygon,
        baseline,
        own_place(line),
        problem,
        (*tags, *own_tags(line)),
    )


def line_text(line: Element, text_index: int | None) -> LineText:
    """The text of a line, or else that of its words."""
    found = own_text(line, text_index)
    if found.problem:
        return found
    words = [word_text(word, text_index) for word in line.findall("{*}Word")]
    joined = " ".join(word.text.strip() for word in words)
    if found.text.strip():
        differs = any(word.text for word in words) and "".join(joined.split()) != "".join(found.text.split())
        return found._replace(warning="words that differ from their line's text, which is taken") if differs else found
    if problem := next((word.problem for word in words if word.problem), ""):
        return LineText(problem=f"has a word that {problem}")
    silent = sum(not word.text.strip() for word in words)
    if 0 < silent < len(words):
        return LineText(problem=f"has no text of its own, and {silent} of its {len(words)} words have none")
    return LineText(joined if silent < len(words) else "")


def word_text(word: Element, text_index: int | None) -> LineText:
    """The text of a word, or else that of its glyphs."""
    found = own_text(word, text_index)
    if found.problem or found.text.strip():
        return found
    glyphs = [own_text(glyph, text_index) for glyph in word.findall("{*}Glyph")]
    problem = next((glyph.problem for glyph in glyphs if glyph.problem), "")
    return LineText(problem=problem) if problem else LineText("".join(glyph.text.strip() for glyph in glyphs))


def own_text(element: Element, text_index: int | None = None) -> LineText:
    """
    The text of an element's own TextEquiv.

    A TextEquiv of index 0 is the transcription, or one without index where no other has one. Those of a higher index
    are a recogniser's readings in the files of several tools, and so are never taken unless asked for.
    """
    readings = []
    for equivalent in element.findall("{*}TextEquiv"):
        text = equivalent_text(equivalent)
        if text.problem or text.text.strip():
            try:
                readings.append((int(equivalent.get("index") or 0) if equivalent.get("index") else None, text))
            except ValueError:
                return LineText(problem=f"has a TextEquiv with index {equivalent.get('index')!r}, which is no number")
    if not readings:
        return LineText()
    chosen = choose(readings, text_index)
    if not chosen:
        indices = sorted({index for index, _ in readings if index is not None})
        beside = " beside one without index" if any(index is None for index, _ in readings) else ""
        return LineText(
            problem=f"has only texts of index {', '.join(map(str, indices))}{beside}, which may be a recogniser's "
            f"readings; as training data, the option text_index={indices[0]} takes them"
        )
    if len({text.text.strip() for text in chosen}) > 1:
        return LineText(problem=f"has {len(chosen)} different texts and nothing that tells which is right")
    return chosen[0]


def choose(readings: Sequence[Reading], text_index: int | None) -> list[LineText]:
    """The texts of the index that counts; none if that is not certain."""
    indices = {index for index, _ in readings}
    wanted: set[int | None] = {text_index}
    if not text_index:
        wanted = {0} if 0 in indices else {None} if indices == {None} else set()
    return [text for index, text in readings if index in wanted]


def equivalent_text(equivalent: Element) -> LineText:
    """The Unicode of a TextEquiv, or else its PlainText."""
    texts = {"".join(child.itertext()) for child in equivalent.findall("{*}Unicode")}
    texts = {text for text in texts if text.strip()}
    if len(texts) > 1:
        return LineText(problem=f"has {len(texts)} different Unicode texts in one TextEquiv")
    plain = equivalent.findtext("{*}PlainText") or ""
    confidence = None
    with contextlib.suppress(ValueError):
        told = float(equivalent.get("conf", ""))
        confidence = told if math.isfinite(told) else None
    if not texts and plain.strip():
        return LineText(plain, warning="texts that are only PlainText, which may lack letters", confidence=confidence)
    return LineText(texts.pop() if texts else "", confidence=confidence)


def element_points(element: Element | None) -> tuple[list[Point], str]:
    """Points of a Coords or Baseline, its attribute or the Point elements of older files; and what is wrong or ""."""
    if element is None:
        return [], ""
    pairs = " ".join(f"{point.get('x', '')},{point.get('y', '')}" for point in element.findall("{*}Point"))
    try:
        return parse_points(element.get("points") or pairs), ""
    except ValueError as error:
        return [], f"has a broken outline ({error})"

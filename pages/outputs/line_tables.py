# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""All lines of a run in one table: lines.csv and lines.jsonl."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..transcript import TranscribedLine, TranscribedPage
from ..whole_files import whole_file
from .line_content import (
    CONFIDENCE_DIGITS,
    clean_text,
    line_confidence,
    line_outline,
    outline_box,
    placed_words,
    whole_points,
)

COLLECTION_FORMATS = ("csv", "jsonl")
COLUMNS = (
    "file", "image", "page", "region", "line", "order", "box", "baseline", "text", "confidence", "doubtful", "problem",
    "words",
)  # fmt: skip


def write_collection(pages: Iterable[TranscribedPage], formats: Sequence[str], folder: Path) -> list[Path]:
    """
    Writes `lines.csv` and `lines.jsonl` over all pages, one row a line, as the pages come.

    Args:
        pages: The pages; taken one by one.
        formats: "csv", "jsonl" or both; other formats are none of its business.
        folder: Where to.
    """
    paths = collection_files(formats, folder)
    if not paths:
        return []
    with ExitStack() as stack:
        writers = [WRITERS[path.suffix](open_table(path, stack)) for path in paths]
        for page in pages:
            for row in line_rows(page):
                for write in writers:
                    write(row)
    return paths


def collection_files(formats: Sequence[str], folder: Path) -> list[Path]:
    """The files that [`write_collection`] writes."""
    return [folder / f"lines.{name}" for name in COLLECTION_FORMATS if name in formats]


def open_table(path: Path, stack: ExitStack):
    """A file to be written whole; what is no Unicode in the name of a file is spelled out."""
    temporary = stack.enter_context(whole_file(path))
    return stack.enter_context(
        temporary.open("w", encoding=ENCODINGS[path.suffix], errors="backslashreplace", newline="")
    )


def json_writer(file):
    return lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")


def csv_writer(file):
    """Cells of several values hold them as JSON; an unknown confidence is an empty cell."""
    table = csv.writer(file)
    table.writerow(COLUMNS)
    return lambda row: table.writerow([csv_cell(row[name]) for name in COLUMNS])


WRITERS = {".csv": csv_writer, ".jsonl": json_writer}
# Excel takes a CSV file without a byte order mark for one in the letters of the computer's language.
ENCODINGS = {".csv": "utf-8-sig", ".jsonl": "utf-8"}


def csv_cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, bool)) else value


def line_rows(page: TranscribedPage) -> Iterator[dict[str, Any]]:
    """
    The lines of a page as rows that JSON can hold.

    Pages and lines are counted from 1, in reading order. A `box` is left, top, right and bottom in pixels of the page.
    """
    for order, line in enumerate(page.lines, start=1):
        yield {
            "file": page.source.document.as_posix(),
            "image": page.source.image.as_posix(),
            "page": page.source.number + 1,
            "region": line.line.region,
            "line": line.line.identifier,
            "order": order,
            "box": corners(line_outline(line, page.page)),
            "baseline": [list(point) for point in whole_points(line.line.baseline, page.page)],
            "text": clean_text(line.text),
            "confidence": rounded(line_confidence(line)),
            "doubtful": line.doubtful,
            "problem": line.problem,
            "words": word_cells(line, page),
        }


def word_cells(line: TranscribedLine, page: TranscribedPage) -> list[dict[str, Any]]:
    return [
        {
            "text": word.text,
            "confidence": rounded(word.confidence),
            "box": corners(whole_points(word.polygon, page.page)),
        }
        for word in placed_words(line)
    ]


def rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, CONFIDENCE_DIGITS)


def corners(points: list[tuple[int, int]]) -> list[int]:
    """Left, top, right and bottom of an outline; nothing if it has no points."""
    left, top, width, height = outline_box(points)
    return [left, top, left + width, top + height] if points else []

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Images with `metadata.jsonl` or `metadata.csv`.

Read here and not by `datasets`' `imagefolder`, which turns the transcription "NA" of a CSV into nothing and "007" into
a number, and drops images without a row silently.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ...pages.finding_files import IMAGE_SUFFIXES, files_below, named_file
from ..line import SPLIT_NAMES, ImageFile, Line, Lines, files_outside, name_of, split_folders
from ..problems import Problems
from ..text_files import read_text

METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
FILE_COLUMNS = ("file_name", "filename", "file", "image", "img_id")
TEXT_COLUMNS = ("text", "transcription", "label", "ground_truth", "sentence", "txt")
DELIMITERS = (",", ";", "\t")

Row = dict[str, Any]


def has_metadata(root: Path) -> bool:
    """Whether the folder, or one of its split folders, holds metadata of images."""
    return any(metadata_files(folder) for folder in (root, *split_folders(root).values()))


def metadata_files(folder: Path) -> list[Path]:
    return [path for name in METADATA_NAMES if (path := folder / name).is_file()]


def read_metadata(root: Path, problems: Problems, encoding: str = "utf-8") -> Lines:
    """
    Rows of `metadata.jsonl` or `metadata.csv`: `file_name` (relative to the file), the transcription under one of
    `TEXT_COLUMNS`, and optionally `line_id`, `page`, `writer` and `split`.

    The file is in the folder, or in each of `train/`, `val/`, `test/`. A row without `split` is of the split that a
    folder of its `file_name` is called, or else of that of the file's own folder.
    """
    found = {split: folder for split, folder in split_folders(root, problems).items() if metadata_files(folder)}
    folders = found or {"train": root}
    for outside in files_outside(folders.values(), root, *IMAGE_SUFFIXES, *METADATA_NAMES):
        problems.warn(outside, "images or metadata outside the folders of the splits, left out")
    lines: dict[str, list[Line]] = {}
    for split, folder in folders.items():
        path, *others = metadata_files(folder)
        for other in others:
            problems.warn(other, f"metadata beside {path.name}, which is taken")
        for own_split, line in folder_lines(path, split, problems, encoding):
            lines.setdefault(own_split, []).append(line)
    return lines


def folder_lines(path: Path, split: str, problems: Problems, encoding: str) -> Iterator[tuple[str, Line]]:
    """The lines that a file with metadata names, each with its split: by default that of the file's folder."""
    text = read_text(path, problems, encoding) or ""
    rows = csv_rows(path, text, problems) if path.suffix == ".csv" else json_rows(path, text, problems)
    named: set[Path] = set()
    for number, row in rows:
        image = named_file(path.parent, str(row["file_name"])) if row.get("file_name") else None
        if image and image in named:
            problems.add(path, f"{row['file_name']} has a row already", number)
        elif line := metadata_line(path, number, row, image, problems):
            yield split_of(path, number, row, split, problems), line
        if image:
            named.add(image)
    for image in files_below(path.parent, *IMAGE_SUFFIXES, unreadable=problems.add):
        if image not in named:
            problems.add(image, f"not named in {path.name}, so without transcription")


def split_of(path: Path, number: int, row: Row, default: str, problems: Problems) -> str:
    told = str(row.get("split") or "").strip().lower()
    if told and told not in SPLIT_NAMES:
        problems.warn(f"{path}, line {number}", f"a split named {told!r}, which is none of {', '.join(SPLIT_NAMES)}")
    folders = re.split(r"[\\/]+", str(row["file_name"]).lower())[:-1]
    return SPLIT_NAMES.get(told) or next((SPLIT_NAMES[name] for name in folders if name in SPLIT_NAMES), default)


def json_rows(path: Path, text: str, problems: Problems) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=json_object)
        except ValueError as error:
            problems.add(path, f"not JSON ({error})", number)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(path, "not a JSON object", number)


def json_object(pairs: list[tuple[str, Any]]) -> Row:
    """An object of JSON; ValueError if it has a name twice, of which the last would count silently."""
    if twice := repeated(name for name, _ in pairs):
        raise ValueError(f"{twice!r} is there twice")
    return dict(pairs)


def csv_rows(path: Path, text: str, problems: Problems) -> Iterator[tuple[int, Row]]:
    """Rows of a CSV file; one that has another number of cells than the header, or a quote too many, is a problem."""
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        rows = list(numbered_cells(text, delimiter))
    except csv.Error:
        rows = []
    header = [name.strip() for name in (rows[0][1] if rows else first.strip().split(delimiter))]
    if twice := repeated(header):
        problems.add(path, f"two columns named {twice!r}", 1)
        return
    if rows and all(len(cells) == len(header) and "\n" not in "".join(map(str.strip, cells)) for _, cells in rows):
        yield from ((number, dict(zip(header, cells, strict=True))) for number, cells in rows[1:])
        return
    # A quote or comma is wrong somewhere. Transcriptions have no line breaks, so that each line can be read alone.
    yield from whole_rows(path, text.split("\n")[1:], header, delimiter, problems)


def whole_rows(
    path: Path, lines: list[str], header: list[str], delimiter: str, problems: Problems
) -> Iterator[tuple[int, Row]]:
    """The rows of a CSV file below its header that are whole, each line read by itself; the others are problems."""
    for number, line in enumerate(lines, start=2):
        try:
            cells = next((cells for _, cells in numbered_cells(line, delimiter)), None)
        except csv.Error as error:
            problems.add(path, f"wrong quotes ({error}); a quote within quotes is written twice", number)
            continue
        if cells and len(cells) == len(header):
            yield number, dict(zip(header, cells, strict=True))
        elif cells:
            what = f'{len(cells)} cells instead of {len(header)}; a cell with "{delimiter}" needs quotes around it'
            problems.add(path, what, number)


def numbered_cells(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with the number of their last line; csv.Error if quotes are wrong."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    yield from ((reader.line_num, cells) for cells in reader if cells)


def repeated(names) -> str:
    """A name that is there twice, or ""."""
    return next((name for name, number in Counter(names).items() if number > 1), "")


def metadata_line(path: Path, number: int, row: Row, image: Path | None, problems: Problems) -> Line | None:
    column = next((name for name in TEXT_COLUMNS if row.get(name) is not None), None)
    if not row.get("file_name"):
        problems.add(path, "no file_name", number)
    elif column is None:
        problems.add(path, f"{row['file_name']} has no transcription ({', '.join(TEXT_COLUMNS)})", number)
    elif isinstance(row[column], bool) or not isinstance(row[column], str | int):
        problems.add(path, f"the {column} of {row['file_name']} is no text, but {row[column]!r}", number)
    elif image is None:
        problems.add(path, f"there is no image {path.parent / str(row['file_name'])}", number)
    else:
        told = {name: str(row[name]) for name in ("line_id", "page", "writer") if row.get(name) not in (None, "")}
        return Line(told.pop("line_id", name_of(image, path.parent)), str(row[column]), ImageFile(image), **told)
    return None

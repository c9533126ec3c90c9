# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables with an image and its transcription on each line, as PyLaia, Loghi and the TrOCR archives write them."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ...pages.finding_files import IMAGE_SUFFIXES, images_of_stem, named_file
from ..line import IMAGE_FOLDERS, SPLIT_NAMES, ImageFile, Line, Lines, name_of, one_a_split
from ..problems import Problems
from ..text_files import numbered_lines
from .metadata import FILE_COLUMNS, TEXT_COLUMNS

TABLE_SUFFIXES = (".txt", ".tsv", ".lst", ".tbl")
SPACE_SYMBOL = "<space>"
NAME_WITH_ENDING = re.compile(rf"(.+?(?:{'|'.join(map(re.escape, IMAGE_SUFFIXES))}))\s+(.*)", re.IGNORECASE)
QUOTED = re.compile(r'".*"', re.DOTALL)

Row = tuple[int, str, str]


def tables(root: Path) -> list[Path]:
    """Tables of a folder: text files named like a split that are not beside an image of that name."""
    candidates = [path for path in sorted(root.iterdir()) if path.suffix in TABLE_SUFFIXES and path.is_file()]
    return [path for path in candidates if split_word(path) and not image_named(root, path.stem)]


def split_word(path: Path) -> str:
    """The one part of a file's name that names a split ("gt_test.txt": "test"), or ""."""
    words = [word for word in re.split(r"[_\-. ]", path.stem.lower()) if word in SPLIT_NAMES]
    return words[0] if len(words) == 1 else ""


def read_tables(root: Path, problems: Problems, encoding: str = "utf-8") -> Lines:
    """
    Lines of the tables of a folder.

    A tab, or else the image's ending, or else the first white space, ends the image's name: a path, or a name with or
    without its ending, of an image in the folder or in its `lines/`, `images/`, `image/`, `imgs/` or `img/`. A table
    with tabs may begin with the names of its columns. Where every symbol of a table stands alone (`h e l l o <space> y
    o u`), the symbols are joined; `<space>` tells such a table.
    """
    found = tables(root)
    # PyLaia keeps lists of names alone beside its tables.
    names_alone = {path for path in found if not any(table_rows(path, Problems(path), encoding))}
    ordered = sorted(found, key=lambda path: path in names_alone)
    by_split = one_a_split(((split_word(path), path) for path in ordered), problems, ignored=names_alone)
    return {split: read_table(path, problems, encoding) for split, path in by_split.items()}


def read_table(path: Path, problems: Problems, encoding: str) -> list[Line]:
    rows = list(table_rows(path, problems, encoding))
    tokenized = any(SPACE_SYMBOL in text.split() for _, _, text in rows)
    lines: dict[Path, Line] = {}
    for number, name, text in rows:
        image = image_named(path.parent, name)
        if image is None:
            problems.add(path, f"there is no image {name}", number)
        elif image in lines:
            problems.add(path, f"{name} has a transcription already", number)
        else:
            label = join_symbols(text) if tokenized else text
            lines[image] = Line(name_of(image, path.parent), label, ImageFile(image))
            for symbol in filter(is_no_character, text.split() if tokenized else ()):
                problems.warn(
                    f"{path}, line {number}", f"symbols that are no single characters, as {symbol}, which stay"
                )
            if QUOTED.fullmatch(text):
                problems.warn(f"{path}, line {number}", "transcriptions in quotation marks, which stay")
    return list(lines.values())


def table_rows(path: Path, problems: Problems, encoding: str) -> Iterator[Row]:
    """Number, name of the image and transcription of each row."""

    def names_an_image(line: str) -> bool:
        names = line.split("\t") if "\t" in line else parted(line)[:1]
        return any(image_named(path.parent, name.strip()) for name in names)

    lines = numbered_lines(path, problems, encoding, names_an_image)
    columns, width = (0, 1), 2
    for place, (number, line) in enumerate(lines):
        cells = line.split("\t")
        if place == 0 and (named := named_columns(cells)):
            columns, width = named, len(cells)
        elif len(cells) > width:
            problems.add(path, f"{len(cells)} cells between tabs instead of {width}", number)
        elif len(cells) > 1 or width > 2:
            name, text = (cells[column].strip() if column < len(cells) else "" for column in columns)
            yield from complete(number, name, text, path, problems)
        else:
            yield from complete(number, *parted(line), path, problems)


def parted(line: str) -> tuple[str, str]:
    """The image's name and the transcription of a row without tabs; a name with an ending may have spaces."""
    named = NAME_WITH_ENDING.fullmatch(line)
    name, *texts = named.groups() if named else line.split(maxsplit=1)
    return name, texts[0] if texts else ""


def complete(number: int, name: str, text: str, path: Path, problems: Problems) -> Iterator[Row]:
    if name and text:
        yield number, name, text
    else:
        problems.add(path, f"{name} has no transcription" if name else "no name of an image", number)


def named_columns(cells: list[str]) -> tuple[int, int] | None:
    """Places of the image's name and the transcription, if the cells are names of columns."""
    names = [cell.strip().lower() for cell in cells]
    places = [
        next((names.index(name) for name in known if name in names), None) for known in (FILE_COLUMNS, TEXT_COLUMNS)
    ]
    return None if places[0] is None or places[1] is None else (places[0], places[1])


def is_no_character(symbol: str) -> bool:
    """Whether a symbol of a table is more than a letter with its accents, as `<gap>` is."""
    return symbol != SPACE_SYMBOL and not all(map(unicodedata.combining, symbol[1:]))


def join_symbols(text: str) -> str:
    return "".join(" " if symbol == SPACE_SYMBOL else symbol for symbol in text.split())


def image_named(root: Path, name: str) -> Path | None:
    """The image of a table's row: the path itself, or with an ending added, in the folder or its image folders."""
    for folder in ("", *IMAGE_FOLDERS):
        path = named_file(root / folder, name)
        if path and path.suffix.lower() in IMAGE_SUFFIXES:
            return path
        beside = root / folder / name
        if images := images_of_stem(beside.parent, beside.name):
            return images[0]
    return None

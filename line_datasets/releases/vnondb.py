# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""HANDS-VNOnDB: online handwriting as InkML, and the forms in which it is passed on once drawn."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from ...pages.finding_files import IMAGE_SUFFIXES, file_below, files_below
from ..formats.image_lists import image_lists, read_image_lists
from ..formats.metadata import csv_rows
from ..formats.tables import image_named, read_tables, tables
from ..formats.text_beside_images import line_with_text
from ..line import ImageFile, Line, Lines
from ..problems import Problems
from ..text_files import check_encoding, numbered_lines, read_text
from . import changed_options
from .inkml import InkOptions, inkml_lines

SPLIT_FILES = {"train": "train_set.txt", "validation": "validation_set.txt", "test": "test_set.txt"}
LEVELS = ("line", "word", "paragraph")
GROUP_MARK = "_tg_"
DRAWN_ALREADY = "for InkML, and the lines of this folder are drawn already"


@dataclasses.dataclass(frozen=True)
class VnondbOptions(InkOptions):
    """
    Options of `load_lines("vnondb", ...)`: how strokes are drawn, see [`~inkml.InkOptions`], and two more.

    Args:
        level: "line" (the papers'), "word" or "paragraph": which folder `InkData_<level>/` is read.
        encoding: Encoding of lists, tables and `.txt` files, if not UTF-8: drawn copies made on Windows have "cp1258"
            or "cp1252". It is never guessed.
    """

    level: str = "line"
    encoding: str = "utf-8"

    def __post_init__(self):
        super().__post_init__()
        check_encoding(self.encoding)
        if self.level not in LEVELS:
            raise ValueError(f"Unknown level {self.level!r} of VNOnDB. Known: {', '.join(LEVELS)}.")


def read(root: Path, options: VnondbOptions, problems: Problems) -> Lines:
    """
    Lines of the unpacked release, or of a drawn copy: the first of these forms that the folder has.

    1. `train.ln`, `val.ln`, `test.ln` with the images in `lines/`, a `.txt` beside each.
    2. `train_line.csv`, `validation_line.csv`, `test_line.csv` (or `.._line_new.csv`), separated by tabs, with columns
       `id` and `label`, and images in `train_line/` and so on.
    3. `train_set.txt`, `validation_set.txt`, `test_set.txt`, anywhere below `root`, that name the release's files:
       with `InkData_line/*.inkml` of the release, or with `InkData_line_processed/` (or `Data_processed/`), where
       `<file>_tg_0_0.png` has its `.txt` beside it.
    4. Tables `train.txt`, `val.txt`, `test.txt` with a path, a tab and the transcription on each line.
    """
    if image_lists(root):
        return read_image_lists(root, problems, changed_options(options, InkOptions), options.encoding)
    if found := csv_tables(root, options.level):
        problems.refuse(root, changed_options(options, InkOptions), DRAWN_ALREADY)
        return {split: csv_lines(path, options, problems) for split, path in found.items()}
    lists = {split: file_below(root, name) for split, name in SPLIT_FILES.items()}
    if not any(lists.values()) and tables(root):
        problems.refuse(root, changed_options(options, InkOptions), DRAWN_ALREADY)
        return read_tables(root, problems, options.encoding)
    for split, path in lists.items():
        if path is None:
            problems.add(root, f"no list {SPLIT_FILES[split]}")
    return read_listed({split: path for split, path in lists.items() if path}, root, options, problems)


def csv_tables(root: Path, level: str) -> dict[str, Path]:
    """Tables of a drawn copy by split; of two, the one without index."""
    names = {split: (f"{split}_{level}_new.csv", f"{split}_{level}.csv") for split in SPLIT_FILES}
    found = {split: next(filter(None, (file_below(root, name) for name in names[split])), None) for split in names}
    return {split: path for split, path in found.items() if path}


def csv_lines(path: Path, options: VnondbOptions, problems: Problems) -> Iterator[Line]:
    folder = path.parent / path.stem.removesuffix("_new")
    text = read_text(path, problems, options.encoding) or ""
    header = text.partition("\n")[0].strip().split("\t")
    if text and not {"id", "label"} <= set(header):
        problems.add(path, f"no columns id and label, separated by tabs; there are {', '.join(header)}", 1)
        return
    for number, row in csv_rows(path, text, problems):
        image = image_named(folder, row["id"])
        if image is None:
            problems.add(path, f"there is no image {row['id']} in {folder.name}/", number)
        else:
            yield Line(image.stem, row["label"], ImageFile(image), page=image.stem.partition(GROUP_MARK)[0])


def read_listed(lists: dict[str, Path], root: Path, options: VnondbOptions, problems: Problems) -> Lines:
    """Lines of the files that the release's lists name, from InkML or, where there is none, drawn."""
    folder = f"InkData_{options.level}"
    inks = {path.name: path for path in files_below(root, ".inkml") if path.parent.name in (folder, root.name)}
    if inks or not (drawn := drawn_images(root, options.level)):
        return {split: ink_lines(path, inks, options, problems) for split, path in lists.items()}
    problems.refuse(root, changed_options(options, InkOptions), DRAWN_ALREADY)
    return {split: drawn_lines(path, drawn, options, problems) for split, path in lists.items()}


def ink_lines(listed: Path, inks: dict[str, Path], options: VnondbOptions, problems: Problems) -> Iterator[Line]:
    for number, name in numbered_lines(listed, problems, options.encoding):
        path = inks.get(f"{name.removesuffix('.inkml')}.inkml")
        if path is None:
            problems.add(listed, f"there is no {name} in InkData_{options.level}/", number)
        else:
            yield from inkml_lines(path, options, problems)


def drawn_images(root: Path, level: str) -> dict[str, list[Path]]:
    """Images of a drawn copy by the file of the release that they come from."""
    folders = (f"InkData_{level}_processed", "Data_processed")
    images = (path for path in files_below(root, *IMAGE_SUFFIXES) if path.parent.name in folders)
    grouped = itertools.groupby(images, key=lambda path: path.stem.partition(GROUP_MARK)[0])
    return {stem: list(paths) for stem, paths in grouped}


def drawn_lines(
    listed: Path, drawn: dict[str, list[Path]], options: VnondbOptions, problems: Problems
) -> Iterator[Line]:
    for number, name in numbered_lines(listed, problems, options.encoding):
        stem = name.removesuffix(".inkml")
        if stem not in drawn:
            problems.add(listed, f"there is no image of {name}", number)
        for image in drawn.get(stem, []):
            if line := line_with_text(image, image.stem, problems, options.encoding):
                yield line._replace(page=stem)

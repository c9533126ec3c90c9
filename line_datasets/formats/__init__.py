# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The layouts that users bring, one file each, and which of them a folder has."""

import dataclasses
from pathlib import Path

from ...pages import CropOptions, has_pages
from ...pages.finding_files import IMAGE_SUFFIXES, files_below, leave_out
from ..line import Lines
from ..problems import Problems
from ..text_files import check_encoding
from .image_lists import image_lists, read_image_lists
from .metadata import has_metadata, read_metadata
from .page_folders import read_page_folders
from .tables import read_tables, tables
from .text_beside_images import read_text_beside_images


@dataclasses.dataclass(frozen=True)
class LinesOptions(CropOptions):
    """
    Options of `load_lines("lines", ...)`: those of pages, see [`~pages.CropOptions`], and two more.

    Args:
        encoding: Encoding of lists, tables and `.txt` files, if not UTF-8. It is never guessed.
        text_index: Which TextEquiv of PAGE XML, by its index, is the transcription, if not the one of index 0 or
            without an index.
    """

    encoding: str = "utf-8"
    text_index: int | None = None

    def __post_init__(self):
        super().__post_init__()
        check_encoding(self.encoding)


def read(root: Path, options: LinesOptions, problems: Problems) -> Lines:
    """
    Lines of a folder; the first of these layouts that it has.

    1. `train.ln`, `val.ln`, `test.ln` with the images in `lines/`, each with a `.txt` beside it.
    2. Images with `metadata.jsonl` or `metadata.csv`.
    3. Tables (`train.txt`, `test.tsv`, ...) with an image and its transcription on each line.
    4. Pages with PAGE XML or ALTO.
    5. Images with `.gt.txt` or `.txt` beside each, in `train/`, `val/`, `test/` or all together.

    [`load_lines`] itself takes folders with parquet files or webdataset shards before any of these.
    """
    if image_lists(root):
        return read_image_lists(root, problems, encoding=options.encoding)
    if has_metadata(root):
        return read_metadata(root, problems, options.encoding)
    if tables(root):
        return read_tables(root, problems, options.encoding)
    if has_pages(root):
        return read_page_folders(root, problems, options, options.text_index)
    if not any(files_below(root, *IMAGE_SUFFIXES, unreadable=leave_out)):
        problems.add(
            root,
            "no lines in any known layout: lists (train.ln), metadata.jsonl, tables, PAGE or ALTO, images with .txt",
        )
    return read_text_beside_images(root, problems, options.encoding)

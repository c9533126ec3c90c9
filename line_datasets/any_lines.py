"""Lines that users bring: which layout a folder has, and its reader."""

import dataclasses
from pathlib import Path

from .cropping import CropOptions
from .image_folder import has_metadata, read_image_folder
from .line_folder import Lines, ln_lists, read_ln, read_pairs, read_tables, tables
from .lines import IMAGE_SUFFIXES, files_below, split_folders
from .pages import has_pages, read_pages
from .problems import Problems, check_encoding


@dataclasses.dataclass(frozen=True)
class LinesOptions(CropOptions):
    """
    Options of `load_lines("lines", ...)`: those of pages, see [`~cropping.CropOptions`], and one of text files.

    Args:
        encoding: Encoding of lists, tables and `.txt` files, if not UTF-8. It is never guessed.
    """

    encoding: str = "utf-8"

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
    if ln_lists(root):
        return read_ln(root, problems, encoding=options.encoding)
    if has_metadata(root):
        return read_image_folder(root, problems)
    if tables(root):
        return read_tables(root, problems, options.encoding)
    if has_pages(root):
        return read_pages(root, problems, options)
    if not any(files_below(root, *IMAGE_SUFFIXES)):
        problems.add(
            root,
            "no lines in any known layout: lists (train.ln), metadata.jsonl, tables, PAGE or ALTO, images with .txt",
        )
    return read_pairs(root, problems, options.encoding)


def has_columns(root: Path) -> bool:
    """Whether the folder holds parquet files or webdataset shards."""
    folders = [root, root / "data", *split_folders(root).values()]
    return any(next(folder.glob(f"*{suffix}"), None) for folder in folders for suffix in (".parquet", ".tar"))

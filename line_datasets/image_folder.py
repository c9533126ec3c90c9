"""
Image folders with `metadata.jsonl` or `metadata.csv`.

Read here and not by `datasets`' `imagefolder`, which turns the transcription "NA" of a CSV into nothing and "007" into
a number, and drops images without a row silently.
"""

import csv
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from .line_folder import Lines
from .lines import IMAGE_SUFFIXES, SPLIT_NAMES, ImageFile, Line, files_below, split_folders
from .problems import Problems, read_utf8

METADATA_NAMES = ("metadata.jsonl", "metadata.csv")
TEXT_COLUMNS = ("text", "transcription", "label", "ground_truth", "sentence", "txt")
Row = dict[str, Any]


def has_metadata(root: Path) -> bool:
    """Whether the folder, or one of its split folders, holds metadata of images."""
    return any(metadata_file(folder) for folder in (root, *split_folders(root).values()))


def metadata_file(folder: Path) -> Path | None:
    return next((path for name in METADATA_NAMES if (path := folder / name).is_file()), None)


def read_image_folder(root: Path, problems: Problems) -> Lines:
    """
    Rows of `metadata.jsonl` or `metadata.csv`: `file_name` (relative to the file), the transcription under one of
    `TEXT_COLUMNS`, and optionally `line_id`, `page`, `writer` and `split`.

    The file lies in the folder, or in each of `train/`, `val/`, `test/`.
    """
    folders = {split: folder for split, folder in split_folders(root).items() if metadata_file(folder)}
    lines: dict[str, list[Line]] = {}
    for split, folder in (folders or {"train": root}).items():
        path = metadata_file(folder)
        assert path is not None
        named: set[Path] = set()
        for number, row in metadata_rows(path, problems):
            named.add(folder / str(row.get("file_name")))
            if line := metadata_line(path, number, row, problems):
                lines.setdefault(split_of(row, split), []).append(line)
        for image in files_below(folder, *IMAGE_SUFFIXES):
            if image not in named:
                problems.add(image, f"not named in {path.name}, so without transcription")
    return lines


def split_of(row: Row, default: str) -> str:
    first_folder = Path(str(row["file_name"])).parts[0].lower()
    return SPLIT_NAMES.get(str(row.get("split", "")).lower()) or SPLIT_NAMES.get(first_folder) or default


def metadata_rows(path: Path, problems: Problems) -> Iterator[tuple[int, Row]]:
    text = read_utf8(path, problems) or ""
    if path.suffix == ".csv":
        reader = csv.DictReader(StringIO(text, newline=""))
        yield from ((reader.line_num, row) for row in reader)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.add(path, f"not JSON ({error})", number)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.add(path, "not a JSON object", number)


def metadata_line(path: Path, number: int, row: Row, problems: Problems) -> Line | None:
    column = next((name for name in TEXT_COLUMNS if row.get(name) is not None), None)
    if not row.get("file_name"):
        problems.add(path, "no file_name", number)
    elif column is None:
        problems.add(path, f"{row['file_name']} has no transcription ({', '.join(TEXT_COLUMNS)})", number)
    elif not (image := path.parent / str(row["file_name"])).is_file():
        problems.add(path, f"there is no image {image}", number)
    else:
        line_id, page, writer = (row.get(name) or None for name in ("line_id", "page", "writer"))
        return Line(
            str(line_id or image.stem), str(row[column]), ImageFile(image), page and str(page), writer and str(writer)
        )
    return None

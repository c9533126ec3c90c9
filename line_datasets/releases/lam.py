# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""LAM (Ludovico Antonio Muratori): one writer, 25,823 lines, splits as JSON lists of the release."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from ...pages.finding_files import named_file
from ..formats.image_lists import image_lists, read_image_lists
from ..line import ImageFile, Line, Lines
from ..problems import Problems
from ..text_files import read_text
from . import changed_options

SPLIT_FILES = {"train": "train.json", "validation": "val.json", "test": "test.json"}


@dataclasses.dataclass(frozen=True)
class LamOptions:
    """
    Options of `load_lines("lam", ...)`.

    Args:
        split: Folder below `lines/split/` with `train.json`, `val.json`, `test.json`: "basic" (the papers' split:
            19,830 / 2,470 / 3,523 lines), "leave_decade_out/leave_decade_1_out" and its like.
    """

    split: str = "basic"


def read(root: Path, options: LamOptions, problems: Problems) -> Lines:
    """
    Lines of the release (`lines/split/<split>/*.json` beside `lines/img/`) or of the layout with `.ln` lists.

    `root` may be the folder that holds `LAM/`, `LAM/` itself or its `lines/`.
    """
    if image_lists(root):
        return read_image_lists(root, problems, changed_options(options))
    base = next((path for path in (root, root / "lines", root / "LAM" / "lines") if (path / "split").is_dir()), None)
    if base is None:
        problems.add(root, "neither lists (train.ln) nor lines/split/ of the release")
        return {}
    folder = base / "split" / options.split
    if not folder.is_dir():
        known = sorted(str(path.parent.relative_to(base / "split")) for path in (base / "split").rglob("train.json"))
        problems.add(folder, f"no such split; there are {', '.join(known)}")
        return {}
    return {split: split_lines(folder / name, base / "img", problems) for split, name in SPLIT_FILES.items()}


def split_lines(path: Path, images: Path, problems: Problems) -> list[Line]:
    try:
        entries = json.loads(read_text(path, problems) or "[]")
    except json.JSONDecodeError as error:
        problems.add(path, f"not JSON ({error})")
        return []
    if not isinstance(entries, list):
        problems.add(path, "not a JSON list")
        return []
    lines = (entry_line(path, number, entry, images, problems) for number, entry in enumerate(entries, start=1))
    return [line for line in lines if line]


def entry_line(path: Path, number: int, entry: dict[str, Any], images: Path, problems: Problems) -> Line | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("img"), str) or not isinstance(entry.get("text"), str):
        problems.add(path, f"entry {number} lacks img or text")
        return None
    image = named_file(images, entry["img"])
    if image is None:
        problems.add(path, f"entry {number}: there is no image {images / entry['img']}")
        return None
    return Line(image.stem, entry["text"], ImageFile(image), page=image.stem.rpartition("_")[0] or None)

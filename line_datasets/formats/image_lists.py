# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists `train.ln`, `val.ln`, `test.ln` of images, each image with a text file beside it: the papers' own layout."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...pages.finding_files import named_file
from ..line import SPLIT_NAMES, Line, Lines, name_of, one_a_split
from ..problems import Problems
from ..text_files import numbered_lines
from .text_beside_images import line_with_text


def image_lists(root: Path, problems: Problems | None = None) -> dict[str, Path]:
    """The lists `train.ln`, `val.ln` and `test.ln` of a folder, by split; see [`~line.one_a_split`]."""
    lists = ((path.stem.lower(), path) for path in sorted(root.glob("*.ln")))
    return one_a_split(((name, path) for name, path in lists if name in SPLIT_NAMES), problems)


def read_image_lists(root: Path, problems: Problems, refused: Iterable[str] = (), encoding: str = "utf-8") -> Lines:
    """
    Lists `train.ln`, `val.ln`, `test.ln`, each naming one image of `lines/` (or of the list's folder) on each line.

    Beside `x.png` is its transcription, `x.txt` or `x.gt.txt`. The last line of a list may lack its line feed.

    Args:
        root: Folder.
        problems: Takes what is wrong.
        refused: Options that act on the official release only, and that someone asked for.
        encoding: Encoding of the lists and transcriptions.
    """
    problems.refuse(root, refused, "for the official release, and this folder has lists (train.ln)")
    listed: dict[Path, Path] = {}
    return {
        split: listed_lines(path, encoding, problems, listed) for split, path in image_lists(root, problems).items()
    }


def listed_lines(path: Path, encoding: str, problems: Problems, listed: dict[Path, Path]) -> Iterator[Line]:
    """The lines of a list; `listed` has the list of each image that one named so far."""
    folder = path.parent / "lines" if (path.parent / "lines").is_dir() else path.parent
    for number, name in numbered_lines(path, problems, encoding, lambda name: named_file(folder, name) is not None):
        image = named_file(folder, name)
        if image is None:
            problems.add(path, f"there is no image {folder / name}", number)
        elif listed.get(image) == path:
            problems.add(path, f"{name} is listed already", number)
        elif line := line_with_text(image, name_of(image, path.parent), problems, encoding):
            if image in listed:
                problems.warn(f"{path}, line {number}", f"lines that are in {listed[image].name}, too")
            listed[image] = path
            yield line

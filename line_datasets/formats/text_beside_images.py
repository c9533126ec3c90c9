# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Images with a text file beside each, as kraken, Calamari and many others write them."""

from collections.abc import Iterator
from pathlib import Path

from ...pages.finding_files import IMAGE_SUFFIXES, files_below, images_of_stem, named_file
from ..line import ImageFile, Line, Lines, files_outside, split_folders_or_all
from ..problems import Problems
from ..text_files import read_text

GROUND_TRUTH_SUFFIX = ".gt.txt"
TEXT_SUFFIXES = (GROUND_TRUTH_SUFFIX, ".txt")
INNER_SUFFIXES = (".bin", ".nrm")


def read_text_beside_images(root: Path, problems: Problems, encoding: str = "utf-8") -> Lines:
    """
    Images with a text file beside each, in `train/`, `val/`, `test/`, or else all for the train split.

    Below those folders, folders are part of a line's identifier.
    """
    folders = split_folders_or_all(root, problems, *IMAGE_SUFFIXES)
    for path in files_outside(folders.values(), root, *IMAGE_SUFFIXES):
        problems.warn(path, "images outside the folders of the splits, left out")
    return {split: folder_lines(folder, encoding, problems) for split, folder in folders.items()}


def folder_lines(folder: Path, encoding: str, problems: Problems) -> Iterator[Line]:
    for path in files_below(folder, *IMAGE_SUFFIXES, *TEXT_SUFFIXES, unreadable=problems.add):
        ending = next((suffix for suffix in TEXT_SUFFIXES if path.name.lower().endswith(suffix)), None)
        if ending:
            stem = path.name[: -len(ending)]
            if any(images_of_stem(path.parent, stem + inner) for inner in ("", *INNER_SUFFIXES)):
                continue
            if ending == GROUND_TRUTH_SUFFIX:
                problems.add(path, "there is no image beside it")
            else:  # A transcription, or what a folder says of itself, as README.txt does.
                problems.warn(path, "text files without an image of their name, left out")
        elif line := line_with_text(path, path.relative_to(folder).with_suffix("").as_posix(), problems, encoding):
            yield line


def line_with_text(image: Path, line_id: str, problems: Problems, encoding: str) -> Line | None:
    """The line of an image with its transcription in a text file beside it."""
    found = texts_of(image)
    if not found:
        names = " or ".join(image.stem + suffix for suffix in TEXT_SUFFIXES)
        problems.add(image, f"no transcription {names} beside it")
        return None
    text = read_text(found[0], problems, encoding)
    if text is None:
        return None
    if len(text.strip().splitlines()) > 1:
        problems.warn(found[0], "transcriptions of several lines, joined with spaces")
    if len(found) > 1 and found[1].read_bytes() != found[0].read_bytes():
        problems.warn(found[1], f"text files that differ from the {GROUND_TRUTH_SUFFIX} beside them, which is taken")
    return Line(line_id, text, ImageFile(image))


def texts_of(image: Path) -> list[Path]:
    """`x.gt.txt` and `x.txt` of `x.png`; also of kraken's and Calamari's `x.bin.png` and `x.nrm.png`."""
    stems = [image.stem, *(image.stem.removesuffix(end) for end in INNER_SUFFIXES if image.stem.endswith(end))]
    candidates = (named_file(image.parent, stem + suffix) for stem in stems for suffix in TEXT_SUFFIXES)
    return [path for path in candidates if path]

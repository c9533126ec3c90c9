# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A line before it is loaded: its transcription, and where its image comes from."""

from collections.abc import Collection, Iterable, Mapping
from io import BytesIO
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple, Protocol

from datasets import Features, Image, Value
from PIL import Image as PillowImage

from ..pages.finding_files import files_below, leave_out
from .problems import Problems

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "va", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}
SPLITS = ("train", "validation", "test")
IMAGE_FOLDERS = ("lines", "images", "image", "imgs", "img")
FEATURES = Features(
    {
        "image": Image(),
        "text": Value("string"),
        "line_id": Value("string"),
        "source": Value("string"),
        "page": Value("string"),
        "writer": Value("string"),
    }
)


class LineImage(Protocol):
    """Where the image of a line comes from."""

    def encoded(self) -> bytes:
        """The image as the bytes of an image file; OSError or ValueError, naming the file, if it cannot be read."""


class ImageFile(NamedTuple):
    """An image file that holds one line; its bytes are taken as they are."""

    path: Path

    def encoded(self) -> bytes:
        content = self.path.read_bytes()
        with open_image(BytesIO(content), self.path):
            return content


class Line(NamedTuple):
    """One line of handwriting; `page` and `writer` are None where a source does not tell."""

    line_id: str
    text: str
    image: LineImage
    page: str | None = None
    writer: str | None = None


Lines = Mapping[str, Iterable[Line]]  # By split.


def name_of(image: Path, root: Path) -> str:
    """
    An identifier from an image's place in a folder: without the folders that name images or a split, but with others,
    as images of two folders may be called alike.
    """
    parts = image.relative_to(root).parts if image.is_relative_to(root) else (image.name,)
    known = (*IMAGE_FOLDERS, *SPLIT_NAMES)
    folders = dropwhile(lambda name: name.lower() in known, parts[:-1])
    return "/".join((*folders, image.stem))


def open_image(file, name: str | Path) -> PillowImage.Image:
    """
    An image of one line, its pixels not yet decoded.

    Raises:
        ValueError: If it is no image or has several frames; the message names it.
    """
    try:
        opened = PillowImage.open(file)
        frames = getattr(opened, "n_frames", 1)
    except MemoryError:
        raise
    except Exception as error:  # Whatever Pillow meets in a damaged file.
        raise ValueError(f"{name}: not a readable image ({error})") from error
    if frames > 1 and opened.format != "MPO":  # A phone's JPEG with a preview: its first picture is the image.
        raise ValueError(f"{name}: the image has {frames} frames; save each line as a file of its own")
    return opened


def split_folders(root: Path, problems: Problems | None = None) -> dict[str, Path]:
    """Sub-folders named like a split, in the order train, validation, test; see [`one_a_split`]."""
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in SPLIT_NAMES]
    return one_a_split(((path.name.lower(), path) for path in folders), problems)


def split_folders_or_all(root: Path, problems: Problems, *suffixes: str) -> dict[str, Path]:
    """
    Sub-folders named like a split; the whole folder as the train split where there are none, with a warning if folders
    further down that hold files of the endings are named so.
    """
    if folders := split_folders(root, problems):
        return folders
    parents = {path.parent.relative_to(root) for path in files_below(root, *suffixes, unreadable=leave_out)}
    named = {folder for path in parents for folder in (path, *path.parents) if folder.name.lower() in SPLIT_NAMES}
    for folder in sorted(named):
        problems.warn(root / folder, "folders named like a split that lie in another, taken for the train split")
    return {"train": root}


def files_outside(folders: Collection[Path], root: Path, *suffixes: str) -> list[Path]:
    """Files below a folder, of some endings, that are below none of the others."""
    found = files_below(root, *suffixes, unreadable=leave_out)
    return [path for path in found if not any(map(path.is_relative_to, folders))]


def one_a_split(
    named: Iterable[tuple[str, Path]], problems: Problems | None = None, ignored: Collection[Path] = ()
) -> dict[str, Path]:
    """
    Files or folders by split, in the order train, validation, test.

    Args:
        named: A name of `SPLIT_NAMES`, and what is named so.
        problems: Takes what names a split that another one names already.
        ignored: What may do so.
    """
    found: dict[str, Path] = {}
    for name, path in named:
        first = found.setdefault(SPLIT_NAMES[name], path)
        if first != path and problems is not None and path not in ignored:
            problems.add(path, f"the {SPLIT_NAMES[name]} split is {first.name} already; join the two, or rename one")
    return {split: found[split] for split in SPLITS if split in found}

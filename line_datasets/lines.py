"""A line before it is loaded: its transcription, and where its image comes from."""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Protocol

from datasets import Features, Image, Value
from PIL import Image as PillowImage

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pbm", ".pgm", ".ppm")
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "va", "dev"), "validation"),
    **dict.fromkeys(("test", "te"), "test"),
}
SPLITS = ("train", "validation", "test")
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


def open_image(file, name: str | Path) -> PillowImage.Image:
    """
    An image, its pixels not yet decoded.

    Raises:
        ValueError: If it is no image or has no pixels; the message names it.
    """
    try:
        return PillowImage.open(file)
    except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"{name}: not a readable image ({error})") from error


def files_below(folder: Path, *suffixes: str) -> Iterator[Path]:
    """Files below a folder by folder and name, hidden ones left out; of some endings (lower case) only if given."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (not suffixes or name.lower().endswith(suffixes)):
                yield Path(parent, name)


def file_named(folder: Path, name: str) -> Path | None:
    """The file of a name that lies least deep below a folder."""
    found = (path for path in files_below(folder, name.lower()) if path.name == name)
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def split_folders(root: Path) -> dict[str, Path]:
    """Sub-folders named like a split, in the order train, validation, test."""
    found = {
        SPLIT_NAMES[path.name.lower()]: path
        for path in sorted(root.iterdir())
        if path.is_dir() and path.name.lower() in SPLIT_NAMES
    }
    return {split: found[split] for split in SPLITS if split in found}

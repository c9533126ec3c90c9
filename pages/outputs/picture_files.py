# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of pages as files beside their PAGE or ALTO, which names one picture a page."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..page_sources import open_source
from ..transcript import PageSource, TranscribedPage
from .whole_files import whole_file

JPEG_QUALITY = 95
PDF = ".pdf"
TIFF = (".tif", ".tiff")


def needs_own_picture(sources: Sequence[PageSource]) -> bool:
    """Whether the pages of a document are pages of one PDF or of one image with several frames."""
    first = sources[0]
    return first.image == first.document and (len(sources) > 1 or first.image.suffix.lower() == PDF)


def picture_file(source: PageSource, own: bool, folder: Path) -> Path:
    """
    Where the picture of a page is written: for a document that is XML at the place relative to it that it has now, if
    that is within the folder; for others under the page's name.

    Args:
        source: The page's source.
        own: Whether it is one of several in its file; see [`needs_own_picture`].
        folder: Folder of the outputs.
    """
    if source.image == source.document:
        suffix = source.image.suffix if not own else ".png" if source.image.suffix.lower() in TIFF else ".jpg"
        return folder / f"{source.name}{suffix}"
    beside = (folder / source.document_name).parent
    mirrored = Path(os.path.normpath(beside / relative_path(source.image, source.document.parent)))
    inside = mirrored.is_relative_to(Path(os.path.normpath(folder)))
    return mirrored if inside else beside / source.image.name


def write_picture(page: TranscribedPage, own: bool, path: Path) -> Path:
    """Copies the picture of a page, or makes one of a page that has no file of its own."""
    if own:
        image = open_source(page.source, page.page)
        with whole_file(path) as temporary:
            options = {"quality": JPEG_QUALITY} if path.suffix == ".jpg" else {}
            image.save(temporary, "JPEG" if path.suffix == ".jpg" else "PNG", **options)
    elif not (path.exists() and path.samefile(page.source.image)):
        with whole_file(path) as temporary:
            shutil.copyfile(page.source.image, temporary)
    return path


def relative_path(path: Path, folder: Path) -> str:
    """A path seen from a folder, with `/`; the whole path where they are on two drives."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()

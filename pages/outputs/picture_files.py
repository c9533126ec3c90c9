# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of pages as files beside their PAGE or ALTO, which names one picture a page."""

import os
import shutil
from pathlib import Path

from PIL import ExifTags, Image

from ...images_htr_convtext import pillow_limit
from ..page_images import UNDO_EXIF
from ..page_sources import is_pdf, open_source
from ..transcript import PageSource, TranscribedPage
from ..whole_files import whole_file

JPEG_QUALITY = 95


def is_part_of_a_file(source: PageSource) -> bool:
    """Whether a page is one of a PDF, or of an image with several frames, so that its picture is no file by itself."""
    several = source.name != source.document_name
    return source.image == source.document and (several or is_pdf(source.image))


def needs_own_picture(source: PageSource) -> bool:
    """
    Whether a new PAGE or ALTO file could not name a page's picture as it is: one that is no file by itself, or that
    EXIF turns, as nothing would tell that the lines are counted upright.
    """
    if is_part_of_a_file(source):
        return True
    try:
        return source.image == source.document and bool(kind_of_turned(source.image))
    except Exception:  # Whatever Pillow meets in a damaged file, which is told when it is read.
        return False


def picture_file(source: PageSource, folder: Path) -> Path:
    """
    Where the picture of a page is written: under the page's name; for a document that is XML at the place relative to
    it that it has now, or if that is outside of the folder, beside it under a name that no other document gives.

    Args:
        source: The page's source.
        folder: Folder of the outputs.
    """
    if source.image == source.document:
        made = ".jpg" if is_pdf(source.image) else ".png"
        return folder / f"{source.name}{made if is_part_of_a_file(source) else source.image.suffix}"
    if not is_renamed(source, folder):
        return mirrored(source, folder)
    document = folder / source.document_name
    name = source.image.name
    return document.with_name(name if source.image.stem == document.name else f"{document.name}_{name}")


def is_renamed(source: PageSource, folder: Path) -> bool:
    """Whether the picture that an XML file names is put beside it, as its place would be outside of the folder."""
    inside = mirrored(source, folder).is_relative_to(Path(os.path.normpath(folder)))
    return source.image != source.document and not inside


def mirrored(source: PageSource, folder: Path) -> Path:
    """The place of a picture relative to a document in the folder as it is now to the document."""
    beside = (folder / source.document_name).parent
    return Path(os.path.normpath(beside / relative_path(source.image, source.document.parent)))


def write_picture(page: TranscribedPage, path: Path) -> Path:
    """
    Copies the picture of a page, or makes one of a page that has no file of its own, or whose file EXIF turns: its
    lines are counted upright, and nothing in PAGE and ALTO would tell so.
    """
    if is_part_of_a_file(page.source):
        save_picture(page, path, "JPEG" if path.suffix == ".jpg" else "PNG")
    elif not (path.exists() and path.samefile(page.source.image)):
        if page.source.image == page.source.document and (kind := kind_of_turned(page.source.image)):
            save_picture(page, path, kind)
        else:
            with whole_file(path) as temporary:
                shutil.copyfile(page.source.image, temporary)
    return path


def save_picture(page: TranscribedPage, path: Path, kind: str) -> None:
    image = open_source(page.source, page.page)
    with whole_file(path) as temporary:
        image.save(temporary, kind, **({"quality": JPEG_QUALITY} if kind == "JPEG" else {}))


def kind_of_turned(path: Path) -> str:
    """The format to write an image in that its EXIF turns or mirrors; "" if it is upright."""
    with pillow_limit(None), Image.open(path) as opened:
        kind = "JPEG" if opened.format == "MPO" else opened.format or "PNG"
        return kind if opened.getexif().get(ExifTags.Base.Orientation, 1) in UNDO_EXIF else ""


def relative_path(path: Path, folder: Path) -> str:
    """A path seen from a folder, with `/`; the whole path where they are on two drives."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()

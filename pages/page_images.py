# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The image of a page: finding the file that its XML names, and opening it as the XML counts its pixels."""

import contextlib
import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from PIL import ExifTags, Image

from ..images_htr_convtext import full_frames, load_image, pillow_limit, to_grey
from .finding_files import IMAGE_SUFFIXES, comparable, images_of_stem, locate
from .layout import Page

# Beside the XML and where tools put their images next to a folder of XML.
NEAR_FOLDERS = ((), ("..",), *((*up, name) for up in (("..",), ()) for name in ("Images", "images", "img", "image")))
ASPECT_TOLERANCE = 0.02
UNDO_EXIF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
SWAPS_SIDES = (5, 6, 7, 8)

Size = tuple[int, int]


class PageImage(NamedTuple):
    """
    How to open the image of a page.

    Attributes:
        size: Width and height of the page that the XML counts in.
        frame: Which frame of the file, previews left out.
        stored: Whether the XML counts the pixels as they are stored, before the turn that EXIF asks for.
        warning: What is odd about the image; "" if nothing is.
    """

    size: Size
    frame: int = 0
    stored: bool = False
    warning: str = ""


def plan_page_image(file: Path | str | BytesIO, page: Page) -> PageImage:
    """
    Compares an image with the XML of its page, by its header.

    Args:
        file: Image file.
        page: The page.

    Raises:
        ValueError: If it is no image, has another shape than the XML says, or it is not certain which frame or which
            side of the image the XML means.
    """
    told = (page.width, page.height) if page.width and page.height else None
    try:
        with pillow_limit(None), Image.open(file) as opened:  # A page may have more pixels than a line.
            frame = page_frame(opened, page, told)
            go_to_frame(opened, frame)
            orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
            # Pillow itself turns the size of a TIFF.
            swapped = orientation in SWAPS_SIDES and opened.format != "TIFF"
            upright = (opened.height, opened.width) if swapped else opened.size
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # Whatever Pillow meets in a damaged file.
        raise ValueError(f"not a readable image ({error})") from error
    if orientation not in UNDO_EXIF:
        return PageImage(told or upright, frame, False, size_warning(upright, told))
    stored = (upright[1], upright[0]) if orientation in SWAPS_SIDES else upright
    fits = [told is not None and has_shape(size, told) for size in (upright, stored)]
    if told is None or all(fits):
        raise ValueError(
            f"its EXIF orientation ({orientation}) turns or mirrors it, and the XML does not tell whether it counts "
            "pixels before or after that; save the image upright, without EXIF"
        )
    return PageImage(told, frame, fits[1], size_warning(stored if fits[1] else upright, told))


def page_frame(opened: Image.Image, page: Page, told: Size | None) -> int:
    """The frame of an image: the only one, the one that the XML numbers, or the only one of its size."""
    numbers = full_frames(opened)
    frames = len(numbers)
    if frames == 1:
        if page.frame:
            raise ValueError(f"the XML has a page {page.frame + 1}, but the image has one frame")
        return 0
    if page.frame is not None and page.frame < frames:
        return page.frame
    same = [frame for frame, number in enumerate(numbers) if size_of_frame(opened, number) == told]
    if len(same) != 1:
        raise ValueError(f"the image has {frames} frames, and the XML does not tell which; save the page's as a file")
    return same[0]


def go_to_frame(opened: Image.Image, frame: int) -> None:
    """Goes to a frame of an image, as [`load_image`] counts them: without previews."""
    opened.seek(full_frames(opened)[frame])


def size_of_frame(opened: Image.Image, number: int) -> Size | None:
    try:
        opened.seek(number)
        return opened.size
    except Exception:  # The damaged end of a file is no page's.
        return None


def has_shape(size: Size, told: Size) -> bool:
    return abs(size[0] / size[1] / (told[0] / told[1]) - 1) < ASPECT_TOLERANCE


def size_warning(size: Size, told: Size | None) -> str:
    """A warning if the image has another size than the XML says; ValueError if it has another shape."""
    if told is None or size == told:
        return ""
    if not has_shape(size, told):
        raise ValueError(f"{size[0]} x {size[1]} pixels, but its XML says {told[0]} x {told[1]}")
    return "images of another size than their XML says, to which the outlines are scaled"


def open_page_image(file: Path | str | bytes, plan: PageImage) -> Image.Image:
    """
    The image as the XML counts its pixels, in grey or RGB.

    Raises:
        OSError, ValueError: If it cannot be decoded; the message names it.
    """
    page = load_image(file, frame=plan.frame, max_pixels=None)
    if plan.stored:
        with pillow_limit(None), Image.open(BytesIO(file) if isinstance(file, bytes) else file) as opened:
            go_to_frame(opened, plan.frame)
            page = page.transpose(UNDO_EXIF[opened.getexif()[ExifTags.Base.Orientation]])
    return in_grey_or_rgb(page)


def in_grey_or_rgb(picture: Image.Image) -> Image.Image:
    """A picture as what everything here knows: as it is, or in grey if it has another mode or transparent parts."""
    return picture if picture.mode in ("L", "RGB") and "transparency" not in picture.info else to_grey(picture)


def find_page_image(xml: Path, page: Page, top: Path, within: Path | None = None) -> tuple[Path, str]:
    """
    The image that an XML file names, and a warning or "".

    The name counts with its folders: seen from the XML's folder and from those above it, up to the one that holds
    `top`, which finds the images of OCR-D's workspaces. A name alone is looked for beside the XML, one folder up and
    in folders like `Images/`. A picture of which only the last part of the name fits is taken only if the rest is of
    another computer and the picture has the very size that the XML says; nothing else tells a page from its thumbnail.

    Args:
        xml: The XML file.
        page: Its page.
        top: Folder of the dataset.
        within: Folder that the image must be in, links followed; an image elsewhere is missing as if it did not exist.

    Raises:
        ValueError: If there is none.
    """
    if within is None:
        return search_page_image(xml, page, top)
    with contextlib.suppress(ValueError):
        image, warning = search_page_image(xml, page, top)
        if image.resolve().is_relative_to(within.resolve()):
            return image, warning
    brought = [image for image in by_letters(xml.parent, page) if image.resolve().is_relative_to(within.resolve())]
    if len(brought) == 1:
        return brought[0].resolve(), "images whose names have lost signs or folders on their way"
    name = " ".join(name_parts(page.image_name)[0][-1:])
    raise ValueError(f"its picture {name} was not dropped. Drop it, too".replace("  ", " "))


def by_letters(folder: Path, page: Page) -> list[Path]:
    """
    Pictures of a folder with the name that a page's picture has, but for folders and for signs that are no letters or
    digits, which uploads take away; and of the size that the XML says.
    """
    told = letters(" ".join(name_parts(unquote(page.image_name, errors="surrogateescape"))[0][-1:]))
    size = sorted((page.width or 0, page.height or 0))
    images = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    return [path for path in images if letters(path.name) == told and sorted(image_size(path) or ()) == size]


def letters(name: str) -> str:
    return "".join(filter(str.isalnum, comparable(name)))


def search_page_image(xml: Path, page: Page, top: Path) -> tuple[Path, str]:
    """See [`find_page_image`]; an image anywhere on this computer."""
    for written in dict.fromkeys((page.image_name, unquote(page.image_name, errors="surrogateescape"))):
        parts, absolute = name_parts(written)
        # os.path answers for names that are too long for the disk, too; Path raises OSError.
        if absolute and os.path.isfile(written):
            return Path(written), ""
        if parts and (found := by_whole_name(xml, parts, absolute, top)):
            return found
    parts, absolute = name_parts(unquote(page.image_name, errors="surrogateescape"))
    places = [locate(xml.parent, (*end, parts[-1])) for end in NEAR_FOLDERS] if parts else []
    alone = [path for path in places if path and path.is_file()]
    if absolute and alone and image_size(alone[0]) == (page.width, page.height):
        return alone[0].resolve(), "images named with folders of another computer, taken by their last name"
    if len(parts) < 2:
        for end in NEAR_FOLDERS:
            if (folder := locate(xml.parent, end)) and (images := images_of_stem(folder, xml.stem)):
                return images[0].resolve(), "images found by the name of the XML instead of theirs" if parts else ""
    if alone:
        raise ValueError(
            f"its image {page.image_name} is not there, only {alone[0]}, which may be another picture: move it to "
            "where the XML says, or mend the name in the XML"
        )
    raise ValueError(f"its image {page.image_name} is neither beside it nor one folder up; is it published?")


def name_parts(name: str) -> tuple[tuple[str, ...], bool]:
    """Folders and name of an image as a file names it (a path of any system, or a URL); whether it is absolute."""
    name = name.strip()
    name = name if name.startswith("file:/") else name.removeprefix("file:")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", name):
        name = "/" + urlsplit(name).path.lstrip("/")
    drive = re.match(r"[a-zA-Z]:[\\/]", name)
    parts = tuple(part for part in re.split(r"[\\/]+", name[2:] if drive else name) if part not in ("", "."))
    if parts and re.fullmatch("[a-zA-Z]:", parts[0]):
        parts = parts[1:]
    return parts, bool(drive) or name.startswith(("/", "\\"))


def by_whole_name(xml: Path, parts: tuple[str, ...], absolute: bool, top: Path) -> tuple[Path, str] | None:
    """The image of a whole relative name; of an absolute one, by at least its last folder and name."""
    shortest = 2 if absolute else len(parts)
    names = [parts[-length:] for length in range(len(parts), shortest - 1, -1)]
    folders = [*folders_upward(xml.parent, top)]
    if len(parts) == 1:
        folders += [folder for end in NEAR_FOLDERS if (folder := locate(xml.parent, end))]
    places = [(folder, name) for name in names for folder in folders]
    for folder, name in places:
        if (found := locate(folder, name)) and found.is_file():
            return found.resolve(), ""
    for folder, name in places:
        near = locate(folder, name[:-1])
        stem = Path(name[-1]).stem if Path(name[-1]).suffix.lower() in IMAGE_SUFFIXES else name[-1]
        if near and (images := images_of_stem(near, stem)):
            return images[0].resolve(), "images with another ending than their XML names"
    return None


def folders_upward(folder: Path, top: Path) -> Iterator[Path]:
    """A folder and those above it, up to the one that holds `top`."""
    folder, top = folder.absolute(), top.absolute()
    yield folder
    if folder.is_relative_to(top):
        for parent in folder.parents:
            yield parent
            if parent == top.parent:
                return


def image_size(path: Path) -> Size | None:
    try:
        with pillow_limit(None), Image.open(path) as opened:
            return opened.size
    except Exception:  # Whatever Pillow meets in a damaged file.
        return None

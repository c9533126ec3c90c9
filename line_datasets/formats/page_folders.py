# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of pages: PAGE XML and ALTO with the images of the pages, as eScriptorium and Transkribus export them."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from PIL import Image

from ...pages import (
    CropOptions,
    Cut,
    Page,
    cut_line,
    find_page_image,
    open_page_image,
    plan_cut,
    plan_page_image,
    read_pages,
)
from ...pages.finding_files import files_below
from ...pages.geometry import any_right_to_left, wrong_outline
from ...pages.page_files import PAGE_ROOTS, ImageFrame, claim, in_order_of_preference, root_name
from ...pages.page_images import PageImage
from ..line import Line, Lines, files_outside, split_folders_or_all
from ..problems import Problems

PLAIN_FOLDERS = ("Images", "images", "img", "image", "page", "alto")
# Nothing is lost at any level, and the usual one takes more than twice as long, for a tenth of the bytes.
PNG_COMPRESSION = 1


class PageCrop(NamedTuple):
    """A line to be cut out of the image of a page."""

    path: Path
    image: PageImage
    cut: Cut
    options: CropOptions

    def encoded(self) -> bytes:
        """The line as PNG; ValueError or OSError, naming the page, if its image cannot be decoded."""
        return as_png(cut_line(last_page_image(self.path, self.image), self.cut, self.options))


@lru_cache(maxsize=1)
def last_page_image(path: Path, plan: PageImage) -> Image.Image:
    """See [`~pages.open_page_image`]; the last page is kept, since lines come page by page."""
    return open_page_image(path, plan)


def as_png(line: Image.Image) -> bytes:
    content = BytesIO()
    line.save(content, "PNG", compress_level=PNG_COMPRESSION)
    return content.getvalue()


def read_page_folders(root: Path, problems: Problems, crop: CropOptions, text_index: int | None = None) -> Lines:
    """
    Lines of all pages below a folder, in `train/`, `val/`, `test/`; all are the train split without such folders.

    An XML file counts by its root element, whatever its folder is called; of several files for one image (PAGE beside
    ALTO) the first with a text counts, PAGE before ALTO. For where the image is looked for, see
    [`~page_images.find_page_image`].

    Args:
        root: Folder.
        problems: Takes what is wrong.
        crop: How lines are cut out.
        text_index: See [`~page_xml.parse_page_xml`].
    """
    folders = split_folders_or_all(root, problems, ".xml")
    for path in files_outside(folders.values(), root, ".xml"):
        if root_name(path) in PAGE_ROOTS:
            problems.warn(path, "pages outside the folders of the splits, left out")
    return {split: folder_lines(folder, problems, crop, text_index) for split, folder in folders.items()}


def folder_lines(
    folder: Path,
    problems: Problems,
    crop: CropOptions,
    text_index: int | None = None,
    edit: Callable[[Element], None] | None = None,
) -> Iterator[Line]:
    """Lines of all pages below one folder; for `text_index` and `edit` see [`~pages.read_pages`]."""
    taken: dict[ImageFrame, Path] = {}
    for path in in_order_of_preference(files_below(folder, ".xml", unreadable=problems.add), problems.add):
        try:
            pages = read_pages(path, text_index, edit)
        except ValueError as error:
            problems.add(path, str(error))
            continue
        for page in pages:
            if any(line.text.strip() or line.transcription.problem for line in page.lines):
                yield from page_lines(path, page, folder, taken, problems, crop)
            elif page.lines:
                problems.warn(path, "pages whose lines have no text yet, left out (transcribe.py reads them)")


def page_lines(
    path: Path,
    page: Page,
    folder: Path,
    taken: dict[ImageFrame, Path],
    problems: Problems,
    crop: CropOptions,
) -> Iterator[Line]:
    """Lines of a page, unless another file gave those of its image."""
    try:
        image, warning = find_page_image(path, page, folder)
    except ValueError as error:
        problems.add(path, str(error))
        return
    if wrong := claim(taken, image, page.frame, path):
        problems.add(path, wrong)
    if wrong is not None:
        return
    try:
        plan = plan_page_image(image, page)
    except ValueError as error:
        problems.add(path, f"{image.name}: {error}")
        return
    for odd in filter(None, (*page.warnings, warning, plan.warning)):
        problems.warn(path, odd)
    page_id = page_name(path, image, folder) + (f"_{page.frame:03d}" if page.frame else "")
    for name, text, cut in cut_lines(page, plan, problems, str(path)):
        yield Line(f"{page_id}_{name}", text, PageCrop(image, plan, cut, crop), page=page_id)


def cut_lines(page: Page, plan: PageImage, problems: Problems, where: str) -> Iterator[tuple[str, str, Cut]]:
    """Number within the page, transcription and place of each line with text; what is wrong with one is noted."""
    leftwards = any_right_to_left(line.text for line in page.lines)
    for index, line in enumerate(page.lines):
        text, problem, odd, confidence = line.transcription
        if problem:
            problems.add(where, f"line {line.identifier} {problem}")
        if not text.strip():
            continue
        if wrong := line.problem or wrong_outline(line.polygon, *plan.size):
            problems.add(where, f"line {line.identifier} {wrong}")
            continue
        cut, warning = plan_cut(line, plan.size, leftwards)
        oddities = [kind for kind in (odd, warning) if kind]
        if confidence is not None and confidence < 1:
            oddities.append("texts with a confidence, so by a recogniser: were they corrected?")
        for kind in oddities:
            problems.warn(f"{where}, line {line.identifier}", kind)
        yield f"{index:03d}", text, cut


def page_name(path: Path, image: Path, folder: Path) -> str:
    """
    What tells a page from the others, and the identifiers of its lines begin with: the image's name, after its folders
    below the split's, without one that only tells that there are images (`Images/`).
    """
    parent = image.parent if image.is_relative_to(folder.resolve()) else path.resolve().parent
    if parent != folder.resolve() and parent.name in PLAIN_FOLDERS:
        parent = parent.parent
    return (parent.relative_to(folder.resolve()) / image.stem).as_posix()

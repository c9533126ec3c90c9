# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The outputs of one document, each format by its own file."""

import datetime
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..page_files import root_name
from ..page_sources import is_xml
from ..transcript import PageSource, TranscribedPage
from ..whole_files import write_whole
from .html_page import write_html
from .line_content import writable_name
from .picture_files import is_renamed, needs_own_picture, picture_file, relative_path, write_picture
from .plain_text import plain_text
from .searchable_pdf import write_pdf
from .writing_alto import new_alto, rename_alto_images, write_into_alto
from .writing_page_xml import new_page_xml, rename_page_images, write_into_page_xml

XML_FORMATS = ("page", "alto")
DOCUMENT_FORMATS = (*XML_FORMATS, "txt", "html", "pdf", "image")
ROOTS = {"PcGts": "page", "alto": "alto"}
WRITE_INTO = {"page": write_into_page_xml, "alto": write_into_alto}
WRITE_NEW = {"page": new_page_xml, "alto": new_alto}
RENAME = {"page": rename_page_images, "alto": rename_alto_images}


def write_document(
    pages: Sequence[TranscribedPage],
    formats: Sequence[str],
    folder: Path,
    now: datetime.datetime | None = None,
    leave: Collection[Path] = (),
) -> list[Path]:
    """
    Writes the outputs of one document, each file whole or not at all.

    The reading of a PAGE or ALTO file goes back into a copy of that very file where its format is asked for; a new
    PAGE or ALTO file holds one page.

    Args:
        pages: The pages of the document that were read, at least one, in order.
        formats: Some of `DOCUMENT_FORMATS`; others are none of its business.
        folder: Folder of the outputs; the document's name tells where in it.
        now: When they are written, by default now; nothing else makes two runs differ.
        leave: Outputs that stay as they are.

    Raises:
        OSError, ValueError: If one cannot be written; those before it are there.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    written = []
    for name in (name for name in DOCUMENT_FORMATS if name in formats):
        if name in XML_FORMATS:
            written += write_xml(pages, name, formats, folder, now, leave)
        elif name != "image" and (path := folder / f"{pages[0].source.document_name}.{name}") not in leave:
            written.append(WRITERS[name](pages, path, now))
    if writes_pictures(pages[0].source, formats):
        pictures = [(page, picture_file(page.source, folder)) for page in pages]
        written += [write_picture(page, path) for page, path in pictures if path not in leave]
    return list(dict.fromkeys(written))


def document_files(sources: Sequence[PageSource], formats: Sequence[str], folder: Path) -> list[Path]:
    """
    The files that [`write_document`] writes.

    Args:
        sources: Those of all pages of the document.
        formats: The same as there.
        folder: The same as there.
    """
    files = []
    for name in (name for name in DOCUMENT_FORMATS if name in formats):
        if name in XML_FORMATS:
            files += [xml_file(source, name, folder) for source in sources]
        elif name != "image":
            files.append(folder / f"{sources[0].document_name}.{name}")
    if writes_pictures(sources[0], formats):
        files += [picture_file(source, folder) for source in sources]
    return list(dict.fromkeys(files))


def xml_format(source: PageSource) -> str:
    """Which of the XML formats a document is, or ""."""
    return ROOTS.get(root_name(source.document), "") if is_xml(source) else ""


def xml_file(source: PageSource, name: str, folder: Path) -> Path:
    """The file that came in keeps its name; a new one, of one page, tells its format."""
    return folder / (f"{source.document_name}.xml" if xml_format(source) == name else f"{source.name}.{name}.xml")


def writes_pictures(source: PageSource, formats: Sequence[str]) -> bool:
    """PAGE and ALTO name one picture a page, which they bring along where there is none that they could name."""
    return "image" in formats or (any(name in formats for name in XML_FORMATS) and needs_own_picture(source))


def write_xml(
    pages: Sequence[TranscribedPage],
    name: str,
    formats: Sequence[str],
    folder: Path,
    now: datetime.datetime,
    leave: Collection[Path],
) -> list[Path]:
    first = pages[0].source
    if xml_format(first) == name:
        path = xml_file(first, name, folder)
        return [] if path in leave else [write_whole(path, write_into(pages, name, formats, folder, now))]
    written = []
    for page in pages:
        path = xml_file(page.source, name, folder)
        if path in leave:
            continue
        picture = picture_file(page.source, folder) if writes_pictures(first, formats) else page.source.image
        content = WRITE_NEW[name](page, writable_name(relative_path(picture, path.parent)), now)
        written.append(write_whole(path, content))
    return written


def write_into(
    pages: Sequence[TranscribedPage], name: str, formats: Sequence[str], folder: Path, now: datetime.datetime
) -> bytes:
    """The file that came in with the readings; it names the pictures that are written where it would not find them."""
    first = pages[0].source
    content = WRITE_INTO[name](first.document.read_bytes(), pages, now)
    moved = [page for page in pages if "image" in formats and is_renamed(page.source, folder)]
    if not moved:
        return content
    beside = xml_file(first, name, folder).parent
    names = {page.source.number: relative_path(picture_file(page.source, folder), beside) for page in moved}
    return RENAME[name](content, {number: writable_name(image) for number, image in names.items()})


def write_plain_text(pages: Sequence[TranscribedPage], path: Path, now: datetime.datetime) -> Path:
    return write_whole(path, plain_text(pages).encode("utf-8"))


WRITERS: dict[str, Callable[[Sequence[TranscribedPage], Path, datetime.datetime], Path]] = {
    "txt": write_plain_text,
    "html": write_html,
    "pdf": write_pdf,
}

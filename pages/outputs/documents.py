# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The outputs of one document, each format by its own file."""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

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


class OutputFile(NamedTuple):
    """
    A file that is made of a document.

    Attributes:
        path: Where it is written.
        format: One of `DOCUMENT_FORMATS`.
        sources: Those of the pages that are in it.
    """

    path: Path
    format: str
    sources: Sequence[PageSource]


def write_document(
    pages: Sequence[TranscribedPage],
    formats: Sequence[str],
    folder: Path,
    now: datetime.datetime | None = None,
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

    Raises:
        OSError, ValueError: If one cannot be written; those before it are there.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    files = output_files([page.source for page in pages], formats, folder)
    return [write_file(file, pages, formats, folder, now) for file in files]


def output_files(sources: Sequence[PageSource], formats: Sequence[str], folder: Path) -> list[OutputFile]:
    """
    The files that [`write_document`] writes.

    Args:
        sources: Those of all pages of the document.
        formats: The same as there.
        folder: The same as there.
    """
    first = sources[0]
    files = []
    for name in (name for name in DOCUMENT_FORMATS if name in formats and name != "image"):
        if name in XML_FORMATS and name != xml_format(first):
            files += [OutputFile(xml_file(source, name, folder), name, [source]) for source in sources]
        else:
            path = xml_file(first, name, folder) if name in XML_FORMATS else folder / f"{first.document_name}.{name}"
            files.append(OutputFile(path, name, sources))
    if writes_pictures(first, formats):
        of_picture: dict[Path, list[PageSource]] = {}
        for source in sources:
            of_picture.setdefault(picture_file(source, folder), []).append(source)
        files += [OutputFile(path, "image", sharing) for path, sharing in of_picture.items()]
    return files


def write_file(
    file: OutputFile,
    pages: Sequence[TranscribedPage],
    formats: Sequence[str],
    folder: Path,
    now: datetime.datetime,
) -> Path:
    """Writes one of [`output_files`], whole or not at all; for the arguments and errors see [`write_document`]."""
    pages = [page for page in pages if page.source in file.sources]
    if file.format in XML_FORMATS:
        return write_whole(file.path, xml_content(file, pages, formats, folder, now))
    if file.format == "image":
        return write_picture(pages[0], file.path)
    return WRITERS[file.format](pages, file.path, now)


def xml_format(source: PageSource) -> str:
    """Which of the XML formats a document is, or ""."""
    return ROOTS.get(root_name(source.document), "") if is_xml(source) else ""


def xml_file(source: PageSource, name: str, folder: Path) -> Path:
    """The file that came in keeps its name; a new one, of one page, tells its format."""
    return folder / (f"{source.document_name}.xml" if xml_format(source) == name else f"{source.name}.{name}.xml")


def writes_pictures(source: PageSource, formats: Sequence[str]) -> bool:
    """PAGE and ALTO name one picture a page, which they bring along where there is none that they could name."""
    return "image" in formats or (any(name in formats for name in XML_FORMATS) and needs_own_picture(source))


def xml_content(
    file: OutputFile,
    pages: Sequence[TranscribedPage],
    formats: Sequence[str],
    folder: Path,
    now: datetime.datetime,
) -> bytes:
    first = pages[0].source
    if xml_format(first) == file.format:
        return write_into(pages, file.format, formats, folder, now)
    picture = picture_file(first, folder) if writes_pictures(first, formats) else first.image
    return WRITE_NEW[file.format](pages[0], writable_name(relative_path(picture, file.path.parent)), now)


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

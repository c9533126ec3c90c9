# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The pages in files and folders: PAGE XML and ALTO with their images, bare images, TIFFs of several pages, PDFs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

from PIL import Image

from ..images_htr_convtext import full_frames, load_image, pillow_limit
from .finding_files import IMAGE_SUFFIXES, comparable, files_below, real_path
from .kept_pages import is_result
from .layout import Page
from .page_files import PAGE_ROOTS, ImageFrame, claim, in_order_of_preference, read_pages, root_name
from .page_images import find_page_image, in_grey_or_rgb, open_page_image, plan_page_image
from .pdf_files import count_pdf_pages, render_pdf_page
from .transcript import PageSource, Problem

PDF_SUFFIX, XML_SUFFIX = ".pdf", ".xml"
TIFF_SUFFIXES = (".tif", ".tiff")


class Note(Protocol):
    """Takes what is wrong with a file, or, if that is no failure, only odd."""

    def __call__(self, path: Path, what: str, is_failure: bool = True) -> None: ...


class FoundPages(NamedTuple):
    """
    What there is to be read.

    Attributes:
        sources: The pages, document by document in the order of their names.
        problems: The files that cannot be read, and what is odd about how the image of one was found.
        ignored: How many files there are of each other kind, by their suffix.
    """

    sources: list[PageSource]
    problems: list[Problem]
    ignored: dict[str, int]


class File(NamedTuple):
    """
    A file that may hold pages.

    Attributes:
        path: The file.
        name: Its path below what was given, without the suffix.
        top: The folder that was given, or that of the file that was.
        kind: "xml", "image", "pdf", or "" for all others.
    """

    path: Path
    name: str
    top: Path
    kind: str


class Document(NamedTuple):
    """A file with pages, and of each page its number in the file, its image, and the frame of that."""

    file: File
    pages: list[tuple[int, Path, int]]


def find_pages(inputs: Sequence[str | Path], output: Path | None = None, within: Path | None = None) -> FoundPages:
    """
    The pages in files and folders.

    An image that an XML file names is that file's, and is not read by itself. Of PAGE XML and ALTO for one image, PAGE
    is taken.

    Args:
        inputs: Files and folders, which are searched to any depth; hidden files and folders are left out.
        output: The folder of the results: left out where it is below one of the inputs; where it is one, what earlier
            runs wrote into it is.
        within: Folder that all images must be in, for files of strangers: an XML may name any file of this computer,
            and neither reads it nor learns whether it exists.

    Raises:
        FileNotFoundError: If one of the inputs does not exist.
        ValueError: If there are no pages in any of them.
    """
    problems: list[Problem] = []

    def note(path: Path, what: str, is_failure: bool = True) -> None:
        problems.append(Problem(str(path), what, is_failure))

    roots = [Path(given).expanduser() for given in inputs]
    for root in roots:
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such file or folder.")
    files = files_in(roots, output, note)
    documents = list(xml_documents([file for file in files if file.kind == "xml"], within, note))
    named = {image for document in documents for _, image, _ in document.pages}
    for file in files:
        if file.kind not in ("image", "pdf") or real_path(file.path) in named:
            continue
        if within is not None and not real_path(file.path).is_relative_to(within.resolve()):
            note(file.path, "it is a link to another place. Drop the file itself")
            continue
        documents.append(Document(file, list(bare_pages(file, note))))
    sources = list(named_sources(documents, note))
    ignored = Counter(file.path.suffix.lower() or file.path.name for file in files if not file.kind)
    if not sources and not problems:
        others = ", ".join(f"{number} {suffix}" for suffix, number in ignored.most_common(5))
        there = f", only {others}" if others else ""
        raise ValueError(f"{', '.join(map(str, roots))}: no images, PDFs, PAGE XML or ALTO{there}.")
    return FoundPages(sources, problems, dict(ignored))


def files_in(roots: Sequence[Path], output: Path | None, note: Note) -> list[File]:
    """The files, each once. Where those of two folders have the same name, the names begin with their folders'."""
    found: dict[Path, tuple[Path, Path]] = {}
    for root in roots:
        top = root if root.is_dir() else root.parent
        left_out = real_path(output) if output is not None and is_below(output, top) else None
        for path in files_below(root, unreadable=note) if root.is_dir() else [root]:
            if left_out is not None and real_path(path).is_relative_to(left_out):
                continue
            if output is None or not is_result(path, output):
                found.setdefault(real_path(path), (path, top))
    tops: dict[str, set[Path]] = {}
    for path, top in found.values():
        tops.setdefault(comparable(path.relative_to(top).with_suffix("").as_posix()), set()).add(top.resolve())
    files = []
    for path, top in found.values():
        name = path.relative_to(top).with_suffix("").as_posix()
        name = f"{top.resolve().name}/{name}" if len(tops[comparable(name)]) > 1 else name
        files.append(File(path, name, top, kind_of(path)))
    return files


def is_below(folder: Path, top: Path) -> bool:
    folder, top = real_path(folder), real_path(top)
    return folder != top and folder.is_relative_to(top)


def kind_of(path: Path) -> str:
    """ "xml", "image", "pdf" or "", by the suffix; XML that is neither PAGE nor ALTO is none."""
    suffix = path.suffix.lower()
    if suffix == XML_SUFFIX:
        return "xml" if root_name(path) in (*PAGE_ROOTS, "") else ""
    return "image" if suffix in IMAGE_SUFFIXES else "pdf" if suffix == PDF_SUFFIX else ""


def xml_documents(files: Sequence[File], within: Path | None, note: Note) -> Iterator[Document]:
    """PAGE and ALTO files with the images of their pages."""
    taken: dict[ImageFrame, Path] = {}
    by_path = {file.path: file for file in files}
    for path in in_order_of_preference(by_path, note):
        try:
            parsed = read_pages(path)
        except ValueError as error:
            note(path, str(error))
            continue
        located = (xml_page(by_path[path], number, page, within, taken, note) for number, page in enumerate(parsed))
        if pages := [page for page in located if page is not None]:
            yield Document(by_path[path], pages)


def xml_page(
    file: File, number: int, page: Page, within: Path | None, taken: dict[ImageFrame, Path], note: Note
) -> tuple[int, Path, int] | None:
    """A page of an XML file; None if it has no image, or another file tells the same page."""
    try:
        image, odd = find_page_image(file.path, page, file.top, within)
    except ValueError as error:
        note(file.path, str(error))
        return None
    wrong = claim(taken, image.resolve(), page.frame, file.path)
    if wrong:
        note(file.path, wrong)
    elif odd and wrong is None:
        note(file.path, odd, is_failure=False)
    return (number, image.resolve(), page.frame or 0) if wrong is None else None


def bare_pages(file: File, note: Note) -> Iterator[tuple[int, Path, int]]:
    """Pages of an image or a PDF without XML."""
    try:
        number = count_pdf_pages(file.path) if file.kind == "pdf" else count_frames(file.path)
    except (ImportError, OSError, ValueError) as error:
        note(file.path, str(error))
        return
    if number == 0:
        note(file.path, "the PDF has no pages")
    yield from ((frame, file.path, frame) for frame in range(number))


def count_frames(path: Path) -> int:
    """Pages of an image file; 1 for what cannot be opened, which is told when it is read."""
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return 1
    try:
        with pillow_limit(None), Image.open(path) as opened:
            return len(full_frames(opened))
    except Exception:  # Whatever Pillow meets in a damaged file.
        return 1


def named_sources(documents: Sequence[Document], note: Note) -> Iterator[PageSource]:
    """The pages of documents by their names; of two with one name the second is a problem."""
    used: dict[str, Path] = {}
    for (path, document_name, _, _), pages in sorted(documents, key=lambda document: document.file.name):
        several = len(pages) > 1
        names = [f"{document_name}_{number + 1:04d}" if several else document_name for number, _, _ in pages]
        keys = {comparable(name) for name in (document_name, *names)}
        if clash := next((used[key] for key in keys if key in used), None):
            note(path, f"its results would have the same names as those of {clash}; rename one of the two")
            continue
        used.update(dict.fromkeys(keys, path))
        for name, (number, image, frame) in zip(names, pages, strict=True):
            yield PageSource(name, path, number, image, frame, document_name)


def is_xml(source: PageSource) -> bool:
    """Whether a page's lines are told by a PAGE or ALTO file."""
    return source.document.suffix.lower() == XML_SUFFIX


def is_pdf(path: Path) -> bool:
    return path.suffix.lower() == PDF_SUFFIX


@lru_cache(maxsize=4)
def parsed_pages(path: Path, changed: int) -> list[Page]:
    return read_pages(path)


def load_page(source: PageSource, dpi: float) -> tuple[Page, Image.Image, str]:
    """
    A page as its file tells it, its picture, and a warning or "". The page has the size in which its file counts
    pixels, and no lines where it is no XML.

    Args:
        source: Where it comes from.
        dpi: Resolution of PDF pages that are no scans.

    Raises:
        ImportError, OSError, ValueError: If it cannot be read; the message names what is wrong.
    """
    if is_xml(source):
        page = parsed_pages(source.document, source.document.stat().st_mtime_ns)[source.number]
        plan = plan_page_image(source.image, page)
        page = page._replace(width=plan.size[0], height=plan.size[1])
        return page, open_page_image(source.image, plan), plan.warning
    if is_pdf(source.image):
        picture = render_pdf_page(source.image, source.frame, dpi)
    else:
        picture = bare_picture(source)
    return Page(source.image.name, picture.width, picture.height, []), picture, ""


def bare_picture(source: PageSource) -> Image.Image:
    return in_grey_or_rgb(load_image(source.image, frame=source.frame, max_pixels=None))


def open_source(source: PageSource, page: Page) -> Image.Image:
    """
    The picture of a page that was read, in grey or RGB; for the errors see [`load_page`].

    Args:
        source: Where it comes from.
        page: The page.
    """
    if is_xml(source):
        return open_page_image(source.image, plan_page_image(source.image, page))
    if is_pdf(source.image):
        return render_pdf_page(source.image, source.frame, 0, width=page.width)
    return bare_picture(source)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that come from a browser: which are taken, under which name, and the pages in them that are not read yet."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..images_htr_convtext import pillow_limit
from ..pages import PageSource, find_pages, read_pages
from ..pages.finding_files import IMAGE_SUFFIXES, comparable
from ..pages.page_sources import PDF_SUFFIX, XML_SUFFIX
from .project import Project, name_of_source
from .records import write_durably

KINDS = (*IMAGE_SUFFIXES, PDF_SUFFIX, XML_SUFFIX)
MEGABYTE = 2**20
# Of one file. A colour scan of a large page in TIFF has 200 MB.
MAX_BYTES = 256 * MEGABYTE
# Of one picture: in colour it needs a gigabyte.
MAX_PIXELS = 300_000_000
LONGEST_NAME = 120
# What no system but ours wants in a name, and names that Windows keeps for itself.
UNWANTED = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


class Added(NamedTuple):
    """Names of the files that were taken, and a sentence for each that was not."""

    names: list[str]
    problems: list[str]


def add_uploads(project: Project, paths: Iterable[Path]) -> Added:
    """
    Copies files into the originals of a project. One that is refused costs no other.

    Args:
        project: The project.
        paths: Files as the browser brought them.
    """
    names, problems = [], []
    with project.lock:
        for path in paths:
            name = safe_name(path.name)
            try:
                check_upload(path)
                target = free_place(project, name, path)
                write_durably(target, path.read_bytes())
                names.append(name)
            except (ValueError, OSError) as error:
                problems.append(f"{name} was not taken: {error}")
    return Added(names, problems)


def safe_name(name: str) -> str:
    """A name for a file in one folder, whatever the browser called it."""
    name = UNWANTED.sub("_", unicodedata.normalize("NFC", re.split(r"[\\/]", name)[-1])).strip(". ")
    stem, dot, suffix = name.rpartition(".")
    name = f"{stem[:LONGEST_NAME]}{dot}{suffix[:8]}" if dot else name[:LONGEST_NAME]
    return f"_{name}" if not name or RESERVED.match(name) else name


def check_upload(path: Path) -> None:
    """
    Raises:
        ValueError: If it is of no kind that can be read, whatever it is called, or too large.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS:
        raise ValueError("drop pictures, PDFs, PAGE XML or ALTO.")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"it has {path.stat().st_size / MEGABYTE:.0f} MB, and {MAX_BYTES / MEGABYTE:.0f} are the most. Save it "
            "smaller, as JPEG for example."
        )
    if suffix == XML_SUFFIX:
        read_pages(path)
    elif suffix == PDF_SUFFIX:
        with path.open("rb") as file:
            if b"%PDF-" not in file.read(1024):
                raise ValueError("it is called PDF and is none. Export it anew.")
    else:
        check_picture(path)


def check_picture(path: Path) -> None:
    try:
        with pillow_limit(None), Image.open(path) as opened:
            pixels = opened.width * opened.height
    except MemoryError:
        raise
    except Exception as error:
        # What Pillow says of it names the folder of uploads, which means nothing to those who dropped it.
        raise ValueError("it cannot be opened as a picture. Save it anew as JPEG or PNG.") from error
    if pixels > MAX_PIXELS:
        raise ValueError(
            f"it has {pixels / 1e6:.0f} megapixels, and {MAX_PIXELS / 1e6:.0f} are the most. Save it smaller."
        )


def free_place(project: Project, name: str, path: Path) -> Path:
    """Where a file goes; ValueError if something of its name is there."""
    there = {comparable(each.name): each for each in project.originals.iterdir()}
    other = there.get(comparable(name))
    if other is not None:
        if other.read_bytes() == path.read_bytes():
            raise ValueError("it is in the project already.")
        raise ValueError("another file of this name is in the project already. Rename the new one.")
    stem = Path(name).stem.removesuffix(".page")
    is_xml = Path(name).suffix.lower() == XML_SUFFIX
    alike = [each for each in there.values() if comparable(each.stem) == comparable(Path(name).stem)]
    other = next((each for each in alike if each.suffix.lower() != XML_SUFFIX), None)
    if other is not None and not is_xml:
        raise ValueError(f"{other.name} is in the project already, and its page is called alike. Rename the new one.")
    if is_xml and comparable(stem) in project.names():
        raise ValueError(
            f"page {stem} has been read without it. Give both under another name, the XML and the picture."
        )
    return project.originals / name


class Unread(NamedTuple):
    """The pages that are not read yet, and a sentence for each file that cannot be."""

    sources: list[PageSource]
    problems: list[str]


def unread_pages(project: Project) -> Unread:
    """What there is to be read among the originals of a project."""
    if not any(project.originals.iterdir()):
        return Unread([], [])
    try:
        found = find_pages([project.originals], within=project.originals)
    except (OSError, ValueError) as error:
        return Unread([], [str(error)])
    there = project.names()
    sources = [source for source in found.sources if comparable(name_of_source(source)) not in there]
    failed = [problem for problem in found.problems if problem.is_failure]
    return Unread(sources, [f"{Path(where).name}: {what}." for where, what, _ in failed])

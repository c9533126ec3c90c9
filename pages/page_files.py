# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder are PAGE XML or ALTO, and the pages in one."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree.ElementTree import Element

from .alto import parse_alto
from .finding_files import files_below, leave_out
from .layout import Page
from .missing_outlines import with_outlines
from .page_xml import parse_page_xml
from .safe_xml import local_name, parse_xml

HEAD_BYTES = 65536
PAGE_ROOTS = ("PcGts", "alto")

ImageFrame = tuple[Path, int | None]


def has_pages(folder: Path) -> bool:
    """Whether any file below a folder is PAGE XML or ALTO, by its beginning."""
    return any(root_name(path) in PAGE_ROOTS for path in files_below(folder, ".xml", unreadable=leave_out))


def root_name(path: Path) -> str:
    """Name of the root element of an XML file, from its beginning; "" if there is none, or it cannot be opened."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).replace(b"\0", b"").decode("utf-8", "ignore")
    except OSError:
        return ""
    declarations = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
    found = re.search(r"<(?:\w+:)?(\w+)", declarations.sub("", head))
    return found[1] if found else ""


def in_order_of_preference(paths: Iterable[Path], note: Callable[[Path, str], None]) -> list[Path]:
    """
    PAGE files, then ALTO files, of each the ones with the shortest endings first; of several files for one image the
    first is taken, see [`claim`]. XML of other kinds is left out; what is no XML is noted.
    """
    found = [(path, root_name(path)) for path in paths]
    for path, name in found:
        if not name:
            note(path, "malformed XML (no element)" if os.access(path, os.R_OK) else "it cannot be opened")
    pages = [(path, name) for path, name in found if name in PAGE_ROOTS]
    return [path for path, name in sorted(pages, key=lambda pair: (pair[1] != "PcGts", len(pair[0].suffixes)))]


def claim(taken: dict[ImageFrame, Path], image: Path, frame: int | None, path: Path) -> str | None:
    """
    Takes the image of a page for an XML file.

    Args:
        taken: The file that has taken each image; changed.
        image: The image.
        frame: Its frame.
        path: The XML file.

    Returns:
        None if the image is this file's; else what is wrong with that, or "" if the other file tells the same page in
        another format, or is a copy beside it with a longer ending. Of two layouts in two folders, one may be wrong.
    """
    other = taken.setdefault((image, frame), path)
    if other == path:
        return None
    twice = root_name(other) == root_name(path) and not is_copy(path, other)
    return f"its image is {image.name}, as is that of {other}" if twice else ""


def is_copy(path: Path, of: Path) -> bool:
    """Whether a file lies beside another with a longer ending, which says how it was made: `1.page.xml`, `1.xml`."""
    return path.parent == of.parent and path.name.startswith(f"{of.stem}.")


def read_pages(
    source: Path | str | bytes, text_index: int | None = None, edit: Callable[[Element], None] | None = None
) -> list[Page]:
    """
    The pages of a PAGE XML or ALTO file: one, but for ALTO files of a whole book. Lines of which it tells only the
    baseline have an outline made of that, see [`~missing_outlines.with_outlines`].

    Args:
        source: The file, or its content.
        text_index: See [`~page_xml.parse_page_xml`].
        edit: Changes the tree before it is read.

    Raises:
        ValueError: If it is neither, or malformed.
    """
    root = parse_xml(source)
    if edit is not None:
        edit(root)
    name = local_name(root)
    if name not in PAGE_ROOTS:
        raise ValueError(f"neither PAGE XML nor ALTO, but {name}")
    try:
        pages = parse_alto(root) if name == "alto" else parse_page_xml(root, text_index)
        return list(map(with_outlines, pages))
    except (ValueError, RecursionError) as error:  # Elements in elements, a thousand deep.
        raise ValueError(f"not {name} as expected ({error})") from error

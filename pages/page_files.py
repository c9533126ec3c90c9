# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder are PAGE XML or ALTO, and the pages in one."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

from .alto import parse_alto
from .finding_files import files_below
from .layout import Page
from .page_xml import parse_page_xml
from .safe_xml import local_name, parse_xml

HEAD_BYTES = 65536
PAGE_ROOTS = ("PcGts", "alto")


def has_pages(folder: Path) -> bool:
    """Whether any file below a folder is PAGE XML or ALTO, by its beginning."""
    return any(root_name(path) in PAGE_ROOTS for path in files_below(folder, ".xml"))


def root_name(path: Path) -> str:
    """Name of the root element of an XML file, from its beginning; "" if there is none."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).replace(b"\0", b"").decode("utf-8", "ignore")
    declarations = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
    found = re.search(r"<(?:\w+:)?(\w+)", declarations.sub("", head))
    return found[1] if found else ""


def read_pages(
    source: Path | str | bytes, text_index: int | None = None, edit: Callable[[Element], None] | None = None
) -> list[Page]:
    """
    The pages of a PAGE XML or ALTO file: one, but for ALTO files of a whole book.

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
        return parse_alto(root) if name == "alto" else parse_page_xml(root, text_index)
    except ValueError as error:
        raise ValueError(f"not {name} as expected ({error})") from error

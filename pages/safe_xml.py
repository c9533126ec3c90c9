# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""XML from anywhere, parsed without expanding what could harm."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException


def parse_xml(source: Path | str | bytes) -> Element:
    """
    Root of an XML file, or of the content of one.

    Raises:
        ValueError: If it cannot be opened, is malformed or declares entities.
    """
    try:
        return ElementTree.parse(source).getroot() if isinstance(source, Path) else ElementTree.fromstring(source)
    except (OSError, ValueError, LookupError, ParseError) as error:
        raise ValueError(describe(error)) from error


def describe(error: Exception) -> str:
    if isinstance(error, DefusedXmlException):
        return f"refused, for it declares XML entities ({type(error).__name__})"
    return f"malformed XML ({error})" if isinstance(error, ParseError) else f"unreadable ({error})"


def local_name(element: Element) -> str:
    """Name of an element without its namespace; "" for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""

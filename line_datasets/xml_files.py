"""XML from anywhere: read without expanding what could harm, and what is wrong is noted."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from .problems import Problems


def read_xml(path: Path, problems: Problems) -> Element | None:
    """Root of an XML file; None, noted as a problem, if it is malformed or declares entities."""
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ValueError, LookupError, ParseError) as error:
        problems.add(path, describe(error))
    return None


def parse_xml(text: str | bytes) -> Element:
    """
    Root of an XML document.

    Raises:
        ValueError: If it is malformed or declares entities.
    """
    try:
        return ElementTree.fromstring(text)
    except (ValueError, LookupError, ParseError) as error:
        raise ValueError(describe(error)) from error


def describe(error: Exception) -> str:
    if isinstance(error, DefusedXmlException):
        return f"refused, for it declares XML entities ({type(error).__name__})"
    return f"malformed XML ({error})" if isinstance(error, ParseError) else f"unreadable ({error})"


def local_name(element: Element) -> str:
    """Name of an element without its namespace."""
    return element.tag.rpartition("}")[2]

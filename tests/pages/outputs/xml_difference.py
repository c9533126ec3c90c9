# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What differs between two XML files, whitespace between elements left out."""

from collections.abc import Callable

from lxml import etree


def outline_of(content: bytes, leave_out: Callable[[etree._Element], bool]) -> list[str]:
    """
    A file as a list of what is in it, in its order: declarations of namespaces, elements, attributes in their order,
    texts, comments, processing instructions; also those outside the root.

    Args:
        content: The file.
        leave_out: Which elements, with what is in them, don't count.
    """
    tree = etree.ElementTree(etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True)))
    found = [tree.docinfo.doctype, str(tree.docinfo.encoding), str(tree.docinfo.standalone)]
    root = tree.getroot()
    before, after = list(root.itersiblings(preceding=True))[::-1], list(root.itersiblings())
    for node in (*before, root, *after):
        describe(node, "", found, leave_out)
    return found


def describe(node: etree._Element, place: str, found: list[str], leave_out: Callable) -> None:
    if leave_out(node):
        return
    if not isinstance(node.tag, str):
        found.append(f"{place} {node}")
    else:
        place = f"{place}/{node.tag}"
        found.append(f"{place} {node.prefix} {sorted(node.nsmap.items(), key=str)} {list(node.attrib.items())}")
        found.append(f"{place} text {(node.text or '').strip()}")
        for child in node:
            describe(child, place, found, leave_out)
    if node.getparent() is not None:
        found.append(f"{place} tail {(node.tail or '').strip()}")

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A validation split from the training lines of data that has none, page by page."""

import hashlib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from datasets import Dataset

Group = tuple[str, str]  # Source, and page or run of lines.

logger = logging.getLogger(__name__)

# What numbers the lines of a page in their names, such as page3_01.
LINE_NUMBER = re.compile(r"[\W_]*\d+$")
PAGES_SHOWN = 10
# How the pages of a source's lines are known, and what the log says of it.
DATA, NAMES, RUNS = "data", "names", "runs"
WAYS = {
    DATA: "the data names the pages",
    NAMES: "the pages are the lines' names without their last number: page3_01 is of page3",
    RUNS: "neither the data nor the names tell the pages, so these are runs of lines in the order of their names",
}


def hold_out(lines: Dataset, fraction: float) -> tuple[Dataset, Dataset]:
    """
    Training and validation lines, whole pages each: a model that has seen half of a page knows its ink and its words
    better than those of the next page.

    Which pages are held out depends on their names alone, so that it is the same in every run, and changes little when
    pages are added.

    Args:
        lines: Lines of [`load_lines`]. The column `page` says what page a line is from (PAGE XML, ALTO), or else its
            name, if it ends in a number: `page3_01` is of `page3`. Where neither does, as where all names are
            `line_001`, runs of consecutive lines are held out, and a warning says so.
        fraction: Share of the lines, above 0 and below 1, which whole pages meet as nearly as they can.

    Raises:
        ValueError: If all lines are of one page.
    """
    sources = list(lines["source"])
    groups: list[Group] = [("", "")] * len(lines)
    ways = set()
    for source in sorted(set(sources)):
        rows = [row for row, other in enumerate(sources) if other == source]
        way, found = group_lines(lines.select(rows), fraction)
        ways.add(way)
        for row, group in zip(rows, found, strict=True):
            groups[row] = source, group
    chosen = choose(groups, fraction)
    held = [row for row, group in enumerate(groups) if group in chosen]
    log_choice(chosen, len(held), len(groups), len(set(groups)), ways, fraction)
    return lines.select([row for row, group in enumerate(groups) if group not in chosen]), lines.select(held)


def group_lines(lines: Dataset, fraction: float) -> tuple[str, list[str]]:
    """How the pages of one source's lines are known, and the page of each."""
    if None not in lines["page"]:
        return DATA, [composed(page) for page in lines["page"]]
    pages = [LINE_NUMBER.sub("", composed(name)) for name in lines["line_id"]]
    sizes = Counter(pages)
    # Names that number all lines, or that end in a word of their own, tell no pages.
    if 1 < len(sizes) <= len(lines) / 2 and min(sizes.values()) <= 2 * fraction * len(lines):
        return NAMES, pages
    return RUNS, runs(lines["line_id"], fraction)


def composed(name: str) -> str:
    """A name as Linux and Windows write it; macOS and some archives decompose its letters."""
    return unicodedata.normalize("NFC", name)


def runs(names: Sequence[str], fraction: float) -> list[str]:
    """Numbers of runs of lines by the order of their names, each about the given share of all."""
    number = max(round(1 / fraction), 2)
    place_of = {
        row: place for place, row in enumerate(sorted(range(len(names)), key=lambda row: in_order(names[row])))
    }
    return [str(place_of[row] * number // len(names)) for row in range(len(names))]


def in_order(name: str) -> list[tuple[int, str]]:
    """Key that sorts names by their numbers: line_9 before line_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def choose(groups: Sequence[Group], fraction: float) -> set[Group]:
    """
    Groups whose lines are nearly the given share of all.

    Raises:
        ValueError: If there is one group only.
    """
    sizes = Counter(groups)
    if len(sizes) < 2:
        raise ValueError(
            f"--validation_fraction {fraction:g} keeps the lines of a page together, and all {len(groups)} training "
            "lines are of one page. Add a second page, or choose the lines yourself in a list val.ln."
        )
    target, held = fraction * len(groups), 0
    chosen: set[Group] = set()
    for group in sorted(sizes, key=by_chance):
        nearer = abs(held + sizes[group] - target) < abs(held - target)
        if nearer and len(chosen) + 1 < len(sizes):
            chosen.add(group)
            held += sizes[group]
    return chosen or {min(sizes, key=lambda group: (sizes[group], by_chance(group)))}


def by_chance(group: Group) -> bytes:
    """An order that has nothing to do with the names, and is the same in every run."""
    return hashlib.sha256(repr(group).encode()).digest()


def log_choice(chosen: set[Group], held: int, lines: int, groups: int, ways: set[str], fraction: float) -> None:
    what = "runs of lines" if ways == {RUNS} else "pages"
    message = (
        f"--validation_fraction {fraction:g}: {held} of the {lines} training lines are the validation split, those of "
        f"{len(chosen)} of {groups} {what}; {'; '.join(WAYS[way] for way in WAYS if way in ways)}."
    )
    if RUNS in ways:
        logger.warning(
            "%s Lines of one page may be in both splits, and the error rates may look better than they will be on new "
            "pages. Name the lines like page3_01.png, or choose lines of other pages in a list val.ln.",
            message,
        )
        return
    names = sorted(f"{source}/{page}" for source, page in chosen)
    more = f" and {len(names) - PAGES_SHOWN} more" if len(names) > PAGES_SHOWN else ""
    logger.info("%s Held out: %s%s", message, ", ".join(names[:PAGES_SHOWN]), more)

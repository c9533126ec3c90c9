# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Looks at every line for what would spoil a training."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from datasets import DatasetDict
from datasets.utils import tqdm
from PIL import Image

from ..decoding_htr_convtext import frames_needed
from ..images_htr_convtext import load_image, to_grey
from ..pages.geometry import right_to_left
from ..pages.page_images import in_grey_or_rgb
from ..pipeline_htr_convtext import PAGE_ASPECT, PreparedLine, check_line
from .labels import Vocabulary, vocabulary
from .shared_images import shared_images, undecoded

# Unicode counts signs around numbers, the end of an Arabic verse and the like among the characters that format a text.
SEEN_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")


class Network(NamedTuple):
    """
    What a model can read.

    Attributes:
        alphabet: Characters that it can write; None for those of the train split.
        width: Width of its input in pixels for an image of a height and width.
        frames: Frames of CTC for such an input's width.
    """

    alphabet: str | None
    width: Callable[[int, int], int]
    frames: Callable[[int], int]


class Findings(NamedTuple):
    """
    What was found: sizes by split, widths and lengths of all lines, characters, what is wrong or odd, and images that
    the pipeline would not take for one line.
    """

    lines: dict[str, int]
    widths: list[int]
    lengths: list[int]
    characters: Vocabulary
    errors: list[str]
    warnings: list[str]
    no_lines: list[str]


def examine(
    splits: DatasetDict, reader: Network, errors: Iterable[str] = (), warnings: Iterable[str] = ()
) -> Findings:
    """
    Looks at every line.

    Args:
        splits: Result of [`load_lines`], with a train split.
        reader: What the model can read.
        errors: What was wrong with the files.
        warnings: What was odd about them.
    """
    characters = vocabulary(splits)
    findings = Findings(
        {name: len(split) for name, split in splits.items()}, [], [], characters, list(errors), list(warnings), []
    )
    pages: dict[tuple[str, str], set[str]] = {}
    for name, split in splits.items():
        for row in tqdm(undecoded(split), desc=f"Looking at {name}", unit=" lines"):
            examine_line(name, row, reader, findings)
            if row["page"]:
                pages.setdefault((row["source"], row["page"]), set()).add(name)
        note_unknown_characters(name, reader, findings)
    if "validation" not in splits:
        findings.warnings.append(
            "no validation split: a training cannot tell at which step it read best; put some pages, a tenth of them "
            'say, into a folder "validation", or their names into a list val.ln'
        )
    findings.warnings.extend(odd_characters(splits, characters))
    findings.warnings.extend(no_single_lines(findings.no_lines))
    findings.warnings.extend([*shared_images(splits), *pages_in_two_splits(pages)])
    return findings


def note_unknown_characters(split: str, reader: Network, findings: Findings) -> None:
    characters = findings.characters
    alphabet = set(characters.alphabet if reader.alphabet is None else reader.alphabet)
    if missing := sorted(set(characters.counts[split]) - alphabet):
        found = findings.errors if split == "train" else findings.warnings  # Training stops at its own split only.
        known = "among the characters of train" if reader.alphabet is None else "in the vocabulary"
        found.append(f"{split}: not {known}: {' '.join(map(shown, missing))}")


def examine_line(split: str, row: dict[str, Any], reader: Network, findings: Findings) -> None:
    text, where = row["text"], f"{split}, {row['line_id']}"
    findings.lengths.append(len(text))
    if not text:
        findings.errors.append(f"{where}: empty transcription")
    try:
        image = decode(row["image"])
    except ValueError as error:
        findings.errors.append(f"{where}: unreadable image ({error})")
        return
    findings.widths.append(image.width)
    darkest, lightest = to_grey(image).getextrema()
    if darkest == lightest:
        findings.errors.append(f"{where}: empty image, all pixels are {darkest}")
    elif image.width < PAGE_ASPECT * image.height and not is_one_line(image):
        findings.no_lines.append(where)
    width = reader.width(image.height, image.width)
    if frames_needed(text) > reader.frames(width):
        findings.errors.append(f"{where}: too long for the CTC, {frames_needed(text)} frames for {width} pixels")


def decode(image: dict[str, Any]) -> Image.Image:
    """Every pixel as training sees it, in grey or RGB; ValueError if the file is cut short or damaged."""
    try:
        return in_grey_or_rgb(load_image(image))
    except OSError as error:
        raise ValueError(str(error)) from error


def is_one_line(image: Image.Image) -> bool:
    """Whether the pipeline would read an image as a line; a page is refused."""
    try:
        check_line(to_grey(image), PreparedLine())
    except ValueError:
        return False
    return True


def no_single_lines(where: list[str]) -> list[str]:
    """What to know about images that look like whole pages or several lines."""
    if not where:
        return []
    return [
        f"{len(where)} images look like pages, several lines or a line that stands upright, such as {where[0]}: each "
        "is taken for one line; a page needs its PAGE XML or ALTO beside it"
    ]


def odd_characters(splits: DatasetDict, characters: Vocabulary) -> list[str]:
    """What is to know about labels with characters that cannot be seen, or that are read from right to left."""
    everywhere = Counter[str]()
    for counted in characters.counts.values():
        everywhere.update(counted)
    found = [
        f"characters that cannot be seen on a page become classes: {shown(character)}, {number} times"
        for character, number in everywhere.items()
        if character != " " and not can_be_seen(character)
    ]
    if number := sum(map(right_to_left, (text for split in splits.values() for text in split["text"]))):
        found.append(
            f"{number} lines have letters that are read from right to left: a model writes their characters in the "
            "order in which they stand here; text_order=logical is that of reading, visual that on the line"
        )
    return found


def can_be_seen(character: str) -> bool:
    """Whether a font may draw a character: those for private use, as of MUFI, and what is newer than Python, too."""
    drawn = character.isprintable() or unicodedata.category(character) in ("Co", "Cn")
    return drawn or character in SEEN_FORMATS


def pages_in_two_splits(where: dict[Any, set[str]]) -> list[str]:
    """One sentence for each combination of splits that share pages."""
    counted = Counter(tuple(sorted(names)) for names in where.values() if len(names) > 1)
    return [f"{number} pages lie in {' and '.join(names)}" for names, number in counted.items()]


def shown(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Transcriptions as labels: Unicode normal form, what cannot be seen, order, spaces; the characters of a dataset."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

from datasets import Dataset

from ..extras import needing
from ..pages.geometry import RIGHT_TO_LEFT, right_to_left
from ..processing_htr_convtext import ALPHABETS

NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD", "none")
PAPERS_FORM = "NFC"
LOST = "\ufffd"
TEXT_ORDERS = ("logical", "visual")
VOCABULARY_BATCH = 10_000
# Control characters but white space, soft hyphen, grapheme joiner, zero width space, word joiner, byte order mark, and
# marks of direction, which tell in which order the characters stand.
DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
INVISIBLE_BUT_DIRECTIONS = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb]"
)
INVISIBLE = re.compile(f"[{DIRECTIONS}]|{INVISIBLE_BUT_DIRECTIONS.pattern}")
# Zero width joiners shape the letters of Arabic, Syriac, N'Ko, Mongolian and the scripts of India and its neighbours.
JOINERS = re.compile("(?<![\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc])[\u200c\u200d]+")


def published_alphabet(dataset: str, normal_form: str = PAPERS_FORM) -> str | None:
    """Characters that a new model of one of the paper's datasets knows; `None` where they are those of its lines."""
    return ALPHABETS.get(dataset) if normal_form == PAPERS_FORM else None


class LabelForm(NamedTuple):
    """
    How transcriptions become labels.

    Attributes:
        normal_form: See [`normalize_text`].
        text_order: "logical", the order of reading, in which Unicode keeps every text; or "visual", the order in which
            the characters stand on the line from left to right. They differ where there is Hebrew or Arabic.
    """

    normal_form: str = "NFC"
    text_order: str = "logical"

    def label(self, text: str) -> str:
        """The label of a transcription."""
        if self.text_order == "visual" and right_to_left(text):
            characters = normalize_characters(text, self.normal_form, INVISIBLE_BUT_DIRECTIONS)
            text = visual_order(" ".join(characters.split()))
        return normalize_text(text, self.normal_form)


def normalize_text(text: str, normal_form: str = "NFC") -> str:
    """
    A transcription with single spaces, none at the ends, and without characters that nobody sees on the page.

    Left out are control characters, the soft hyphen, grapheme joiners, zero width and word joiners, byte order marks
    and marks of direction; of the zero width joiner and non-joiner those that do not follow a letter of a script in
    which they change its shape.

    Args:
        text: Transcription; every run of Unicode white space counts as a space.
        normal_form: "NFC", "NFD", "NFKC", "NFKD", or "none" to leave the characters as they are, invisible ones too.

    Raises:
        ValueError: If there is no such normal form.
    """
    return " ".join(normalize_characters(text, normal_form, INVISIBLE).split())


def normalize_characters(text: str, normal_form: str, left_out: re.Pattern) -> str:
    if normal_form not in NORMAL_FORMS:
        raise ValueError(f"Unknown normal_form {normal_form!r}. Known: {', '.join(NORMAL_FORMS)}.")
    if normal_form == "none":
        return text
    # An invisible character would keep a letter from its accent.
    visible = JOINERS.sub("", left_out.sub("", text))
    return unicodedata.normalize(cast(Literal["NFC", "NFD", "NFKC", "NFKD"], normal_form), visible)


def visual_order(text: str) -> str:
    """
    The characters in the order in which they stand on the line, from left to right, by Unicode's algorithm.

    The direction of the line is that of its first letter. Accents stay behind their letters.

    Raises:
        ImportError: If python-bidi is not installed.
    """
    with needing('text_order="visual"', "bidi"):
        from bidi.algorithm import get_display
    characters = list(get_display(text))
    for place in range(len(characters) - 2, -1, -1):
        here, after = characters[place : place + 2]
        # Turning a run around has put its accents before their letters.
        if is_mark(here) and unicodedata.bidirectional(after) in RIGHT_TO_LEFT:
            end = place + 1
            while end + 1 < len(characters) and is_mark(characters[end + 1]):
                end += 1
            characters.insert(end, characters.pop(place))
    return "".join(characters)


def is_mark(character: str) -> bool:
    """Whether a character stands on the letter before it; the vowels of Thaana do, and have no combining class."""
    return unicodedata.category(character).startswith("M")


def left_out(text: str, label: str) -> list[str]:
    """The invisible characters of a transcription that its label does not have, by code point."""
    found = {*INVISIBLE.findall(text), *(set(text) & set("\u200c\u200d"))}
    return sorted(character for character in found if text.count(character) > label.count(character))


def oddities_of(text: str, label: str) -> list[str]:
    """What is odd about a transcription that becomes a label all the same, in the plural."""
    found = [f"invisible characters left out, U+{ord(character):04X}" for character in left_out(text, label)]
    if LOST in label:
        found.append(f"letters that a conversion has lost, {LOST} (U+FFFD)")
    return found


class Vocabulary(NamedTuple):
    """
    Characters of a dataset.

    Attributes:
        alphabet: Characters of the train split, by code point.
        counts: How often each occurs, by split.
        unseen: For the other splits, the characters that the train split lacks, with their counts: no model trained
            on it can write them.
    """

    alphabet: str
    counts: dict[str, dict[str, int]]
    unseen: dict[str, dict[str, int]]


def vocabulary(splits: Mapping[str, Dataset]) -> Vocabulary:
    """
    Characters (code points) of the train split, and those that occur only elsewhere.

    Args:
        splits: Splits with a column `text`, one of them named "train".

    Raises:
        ValueError: If there is no train split.
    """
    if "train" not in splits:
        raise ValueError(f"A vocabulary comes from the split 'train'; the dataset has {', '.join(splits)}.")
    counts = {name: count_characters(split) for name, split in splits.items()}
    known = set(counts["train"])
    unseen = {
        name: {character: number for character, number in counted.items() if character not in known}
        for name, counted in counts.items()
        if name != "train"
    }
    return Vocabulary("".join(sorted(known)), counts, unseen)


def count_characters(split: Dataset) -> dict[str, int]:
    """Number of occurrences of every character, by code point."""
    counter: Counter[str] = Counter()
    for batch in split.select_columns("text").iter(VOCABULARY_BATCH):
        counter.update("".join(batch["text"]))
    return dict(sorted(counter.items()))

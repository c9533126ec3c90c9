"""Transcriptions as labels: Unicode normal form, blanks, and the characters of a dataset."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

from datasets import Dataset

NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD", "none")
VOCABULARY_BATCH = 10_000


def normalize_text(text: str, normal_form: str = "NFC") -> str:
    """
    A transcription with single blanks, none at the ends.

    Args:
        text: Transcription; every run of Unicode white space counts as a blank.
        normal_form: "NFC", "NFD", "NFKC", "NFKD", or "none" to leave the characters as they are.

    Raises:
        ValueError: If there is no such normal form.
    """
    if normal_form not in NORMAL_FORMS:
        raise ValueError(f"Unknown normal_form {normal_form!r}. Known: {', '.join(NORMAL_FORMS)}.")
    if normal_form != "none":
        text = unicodedata.normalize(cast(Literal["NFC", "NFD", "NFKC", "NFKD"], normal_form), text)
    return " ".join(text.split())


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

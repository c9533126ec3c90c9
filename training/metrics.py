# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Character and word error rates of the paper."""

import functools
import unicodedata
from collections.abc import Callable

import jiwer

# A word is what stands between blanks once each of these is a word of its own (paper's protocol); U+20AC is the euro
# sign, U+00B0 the degree sign, U+2014 the em dash. Other marks of Latin texts, such as guillemets, are part of words.
PUNCTUATION = "[]{}/()\"'&+*=<>?.;:,!-_\u20ac#%\u00b0\u2014"
# Where Unicode has marks of all scripts and of Latin alone, with which the paper's list is done.
FIRST_OF_OTHER_SCRIPTS = "\u0370"
OF_ALL_SCRIPTS = (("\u2000", "\u2bff"), ("\u2e00", "\u2e7f"))


@functools.cache
def is_mark(character: str) -> bool:
    """Whether it is a word of its own: one of the paper's marks, or of those of scripts that its datasets lack."""
    if character < FIRST_OF_OTHER_SCRIPTS or any(first <= character <= last for first, last in OF_ALL_SCRIPTS):
        return character in PUNCTUATION
    return unicodedata.category(character).startswith("P")


def words(text: str) -> list[str]:
    """
    Words of `text` for the word error rate; an empty text is one empty word, as in the paper's protocol.

    >>> words('"Well," he said')
    ['"', 'Well', ',', '"', 'he', 'said']
    """
    return "".join(f" {character} " if is_mark(character) else character for character in text).split() or [""]


def whitespace_words(text: str) -> list[str]:
    """
    Words of `text` as white space parts them, for the word error rate of most other tools.

    >>> whitespace_words('"Well," he said')
    ['"Well,"', 'he', 'said']
    """
    return text.split() or [""]


def without_punctuation(text: str) -> str:
    """`text` without punctuation marks, its blanks collapsed."""
    return " ".join("".join(character for character in text if not is_mark(character)).split())


class Split(jiwer.AbstractTransform):
    """
    jiwer's step from lines to lists; unlike its defaults it strips nothing.

    Args:
        parts: Gives the parts of a text.
    """

    def __init__(self, parts: Callable[[str], list[str]]):
        self.parts = parts

    def process_string(self, s: str) -> list[str]:
        return self.parts(s)


def align_words(
    predictions: list[str], references: list[str], parts: Callable[[str], list[str]] = words
) -> jiwer.WordOutput:
    """jiwer's alignment of each prediction's words with its reference's; of what `parts` gives, if not words."""
    return jiwer.process_words(references, predictions, Split(parts), Split(parts))


def align_characters(predictions: list[str], references: list[str]) -> jiwer.WordOutput:
    """jiwer's alignment of each prediction's characters with its reference's."""
    return align_words(predictions, references, list)


def edits(alignment: jiwer.WordOutput) -> int:
    """Insertions, deletions and substitutions of an alignment."""
    return alignment.insertions + alignment.deletions + alignment.substitutions


def error_rates(predictions: list[str], references: list[str]) -> dict[str, float]:
    """`{"cer", "wer"}` of lines, as fractions; of words, punctuation marks are some."""
    predictions, references = list(predictions), list(references)
    return {
        "cer": float(align_characters(predictions, references).wer),
        "wer": float(align_words(predictions, references).wer),
    }


def all_error_rates(predictions: list[str], references: list[str]) -> dict[str, float]:
    """
    Error rates of handwriting recognition, as fractions; edits alone where the references hold nothing to count.

    Args:
        predictions: Texts read, one for each line.
        references: Texts that are there, in the same order. Nothing is stripped: a leading space counts.

    Returns:
        `cer`: Edits over characters of the references, both summed over all lines.
        `wer`: The same over words, where punctuation marks are words: those of the paper's protocol, which are not all
            of Latin texts, and of other scripts all.
        `wer_whitespace`: The WER of most other tools, over words as white space parts them.
        `cer_lower`, `wer_lower`: Of both texts in lower case.
        `cer_no_punctuation`, `wer_no_punctuation`: Without punctuation marks, blanks collapsed.
    """
    rates = error_rates(predictions, references)
    rates["wer_whitespace"] = float(align_words(list(predictions), list(references), whitespace_words).wer)
    for suffix, normalise in (("lower", str.lower), ("no_punctuation", without_punctuation)):
        variant = error_rates([normalise(text) for text in predictions], [normalise(text) for text in references])
        rates.update({f"{name}_{suffix}": rate for name, rate in variant.items()})
    return rates

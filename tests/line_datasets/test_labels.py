# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Transcriptions as labels: what cannot be seen is left out, and the order of right-to-left scripts."""

import pytest

from htr_convtext.line_datasets import normalize_text
from htr_convtext.line_datasets.labels import LabelForm, left_out

INVISIBLE = (
    "\u00ad\u034f\u200b\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\x00\x07"
)
SHALOM = "\u05e9\u05dc\u05d5\u05dd"


@pytest.mark.parametrize("character", INVISIBLE)
def test_invisible_characters_are_left_out_and_named(character):
    text = f"a{character}b"
    assert normalize_text(text) == "ab"
    assert left_out(text, "ab") == [character]
    assert normalize_text(text, "none") == text


def test_white_space_of_every_kind_is_a_space():
    assert normalize_text("\u00a0a\u2009\u3000b\tc\r\nd ") == "a b c d"


@pytest.mark.parametrize("between", ["\u200b", "\u200d", "\u200f"])
@pytest.mark.parametrize("beside", ["", f" {SHALOM}"])
def test_accent_behind_an_invisible_character_still_joins_its_letter(between, beside):
    assert normalize_text(f"e{between}\u0301{beside}") == f"\u00e9{beside}"


@pytest.mark.parametrize("joiner", ["", "\u034f"])
def test_points_of_hebrew_are_in_one_order_with_and_without_a_grapheme_joiner(joiner):
    """The usual way to type Jerusalem, with two vowels on one letter; on the page nothing tells the order of them."""
    text = f"\u05dc\u05b7{joiner}\u05b4\u05dd"
    assert normalize_text(text) == "\u05dc\u05b4\u05b7\u05dd"
    assert LabelForm("NFC", "visual").label(text) == "\u05dd\u05dc\u05b4\u05b7"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),  # Persian
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),  # Devanagari
        ("\u0d28\u0d4d\u200d", "\u0d28\u0d4d\u200d"),  # Malayalam, at the end of a word
        ("a\u200cb\u200d c", "ab c"),
        ("\u200c\u0645", "\u0645"),
        ("\u0645\u200c\u200c\u062e", "\u0645\u200c\u062e"),
    ],
)
def test_joiners_stay_behind_letters_that_they_shape(text, label):
    assert normalize_text(text) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("abc", "abc"),
        (SHALOM, SHALOM[::-1]),
        (f"{SHALOM} 12", f"12 {SHALOM[::-1]}"),
        (f"see {SHALOM} now", f"see {SHALOM[::-1]} now"),
        (f"\u200f{SHALOM}", SHALOM[::-1]),
        ("\u05d1\u05b8\u05bc\u05e8", "\u05e8\u05d1\u05b8\u05bc"),  # Points stay behind their letter.
        ("\u0780\u07aa\u0783\u07a8", "\u0783\u07a8\u0780\u07aa"),  # Thaana, whose vowels have no combining class.
        (f"({SHALOM})", f"({SHALOM[::-1]})"),
    ],
)
def test_visual_order_is_that_on_the_line(text, label):
    assert LabelForm("NFC", "visual").label(text) == label
    assert LabelForm("NFC", "logical").label(text) == normalize_text(text)

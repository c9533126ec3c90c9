# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Transcriptions as labels: what cannot be seen is left out, and the order of right-to-left scripts."""

import pytest

from htr_convtext.line_datasets import normalize_text
from htr_convtext.line_datasets.labels import LabelForm, left_out

INVISIBLE = "\u00ad\u200b\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\x00\x07"
SHALOM = "\u05e9\u05dc\u05d5\u05dd"


@pytest.mark.parametrize("character", INVISIBLE)
def test_invisible_characters_are_left_out_and_named(character):
    text = f"a{character}b"
    assert normalize_text(text) == "ab"
    assert left_out(text, "ab") == [character]
    assert normalize_text(text, "none") == text


def test_white_space_of_every_kind_is_a_space():
    assert normalize_text("\u00a0a\u2009\u3000b\tc\r\nd ") == "a b c d"


def test_accent_behind_an_invisible_character_still_joins_its_letter():
    assert normalize_text("e\u200b\u0301") == "\u00e9"


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
        (f"({SHALOM})", f"({SHALOM[::-1]})"),
    ],
)
def test_visual_order_is_that_on_the_line(text, label):
    assert LabelForm("NFC", "visual").label(text) == label
    assert LabelForm("NFC", "logical").label(text) == normalize_text(text)

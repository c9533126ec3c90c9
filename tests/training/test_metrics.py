# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Error rates against the paper's protocol."""

import json
from pathlib import Path

import evaluate
import jiwer
import pytest

from htr_convtext.training import HTRConvTextErrorRates, all_error_rates, evaluate_metric, metrics


@pytest.fixture(scope="module")
def protocol(golden):
    return json.loads((golden / "protocol.json").read_text(encoding="utf-8"))["error_rates"]


def test_words_and_edits_of_every_golden_pair(protocol):
    for pair in protocol["pairs"]:
        prediction, reference = pair["prediction"], pair["reference"]
        assert metrics.words(prediction) == pair["word_tokens_prediction"]
        assert metrics.words(reference) == pair["word_tokens_reference"]
        assert metrics.edits(metrics.align_characters([prediction], [reference])) == pair["char_edits"]
        assert metrics.edits(metrics.align_words([prediction], [reference])) == pair["word_edits"]


def test_rates_of_all_golden_pairs_through_evaluate(protocol):
    metric = evaluate.load(str(Path(evaluate_metric.__file__)))
    pairs = protocol["pairs"]
    rates = metric.compute(
        predictions=[pair["prediction"] for pair in pairs], references=[pair["reference"] for pair in pairs]
    )
    assert rates["cer"] == protocol["cer"]
    assert rates["wer"] == protocol["wer"]
    assert isinstance(metric, evaluate.Metric) and "predictions" in metric.inputs_description


def test_the_metric_is_constructed_directly_too():
    rates = HTRConvTextErrorRates(keep_in_memory=True).compute(predictions=["one"], references=["ore"])
    assert rates == all_error_rates(["one"], ["ore"])


@pytest.mark.parametrize(
    ("prediction", "reference", "cer", "wer"),
    [
        (" a", "a", 1.0, 0.0),
        ("a ", "a", 1.0, 0.0),
        ("a  b", "a b", 1 / 3, 0.0),
        ("e\u0301", "\u00e9", 2.0, 1.0),
        ("", "ab", 1.0, 1.0),
        ("ab", "", 2.0, 1.0),
        ("", "", 0.0, 0.0),
    ],
)
def test_nothing_is_stripped_or_normalised(prediction, reference, cer, wer):
    rates = all_error_rates([prediction], [reference])
    assert rates["cer"] == pytest.approx(cer)
    assert rates["wer"] == pytest.approx(wer)


def test_variants_forgive_case_and_punctuation():
    rates = all_error_rates(["well he said"], ["Well, he said"])
    assert rates["cer"] == 2 / 13
    assert rates["cer_lower"] == 1 / 13
    assert rates["cer_no_punctuation"] == 1 / 12
    assert rates["wer_lower"] == 1 / 4
    assert rates["wer_no_punctuation"] == 1 / 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u0645\u0646\u060c \u0623\u064a\u0646\u061f", ["\u0645\u0646", "\u060c", "\u0623\u064a\u0646", "\u061f"]),
        ("\u05d1\u05b5\u05bc\u05d9\u05ea\u05be\u05d0", ["\u05d1\u05b5\u05bc\u05d9\u05ea", "\u05be", "\u05d0"]),
        ("\u0561\u0575\u0578\u0589", ["\u0561\u0575\u0578", "\u0589"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940\u0964", ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0964"]),
        ("\u4ed6\u3002\u300c\u6211\u300d", ["\u4ed6", "\u3002", "\u300c", "\u6211", "\u300d"]),
        ("\u00abl\u2019\u00e9t\u00e9\u2026\u00bb", ["\u00abl\u2019\u00e9t\u00e9\u2026\u00bb"]),
    ],
)
def test_marks_of_other_scripts_are_words_as_those_of_the_papers_list_are(text, expected):
    assert metrics.words(text) == expected
    letters = "".join(word for word in expected if not metrics.is_mark(word[0]))
    assert metrics.without_punctuation(text).replace(" ", "") == letters


def test_the_papers_datasets_have_no_marks_but_those_of_its_list(golden):
    alphabets = json.loads((golden / "alphabets.json").read_text(encoding="utf-8"))
    characters = {character for alphabet in alphabets.values() for character in alphabet}
    assert {character for character in characters if metrics.is_mark(character)} <= set(metrics.PUNCTUATION)


@pytest.mark.parametrize(
    ("prediction", "reference", "paper", "whitespace"),
    [
        ("Well he said.", "Well, he said.", 1 / 5, 1 / 3),
        ("Well, he said", "Well, he said.", 1 / 5, 1 / 3),
        ("Well , he said.", "Well, he said.", 0.0, 2 / 3),
        ("Well,\u00a0he  said.", "Well, he said.", 0.0, 0.0),
        ("", "a b", 1.0, 1.0),
    ],
)
def test_both_ways_of_counting_words(prediction, reference, paper, whitespace):
    rates = all_error_rates([prediction], [reference])
    assert (rates["wer"], rates["wer_whitespace"]) == pytest.approx((paper, whitespace))
    assert rates["wer_whitespace"] == pytest.approx(jiwer.wer(reference, " ".join(prediction.split())))

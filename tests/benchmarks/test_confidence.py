# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Intervals of error rates are those of pages drawn at random."""

import json

import numpy as np
import pytest

from htr_convtext.benchmarks import confidence


def write(path, lines):
    names = ("line_id", "prediction", "reference")
    path.write_text(json.dumps({"lines": [dict(zip(names, line, strict=True)) for line in lines]}), encoding="utf-8")
    return str(path)


def test_rates_and_intervals(tmp_path, capsys):
    """Of two pages of one length, half of the draws have both and a quarter only the one or the other."""
    lines = [("a_0", "four", "four"), ("a_1", "ones", "ones"), ("b_0", "", "five"), ("b_1", "", "nine")]
    confidence.main([write(tmp_path / "predictions.json", lines)])
    printed = capsys.readouterr().out
    assert "4 lines, pages: 2" in printed
    assert "CER 50.00 %, 95 % interval 0.00 to 100.00" in printed
    assert "WER 50.00 %" in printed
    assert "of single pages: 0.0 to 100.0 %, median 50.0" in printed


def test_pages_of_equal_rates_leave_no_doubt(tmp_path, capsys):
    lines = [("a_0", "fouX", "four"), ("b_0", "fivX", "five"), ("b_1", "Xine", "nine")]
    confidence.main([write(tmp_path / "predictions.json", lines)])
    assert "CER 25.00 %, 95 % interval 25.00 to 25.00" in capsys.readouterr().out


def test_interval_is_the_normal_one_of_many_pages():
    rng = np.random.default_rng(1)
    errors, lengths = rng.binomial(50, 0.2, size=400).astype(float), np.full(400, 50.0)
    low, high = confidence.interval(errors, lengths, 4000)
    spread = 1.96 * (errors / 50).std() / 20
    assert (high - low) / 2 == pytest.approx(spread, rel=0.1)
    assert (low + high) / 2 == pytest.approx(errors.sum() / lengths.sum(), abs=0.002)


@pytest.mark.parametrize(
    ("page", "message"),
    [(r"(.+)-\d+", "finds no page in the line id 'a_0'"), (r".+", "no page"), (r"(.).*", "one page")],
)
def test_pages_that_are_not_found_are_named(tmp_path, page, message):
    file = write(tmp_path / "predictions.json", [("a_0", "one", "one"), ("a_1", "two", "two")])
    with pytest.raises(SystemExit, match=message):
        confidence.main([file, "--page", page])


def test_writers_count_alike_in_their_mean(tmp_path, capsys):
    """Ada's eight characters have three errors, Bob's two have two; a notebook without writers is a third."""
    names = ("prediction", "reference", "source", "writer")
    lines = [("abcdeXXX", "abcdefgh", "letters", "Ada"), ("XX", "ab", "letters", "Bob"), ("ab", "ab", "notes", None)]
    file = tmp_path / "predictions.json"
    content = {"lines": [{"line_id": "x", **dict(zip(names, line, strict=True))} for line in lines]}
    file.write_text(json.dumps(content), encoding="utf-8")
    confidence.main([str(file), "--by", "writer"])
    printed = capsys.readouterr().out
    assert "3 lines, writers: 3" in printed
    assert "CER 41.67 %" in printed
    assert "mean of writers 45.83 %, 95 % interval 0.00 to 100.00" in printed
    assert "of single writers: 0.0 to 100.0 %, median 37.5" in printed

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Intervals of error rates are those of pages drawn at random."""

import json

import numpy as np
import pytest

from htr_convtext.training import intervals


def write(path, lines):
    names = ("line_id", "prediction", "reference")
    path.write_text(json.dumps({"lines": [dict(zip(names, line, strict=True)) for line in lines]}), encoding="utf-8")
    return str(path)


def test_rates_and_intervals(tmp_path, capsys):
    """Of two pages of one length, half of the draws have both and a quarter only the one or the other."""
    lines = [("a_0", "four", "four"), ("a_1", "ones", "ones"), ("b_0", "", "five"), ("b_1", "", "nine")]
    intervals.main([write(tmp_path / "predictions.json", lines)])
    printed = capsys.readouterr().out
    rate = "50.00 (0.00 to 100.00)"
    assert printed.splitlines()[2:] == [f"| all | 4 | 2 | {rate} | {rate} | 0.0, 50.0, 100.0 | {rate} | {rate} |"]


def test_pages_of_equal_rates_leave_no_doubt(tmp_path, capsys):
    lines = [("a_0", "fouX", "four"), ("b_0", "fivX", "five"), ("b_1", "Xine", "nine")]
    intervals.main([write(tmp_path / "predictions.json", lines)])
    assert "| all | 3 | 2 | 25.00 (25.00 to 25.00) |" in capsys.readouterr().out


def test_interval_is_the_normal_one_of_many_pages():
    rng = np.random.default_rng(1)
    errors, lengths = rng.binomial(50, 0.2, size=400).astype(float), np.full(400, 50.0)
    low, high = intervals.interval(errors, lengths, 4000)
    spread = 1.96 * (errors / 50).std() / 20
    assert (high - low) / 2 == pytest.approx(spread, rel=0.1)
    assert (low + high) / 2 == pytest.approx(errors.sum() / lengths.sum(), abs=0.002)


def test_pages_of_one_name_in_two_sources_are_two(tmp_path, capsys):
    names = ("line_id", "prediction", "reference", "source")
    lines = [("1_0", "four", "four", "letters"), ("1_0", "", "five", "notes")]
    content = {"lines": [dict(zip(names, line, strict=True)) for line in lines]}
    (tmp_path / "predictions.json").write_text(json.dumps(content), encoding="utf-8")
    intervals.main([str(tmp_path / "predictions.json")])
    assert "| all | 2 | 2 | 50.00 (0.00 to 100.00) |" in capsys.readouterr().out


def test_pages_are_those_that_the_data_names(tmp_path, capsys):
    """The ids of Transkribus end in two numbers, and those of eScriptorium in none."""
    names = ("line_id", "prediction", "reference", "page")
    lines = [("1_line_1545_1", "four", "four", "1"), ("1_line_1546_2", "", "five", "1"), ("2_ab", "six", "six", "2")]
    content = {"lines": [dict(zip(names, line, strict=True)) for line in lines]}
    (tmp_path / "predictions.json").write_text(json.dumps(content), encoding="utf-8")
    intervals.main([str(tmp_path / "predictions.json")])
    assert "| all | 3 | 2 | 36.36 (0.00 to 50.00) |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="finds no page in the line id '2_ab'"):
        intervals.main([str(tmp_path / "predictions.json"), "--page", r"(.+)_\d+"])


def test_a_page_that_is_not_found_is_named(tmp_path):
    file = write(tmp_path / "predictions.json", [("a_0", "one", "one"), ("a_1", "two", "two")])
    with pytest.raises(SystemExit, match="finds no page in the line id 'a_0'"):
        intervals.main([file, "--page", r"(.+)-\d+"])


def test_words_are_counted_both_ways(tmp_path, capsys):
    intervals.main([write(tmp_path / "predictions.json", [("a_0", "Well he said.", "Well, he said.")])])
    assert capsys.readouterr().out.splitlines()[-1] == "| all | 1 | 1 | 7.14 | 7.14 | 7.1, 7.1, 7.1 | 20.00 | 33.33 |"


def test_one_page_has_no_interval(tmp_path, capsys):
    intervals.main([write(tmp_path / "predictions.json", [("a_0", "one", "one"), ("a_1", "tvo", "two")])])
    assert "| all | 2 | 1 | 16.67 | 16.67 | 16.7, 16.7, 16.7 | 50.00 | 50.00 |" in capsys.readouterr().out


def test_writers_count_alike_in_their_mean(tmp_path, capsys):
    """Ada's eight characters have three errors, Bob's two have two; a notebook without writers is a third."""
    names = ("prediction", "reference", "source", "writer")
    lines = [("abcdeXXX", "abcdefgh", "letters", "Ada"), ("XX", "ab", "letters", "Bob"), ("ab", "ab", "notes", None)]
    file = tmp_path / "predictions.json"
    content = {"lines": [{"line_id": "x", **dict(zip(names, line, strict=True))} for line in lines]}
    file.write_text(json.dumps(content), encoding="utf-8")
    intervals.main([str(file), "--by", "writer", "--together", "both", "letters", "notes"])
    printed = capsys.readouterr().out.splitlines()[2:]
    assert printed[0].startswith("| letters | 2 | 2 | 50.00 (37.50 to 100.00) | 68.75 (37.50 to 100.00) |")
    assert printed[1] == "| notes | 1 | 1 | 0.00 | 0.00 | 0.0, 0.0, 0.0 | 0.00 | 0.00 |"
    assert printed[2].startswith("| both | 3 | 3 | 41.67 (")
    assert printed[3].startswith(
        "| all | 3 | 3 | 41.67 (0.00 to 100.00) | 45.83 (0.00 to 100.00) | 0.0, 37.5, 100.0 |"
    )
    with pytest.raises(SystemExit, match="source 'diary'. There are: letters, notes"):
        intervals.main([str(file), "--together", "both", "diary"])


def test_two_readings_of_the_same_lines_are_no_larger_sample(tmp_path):
    lines = [("a_0", "four", "four"), ("b_0", "five", "five")]
    first, second = write(tmp_path / "first.json", lines), write(tmp_path / "second.json", lines[1:])
    with pytest.raises(SystemExit, match="second.json and .*first.json both have the line 'b_0'"):
        intervals.main([first, second])


def test_several_files_are_one_table(tmp_path, capsys):
    files = [write(tmp_path / f"{name}.json", [(f"{name}_0", "foXr", "four")]) for name in ("a", "b")]
    intervals.main(files)
    assert "| all | 2 | 2 | 25.00 (25.00 to 25.00) |" in capsys.readouterr().out


def test_a_page_without_characters_leaves_the_interval_a_number(tmp_path, capsys):
    intervals.main([write(tmp_path / "predictions.json", [("a_0", "", ""), ("b_0", "fouX", "four")])])
    assert "| all | 2 | 2 | 25.00 (25.00 to 25.00) |" in capsys.readouterr().out


def test_a_source_without_characters_has_no_rates(tmp_path, capsys):
    sources = {
        "named": [("a_0", "fouX", "four"), ("b_0", "five", "five")],
        "empty": [("a_0", "x", ""), ("b_0", "", "")],
    }
    lines = [
        dict(zip(("line_id", "prediction", "reference"), line, strict=True), source=source)
        for source, members in sources.items()
        for line in members
    ]
    (tmp_path / "predictions.json").write_text(json.dumps({"lines": lines}), encoding="utf-8")
    intervals.main([str(tmp_path / "predictions.json")])
    printed = capsys.readouterr().out.splitlines()
    assert printed[2] == "| empty | 2 | 2 | - | - | - | - | - |" and printed[3].startswith("| named | 2 | 2 | 12.50 (")


@pytest.mark.parametrize("lines", [[], [("a_0", "x", "")]])
def test_nothing_to_rate_is_said(tmp_path, lines):
    with pytest.raises(SystemExit, match="no transcribed lines in .*predictions.json"):
        intervals.main([write(tmp_path / "predictions.json", lines)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "writer", "--page", "(.+)-.*"], "with --by writer, writers are"),
        (["--together", "both"], "--together both: name its sources"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, capsys, options, said):
    file = write(tmp_path / "predictions.json", [("a-0", "four", "four")])
    with pytest.raises(SystemExit):
        intervals.main([file, *options])
    assert said in capsys.readouterr().err


def test_two_models_are_compared_on_the_same_pages(tmp_path, capsys):
    """One is better by a character on either page, which is certain, though the pages' rates are far apart."""
    pages = [("a_0", "four", "four"), ("b_0", "XXXX", "five")]
    better = write(tmp_path / "better.json", [("a_0", "four", "four"), ("b_0", "XXXe", "five")])
    worse = write(tmp_path / "worse.json", [("b_0", "XXXX", "five"), ("a_0", "fouX", "four")])
    intervals.main([better, "--against", worse])
    printed = capsys.readouterr().out.splitlines()
    rate = "-25.00 (-25.00 to -25.00)"
    assert printed[0].startswith("| percentage points (95 % interval) | lines |")
    assert printed[2].startswith(
        f"| all | 2 | 2 | {rate} | {rate} | -25.0, -25.0, -25.0 | -50.00 (-100.00 to +0.00) |"
    )
    intervals.main([worse, "--against", better])
    assert "| +25.00 (+25.00 to +25.00) |" in capsys.readouterr().out

    other = write(tmp_path / "other.json", [*pages[:1], ("b_0", "five", "fine")])
    with pytest.raises(SystemExit, match="only one of the two models has read the line 'b_0'"):
        intervals.main([better, "--against", other])
    twice = write(tmp_path / "twice.json", 2 * pages)
    with pytest.raises(SystemExit, match="which is which"):
        intervals.main([twice, "--against", twice])

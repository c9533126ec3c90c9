# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation leaves behind."""

import json
import re
import subprocess

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from htr_convtext.training.evaluation import error_rates_by_group, rate_names, score_line
from htr_convtext.training.report import confusions, named, rates_by, write_evaluation, write_learning_curves

from .conftest import TEXTS


def read(predictions):
    pairs = zip(TEXTS, predictions, strict=True)
    return [
        score_line(f"line-{i}", reference, prediction, ["Ada", "Bob"][i % 2])
        for i, (reference, prediction) in enumerate(pairs)
    ]


def test_predictions_and_report(raw_lines, tmp_path):
    lines = read(["a lino", "of writen", "text, andd", "<b>&", *TEXTS[4:]])
    write_evaluation(tmp_path, "test", lines, raw_lines, {"test_cer": 0.123, "test_wer": 0.5})
    content = json.loads((tmp_path / "test_predictions.json").read_text(encoding="utf-8"))
    assert content["metrics"]["test_cer"] == 0.123
    assert content["lines"][0] == {
        "line_id": "line-0",
        "reference": "a line",
        "prediction": "a lino",
        "edits": 1,
        "cer": 1 / 6,
        "writer": "Ada",
        "source": None,
        "page": None,
    }
    report = (tmp_path / "test_report.html").read_text(encoding="utf-8")
    assert report.count("data:image/jpeg;base64,") == len(TEXTS)
    assert report.count('<span dir="auto">') == 2 * len(TEXTS)  # Else Hebrew stands in the order of English.
    assert "&lt;b&gt;&amp;" in report and "<b>&" not in report
    assert report.index("line-3") < report.index("line-5")  # The worst line comes first.


def test_confusions_count_missed_and_added_characters():
    lines = read(["a lino", "of writen", "text, andd", "llama!", *TEXTS[4:]])
    assert sorted(confusions(lines)) == [("", "d", 1), ("e", "o", 1), ("t", "", 1)]


def test_confusions_of_what_looks_alike_and_of_marks_can_be_told_apart():
    assert named(("o", "\u03bf", 2)) == ("o", "\u03bf (U+03BF)", 2)
    assert named(("\u05b8", " ", 1)) == ("\u25cc\u05b8 (U+05B8)", "(space)", 1)
    assert named(("", "\ue8bf", 1)) == ("(added)", "\ue8bf (U+E8BF)", 1)


def test_rates_of_groups_are_over_characters():
    lines = read(["xxxxxx", *TEXTS[1:]])
    rates = rates_by(lines, lambda line: line.writer)
    ada = sum(len(text) for text in TEXTS[::2])
    assert rates == [("Ada", 5, f"{600 / ada:.2f}%"), ("Bob", 5, "0.00%")]


def read_sources():
    """The notebook in one hand, the letters in two; eight, four, two and two characters."""
    return [
        score_line("1", "abcdefgh", "abcdefgx", None, "notebook"),
        score_line("2", "abcd", "abxx", "Ada", "letters"),
        score_line("3", "ab", "ab", "Ada", "letters"),
        score_line("4", "ab", "xx", "Bob", "letters"),
    ]


def test_rates_by_source_and_the_mean_of_writers():
    rates = error_rates_by_group(read_sources())
    assert rates == {
        "cer_source_notebook": 1 / 8,
        "cer_source_letters": 4 / 8,
        "cer_writers": pytest.approx((1 / 8 + 2 / 6 + 2 / 2) / 3),
    }


def test_writers_of_one_name_in_two_sources_are_two():
    lines = [score_line("1", "a", "a", "etude-A", "first"), score_line("2", "abc", "xyz", "etude-A", "second")]
    assert error_rates_by_group(lines)["cer_writers"] == 1 / 2


def test_hands_and_sources_without_characters_have_no_rate():
    """A page of empty transcriptions, on which anything was read, made the mean of the writers 3200 %."""
    empty = [score_line("3", "", "read all the same", "nobody", "blank")]
    assert error_rates_by_group(read_sources() + empty) == error_rates_by_group(read_sources())
    dataset = Dataset.from_list(
        [{"text": text, "writer": writer, "source": None} for text, writer in (("a", "A"), ("", "B"))]
    )
    assert "cer_writers" not in rate_names(dataset)


def test_one_hand_has_no_rates_of_groups():
    assert error_rates_by_group([score_line("1", "a", "b"), score_line("2", "a", "a")]) == {}


def test_report_has_sources_and_writers(raw_lines, tmp_path):
    write_evaluation(tmp_path, "test", read_sources(), raw_lines, {"test_cer": 0.4, "test_cer_writers": 35 / 72})
    report = (tmp_path / "test_report.html").read_text(encoding="utf-8")
    for cells in ("<td>letters</td><td>3</td><td>50.00%</td>", "<td>letters/Ada</td><td>2</td><td>33.33%</td>",
                  "<td>notebook</td><td>1</td><td>12.50%</td>", "a new hand)</td><td>48.61%</td>"):  # fmt: skip
        assert cells in report


def test_learning_curves_are_drawn(tmp_path):
    history = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "ctc_loss": 1.0}, {"step": 2, "eval_cer": 0.5}]
    write_learning_curves(history, tmp_path)
    assert (tmp_path / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "learning_curves.svg").read_text(encoding="utf-8").count('id="line2d') > 20


@pytest.mark.browser
def test_report_in_chromium_shows_pictures_and_tables(raw_lines, tmp_path):
    lines = read(["a lino", "of writen", "text, andd", "<b>&", *TEXTS[4:]])
    write_evaluation(tmp_path, "test", lines, raw_lines, {"test_cer": 0.123, "test_wer": 0.5})
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,2400"]
    page, shot = (tmp_path / "test_report.html").as_uri(), tmp_path / "page.png"
    options = {"check": True, "capture_output": True, "timeout": 300}
    subprocess.run([*chromium, f"--screenshot={shot}", page], **options)
    rendered = subprocess.run([*chromium, "--dump-dom", page], text=True, **options).stdout
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", rendered, re.DOTALL)
    assert {"12.30%", "o", "Ada", "(missed)", "(added)"} <= set(cells)
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape == (2400, 1000)
    assert 5000 < (pixels < 128).sum() < pixels.size / 4

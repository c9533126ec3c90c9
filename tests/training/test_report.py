"""What an evaluation leaves behind."""

import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from htr_convtext.training.evaluation import score_line
from htr_convtext.training.report import confusions, rates_by, write_evaluation, write_learning_curves

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
    }
    report = (tmp_path / "test_report.html").read_text(encoding="utf-8")
    assert report.count("data:image/jpeg;base64,") == len(TEXTS)
    assert "&lt;b&gt;&amp;" in report and "<b>&" not in report
    assert report.index("line-3") < report.index("line-5")  # The worst line comes first.


def test_confusions_count_missed_and_added_characters():
    lines = read(["a lino", "of writen", "text, andd", "llama!", *TEXTS[4:]])
    assert sorted(confusions(lines)) == [("", "d", 1), ("e", "o", 1), ("t", "", 1)]


def test_rates_of_groups_are_over_characters():
    lines = read(["xxxxxx", *TEXTS[1:]])
    rates = rates_by(lines, lambda line: line.writer)
    ada = sum(len(text) for text in TEXTS[::2])
    assert rates == [("Ada", 5, f"{600 / ada:.2f}%"), ("Bob", 5, "0.00%")]


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

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The report finds what it says it finds, and its page shows it in a browser."""

import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htr_convtext.line_datasets import report


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def write_line(folder: Path, name: str, text: str, width: int = 300, blank: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.full((32, width), 255, np.uint8)
    if not blank:
        pixels[8:24, ::4] = sum(name.encode()) % 100
    Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def test_good_lines_pass_and_the_page_shows_them(tmp_path, capsys):
    write_line(tmp_path / "lines" / "train", "a", "one <two>")
    assert report.main(["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]) == 0
    assert "train: 1 lines" in capsys.readouterr().out
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "one &lt;two&gt;" in page and "data:image/jpeg;base64," in page


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("aa" * 10, {"width": 40}, "too long for the CTC, 39 frames for 128 pixels"),
        ("ab", {"blank": True}, "empty image, all pixels are 255"),
    ],
)
def test_errors_are_named_and_end_with_status_1(tmp_path, capsys, text, options, message):
    write_line(tmp_path / "lines" / "train", "a", "ab")
    write_line(tmp_path / "lines" / "test", "b", text, **options)
    arguments = ["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]
    assert report.main([*arguments, "--keep_aspect_ratio"]) == 1
    assert message in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--image_width", "1024"], ["--alphabet", "abc"], ["--keep_aspect_ratio"]])
def test_what_a_trained_model_has_decided_is_no_option_beside_it(options, capsys):
    with pytest.raises(SystemExit):
        report.main(["lines", "--data_dir", "lines", "--model", "runs/mine", *options])
    assert f"{options[0]} is for a new model, and --model runs/mine has its own" in capsys.readouterr().err


def test_pages_taken_for_lines_and_a_missing_validation_split_are_warnings(tmp_path, capsys, root):
    folder = tmp_path / "lines" / "train"
    write_line(folder, "a", "ab")
    examples = [Image.open(path).convert("L").resize((900, 80)) for path in sorted((root / "examples").glob("*.jpg"))]
    page = Image.new("L", (900, 1200), 230)
    for number in range(12):
        page.paste(examples[number % len(examples)], (0, 10 + 100 * number))
    page.save(folder / "page.png")
    (folder / "page.txt").write_text("the first line", encoding="utf-8")
    assert report.main(["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]) == 0
    printed = capsys.readouterr().out
    assert "warning: no validation split" in printed
    assert "warning: 1 images look like pages, several lines" in printed and "such as train, " in printed
    assert "page: each is taken for one line" in printed


@pytest.mark.parametrize(
    ("name", "message"),
    [("line", r"no dataset 'line' \(did you mean lines\?\); known are lines, iam"), (".", "lines --data_dir .")],
)
def test_a_wrong_name_of_a_dataset_is_answered(capsys, name, message):
    with pytest.raises(SystemExit):
        report.main([name, "--data_dir", "somewhere"])
    assert re.search(message, capsys.readouterr().err)


def test_characters_outside_the_vocabulary_are_errors_in_train_and_warnings_elsewhere(tmp_path, capsys):
    write_line(tmp_path / "lines" / "train", "a", "ab")
    write_line(tmp_path / "lines" / "test", "b", "xb")
    arguments = ["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]
    assert report.main(arguments) == 0
    assert "warning: test: not among the characters of train: 'x' (U+0078)" in capsys.readouterr().out
    assert report.main([*arguments, "--alphabet", "b"]) == 1
    assert "error: train: not in the vocabulary: 'a' (U+0061)" in capsys.readouterr().out


def test_a_dataset_of_the_paper_is_judged_by_the_alphabet_that_its_training_has(tmp_path, capsys):
    write_line(tmp_path / "vnondb" / "lines", "a", "T\u1ebft \u0153")
    (tmp_path / "vnondb" / "train.ln").write_text("a.png\n", encoding="utf-8")
    arguments = ["vnondb", "--data_dir", str(tmp_path / "vnondb"), "--output", str(tmp_path / "r.html")]
    assert report.main(arguments) == 1
    assert "error: train: not in the vocabulary: '\u0153' (U+0153)" in capsys.readouterr().out
    assert report.main([*arguments, "--option", "normal_form=NFD"]) == 0


def test_bad_files_are_on_the_page_beside_the_good_lines(tmp_path, capsys):
    write_line(tmp_path / "lines" / "train", "a", "good")
    write_line(tmp_path / "lines" / "train", "b", "lost")
    (tmp_path / "lines" / "train" / "b.txt").unlink()
    assert report.main(["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]) == 1
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "b.png: no transcription" in page and "good" in page


def test_lines_that_an_option_leaves_out_are_errors_all_the_same(tmp_path, capsys):
    for name in ("a", "b"):
        write_line(tmp_path / "lines" / "train", name, "ab")
    (tmp_path / "lines" / "train" / "b.txt").unlink()
    arguments = ["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]
    assert report.main([*arguments, "--option", "on_error=skip"]) == 1
    assert "b.png: no transcription" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["NFC", "none"])
def test_what_is_odd_in_an_archive_is_told_by_the_labels_that_are_made(tmp_path, capsys, form):
    write_line(tmp_path / "lines" / "train", "a", "a\u00adb")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "lines")
    arguments = ["lines", "--data_dir", archive, "--output", str(tmp_path / "r.html")]
    assert report.main([*arguments, "--option", f"normal_form={form}"]) == 0
    printed = capsys.readouterr().out
    assert ("invisible characters left out, U+00AD" in printed) == (form == "NFC")
    assert ("become classes: U+00AD" in printed) == (form == "none")


def test_duplicates_across_splits_are_a_warning(tmp_path, capsys):
    for split in ("train", "test"):
        write_line(tmp_path / "lines" / split, "a", "ab")
    assert report.main(["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]) == 0
    assert "warning: 1 images lie in test and train: a (train) is a (test)\n" in capsys.readouterr().out


def test_image_cut_short_is_an_error(tmp_path, capsys):
    write_line(tmp_path / "lines" / "train", "a", "ab")
    image = tmp_path / "lines" / "train" / "a.png"
    image.write_bytes(image.read_bytes()[:60])
    assert report.main(["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]) == 1
    assert "error: train, a: unreadable image" in capsys.readouterr().out


def write_turned(path: Path, grey: np.ndarray) -> None:
    """As a phone keeps a picture: its pixels on their side, and EXIF that says so."""
    upright = Image.fromarray(grey)
    exif = upright.getexif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".jpg"), exif=exif, quality=95)


def write_deep(path: Path, grey: np.ndarray) -> None:
    Image.fromarray(grey.astype(np.uint16) * 100 + 1000).save(path)


def write_transparent(path: Path, grey: np.ndarray) -> None:
    pixels = np.zeros((*grey.shape, 4), np.uint8)
    pixels[..., 3] = 255 - grey
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("write", [write_turned, write_deep, write_transparent])
def test_images_are_looked_at_as_training_sees_them(tmp_path, capsys, write):
    write_line(tmp_path / "lines" / "train", "a", "some thirty letters on a line", 600)
    image = tmp_path / "lines" / "train" / "a.png"
    grey = np.asarray(Image.open(image))
    image.unlink()
    write(image, grey)
    arguments = ["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(tmp_path / "r.html")]
    assert report.main([*arguments, "--keep_aspect_ratio"]) == 0
    assert "look like pages" not in capsys.readouterr().out
    assert "<td>600 to 600</td>" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.browser
def test_page_in_chromium(shared_lines, tmp_path):
    for path in sorted((shared_lines / "poilus" / "lines").glob("*_000.*"))[:12]:  # Six lines: image and text.
        (tmp_path / "lines" / "train").mkdir(parents=True, exist_ok=True)
        os.symlink(path, tmp_path / "lines" / "train" / path.name)
    page = tmp_path / "r.html"
    report.main(["lines", "--data_dir", str(tmp_path / "lines"), "--output", str(page), "--image_width", "2048"])
    shot = tmp_path / "page.png"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1200"]
    subprocess.run([*command, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True, timeout=300)
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape == (1200, 1200)
    assert 1000 < (pixels < 100).sum() < pixels.size / 4
    rendered = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", with_measures(page).as_uri()],
        check=True, capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip
    measured = json.loads(html.unescape(rendered.partition("<title>")[2].partition("</title>")[0]))
    assert measured["pictures"] == 6 and measured["broken"] == 0
    assert measured["headings"] == ["Lines", "Random lines", "Widths (pixels)", "Lengths (characters)", "Characters"]
    assert measured["bars"] > 100 and measured["across"] <= 1200


def with_measures(page: Path) -> Path:
    """A copy of a page that, once shown, tells in its title what a reader sees of it."""
    script = """<script>addEventListener("load", () => { const all = name => [...document.querySelectorAll(name)];
    document.title = JSON.stringify({pictures: all("img").length,
    broken: all("img").filter(i => !i.naturalWidth).length,
    headings: all("h1,h2").map(h => h.innerText), across: document.documentElement.scrollWidth,
    bars: Math.max(...all(".bar").map(b => b.getBoundingClientRect().width))}); });</script>"""
    copy = page.with_name("measured.html")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{script}</body>"), encoding="utf-8")
    return copy


def test_report_on_a_console_that_lacks_the_characters(tmp_path, monkeypatch):
    """As on Windows with its output in a file: the page is written, and the status is that of the lines."""
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    image = Image.new("L", (60, 20), 255)
    image.paste(0, (10, 5, 20, 15))
    image.save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("\u22ce a", encoding="utf-8")
    assert report.main(["lines", "--data_dir", str(tmp_path), "--output", str(tmp_path / "r.html")]) == 0
    console.flush()
    assert rb"\u22ce" in console.buffer.getvalue()
    assert "\u22ce a" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_report_names_what_cannot_be_seen_and_what_is_read_from_right_to_left(tmp_path, capsys):
    image = Image.new("L", (60, 20), 255)
    image.paste(0, (10, 5, 20, 15))
    # Neither a letter of MUFI nor the end of a verse is printable to Python, and both are seen.
    for name, text in (("a", "a\u200bb"), ("b", "\u0645\u06cc\u200c\u062e"), ("c", "\ue8bf \u06dd")):
        image.save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    assert report.main(["lines", "--data_dir", str(tmp_path), "--output", str(tmp_path / "r.html")]) == 0
    printed = capsys.readouterr().out
    assert "invisible characters left out, U+200B: a" in printed
    assert "cannot be seen on a page become classes: U+200C, 1 times" in printed
    assert printed.count("cannot be seen") == 1
    assert "1 lines have letters that are read from right to left" in printed

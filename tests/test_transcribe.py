# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""transcribe.py: what it writes, what it says, and that neither a kill nor a second process changes the results."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?")
FORMATS = ("page", "alto", "txt", "csv", "jsonl")


@pytest.fixture
def letters(tmp_path, drawn_pages) -> Path:
    """Pages with PAGE XML and with ALTO, a line's image, and a TIFF of two lines' images."""
    folder = tmp_path / "letters"
    for number in range(6):
        drawn_pages.write_page(folder, f"page_{number}", kind=("page", "alto")[number % 2])
    drawn_pages.draw_line("a line by itself").save(folder / "line.png")
    book = [drawn_pages.draw_line(text) for text in ("first of a book", "and the second of it")]
    book[0].save(folder / "book.tif", save_all=True, append_images=book[1:])
    return folder


def command(root, *arguments) -> list[str]:
    return [sys.executable, str(root / "transcribe.py"), *map(str, arguments)]


def run(root, *arguments, launch=(), **environment) -> subprocess.CompletedProcess:
    words = [*launch, *command(root, *arguments)[bool(launch) :]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(words, capture_output=True, text=True, env=environment)


def results(folder: Path) -> dict[str, str]:
    """The files of a run by their name, without the dates in them."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    paths = [path for path in paths if ".pages" not in path.parts and path.suffix not in (".png", ".jpg")]
    return {str(path.relative_to(folder)): DATE.sub("", path.read_text(encoding="utf-8")) for path in paths}


def test_every_input_has_its_results(root, letters, model_folder, tmp_path):
    out = tmp_path / "out"
    done = run(root, letters, "--model", model_folder, "--output", out, "--format", *FORMATS)
    assert done.returncode == 0, done.stderr
    written = results(out)
    assert {name for name in written if name.endswith(".txt")} == {
        "book.txt", "line.txt", *(f"page_{number}.txt" for number in range(6)),
    }  # fmt: skip
    assert written["page_0.txt"].count("\n") >= 3
    assert len(written["lines.jsonl"].splitlines()) == 6 * 3 + 1 + 2
    assert "9/9" in done.stderr and "lines/s" in done.stderr

    again = run(root, letters, "--model", model_folder, "--output", out, "--format", *FORMATS)
    assert again.returncode == 1 and "--resume" in again.stderr and "page_0.xml" in again.stderr
    assert results(out) == written
    resumed = run(root, letters, "--model", model_folder, "--output", out, "--resume", "--format", *FORMATS)
    assert resumed.returncode == 0 and results(out) == written


def test_what_cannot_be_read_is_named_and_the_rest_is_done(root, letters, model_folder, tmp_path):
    (letters / "page_0.png").unlink()
    (letters / "page_3.png").write_bytes(b"")
    (letters / "line.txt").write_text("a line by itself")
    (letters / "locked.pdf").write_bytes(b"%PDF-1.4 nothing")
    out = tmp_path / "out"
    done = run(root, letters, "--model", model_folder, "--output", out, "--format", "txt")
    assert done.returncode == 1
    for name in ("page_0.xml", "page_3.xml", "locked.pdf"):
        assert f"{name}: " in done.stderr
    assert "ignored: 1 .txt" in done.stderr
    kept = {f"page_{number}.txt" for number in (1, 2, 4, 5)}
    assert set(results(out)) == kept | {"book.txt", "line.txt"}


def test_wrong_options_are_one_line(root, letters, model_folder, tmp_path):
    nowhere = run(root, tmp_path / "nowhere", "--model", model_folder, "--output", tmp_path / "out")
    assert nowhere.returncode == 1 and nowhere.stderr.strip().endswith("nowhere: no such file or folder.")
    empty = run(root, model_folder, "--model", model_folder, "--output", tmp_path / "out")
    assert empty.returncode == 1 and "no images, PDFs, PAGE XML or ALTO" in empty.stderr
    doubtful = run(root, letters, "--model", model_folder, "--output", tmp_path / "out", "--threshold", "50")
    assert doubtful.returncode == 2 and "from 0 to 1" in doubtful.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_kills_at_any_point_change_nothing(root, letters, model_folder, tmp_path, drawn_pages):
    for number in range(30):
        drawn_pages.write_page(letters / "more", f"{number}")
    options = ("--model", model_folder, "--batch_size", "2", "--format", *FORMATS)
    started = time.monotonic()
    assert run(root, letters, *options, "--output", tmp_path / "whole").returncode == 0
    duration = time.monotonic() - started
    draw, killed = random.Random(0), 0
    for _ in range(15):
        words = command(root, letters, *options, "--output", tmp_path / "killed", "--resume")
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.3, 1.0) * duration)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 10
    assert run(root, letters, *options, "--output", tmp_path / "killed", "--resume").returncode == 0
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_share_the_pages(root, letters, model_folder, tmp_path):
    options = ("--model", model_folder, "--format", *FORMATS)
    (letters / "page_0.png").unlink()
    (letters / "page_1.png").write_bytes(b"")
    alone = run(root, letters, *options, "--output", tmp_path / "alone")
    launch = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    two = run(root, letters, *options, "--output", tmp_path / "two", launch=launch, ACCELERATE_USE_CPU="true")
    assert "pages of process 1 of 2" in two.stderr, two.stderr
    assert alone.returncode == 1 and two.returncode == 1
    for name in ("page_0.xml", "page_1.xml"):
        assert f"{name}: " in two.stderr
    assert readings(tmp_path / "two") == readings(tmp_path / "alone")


def readings(folder: Path) -> dict[str, str]:
    """Texts and where they are; confidences may differ in the last digit between batches."""
    return {name: text for name, text in results(folder).items() if name.endswith(".txt")}

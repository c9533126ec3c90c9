# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The HTML of a document tells all lines, and shows them at their places on a phone and on a desktop."""

import html
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htr_convtext.pages.outputs import write_document


@pytest.fixture
def page_file(tmp_path, transcribed) -> Path:
    texts = [["first line", "<b>bold</b> & \u05e9\u05dc\u05d5\u05dd"], ["doubtful words", "kept text", "lost"]]
    page = transcribed.drawn_page(tmp_path, texts, size=(800, 1200))
    lines = list(page.lines)
    words = tuple(word._replace(confidence=0.2) for word in lines[2].words)
    lines[2] = lines[2]._replace(confidence=0.2, doubtful=True, words=words)
    lines[3] = lines[3]._replace(confidence=None, words=())
    lines[4] = lines[4]._replace(confidence=None, words=(), text="", problem="has no outline")
    page = page._replace(lines=tuple(lines), problems=("images of another size",))
    return write_document([page], ["html"], tmp_path, transcribed.NOW)[0]


def test_every_line_is_told_with_what_is_odd_about_it(page_file):
    text = page_file.read_text(encoding="utf-8")
    shown = [
        " ".join(re.sub("<a .*?</a>|<[^>]*>", "", line).split()) for line in re.findall(r"(?s)<p dir.*?</p>", text)
    ]
    assert [html.unescape(line) for line in shown] == [
        "first line",
        "<b>bold</b> & \u05e9\u05dc\u05d5\u05dd",
        "doubtful words",
        "kept text",
        "not read: has no outline",
    ]
    assert 'class="doubtful" title="confidence 20%"' in text and 'style="--doubt: 0.80"' in text
    assert "1 page, 5 lines, 1 doubtful. Read by htr-convtext 0.1.0, model htr-convtext-fr, 2026-11-25." in text
    assert "Page 1; images of another size" in text
    assert text.count("<polygon id") == 5 and 'points="60,40 180,40 180,64 60,64"' in text
    assert "http" not in text.replace("http://www.w3.org", "")  # Nothing is fetched.


MEASURES = """<script>addEventListener("load", () => {
const all = name => [...document.querySelectorAll(name)], box = part => part.getBoundingClientRect();
all("p[data-line]")[2].click();
const image = box(all("img")[0]), place = box(all("polygon.here")[0]);
const shade = all(".word").map(word => getComputedStyle(word).backgroundColor);
document.title = JSON.stringify({
  broken: all("img").filter(image => !image.naturalWidth).length, across: document.documentElement.scrollWidth,
  here: all("p.here").map(line => line.dataset.line), beside: box(all(".text")[0]).left >= image.right,
  left: (place.left - image.left) / image.width, top: (place.top - image.top) / image.height,
  sure: shade[0], unsure: shade.at(-1), seen: place.top >= 0 && place.bottom <= innerHeight,
  smallest: Math.min(...all("p").map(line => parseFloat(getComputedStyle(line).fontSize))),
  back: (() => { all("polygon")[0].dispatchEvent(new MouseEvent("click", {bubbles: true}));
    return all("p.here").map(line => line.dataset.line); })(),
}); });</script>"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1440])
def test_page_in_chromium(page_file, tmp_path, width):
    measured = tmp_path / "measured.html"
    measured.write_text(page_file.read_text(encoding="utf-8").replace("</body>", f"{MEASURES}</body>"), "utf-8")
    # Headless Chromium's window is at least 500 pixels wide, so a phone is a frame in it.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<style>body {{ margin: 0 }}</style><iframe src="measured.html" width="{width}" height="900" '
        'style="border: 0"></iframe><script>addEventListener("load", () => setTimeout(() => '
        "{ document.title = frames[0].document.title }, 500))</script>",
        encoding="utf-8",
    )
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
               f"--window-size={max(width, 500)},900"]  # fmt: skip
    options = {"check": True, "capture_output": True, "timeout": 300}
    rendered = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", frame.as_uri()], text=True, **options
    ).stdout
    found = json.loads(html.unescape(rendered.partition("<title>")[2].partition("</title>")[0]))
    assert found["broken"] == 0 and found["across"] <= width and found["beside"] == (width == 1440)
    assert found["here"] == ["1-3"] and found["back"] == ["1-1"] and found["seen"]
    assert found["left"] == pytest.approx(60 / 800, abs=0.01) and found["top"] == pytest.approx(160 / 1200, abs=0.01)
    assert found["unsure"] == "rgba(255, 140, 0, 0.6)" and found["sure"] != found["unsure"]
    assert found["smallest"] >= 14
    shot = tmp_path / "shot.png"
    subprocess.run([*command, f"--screenshot={shot}", frame.as_uri()], **options)
    pixels = np.asarray(Image.open(shot).convert("L"))[:, :width]
    assert 0.003 < (pixels < 100).mean() < 0.3

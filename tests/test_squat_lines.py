# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Images of a few words are lines, and pages are none, whatever their size in pixels."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor
from htr_convtext.images_htr_convtext import to_grey
from htr_convtext.line_datasets.rendering import FONT_SIZE, Hand, draw_line
from htr_convtext.pages import transcribe, transcription
from htr_convtext.pipeline_htr_convtext import is_squat_line

HEIGHTS = (300, 400, 700, 1200)
WORDS = ("Mary", "14 mai", "le 14 mai", "in the year", "Ma ch\u00e8re", "\u00c0 bient\u00f4t,")


def written(text: str, height: int, seed: int = 0) -> Image.Image:
    """Words in an unsteady hand that fill an image of a height."""
    font, rng = ImageFont.load_default(FONT_SIZE), np.random.default_rng(seed)
    hand = Hand(0.3, 0.02, 0.1, 0.9, 0.4, 1.5, 60, 220, 0.1, 0, False, 1.2, (0.1, 0.1, 0.1, 0.1))
    line = draw_line((text, "", ""), font, hand, rng)
    width = min(line.width / line.height, 2.8) * height
    return line.resize((round(width), height), Image.Resampling.BICUBIC)


def page(lines: int, size: tuple[int, int]) -> Image.Image:
    """A page full of lines."""
    picture, pitch = Image.new("L", size, 225), size[1] / (lines + 1)
    font = ImageFont.load_default(size=max(6, round(min(0.55 * pitch, size[0] / 12))))
    drawing = ImageDraw.Draw(picture)
    for number in range(lines):
        text, place = "and so on to the end of it " * 8, (0.08 * size[0], (number + 1) * pitch)
        drawing.text(place, text, font=font, fill=50, anchor="ls")
    drawing.rectangle((0.92 * size[0], 0, *size), fill=225)
    return picture


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("text", WORDS)
def test_a_few_words_are_a_line(text, height):
    line = written(text, height)
    assert is_squat_line(line) and is_squat_line(ImageOps.invert(line))
    assert is_squat_line(to_grey(line.convert("RGB")))


@pytest.mark.parametrize("size", [(400, 500), (800, 1000), (1000, 700), (1050, 1480), (1400, 500)])
@pytest.mark.parametrize("lines", [2, 3, 4, 6, 10, 20, 40])
def test_a_page_is_no_line(lines, size):
    assert not is_squat_line(page(lines, size))


def test_what_is_no_line_for_certain_is_none():
    assert not is_squat_line(Image.new("L", (700, 400), 225)), "no ink"
    assert not is_squat_line(written("Mary", 400).rotate(90, expand=True)), "upright"
    assert not is_squat_line(written("Mary", 1600)), "more pixels than a line has"


def test_the_line_pipeline_reads_words_and_refuses_pages(model_folder):
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    recognizer = HTRConvTextForCTC.from_pretrained(model_folder).as_pipeline(processor)
    for height in HEIGHTS:
        for (line,) in recognizer([written(text, height) for text in WORDS]):
            assert line["score"] > 0 and "notes" not in line
    with pytest.raises(ValueError, match="about 5 lines of text"):
        recognizer(page(5, (800, 1000)))


def test_words_are_read_without_looking_for_lines(tmp_path, model_folder, monkeypatch):
    written("le 14 mai", 400).save(tmp_path / "words.png")
    page(5, (800, 1000)).save(tmp_path / "page.png")
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    recognizer = HTRConvTextForCTC.from_pretrained(model_folder).as_pipeline(processor)
    looked_at = []
    monkeypatch.setattr(transcription, "find_lines", lambda picture, leftwards: looked_at.append(picture.size) or [])
    found, words = transcribe(tmp_path, recognizer)
    assert looked_at == [(800, 1000)] and not found.lines
    (line,) = words.lines
    assert line.confidence is not None and not words.problems

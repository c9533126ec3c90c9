# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Readings of pages become a dataset with confidences, which can be trained on once it is corrected."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

from htr_convtext.line_datasets import load_lines, push_readings
from htr_convtext.pages import CropOptions, cut_line, plan_cut
from htr_convtext.pages.kept_pages import KeptPages


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def transcribed():
    """The module that makes transcribed pages."""
    path = Path(__file__).parent.parent / "pages" / "outputs" / "transcribed.py"
    spec = importlib.util.spec_from_file_location("transcribed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lines_with_text_and_confidence(tmp_path, transcribed, capsys):
    sure = transcribed.drawn_page(tmp_path, [["first line", "kept", ""]], "a")
    lines = (sure.lines[0], sure.lines[1]._replace(confidence=None, words=()), sure.lines[2])
    kept = KeptPages(tmp_path / "read", {})
    kept.write(sure._replace(lines=lines))
    kept.write(transcribed.drawn_page(tmp_path, [["doubtful"]], "b", confidence=0.25))
    folder = tmp_path / "hub_readings"
    assert push_readings.main([str(tmp_path / "read"), "--license", "cc-by-4.0", "--folder", str(folder)]) == 0
    found = load_dataset(str(folder), split="train")
    assert list(found["text"]) == ["first line", "doubtful"]
    assert list(found["confidence"]) == [0.875, 0.25] and list(found["doubtful"]) == [False, True]
    assert list(found["line_id"]) == ["a_000", "b_000"] and found[0]["image"].size == (121, 25)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Read by htr-convtext 0.1.0, model htr-convtext-fr, not corrected" in card
    assert list(load_lines("lines", data_dir=folder)["train"]["text"]) == ["first line", "doubtful"]


@pytest.mark.parametrize("crop", ["polygon", "box"])
def test_lines_are_cut_as_they_were_read(tmp_path, transcribed, crop):
    page = transcribed.drawn_page(tmp_path, [["a line"]])
    (line,) = page.lines
    (left, top), _, (right, bottom), _ = line.line.polygon
    line = line._replace(line=line.line._replace(polygon=[(left, top), (right, top), (left, bottom)]))
    KeptPages(tmp_path / "read", {"reading": {"crop": {"crop": crop}}}).write(page._replace(lines=(line,)))
    lines, _ = push_readings.load_readings(tmp_path / "read")
    picture = Image.open(page.source.image)
    expected = cut_line(picture, plan_cut(line.line, picture.size)[0], CropOptions(crop))
    np.testing.assert_array_equal(np.asarray(lines[0]["image"]), np.asarray(expected))
    other = cut_line(picture, plan_cut(line.line, picture.size)[0], CropOptions("polygon" if crop == "box" else "box"))
    assert np.any(np.asarray(other) != np.asarray(expected))


def test_numbers_on_a_page_of_hebrew_are_cut_as_they_were_read(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["\u05e9\u05dc\u05d5\u05dd", "1 9999"]])
    left, top, right, _ = page.lines[1].line.box
    number = page.lines[1]._replace(line=page.lines[1].line._replace(baseline=[(right, top), (left, top)]))
    KeptPages(tmp_path / "read", {}).write(page._replace(lines=(page.lines[0], number)))
    lines, _ = push_readings.load_readings(tmp_path / "read")
    picture = Image.open(page.source.image)
    expected = cut_line(picture, plan_cut(number.line, picture.size, right_to_left=True)[0], CropOptions())
    np.testing.assert_array_equal(np.asarray(lines[1]["image"]), np.asarray(expected))


def test_a_picture_that_is_gone_is_named(tmp_path, transcribed, capsys):
    page = transcribed.drawn_page(tmp_path, [["a line"]])
    KeptPages(tmp_path / "read", {}).write(page)
    page.source.image.unlink()
    arguments = [str(tmp_path / "read"), "--license", "cc-by-4.0", "--folder", str(tmp_path / "hub")]
    assert push_readings.main(arguments) == 1
    assert page.source.image.name in capsys.readouterr().err
    assert not (tmp_path / "hub").exists()


def test_a_folder_without_readings_is_named(tmp_path, capsys):
    arguments = [str(tmp_path), "--license", "cc-by-4.0", "--folder", str(tmp_path / "hub")]
    assert push_readings.main(arguments) == 1
    assert f"{tmp_path}: no lines that transcribe.py read" in capsys.readouterr().err
    assert not (tmp_path / "hub").exists()

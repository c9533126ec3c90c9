# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Drawn lines: their words, their fonts, what is refused; and that they can be trained on."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageFont

from htr_convtext.line_datasets import load_lines, synthesize
from htr_convtext.line_datasets.rendering import FONT_SIZE, HEIGHT, draw_hand, draw_line, writes

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
TEXTS = ("de tout ce que je", "Ceci est mon testament", "Fait à Caen")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def real(tmp_path) -> Path:
    """A folder with two training lines and a line of the test split, whose words must not be drawn."""
    folder = tmp_path / "real"
    (folder / "lines").mkdir(parents=True)
    for name, text in (("a", TEXTS[0]), ("b", f"{TEXTS[1]} \ue123x"), ("c", "inconnu")):
        Image.new("L", (200, 32), 255).save(folder / "lines" / f"{name}.png")
        (folder / "lines" / f"{name}.txt").write_text(text, encoding="utf-8")
    (folder / "train.ln").write_text("a.png\nb.png\n")
    (folder / "test.ln").write_text("c.png\n")
    return folder


def run(real: Path, output: Path, *more: str, fonts: Path = FONTS) -> int:
    arguments = ["--data_dir", str(real), "--fonts", str(fonts), "--output", str(output), "--number", "6", *more]
    return synthesize.main(arguments)


def drawn(folder: Path) -> dict[str, tuple[str, bytes]]:
    return {path.stem: (path.with_suffix(".txt").read_text(), path.read_bytes()) for path in folder.rglob("*.jpg")}


def test_lines_are_a_training_split_with_the_training_words(real, tmp_path):
    assert run(real, tmp_path / "drawn") == 0
    lines = load_lines("lines", data_dir=[str(tmp_path / "drawn"), str(real)])
    assert lines["train"].num_rows == 8 and lines["test"].num_rows == 1
    words = {word for text in drawn(tmp_path / "drawn").values() for word in text[0].split()}
    assert words and words <= set(" ".join(TEXTS[:2]).split())  # \ue123 is in no font, "inconnu" in no training line.
    assert all(image.height == HEIGHT for image in lines["train"]["image"][:6])


def test_the_seed_decides(real, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(real, tmp_path / name, "--seed", seed) == 0
    assert drawn(tmp_path / "a") == drawn(tmp_path / "b") != drawn(tmp_path / "c")


def test_more_text_brings_its_words_but_no_new_characters(real, tmp_path):
    (tmp_path / "more.txt").write_text("maison été Ω\n", encoding="utf-8")
    words = synthesize.known_words([str(real)], [tmp_path / "more.txt"])
    assert words[-1] == "maison" and "Ω" not in words and "été" not in words


def test_letters_of_more_text_are_composed_as_those_of_the_lines_are(real, tmp_path):
    (real / "lines" / "a.txt").write_text("\u00e9t\u00e9", encoding="utf-8")
    (tmp_path / "more.txt").write_text("\ufeffe\u0301te\u0301 t\u00ade\u0301", encoding="utf-8")
    words = synthesize.known_words([str(real)], [tmp_path / "more.txt"])
    assert words[-2:] == ["\u00e9t\u00e9", "t\u00e9"]
    (tmp_path / "more.txt").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match="more.txt, line 1: not UTF-8"):
        synthesize.known_words([str(real)], [tmp_path / "more.txt"])


def test_words_that_are_read_from_right_to_left_are_not_drawn_from_left_to_right(real):
    shalom = "\u05e9\u05dc\u05d5\u05dd"
    (real / "lines" / "a.txt").write_text(f"de {shalom} tout ce que je {'x ' * 9}", encoding="utf-8")
    assert shalom not in synthesize.known_words([str(real)], [])
    (real / "lines" / "a.txt").write_text(f"{shalom} {shalom}", encoding="utf-8")
    with pytest.raises(ValueError, match="2 of the 7 words are read from right to left"):
        synthesize.known_words([str(real)], [])


def test_fonts_that_lack_the_words_letters_are_left_out():
    fonts = synthesize.fonts_for(" ".join(TEXTS).split(), FONTS)
    names = {font.getname()[0] for font, _ in fonts}
    assert "DejaVu Sans" in names and "STIXSizeOneSym" not in names
    symbols = ImageFont.truetype(FONTS / "STIXSizOneSymReg.ttf", FONT_SIZE)
    assert writes(symbols, "ab (") == " ("


def test_a_word_is_written_in_ink_and_no_two_are_alike():
    font = ImageFont.truetype(FONTS / "DejaVuSans.ttf", FONT_SIZE)
    hand = draw_hand(np.random.default_rng(5))
    images = [np.asarray(draw_line((text, "", ""), font, hand, np.random.default_rng(1))) for text in ("mm", "i")]
    assert images[0].shape[1] > images[1].shape[1]
    for image in images:
        assert image.min() < hand.paper - 0.5 * (hand.paper - hand.ink) and np.median(image) > hand.ink
    other = np.asarray(draw_line(("mm", "", ""), font, hand, np.random.default_rng(2)))
    assert other.shape != images[0].shape or np.abs(other.astype(int) - images[0]).max() > 50


@pytest.mark.parametrize("number", range(20))
def test_any_hand_draws_any_line(number):
    rng = np.random.default_rng(number)
    font = ImageFont.truetype(FONTS / "DejaVuSerif-Italic.ttf", FONT_SIZE)
    image = draw_line((".", *TEXTS[:2]) if number % 2 else TEXTS, font, draw_hand(rng), rng)
    assert image.mode == "L" and image.height == HEIGHT and image.width > 1
    assert np.asarray(image).std() > 2


def test_lines_without_a_training_split_are_named(real, tmp_path, capsys):
    (real / "train.ln").unlink()
    assert run(real, tmp_path / "drawn") == 1
    assert capsys.readouterr().err.endswith("The dataset has no split 'train'; it has test.\n")


def test_what_cannot_be_used_is_named(real, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert run(real, tmp_path / "drawn", fonts=tmp_path / "none") == 1
    assert "none has no font (.ttf, .otf, .woff) with the characters of 90% of the words" in capsys.readouterr().err
    (tmp_path / "none" / "broken.ttf").write_bytes(b"no font")
    assert run(real, tmp_path / "drawn", fonts=tmp_path / "none") == 1
    assert "broken.ttf is no font that can be read" in capsys.readouterr().err
    assert run(real, tmp_path / "drawn", "--text", str(tmp_path / "missing.txt")) == 1
    assert "missing.txt" in capsys.readouterr().err
    assert run(real, real) == 1
    assert "is there already" in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()

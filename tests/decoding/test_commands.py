# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands that build, tune and calibrate, on a tiny network and a few lines."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from htr_convtext import (
    HTRConvTextDecoder,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
)
from htr_convtext.decoding import build, calibrate, tune
from htr_convtext.decoding.reading import NetworkLine
from htr_convtext.decoding_htr_convtext import LEVELS

TEXTS = ["the mill", "a mill by the river", "the river", "by the old mill", "old river", "a river by a mill"]


@pytest.fixture
def lines(line_images, tmp_path) -> Path:
    """Six images with texts that they do not show, in two splits."""
    folder = tmp_path / "lines"
    for split in ("train", "validation"):
        (folder / split).mkdir(parents=True)
        for number, (image, text) in enumerate(zip(line_images, TEXTS, strict=False)):
            shutil.copy(image, folder / split / f"{number}{Path(image).suffix}")
            (folder / split / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def model(model_folder, tmp_path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def test_build_tune_and_calibrate(model, lines, tmp_path, capsys):
    """One after the other, as a user does: the model's folder has it all in the end."""
    (tmp_path / "words.txt").write_text("mill\nriver\n", encoding="utf-8")
    of_model = ["--model", str(model)]
    of_lines = ["--data_dir", str(lines)]
    folder = model / "language_model"
    (tmp_path / "book.txt").write_text(
        "\ufeffIt stood by the mill \u2014 \u00ab the old one \u00bb.\n\n" + 30 * "the river "
    )
    build.main(
        [str(tmp_path / "book.txt"), *of_model, *of_lines, "--output", str(folder), "--order", "4"]
        + ["--words", str(tmp_path / "words.txt"), "--line_length", "40"]
    )
    printed = capsys.readouterr().out
    assert "book.txt: 9 lines" in printed and "not in the alphabet" not in printed  # dashes and quotes are replaced
    assert f"{lines}: 6 lines" in printed
    assert HTRConvTextDecoder.from_pretrained(model).words == {"mill", "river"}

    grid = [
        "--lm_weights",
        "0",
        "3",
        "--length_bonuses",
        "0",
        "2",
        "--word_bonuses",
        "0",
        "1",
        "--beam_sizes",
        "4",
        "8",
    ]
    tune.main([*of_model, *of_lines, *grid])
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("lm_weight")]
    assert len(rows) == 8 and "beam_size 8" in printed and "network" in printed
    tuned = HTRConvTextDecoder.from_pretrained(folder)
    best = min(float(line.split("WER")[1]) for line in rows)
    (chosen,) = [line for line in printed.splitlines() if line.startswith("chosen")]
    name = chosen.removeprefix("chosen: ").partition(" beam_size")[0]
    assert any(line.startswith(name) and float(line.split("WER")[1]) == best for line in rows)
    assert f"lm_weight {tuned.lm_weight:g} length_bonus {tuned.length_bonus:g}" in chosen

    calibrate.main([*of_model, *of_lines, "--write", "--plot", str(tmp_path / "plot.png")])
    printed = capsys.readouterr().out
    assert "score" in printed and "mean of maxima" in printed and "10 %" in printed
    fitted = json.loads((model / "processor_config.json").read_text())["calibration"]
    assert HTRConvTextProcessor.from_pretrained(model).calibration == fitted
    assert set(fitted) == {"character", "word", "line"} and [1.0, 0.0] not in fitted.values()
    assert (tmp_path / "plot.png").stat().st_size > 10_000

    calibrate.main([*of_model, *of_lines, "--decoder", str(folder), "--write"])
    assert "share of the beam" in capsys.readouterr().out
    decoder = HTRConvTextDecoder.from_pretrained(folder)
    assert decoder.calibration != tuned.calibration
    assert {**decoder.to_dict(), "calibration": 0} == {**tuned.to_dict(), "calibration": 0}

    calibrate.main([*of_model, *of_lines, "--evaluate"])
    measured = capsys.readouterr().out
    assert f"slope {fitted['word'][0]:.3f} offset {fitted['word'][1]:+.3f}" in measured


def test_a_decoder_is_written_where_it_was_read_from(model, lines, capsys):
    """With the name of a model's folder, too, which has it in a folder of its own."""
    processor = HTRConvTextProcessor.from_pretrained(model)
    folder = model / "language_model"
    HTRConvTextDecoder(processor.tokenizer.alphabet).save_pretrained(folder)
    of_lines = ["--model", str(model), "--data_dir", str(lines), "--decoder", str(model)]
    tune.main([*of_lines, "--beam_sizes", "5", "--length_bonuses", "0.5"])
    calibrate.main([*of_lines, "--write"])
    assert not (model / "decoder_config.json").exists()
    decoder = HTRConvTextDecoder.from_pretrained(folder)
    assert (decoder.beam_size, decoder.length_bonus) == (5, 0.5)
    calibrated, none = decoder.calibration, HTRConvTextDecoder(decoder.alphabet).calibration
    assert calibrated != none
    for bonus, kept in (("0.5", calibrated), ("0.7", none)):  # With other weights, scores are others.
        tune.main([*of_lines, "--beam_sizes", "5", "--length_bonuses", bonus])
        assert HTRConvTextDecoder.from_pretrained(folder).calibration == kept
    assert "Its calibration was fitted with other weights and is gone" in capsys.readouterr().out


def test_the_file_gets_as_small_as_asked(model, tmp_path):
    text = tmp_path / "text.txt"
    words = [f"{first}{second}{third}" for first in "abcdefgh" for second in "aeiou" for third in "lmnrst"]
    text.write_text("\n".join(" ".join(words[start::7]) for start in range(7)) + "\n" + "the mill\n" * 9)
    sizes = []
    for options in ([], ["--max_megabytes", "0.006"]):
        build.main([str(text), "--model", str(model), "--output", str(tmp_path / "out"), *options])
        sizes.append((tmp_path / "out" / "characters.arpa.gz").stat().st_size)
    assert sizes[1] <= 6000 < sizes[0]
    with pytest.raises(SystemExit, match="choose a lower --order"):
        build.main([str(text), "--model", str(model), "--output", str(tmp_path / "x"), "--max_megabytes", "0.0001"])


def test_transcriptions_count_more_than_once(model, lines, tmp_path):
    (tmp_path / "book.txt").write_text(4 * "mz ")
    arguments = ["--model", str(model), "--data_dir", str(lines), "--output", str(tmp_path / "out"), "--order", "2"]
    shares = []
    for repeat in ("1", "3"):
        build.main([str(tmp_path / "book.txt"), *arguments, "--repeat", repeat])
        arpa = gzip.decompress((tmp_path / "out" / "characters.arpa.gz").read_bytes()).decode()
        mill, other = (float(re.search(rf"^(\S+)\tm {letter}$", arpa, re.MULTILINE)[1]) for letter in "iz")
        shares.append(10 ** (mill - other))
    # "mi" is there four times, and then twelve times, beside four "mz"; both are discounted.
    assert shares[0] == pytest.approx(1, abs=0.2) and 3 < shares[1] < 4.5
    with pytest.raises(SystemExit):
        build.main([*arguments, "--repeat", "0"])
    with pytest.raises(SystemExit):
        build.main([str(tmp_path / "book.txt"), "--model", str(model), "--output", "out", "--repeat", "2"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "\u0421\u0442\u0430\u0440\u0430\u044f \u043c\u0435\u043b\u044c\u043d\u0438\u0446\u0430".encode(),
            "another language",
        ),
        ("le moulin pr\u00e8s".encode("latin-1"), "text.txt: not UTF-8 at byte 12"),
        (b"", "no text"),
    ],
)
def test_text_that_is_of_no_use_is_named(model, tmp_path, content, message):
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(SystemExit, match=message):
        build.main([str(tmp_path / "text.txt"), "--model", str(model), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_text_in_another_normal_form_is_brought_into_the_alphabets(tmp_path):
    from htr_convtext.decoding.build import fit, read_text

    path = tmp_path / "text.txt"
    path.write_text("e\u0301te\u0301, l'e\u0301t\u00e9", encoding="utf-8")
    (line,) = fit(read_text(path, "NFC", 60, [("'", "\u2019")]), " ,lt\u00e9\u2019", str(path))
    assert line == "\u00e9t\u00e9, l\u2019\u00e9t\u00e9"


def test_text_and_lines_are_in_the_order_that_the_model_was_trained_on(lines, tmp_path):
    """That on the page, for a model of text_order=visual; transcriptions in the order of reading taught nonsense."""
    tokenizer = HTRConvTextTokenizer.from_alphabet(" \u05d0\u05d1\u05d2\u05d3")
    HTRConvTextProcessor(HTRConvTextImageProcessor(), tokenizer).save_pretrained(tmp_path / "model")
    for path in lines.rglob("*.txt"):
        path.write_text("\u05d0\u05d1 \u05d0\u05d1", encoding="utf-8")
    for name in ("book", "words"):
        (tmp_path / f"{name}.txt").write_text("\u05d2\u05d3", encoding="utf-8")
    arguments = [str(tmp_path / "book.txt"), "--model", str(tmp_path / "model"), "--output", str(tmp_path / "out")]
    arguments += ["--data_dir", str(lines), "--words", str(tmp_path / "words.txt"), "--order", "2"]
    build.main([*arguments, "--dataset_option", "text_order=visual"])
    decoder = HTRConvTextDecoder.from_pretrained(tmp_path / "out")
    bigrams = gzip.decompress(decoder.arpa).decode().partition("2-grams:")[2]
    assert all(pair in bigrams for pair in ("\u05d1 \u05d0", "\u05d3 \u05d2", "<s> \u05d1", "<s> \u05d3"))
    assert "\u05d0 \u05d1" not in bigrams and "\u05d2 \u05d3" not in bigrams and decoder.words == {"\u05d3\u05d2"}


def test_what_is_missing_is_named(model, lines, tmp_path, capsys):
    with pytest.raises(SystemExit, match="no decoder"):
        tune.main(["--model", str(model), "--data_dir", str(lines)])
    with pytest.raises(SystemExit, match=re.escape(f"--split dev: {lines} has train, validation")):
        calibrate.main(["--model", str(model), "--data_dir", str(lines), "--split", "dev"])
    alphabet = HTRConvTextProcessor.from_pretrained(model).tokenizer.alphabet
    HTRConvTextDecoder(alphabet).save_pretrained(tmp_path / "own")
    for command, options in ((tune, ["--decoder", str(tmp_path / "own")]), (calibrate, [])):
        of_model = ["--model", str(model), *options]
        with pytest.raises(SystemExit, match=f": No such folder: {tmp_path / 'nosuch'}"):
            command.main([*of_model, "--data_dir", str(tmp_path / "nosuch")])
        with pytest.raises(SystemExit, match=": lines: say where it is with data_dir"):
            command.main(of_model)
    with pytest.raises(SystemExit):
        build.main(["--model", str(model), "--output", str(tmp_path / "out")])
    assert "There is no text" in capsys.readouterr().err
    HTRConvTextDecoder("abc").save_pretrained(tmp_path / "other")
    with pytest.raises(SystemExit, match="alphabet is not that of"):
        calibrate.main(["--model", str(model), "--data_dir", str(lines), "--decoder", str(tmp_path / "other")])


def test_a_picture_that_cannot_be_written_costs_no_fit(model, lines, tmp_path, capsys):
    arguments = ["--model", str(model), "--data_dir", str(lines), "--write", "--plot"]
    with pytest.raises(SystemExit, match="nosuch"):
        calibrate.main([*arguments, str(tmp_path / "nosuch" / "scores.png")])
    assert HTRConvTextProcessor.from_pretrained(model).calibration != {level: [1.0, 0.0] for level in LEVELS}
    with pytest.raises(SystemExit):
        calibrate.main([*arguments, "scores.xyz"])
    assert "scores.xyz must end with one of" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "options"), [(tune, []), (calibrate, ["--write"])])
def test_what_cannot_be_written_into_is_told_before_the_work(model, lines, monkeypatch, command, options):
    """A decoder of the Hub can be read, but not written."""
    decoder = HTRConvTextDecoder(HTRConvTextProcessor.from_pretrained(model).tokenizer.alphabet)
    monkeypatch.setattr(HTRConvTextDecoder, "from_pretrained", lambda name: decoder)
    of_lines = ["--model", str(model), "--data_dir", str(lines)]
    with pytest.raises(SystemExit, match="OWNER/NAME: to be written into, it must be a folder"):
        command.main([*of_lines, "--decoder", "OWNER/NAME", *options])


def test_lines_in_which_nothing_is_read_end_with_a_sentence(model, lines, monkeypatch):
    """It was a traceback."""
    blank = NetworkLine(torch.eye(8)[[0, 0]], "text")
    monkeypatch.setattr(calibrate, "read_logits", lambda model, processor, split, size: ([blank], 0.0))
    with pytest.raises(SystemExit, match="^calibrate: Nothing was read in these lines"):
        calibrate.main(["--model", str(model), "--data_dir", str(lines)])


@pytest.mark.parametrize("command", [tune, calibrate])
def test_lines_are_read_with_the_options_of_the_training(model, lines, monkeypatch, command):
    """Else a model whose alphabet is decomposed misreads each letter with an accent, by its transcription."""
    (lines / "validation" / "0.txt").write_text("\u00e9t\u00e9", encoding="utf-8")
    decoder = HTRConvTextDecoder(HTRConvTextProcessor.from_pretrained(model).tokenizer.alphabet)
    decoder.save_pretrained(model / "language_model")
    told = []
    monkeypatch.setattr(command, "read_logits", lambda model, processor, split, size: told.append(split["text"][0]))
    with pytest.raises(TypeError):  # As nothing was read.
        command.main(["--model", str(model), "--data_dir", str(lines), "--dataset_option", "normal_form=NFD"])
    assert told == ["e\u0301te\u0301"]

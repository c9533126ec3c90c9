# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Layouts of line images, the cache, labels, and every kind of bad file."""

import csv
import dataclasses
import errno
import json
import re
import unicodedata
from pathlib import Path

import pytest
from datasets import Dataset, Features, Value, disable_progress_bars, enable_progress_bars
from datasets import Image as ImageFeature
from datasets.arrow_writer import ArrowWriter
from PIL import Image

from htr_convtext import line_datasets
from htr_convtext.line_datasets import LineDataError, load_lines, normalize_text, vocabulary
from htr_convtext.line_datasets.cache import CACHE_VERSION
from htr_convtext.line_datasets.command_line import named_options
from htr_convtext.line_datasets.line import FEATURES
from htr_convtext.line_datasets.loading import SOURCES, VALUES, fits

TEXTS = {"a": "one  two", "b": "NA", "c": "007"}


def write_image(path: Path, width: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, 20), 255).save(path)
    return path


def write_ln(root: Path) -> None:
    for split, name in zip(("train", "val", "test"), TEXTS, strict=True):
        write_image(root / "lines" / f"{name}.png").with_suffix(".txt").write_text(TEXTS[name])
        (root / f"{split}.ln").write_text(f"{name}.png")


def write_pairs(root: Path) -> None:
    for split, name in zip(("train", "val", "test"), TEXTS, strict=True):
        write_image(root / split / f"{name}.png").with_suffix(".gt.txt").write_text(TEXTS[name])


def write_jsonl(root: Path) -> None:
    for split, name in zip(("train", "val", "test"), TEXTS, strict=True):
        write_image(root / split / f"{name}.png")
        row = json.dumps({"file_name": f"{name}.png", "text": TEXTS[name]})
        (root / split / "metadata.jsonl").write_text(row)


def write_csv(root: Path) -> None:
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text", "split"])
        for split, name in zip(("train", "val", "test"), TEXTS, strict=True):
            write_image(root / "images" / f"{name}.png")
            writer.writerow([f"images/{name}.png", TEXTS[name], split])


def write_loghi(root: Path) -> None:
    for split, name in zip(("train", "val", "test"), TEXTS, strict=True):
        image = write_image(root / "images" / f"{name}.png")
        (root / f"{split}.txt").write_text(f"{image}\t{TEXTS[name]}\n")


def write_pylaia(root: Path) -> None:
    for split, name in zip(("tr", "va", "te"), TEXTS, strict=True):
        write_image(root / "lines" / f"{name}.JPG".lower())
        text = TEXTS[name]
        (root / f"{split}.txt").write_text(f"# table\n\n{name} {text}\n")


def write_parquet(root: Path) -> None:
    features = Features({"image": ImageFeature(), "text": Value("string"), "line_id": Value("string")})
    for split, name in zip(("train", "valid", "test"), TEXTS, strict=True):
        content = write_image(root / "x.png").read_bytes()
        rows = {"image": [{"bytes": content, "path": None}], "text": [TEXTS[name]], "line_id": [name]}
        (root / "data").mkdir(exist_ok=True)
        Dataset.from_dict(rows, features=features).to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")
    (root / "x.png").unlink()


@pytest.mark.parametrize(
    "write", [write_ln, write_pairs, write_jsonl, write_csv, write_loghi, write_pylaia, write_parquet]
)
def test_layouts_give_the_same_lines(tmp_path, write):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    splits = load_lines("lines", data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    assert {split: (lines["line_id"][0], lines["text"][0]) for split, lines in splits.items()} == {
        "train": ("a", "one two"),
        "validation": ("b", "NA"),
        "test": ("c", "007"),
    }
    assert splits["train"][0]["image"].size == (40, 20)
    assert splits["train"][0]["source"] == "data"


def test_symbols_of_a_tokenized_table_are_joined(tmp_path):
    write_image(tmp_path / "lines" / "a.png")
    (tmp_path / "train.txt").write_text("a h i <space> y o u\n")
    assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"][0] == "hi you"


def test_second_load_reads_the_cache_until_a_file_is_edited(tmp_path, monkeypatch):
    write_ln(tmp_path)
    load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    with monkeypatch.context() as patched:
        patched.setattr("htr_convtext.line_datasets.cache.read_splits", None)
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    (tmp_path / "lines" / "a.txt").write_text("edited")
    assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"][0] == "edited"


def test_processes_share_the_work_and_keep_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr("htr_convtext.line_datasets.cache.CHUNK_LINES", 2)
    for number in range(5):
        write_image(tmp_path / f"{number}.png", 20 + number).with_suffix(".txt").write_text(str(number))
    lines = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache", num_proc=2)["train"]
    assert len(lines.cache_files) == 2
    assert [(text, image.width) for text, image in zip(lines["text"], lines["image"], strict=True)] == [
        (str(number), 20 + number) for number in range(5)
    ]


def test_progress_is_shown_and_can_be_turned_off(tmp_path, capfd):
    write_ln(tmp_path)
    load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    shown = capfd.readouterr().err
    assert "Reading train transcriptions" in shown and "Generating train split" in shown
    disable_progress_bars()
    try:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".other")
    finally:
        enable_progress_bars()
    assert not capfd.readouterr().err


@pytest.mark.parametrize("change", ["edit", "add", "remove", "option", "version"])
def test_every_change_of_the_input_is_another_dataset(tmp_path, monkeypatch, change):
    write_pairs(tmp_path)
    load = {"data_dir": tmp_path, "cache_dir": tmp_path / ".cache"}
    before = load_lines("lines", **load)["train"].cache_files
    assert load_lines("lines", **load)["train"].cache_files == before
    if change == "edit":
        (tmp_path / "train" / "a.gt.txt").write_text("one  tow")  # Of the same size.
    elif change == "add":
        write_image(tmp_path / "train" / "z.png").with_suffix(".txt").write_text("z")
    elif change == "remove":
        (tmp_path / "test" / "c.png").unlink()
        (tmp_path / "test" / "c.gt.txt").unlink()
    elif change == "version":
        monkeypatch.setattr("htr_convtext.line_datasets.cache.CACHE_VERSION", CACHE_VERSION + 1)
    else:
        load["normal_form"] = "NFD"
    assert load_lines("lines", **load)["train"].cache_files != before


@pytest.mark.parametrize("streaming", [False, True])
def test_folders_that_are_called_alike_are_sources_of_their_own(tmp_path, streaming):
    places = [tmp_path / name for name in ("letters/lines", "diary/old/lines", "diary/new/lines", "notes")]
    for place in places:
        write_ln(place)
    found = load_lines("lines", data_dir=places, streaming=streaming)
    for split in ("train", "validation", "test"):
        sources = [line["source"] for line in found[split]]
        assert sources == ["letters/lines", "old/lines", "new/lines", "notes"]
    assert found["test"].features == FEATURES


def test_streaming_gives_the_same_line(tmp_path):
    write_ln(tmp_path)
    line = next(iter(load_lines("lines", data_dir=tmp_path, streaming=True)["test"]))
    assert (line["line_id"], line["text"], line["image"].size) == ("c", "007", (40, 20))


def test_all_bad_files_are_named_in_one_error_and_the_cache_stays_empty(tmp_path):
    write_ln(tmp_path)
    (tmp_path / "train.ln").write_text("a.png\nunknown.png\n")
    (tmp_path / "lines" / "b.txt").unlink()
    (tmp_path / "lines" / "c.txt").write_bytes(b"caf\xe9")
    with pytest.raises(LineDataError) as caught:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "train.ln, line 2: there is no image" in text and "unknown.png" in text
    assert "b.png: no transcription b.gt.txt or b.txt" in text
    assert "c.txt, line 1: not UTF-8 at byte 3" in text
    assert not list((tmp_path / ".cache").rglob("*.arrow"))


@pytest.mark.parametrize(("write", "num_proc"), [(write_ln, None), (write_parquet, None), (write_ln, 2)])
def test_a_full_disk_is_named(tmp_path, monkeypatch, write, num_proc):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    write(tmp_path)
    (tmp_path / "train.ln").write_text("a.png\nb.png\n")
    monkeypatch.setattr("htr_convtext.line_datasets.cache.CHUNK_LINES", 1)
    monkeypatch.setattr(ArrowWriter, "finalize", fail)
    with pytest.raises(OSError, match=f"^{tmp_path} cannot be loaded: .*No space left on device$"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache", num_proc=num_proc)


@pytest.mark.parametrize("name", ["a" * 300, "\0/../b.png", "b\0.png", f"{'a' * 300}/b.png"])
def test_a_listed_name_that_no_disk_can_have_is_named(tmp_path, name):
    write_ln(tmp_path)
    (tmp_path / "train.ln").write_text(f"a.png\n{name}\n")
    with pytest.raises(LineDataError, match="train.ln, line 2: there is no image"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")


def test_a_folder_that_cannot_be_opened_costs_its_lines_alone(tmp_path, shut):
    for folder in ("broken", "open"):
        write_line(tmp_path / folder / f"{folder}.png", folder)
    shut(tmp_path / "broken")
    with pytest.raises(LineDataError, match=r"1 problem:\n.*broken: the folder cannot be opened"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    splits = load_lines("lines", data_dir=tmp_path, on_error="skip", cache_dir=tmp_path / ".cache")
    assert splits["train"]["text"] == ["open"]


def test_an_image_whose_name_begins_as_comments_do_is_listed(tmp_path):
    """It was left out silently; a name without an image is still a comment."""
    for name in ("#1", "b"):
        write_line(tmp_path / "lines" / f"{name}.png", name)
    (tmp_path / "train.ln").write_text("#1.png\n# b.png\n#2.png\nb.png\n")
    assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"] == ["#1", "b"]


@pytest.mark.parametrize("layout", ["lists", "table", "metadata"])
def test_images_of_two_folders_may_be_called_alike(tmp_path, layout):
    for folder in ("first", "second"):
        write_line(tmp_path / "lines" / folder / "page_01.png", folder)
    if layout == "lists":
        (tmp_path / "train.ln").write_text("first/page_01.png\nsecond\\page_01.png")
    elif layout == "table":
        (tmp_path / "train.tsv").write_text("first/page_01\tfirst\nlines/second/page_01.png\tsecond\n")
    else:
        rows = ({"file_name": f"lines/{name}/page_01.png", "text": name} for name in ("first", "second"))
        (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]
    assert list(zip(lines["line_id"], lines["text"], strict=True)) == [
        ("first/page_01", "first"),
        ("second/page_01", "second"),
    ]


def test_a_line_is_listed_once_and_in_one_split(tmp_path, caplog):
    write_ln(tmp_path)
    (tmp_path / "val.ln").write_text("b.png\na.png\nb.png")
    with pytest.raises(LineDataError) as caught:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    assert caught.value.problems == [f"{tmp_path / 'val.ln'}, line 3: b.png is listed already"]
    splits = load_lines("lines", data_dir=tmp_path, on_error="skip", cache_dir=tmp_path / ".cache")
    assert list(splits["validation"]["line_id"]) == ["b", "a"]
    assert f"lines that are in train.ln, too: {tmp_path / 'val.ln'}, line 2" in caplog.text


@pytest.mark.parametrize("num_proc", [None, 2])
def test_unreadable_images_are_all_named(tmp_path, num_proc):
    for name in "abcd":
        write_image(tmp_path / f"{name}.png").with_suffix(".txt").write_text(name)
    for name in "ad":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    with pytest.raises(LineDataError) as caught:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache", num_proc=num_proc)
    assert [problem[:1] for problem in caught.value.problems] == ["a", "d"]
    assert not list((tmp_path / ".cache").rglob("*.arrow"))


def test_row_of_metadata_without_image_or_text_is_named(tmp_path):
    rows = [{"file_name": "gone.png", "text": "x"}, {"file_name": "a.png"}, {"text": "x"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{")
    write_image(tmp_path / "a.png")
    with pytest.raises(LineDataError) as caught:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    assert [problem.split(", ")[1][:6] for problem in caught.value.problems] == [
        "line 1",
        "line 2",
        "line 3",
        "line 4",
    ]


@pytest.mark.parametrize(("form", "expected"), [("NFC", "\u00e9 a"), ("NFD", "e\u0301 a"), ("none", "e\u0301 a")])
def test_normal_form_and_blanks(form, expected):
    assert normalize_text(" e\u0301\u00a0\t a\n", form) == expected


def test_vocabulary_is_of_the_train_split_and_reports_the_rest():
    splits = {"train": Dataset.from_dict({"text": ["ba", "a"]}), "test": Dataset.from_dict({"text": ["xax"]})}
    found = vocabulary(splits)
    assert found.alphabet == "ab"
    assert found.counts["train"] == {"a": 2, "b": 1}
    assert found.unseen == {"test": {"x": 2}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cvl", "data_dir": "."}, "Unknown dataset 'cvl'. Known: lines"),
        ({"name": "lines"}, "data_dir"),
        ({"name": "lines", "data_dir": "nowhere"}, "No such folder"),
        ({"name": "lines", "data_dir": ".", "color": 1}, "unknown options color"),
        ({"name": "lines", "data_dir": ".", "encoding": 1252}, "lines: the option encoding takes a text. Got 1252."),
        ({"name": "vnondb", "data_dir": ".", "width": "wide"}, "vnondb: .* width takes a whole number. Got 'wide'"),
        ({"name": "vnondb", "data_dir": ".", "height": True}, "vnondb: .* height takes a whole number. Got True"),
        ({"name": "read2016", "data_dir": ".", "keep_not_sign": "no"}, "keep_not_sign takes true or false. Got 'no'"),
        ({"name": "read2016", "data_dir": ".", "keep_not_sign": 0}, "keep_not_sign takes true or false. Got 0"),
        ({"name": "lines", "data_dir": ".", "turn_above": "far"}, "turn_above takes a number. Got 'far'"),
        ({"name": "lines", "data_dir": ".", "num_proc": "x"}, "num_proc takes a whole number from 1. Got 'x'"),
        ({"name": "lines", "data_dir": ".", "num_proc": 0}, "num_proc takes a whole number from 1. Got 0"),
        ({"name": "lines", "data_dir": ".", "streaming": "yes"}, "streaming takes true or false. Got 'yes'"),
        ({"name": "lines", "data_dir": ".", "text_index": 0.5}, "text_index takes a whole number. Got 0.5"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_lines(**arguments)


def test_options_of_the_command_line_have_types():
    given = ["a=False", "b=TRUE", "c=true", "d=2", "e=0.5", "f=False hope", "g=laia"]
    values = {"a": False, "b": True, "c": True, "d": 2, "e": 0.5, "f": "False hope", "g": "laia"}
    assert named_options(given) == values
    with pytest.raises(ValueError, match="data_dir=x is no option of a dataset"):
        named_options(["data_dir=x"])
    with pytest.raises(ValueError, match="streaming=true is for load_lines in Python"):
        named_options(["streaming=true"])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_option_takes_its_default_and_can_say_what_it_takes(source):
    for field in dataclasses.fields(source.options):
        assert field.type in VALUES and fits(field.default, field.type)


def test_both_real_sources_load(shared_lines, tmp_path):
    sizes = {
        source: load_lines("lines", data_dir=shared_lines / source, streaming=True) for source in ("peraire", "poilus")
    }
    assert sum(1 for _ in sizes["peraire"]["test"].select_columns("text")) == 252
    assert sum(1 for _ in sizes["poilus"]["validation"].select_columns("text")) == 117


def test_line_image_with_several_frames_is_named(tmp_path):
    frame = Image.new("L", (40, 20), 255)
    frame.save(tmp_path / "a.tif", save_all=True, append_images=[frame])
    (tmp_path / "a.txt").write_text("one")
    with pytest.raises(LineDataError, match="the image has 2 frames"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")


def test_names_that_differ_in_unicode_form_or_case(tmp_path):
    decomposed = unicodedata.normalize("NFD", "\u00e9_01")
    write_image(tmp_path / "lines" / f"{decomposed}.PNG")
    (tmp_path / "lines" / "\u00e9_01.txt").write_text("x")
    (tmp_path / "train.ln").write_text("\u00e9_01.png\n", encoding="utf-8")
    assert list(load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"]) == ["x"]


def test_texts_of_several_lines_and_texts_that_disagree_are_a_warning(tmp_path, caplog):
    write_image(tmp_path / "a.png").with_suffix(".txt").write_text("one\ntwo\n")
    write_image(tmp_path / "b.png").with_suffix(".txt").write_text("old")
    (tmp_path / "b.gt.txt").write_text("new")
    lines = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]
    assert list(lines["text"]) == ["one two", "new"]
    assert "transcriptions of several lines" in caplog.text and "differ from the .gt.txt" in caplog.text


def test_half_a_character_is_named(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "\\ud83d"}')
    with pytest.raises(LineDataError, match="half a character"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")


def test_letters_that_a_conversion_has_lost_are_a_warning(tmp_path, caplog):
    write_image(tmp_path / "a.png").with_suffix(".txt").write_text("caf\ufffd", encoding="utf-8")
    assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"][0] == "caf\ufffd"
    assert "letters that a conversion has lost, \ufffd (U+FFFD): a" in caplog.text


def test_visual_order_is_an_option(tmp_path):
    write_image(tmp_path / "a.png").with_suffix(".txt").write_text("\u05d0\u05d1", encoding="utf-8")
    load = {"data_dir": tmp_path, "cache_dir": tmp_path / ".cache"}
    assert load_lines("lines", **load)["train"]["text"][0] == "\u05d0\u05d1"
    assert load_lines("lines", **load, text_order="visual")["train"]["text"][0] == "\u05d1\u05d0"


def write_line(image: Path, text: str) -> None:
    write_image(image).with_suffix(".txt").write_text(text)


def test_two_folders_of_one_split_are_named(tmp_path):
    for folder in ("train", "val", "validation"):
        write_line(tmp_path / folder / f"{folder}.png", folder)
    with pytest.raises(LineDataError) as caught:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    (problem,) = caught.value.problems
    assert problem.endswith("/validation: the validation split is val already; join the two, or rename one")


@pytest.mark.parametrize(
    ("first", "second"), [("train.lst", "train.txt"), ("train.txt", "tr.tsv"), ("train.ln", "tr.ln")]
)
def test_two_lists_of_one_split_are_named(tmp_path, caplog, first, second):
    for name in "ab":
        write_line(tmp_path / "lines" / f"{name}.png", name)
    for file, name in ((first, "a"), (second, "b")):
        (tmp_path / file).write_text(f"{name}.png" + (f" {name}\n" if file[-3:] != ".ln" else "\n"))
    with pytest.raises(LineDataError, match=f"the train split is ({first}|{second}) already"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    assert len(load_lines("lines", data_dir=tmp_path, on_error="skip", cache_dir=tmp_path / ".cache")["train"]) == 1
    assert "already" in caplog.text


@pytest.mark.parametrize("names", ["train.lst", "train_ids.txt"])
def test_list_of_names_beside_a_table_is_no_second_table(tmp_path, names):
    write_image(tmp_path / "a.png")
    (tmp_path / "train.txt").write_text("a one\n")
    (tmp_path / names).write_text("a\n")
    assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"] == ["one"]


def test_what_no_split_takes_is_a_warning(tmp_path, caplog):
    write_line(tmp_path / "train" / "a.png", "a")
    write_line(tmp_path / "more" / "b.png", "b")
    assert len(load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]) == 1
    assert f"images outside the folders of the splits, left out: {tmp_path / 'more' / 'b.png'}" in caplog.text


def test_split_folders_that_lie_deeper_are_a_warning(tmp_path, caplog):
    for folder in ("images/train", "images/test/old"):
        write_line(tmp_path / folder / f"{folder[7:9]}.png", "a")
    assert len(load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]) == 2
    told = "folders named like a split that lie in another, taken for the train split"
    assert f"{told}: {tmp_path / 'images' / 'test'} and 1 more" in caplog.text


def test_text_whose_image_is_missing_is_a_warning(tmp_path, caplog):
    write_line(tmp_path / "a.png", "a")
    for name, text in (("b.txt", "lost"), ("c.bin.txt", "found")):
        (tmp_path / name).write_text(text)
    write_image(tmp_path / "c.bin.png")
    assert len(load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]) == 2
    assert f"text files without an image of their name, left out: {tmp_path / 'b.txt'}\n" in caplog.text + "\n"


def test_images_without_metadata_beside_folders_with_it_are_a_warning(tmp_path, caplog):
    for folder in ("train", "test"):
        write_image(tmp_path / folder / "a.png")
    (tmp_path / "train" / "metadata.csv").write_text("file_name,text\na.png,a\n")
    assert list(load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")) == ["train"]
    assert f"outside the folders of the splits, left out: {tmp_path / 'test' / 'a.png'}" in caplog.text


def test_second_metadata_is_a_warning(tmp_path, caplog):
    write_image(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,csv\n")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "json"}\n')
    assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]["text"] == ["json"]
    assert "metadata beside metadata.jsonl, which is taken" in caplog.text


def test_formats_and_releases_import_nothing_that_stands_on_them():
    room = Path(line_datasets.__file__).parent
    lower = {path.stem for path in room.glob("*.py")} - {"loading", "cache", "report", "push", "synthesize"}
    for folder, allowed in (("formats", lower), ("releases", lower | {"formats"})):
        for path in (room / folder).glob("*.py"):
            imported = re.findall(r"^from \.\.(\w+)", path.read_text(), flags=re.MULTILINE)
            assert set(imported) <= allowed, path

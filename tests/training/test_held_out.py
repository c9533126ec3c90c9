# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Validation lines taken from the training lines, page by page."""

import logging
import random
import unicodedata
import uuid

import pytest
from datasets import Dataset
from PIL import Image

from htr_convtext.training import DataArguments, load_splits
from htr_convtext.training.held_out import hold_out, in_order


def lines_of(names: list[str], pages: list[str | None] | None = None, sources: list[str] | None = None) -> Dataset:
    columns = {"line_id": names, "page": pages or [None] * len(names), "source": sources or ["hand"] * len(names)}
    return Dataset.from_dict(columns)


def names_of(pages: int, lines: int, form: str) -> list[str]:
    return [form.format(page=page, line=line) for page in range(1, pages + 1) for line in range(1, lines + 1)]


def assert_apart(train: Dataset, validation: Dataset, page_of) -> None:
    """Every line is in one split, every page in one split."""
    pages = [{page_of(line) for line in split} for split in (train, validation)]
    assert pages[0] and pages[1] and not pages[0] & pages[1]
    assert not set(train["line_id"]) & set(validation["line_id"])


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 0.5, 0.9])
def test_pages_that_the_data_names_stay_whole(fraction, caplog):
    dice = random.Random(7)
    pages = [f"page{number}" for number in range(30) for _ in range(dice.randint(3, 40))]
    lines = lines_of([str(uuid.UUID(int=dice.getrandbits(128))) for _ in pages], pages)
    with caplog.at_level(logging.INFO):
        train, validation = hold_out(lines, fraction)
    assert_apart(train, validation, lambda line: line["page"])
    assert len(train) + len(validation) == len(lines)
    assert len(validation) == pytest.approx(fraction * len(lines), abs=20)
    assert "the data names the pages" in caplog.text and f"Held out: hand/{min(validation['page'])}" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize(
    "form",
    ["page{page}_{line:02d}", "IMG_20{page}-{line}", "box/scan {page:03d}/{line:03d}", "a{page:02d}-000u-{line:02d}",
     "{page:04d}.line{line}", "p{page}l{line}", "{page}_{line}", "\u0444{page}_\u0441\u0442\u0440{line}"],
)  # fmt: skip
def test_names_tell_the_pages(form, caplog):
    with caplog.at_level(logging.INFO):
        train, validation = hold_out(lines_of(names_of(20, 9, form)), 0.1)
    page_of = {name: page for page in range(1, 21) for name in names_of(20, 9, form)[9 * page - 9 : 9 * page]}
    assert_apart(train, validation, lambda line: page_of[line["line_id"]])
    assert len(validation) == 18
    assert "page3_01 is of page3" in caplog.text


@pytest.mark.parametrize(
    "names",
    [names_of(1, 100, "line_{line}"), names_of(1, 100, "{line}"), names_of(2, 50, "book {page}/{line}"),
     names_of(100, 1, "l{page}_a"), [uuid.UUID(int=random.Random(i).getrandbits(128)).hex for i in range(100)]],
)  # fmt: skip
def test_names_that_tell_no_pages_give_a_run_of_lines_and_a_warning(names, caplog):
    shuffled = random.Random(1).sample(names, len(names))
    train, validation = hold_out(lines_of(shuffled), 0.1)
    assert len(train) == 90
    ordered = sorted(names, key=in_order)
    places = sorted(ordered.index(name) for name in validation["line_id"])
    assert places == list(range(places[0], places[0] + 10))
    assert "Name the lines like page3_01.png" in caplog.text


def test_names_are_in_order_by_their_numbers():
    names = ["line_9", "line_10", "line_a", "page2/1", "page2/1b", "page10/1"]
    assert sorted(reversed(names), key=in_order) == ["line_9", "line_10", "line_a", "page2/1", "page2/1b", "page10/1"]


def test_the_same_pages_in_every_run_whatever_the_order_and_when_one_is_added():
    names = names_of(20, 10, "page{page}_{line}")
    held = [
        set(hold_out(lines_of(shuffled), 0.1)[1]["line_id"])
        for shuffled in (names, random.Random(0).sample(names, len(names)), names_of(21, 10, "page{page}_{line}"))
    ]
    assert held[0] == held[1]
    assert len(held[0] & held[2]) >= 10


def test_names_of_other_systems_are_the_same_pages():
    names = names_of(20, 10, "\u00e9t\u00e9{page}_{line}")
    other = [unicodedata.normalize("NFD", name) if i % 2 else name for i, name in enumerate(names)]
    held = [hold_out(lines_of(some), 0.1)[1]["line_id"] for some in (names, other)]
    assert [unicodedata.normalize("NFC", name) for name in held[1]] == list(held[0])


def test_every_source_tells_its_pages_in_its_own_way(caplog):
    one, two, three = names_of(10, 10, "{page}_{line}"), names_of(1, 100, "{line}"), names_of(10, 10, "x{page}y{line}")
    pages = [None] * 200 + [f"page{number // 10}" for number in range(100)]
    sources = ["one"] * 100 + ["two"] * 100 + ["three"] * 100
    lines = lines_of(one + two + three, pages, sources)
    with caplog.at_level(logging.INFO):
        train, validation = hold_out(lines, 0.5)
    page_of = {
        "one": lambda line: line["line_id"].partition("_")[0],
        "two": lambda line: line["line_id"],
        "three": lambda line: line["page"],
    }
    assert_apart(train, validation, lambda line: (line["source"], page_of[line["source"]](line)))
    assert len(validation) == 150 and set(validation["source"]) == {"one", "two", "three"}
    assert "the data names the pages; the pages are the lines' names" in caplog.text and "runs of lines" in caplog.text


def test_a_single_page_cannot_be_parted():
    with pytest.raises(ValueError, match="all 9 training lines are of one page. Add a second page, or .* val.ln"):
        hold_out(lines_of(names_of(1, 9, "line_{line}"), ["page"] * 9), 0.1)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 10.0])
def test_a_share_is_between_none_and_all(fraction):
    with pytest.raises(ValueError, match="--validation_fraction must be in"):
        DataArguments(validation_fraction=fraction)


@pytest.mark.parametrize("listed", [False, True])
def test_only_data_without_a_validation_split_gets_one(tmp_path, listed):
    folder = tmp_path / "data"
    (folder / "lines").mkdir(parents=True)
    names = names_of(4, 5, "page{page}_{line}")
    for name in names:
        Image.new("L", (60, 20), 255).save(folder / "lines" / f"{name}.png")
        (folder / "lines" / f"{name}.txt").write_text("text", encoding="utf-8")
    (folder / "train.ln").write_text("".join(f"{name}.png\n" for name in names[2:]), encoding="utf-8")
    if listed:
        (folder / "val.ln").write_text("".join(f"{name}.png\n" for name in names[:2]), encoding="utf-8")
    splits = load_splits(DataArguments(data_dir=[str(folder)], validation_fraction=0.25, max_train_lines=11))
    found = {name.partition("_")[0] for name in splits["validation"]["line_id"]}
    assert len(found) == 1 and len(splits["train"]) == 11
    assert sorted(splits) == ["train", "validation"]
    assert (found == {"page1"} and len(splits["validation"]) == 2) if listed else (len(splits["validation"]) in (3, 5))

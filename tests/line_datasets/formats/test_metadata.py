# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every row of metadata gives its whole transcription or is named, and costs no other row."""

import json

import pytest
from PIL import Image

from htr_convtext.line_datasets.formats.metadata import read_metadata
from htr_convtext.line_datasets.problems import Problems


def read(root, name: str, content: str | bytes, encoding: str = "utf-8"):
    """Transcriptions by image, and what is wrong with the file."""
    for image in "abcd":
        Image.new("L", (20, 20)).save(root / f"{image}.png")
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = Problems(root)
    lines = [line for split in read_metadata(root, problems, encoding).values() for line in split]
    wrong = [problem for problem in problems.found if "not named in" not in problem]
    return {line.line_id: line.text for line in lines}, wrong, problems.warnings()


@pytest.mark.parametrize(
    "content",
    [
        'file_name,text\na.png,"one, two"\nb.png,"say ""hi"""\n',
        '\ufefffile_name,text\r\na.png,"one, two"\r\nb.png,"say ""hi"""\r\n',
        'file_name;text\na.png;one, two\nb.png;"say ""hi"""\n',
        'file_name\ttext\na.png\tone, two\nb.png\t"say ""hi"""\n',
        'text,file_name,writer\n"one, two",a.png,x\n"say ""hi""",b.png,y\n',
        'file_name, text\na.png,"one, two"\n\nb.png,"say ""hi"""',
        'file_name,text\na.png,"one, two\n"\nb.png,"say ""hi"""\n',
    ],
)
def test_csv_as_programs_write_it(tmp_path, content):
    found, wrong, _ = read(tmp_path, "metadata.csv", content)
    assert {name: text.strip() for name, text in found.items()} == {"a": "one, two", "b": 'say "hi"'}
    assert not wrong


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("b.png,one, two", "line 3: 3 cells instead of 2"),
        ("b.png", "line 3: 1 cells instead of 2"),
        ('b.png,"one', "line 3: wrong quotes"),
        ('b.png,"one" two', "line 3: wrong quotes"),
        ("x.png,one", "line 3: there is no image"),
        ("a.png,one", "line 3: a.png has a row already"),
        (",one", "line 3: no file_name"),
    ],
)
def test_bad_row_of_csv_is_named_and_the_others_stay(tmp_path, row, problem):
    found, wrong, _ = read(tmp_path, "metadata.csv", f'file_name,text\na.png,first\n{row}\nc.png,"third, last"\n')
    assert found == {"a": "first", "c": "third, last"}
    assert len(wrong) == 1 and problem in wrong[0]


def test_columns_of_the_same_name_are_named(tmp_path):
    found, wrong, _ = read(tmp_path, "metadata.csv", "file_name,text,text\na.png,one,two\n")
    assert not found and "two columns named 'text'" in wrong[0]


def test_csv_in_another_encoding(tmp_path):
    content = "file_name,text\na.png,caf\u00e9\n".encode("cp1252")
    assert "not UTF-8 at byte" in read(tmp_path, "metadata.csv", content)[1][0]
    assert read(tmp_path, "metadata.csv", content, "cp1252")[0] == {"a": "caf\u00e9"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"file_name": "b.png", "text": "one"', "line 2: not JSON"),
        ('{"file_name": "b.png", "text": "one", "text": "two"}', "line 2: not JSON ('text' is there twice)"),
        ('{"file_name": "b.png", "text": ["one"]}', "line 2: the text of b.png is no text"),
        ('{"file_name": "b.png", "text": true}', "line 2: the text of b.png is no text"),
        ('{"file_name": "b.png", "text": null}', "line 2: b.png has no transcription"),
        ('["b.png", "one"]', "line 2: not a JSON object"),
    ],
)
def test_bad_row_of_jsonl_is_named_and_the_others_stay(tmp_path, row, problem):
    first, last = (json.dumps({"file_name": f"{name}.png", "text": name}) for name in "ac")
    found, wrong, _ = read(tmp_path, "metadata.jsonl", f"{first}\n{row}\n{last}\n")
    assert found == {"a": "a", "c": "c"}
    assert len(wrong) == 1 and problem in wrong[0]


def test_numbers_are_names_of_pages_and_writers_and_nought_is_one(tmp_path):
    rows = [
        {"file_name": "a.png", "text": 0, "line_id": 0, "page": 0, "writer": 0},
        {"file_name": "b.png", "text": "", "line_id": "", "page": None, "writer": ""},
    ]
    for image in "ab":
        Image.new("L", (20, 20)).save(tmp_path / f"{image}.png")
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (lines,) = read_metadata(tmp_path, Problems(tmp_path)).values()
    assert [(line.line_id, line.text, line.page, line.writer) for line in lines] == [
        ("0", "0", "0", "0"),
        ("b", "", None, None),
    ]


@pytest.mark.parametrize("name", ["test/a.png", "test\\a.png", "./test/a.png", "images/Test/a.png", "test/old/a.png"])
def test_folder_of_an_image_tells_its_split(tmp_path, name):
    image = tmp_path / name.replace("\\", "/")
    image.parent.mkdir(parents=True)
    Image.new("L", (20, 20)).save(image)
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": name, "text": "x"}))
    problems = Problems(tmp_path)
    assert list(read_metadata(tmp_path, problems)) == ["test"] and not problems.found


def test_split_that_is_none_is_a_warning(tmp_path):
    assert "a split named 'eval'" in read(tmp_path, "metadata.csv", "file_name,text,split\na.png,one,eval\n")[2][0]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every row of a table gives its whole transcription or is named, and costs no other row."""

import unicodedata

import pytest
from PIL import Image

from htr_convtext.line_datasets.formats.tables import read_tables
from htr_convtext.line_datasets.problems import Problems


def read(root, content: str, images=("a.png", "b.png", "c.png")):
    """Transcriptions by image, what is wrong with the table, and what is odd."""
    for image in images:
        (root / image).parent.mkdir(exist_ok=True)
        Image.new("L", (20, 20)).save(root / image)
    (root / "train.tsv").write_text(content, encoding="utf-8")
    problems = Problems(root)
    lines = read_tables(root, problems)["train"]
    return {line.line_id: line.text for line in lines}, problems.found, problems.warnings()


@pytest.mark.parametrize(
    "content",
    [
        "a.png\tone two\nb.png\tthree",
        "\ufeffa.png\tone two\r\nb.png\tthree\r\n",
        "a.png one two\nb.png three\n",
        "a one two\nb three\n",
        "A.PNG\tone two\nb.PNG\tthree\n",
        ".\\a.png\tone two\n.\\b.png\tthree\n",
        "file_name\ttext\na.png\tone two\nb.png\tthree\n",
        "text\tfile_name\twriter\none two\ta.png\tx\nthree\tb.png\ty\n",
    ],
)
def test_tables_as_programs_write_them(tmp_path, content):
    found, wrong, _ = read(tmp_path, content)
    assert found == {"a": "one two", "b": "three"} and not wrong


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("b.png\tone\ttwo", "line 2: 3 cells between tabs instead of 2"),
        ("b.png", "line 2: b.png has no transcription"),
        ("x.png\tone", "line 2: there is no image x.png"),
        ("a.png\tone", "line 2: a.png has a transcription already"),
    ],
)
def test_bad_row_is_named_and_the_others_stay(tmp_path, row, problem):
    found, wrong, _ = read(tmp_path, f"a.png\tfirst\n{row}\nc.png\tlast\n")
    assert found == {"a": "first", "c": "last"}
    assert len(wrong) == 1 and problem in wrong[0]


@pytest.mark.parametrize(
    "content", ["#1.png\tone\n#2.png\tgone\n# b.png\tno\n", "#1.png one\n#2\tgone\n#b\n", "#1 one\n"]
)
def test_a_comment_is_no_image_and_an_image_no_comment(tmp_path, content):
    """An image called `#1.png` was left out silently."""
    found, wrong, _ = read(tmp_path, content, ("#1.png", "b.png"))
    assert found == {"#1": "one"} and not wrong


def test_a_text_that_begins_as_comments_do_is_read(tmp_path):
    found, wrong, _ = read(tmp_path, "text\tfile_name\n#5 apples\ta.png\n# no\tx.png\nthree\tb.png\n")
    assert found == {"a": "#5 apples", "b": "three"} and not wrong


def test_spaces_in_a_name_do_not_take_another_image(tmp_path):
    found, wrong, _ = read(tmp_path, "my line.png one two\n", ("my.png", "my line.png"))
    assert found == {"my line": "one two"} and not wrong


def test_composed_and_decomposed_names(tmp_path):
    decomposed = unicodedata.normalize("NFD", "\u00e9.png")
    assert list(read(tmp_path, "\u00e9.png\tone\n", (decomposed,))[0].values()) == ["one"]


def test_one_symbol_of_its_own_leaves_no_blanks_between_the_letters_of_a_table(tmp_path):
    content = "a.png\th i <space> y o u\nb.png\tn o <gap> <space> o\nc.png\tq\u0303 <space> e\n"
    found, wrong, odd = read(tmp_path, content)
    assert found == {"a": "hi you", "b": "no<gap> o", "c": "q\u0303 e"} and not wrong
    assert len(odd) == 1 and odd[0].endswith("as <gap>, which stay: " + str(tmp_path / "train.tsv") + ", line 2")


def test_quotation_marks_stay_and_are_a_warning(tmp_path):
    found, _, odd = read(tmp_path, 'a.png\t"said ""so"""\n')
    assert found == {"a": '"said ""so"""'} and "in quotation marks" in odd[0]

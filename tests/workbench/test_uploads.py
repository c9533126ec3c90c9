# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a browser may bring into a project, and what not."""

import pytest
from PIL import Image

from htr_convtext.workbench import uploads
from htr_convtext.workbench.project import Project
from htr_convtext.workbench.uploads import add_uploads, safe_name, unread_pages


@pytest.fixture
def empty(tmp_path):
    project = Project(tmp_path / "project", "")
    yield project
    project.close()


@pytest.mark.parametrize(
    "given, expected",
    [
        ("letter.jpg", "letter.jpg"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\scans\\letter.jpg", "letter.jpg"),
        (".htaccess.png", "htaccess.png"),
        ("a:b*c?.png", "a_b_c_.png"),
        ("e\u0301te\u0301 \x00.png", "\u00e9t\u00e9 _.png"),
        ("CON.png", "_CON.png"),
        ("...", "_"),
        ("x" * 300 + ".jpg", "x" * 120 + ".jpg"),
    ],
)
def test_names_are_plain_names_of_one_folder(given, expected):
    assert safe_name(given) == expected


def test_each_kind_is_looked_into_and_one_that_is_refused_costs_no_other(empty, drawn_pages, tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    drawn_pages.write_page(folder, "good")
    contents = {
        "none.png": b"no picture",
        "none.pdf": b"no pdf",
        "other.xml": b"<html/>",
        "bomb.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><PcGts>&b;</PcGts>',
        "notes.docx": b"",
        "weights.pkl": b"",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    Image.new("1", (3000, 2000)).save(folder / "large.png")
    monkeypatch.setattr(uploads, "MAX_PIXELS", 5_000_000)
    (folder / "heavy.jpg").write_bytes(bytes(300_000))
    names, problems = add_uploads(empty, sorted(folder.iterdir()), max_bytes=200_000)
    assert names == ["good.png", "good.xml"]
    said = "\n".join(problems)
    for name, words in {
        "none.png": "cannot be opened as a picture",
        "none.pdf": "called PDF and is none",
        "other.xml": "neither PAGE XML nor ALTO, but html",
        "bomb.xml": "declares XML entities",
        "notes.docx": "drop pictures, PDFs, PAGE XML or ALTO",
        "weights.pkl": "drop pictures",
        "large.png": "6 megapixels",
        "heavy.jpg": "MB",
    }.items():
        assert any(line.startswith(f"{name} was not taken: ") and words in line for line in said.splitlines()), name
    assert sorted(path.name for path in empty.originals.iterdir()) == ["good.png", "good.xml"]
    assert [source.name for source in unread_pages(empty).sources] == ["good"]


def test_a_file_of_the_same_name_is_not_written_over(empty, drawn_pages, tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    for folder, texts in ((one, drawn_pages.LETTER), (two, drawn_pages.LETTER[:1])):
        folder.mkdir()
        drawn_pages.draw(texts).save(folder / "letter.png")
    assert add_uploads(empty, [one / "letter.png"]).names == ["letter.png"]
    assert "in the project already" in add_uploads(empty, [one / "letter.png"]).problems[0]
    assert "Rename the new one" in add_uploads(empty, [two / "letter.png"]).problems[0]
    assert (empty.originals / "letter.png").read_bytes() == (one / "letter.png").read_bytes()


def test_an_xml_cannot_fetch_a_picture_from_elsewhere_on_the_computer(empty, drawn_pages, tmp_path):
    secret = tmp_path / "secret.png"
    drawn_pages.draw().save(secret)
    for name, written in (("absolute", secret.as_posix()), ("upwards", "../../secret.png")):
        xml = drawn_pages.page_xml(written, drawn_pages.LETTER, [""] * 3, (640, 400))
        (tmp_path / f"{name}.xml").write_text(xml, encoding="utf-8")
    names, _ = add_uploads(empty, [tmp_path / "absolute.xml", tmp_path / "upwards.xml"])
    assert len(names) == 2
    unread = unread_pages(empty)
    assert unread.sources == []
    assert any("was not uploaded. Drop secret.png, too" in problem for problem in unread.problems)


def test_an_xml_that_comes_after_its_page_was_read_is_refused(project, drawn_pages, tmp_path):
    project.pages()  # page_1 was read
    (project.originals / "page_1.xml").unlink()
    xml = drawn_pages.write_page(tmp_path / "late", "page_1")
    assert "has been read without it" in add_uploads(project, [xml]).problems[0]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a browser may bring into a project, and what not."""

import os
from pathlib import Path

import pytest
from PIL import Image

from htr_convtext.workbench import uploads
from htr_convtext.workbench.project import Project, ProjectError
from htr_convtext.workbench.reading import Reader
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
    monkeypatch.setattr(uploads, "MAX_BYTES", 200_000)
    (folder / "heavy.jpg").write_bytes(bytes(300_000))
    names, problems = add_uploads(empty, sorted(folder.iterdir()))
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


def test_a_better_photo_whose_page_would_be_called_alike_is_refused_and_not_left_unread(empty, drawn_pages, tmp_path):
    xml = drawn_pages.write_page(tmp_path, "letter")
    assert add_uploads(empty, [xml, xml.with_suffix(".png")]).problems == []
    drawn_pages.draw().save(tmp_path / "Letter.jpg")
    (problem,) = add_uploads(empty, [tmp_path / "Letter.jpg"]).problems
    assert "letter.png is in the project already, and its page is called alike. Rename the new one." in problem
    assert unread_pages(empty).problems == [] and not (empty.originals / "Letter.jpg").exists()


@pytest.mark.parametrize("written", ["a!b{1}.png", "scans/a!b1.png", "a%21b1.png"])
def test_an_xml_finds_its_picture_whose_name_lost_signs_or_folders_on_the_way(empty, drawn_pages, tmp_path, written):
    """Gradio takes some away from every upload, and all come into one folder."""
    xml, picture, other = (tmp_path / name for name in ("0001.xml", "ab1.png", "a_b1.png"))
    xml.write_text(drawn_pages.page_xml(written, drawn_pages.LETTER, [""] * 3, (640, 400)), encoding="utf-8")
    drawn_pages.draw().save(picture)
    drawn_pages.draw().resize((64, 40)).save(other)
    assert add_uploads(empty, [xml, picture, other]).problems == []
    sources = {source.document.name: source.image.name for source in unread_pages(empty).sources}
    assert sources == {"0001.xml": "ab1.png", "a_b1.png": "a_b1.png"}


OUTSIDE = ("absolute", "upwards", "uri", "link", "nowhere")


def name_outside(way: str, folder: Path, secret: Path) -> str:
    """What an XML in a folder may call a picture that is outside the project, in one of several ways."""
    if way == "link":
        (folder / "link.png").symlink_to(secret)
    return {
        "absolute": secret.as_posix(),
        "upwards": os.path.relpath(secret, folder),
        "uri": secret.as_uri(),
        "link": "link.png",
        "nowhere": (secret.parent / "no_such_folder" / "secret.png").as_posix(),
    }[way]


@pytest.fixture
def secret(drawn_pages, tmp_path) -> Path:
    """A picture that is no upload."""
    (tmp_path / "private").mkdir()
    drawn_pages.draw().save(tmp_path / "private" / "secret.png")
    return tmp_path / "private" / "secret.png"


@pytest.mark.parametrize("kind", ["page", "alto"])
@pytest.mark.parametrize("way", OUTSIDE)
def test_an_xml_cannot_fetch_a_picture_from_elsewhere_on_the_computer(empty, drawn_pages, tmp_path, secret, way, kind):
    written = name_outside(way, empty.originals, secret)
    write = drawn_pages.page_xml if kind == "page" else drawn_pages.alto
    xml = tmp_path / "letter.xml"
    xml.write_text(write(written, drawn_pages.LETTER, [""] * 3, (640, 400)), encoding="utf-8")
    assert add_uploads(empty, [xml]).names == ["letter.xml"]
    unread = unread_pages(empty)
    assert unread.sources == []
    # Of a picture that is there, no more is told than of one that is not.
    shown = "link.png" if way == "link" else "secret.png"
    assert f"letter.xml: its picture {shown} was not dropped. Drop it, too." in unread.problems
    Reader(empty).start().join()
    assert empty.pages() == [] and list(empty.pages_folder.glob("*.*")) == []


def test_a_link_among_the_uploads_is_not_followed(empty, secret):
    (empty.originals / "letter.png").symlink_to(secret)
    unread = unread_pages(empty)
    assert unread.sources == [] and unread.problems == [
        "letter.png: it is a link to another place. Drop the file itself."
    ]


@pytest.mark.parametrize("way", OUTSIDE[:-1])
def test_a_page_of_the_project_cannot_show_a_picture_from_elsewhere(project, drawn_pages, secret, way):
    written = name_outside(way, project.pages_folder, secret)
    xml = drawn_pages.page_xml(written, drawn_pages.LETTER, [""] * 3, (640, 400))
    (project.pages_folder / "page_4.xml").write_text(xml, encoding="utf-8")
    assert [page.name for page in project.pages()] == ["page_1", "page_2", "page_3"]
    assert "page_4.xml cannot be used" in project.problems()[0]
    with pytest.raises(ProjectError, match="There is no page page_4"):
        project.page("page_4")


@pytest.mark.parametrize("name", ["page_1.xml", "page_1.page.xml"])
def test_an_xml_that_comes_after_its_page_was_read_is_refused(project, drawn_pages, tmp_path, name):
    (project.originals / "page_1.xml").unlink()
    xml = drawn_pages.write_page(tmp_path / "late", "page_1").rename(tmp_path / "late" / name)
    assert "has been read without it" in add_uploads(project, [xml]).problems[0]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading in the background: what it keeps, what it leaves alone, how it stops."""

import re
from types import SimpleNamespace
from xml.sax.saxutils import escape

import pytest
from PIL import ExifTags, Image

from htr_convtext.pages import read_pages
from htr_convtext.workbench import RELEASED
from htr_convtext.workbench.dataset import corrected_lines
from htr_convtext.workbench.project import ACCEPTED, GIVEN, READ, SKIPPED, Project
from htr_convtext.workbench.reading import PACKAGE, Reader, line_image, model_path
from htr_convtext.workbench.uploads import add_uploads, unread_pages
from htr_convtext.workbench.views import page_html, reading_sentence


def test_reading_again_leaves_what_people_wrote(project):
    one, two = project.queue("page")[:2]
    project.accept(*one.key, "mine", one.version)
    xml = project.page(two.page).xml
    xml.write_text(xml.read_text(encoding="utf-8").replace(f">{escape(two.text)}<", ">misread<"), encoding="utf-8")
    assert project.line(*two.key).text == "misread"
    job = Reader(project).start(again=True)
    job.join()
    assert (job.error, job.problems, job.done) == ("", [], 3)
    assert (project.line(*one.key).text, project.line(*one.key).state) == ("mine", ACCEPTED)
    assert project.line(*two.key).text == two.text and project.line(*two.key).words == two.words


def test_skipped_lines_are_read_again_but_for_texts_of_people(project):
    one, two = project.queue("page")[:2]
    accepted = project.accept(*one.key, "mine", one.version)
    for line in (accepted, two):
        assert project.skip(*line.key, line.version).state == SKIPPED
    page = project.page(one.page)
    better = tuple(line._replace(text="read better") for line in page.reading.lines)
    project.replace_readings(page.reading._replace(lines=better))
    assert [(line.text, line.state) for line in project.lines(project.page(one.page))] == [
        ("mine", SKIPPED),
        ("read better", READ),
        ("read better", READ),
    ]


def test_a_page_of_which_all_that_waits_was_skipped_is_read_again(project):
    for line in project.lines(project.page("page_2")):
        project.skip(*line.key, line.version)
    for line in project.lines(project.page("page_3")):
        project.accept(*line.key, "mine", line.version)
    job = Reader(project).start(again=True)
    job.join()
    assert (job.error, job.done) == ("", 2)


def test_readings_in_versions_of_page_without_confidences_wait_to_be_corrected(tmp_path, drawn_pages, model_folder):
    """What the model read in them has no sign that it did; it is not taught as what people wrote."""
    project = Project(tmp_path / "project", str(model_folder))
    xml = drawn_pages.write_page(tmp_path / "uploads", "old", texts=["By people"])
    content = re.sub("<Baseline[^>]*>", "", xml.read_text(encoding="utf-8").replace("2019-07-15", "2010-03-19"))
    xml.write_text(re.sub('points="([^"]*)"/>', as_elements, content), encoding="utf-8")
    assert add_uploads(project, [xml, xml.with_suffix(".png")]).problems == []
    Reader(project).start().join()
    given, read, other = project.lines(project.page("old"))
    assert (given.state, read.state, other.state) == (GIVEN, READ, READ) and read.confidence is not None and read.words
    assert "conf=" not in project.page("old").xml.read_text(encoding="utf-8")
    assert corrected_lines(project).of_page == {"old": 1}
    accepted = project.accept(*read.key, read.text, read.version)
    assert (accepted.state, accepted.confidence, project.queue()) == (ACCEPTED, None, [other])
    assert project.undo() == read
    project.close()


def test_a_photo_that_was_taken_upside_down_is_a_page_that_stands(tmp_path, drawn_pages, model_folder):
    """As telephones tell by EXIF, which turns the picture without changing its shape."""
    project = Project(tmp_path / "project", str(model_folder))
    page, exif = drawn_pages.draw(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    page.rotate(180).save(tmp_path / "photo.png", exif=exif)
    assert add_uploads(project, [tmp_path / "photo.png"]).problems == []
    job = Reader(project).start()
    job.join()
    assert (job.problems, project.problems(), unread_pages(project).sources) == ([], [], [])
    (read,) = project.pages()
    assert project.picture(read).tobytes() == page.tobytes() and len(project.lines(read)) == 3
    project.close()


def as_elements(points: re.Match) -> str:
    corners = [corner.split(",") for corner in points[1].split()]
    return ">" + "".join(f'<Point x="{x}" y="{y}"/>' for x, y in corners) + "</Coords>"


def test_texts_that_come_with_the_pages_are_kept_or_read_as_asked(tmp_path, drawn_pages, model_folder):
    for kept in (True, False):
        project = Project(tmp_path / f"kept_{kept}", str(model_folder))
        xml = drawn_pages.write_page(tmp_path / "uploads", "page", texts=["By people"], kind="alto")
        add_uploads(project, [xml, xml.with_suffix(".png")])
        Reader(project).start(only_missing=kept).join()
        first, second, _ = project.lines(project.page("page"))
        assert (first.state == GIVEN, first.text == "By people") == (kept, kept)
        assert second.confidence is not None
        assert read_pages(project.page("page").xml)[0].lines[0].text == first.text
        project.close()


def test_a_page_that_came_in_as_page_xml_is_read_once(project, drawn_pages, tmp_path):
    """That is what the files are called that transcribe.py writes, and the workbench itself."""
    xml = drawn_pages.write_page(tmp_path / "more", "letter").rename(tmp_path / "more" / "letter.page.xml")
    assert add_uploads(project, [xml, xml.with_name("letter.png")]).problems == []
    Reader(project).start().join()
    line = project.lines(project.page("letter"))[0]
    project.accept(*line.key, "mine", line.version)
    assert unread_pages(project).sources == []
    Reader(project).start().join()
    assert project.line(*line.key).text == "mine"


def test_a_damaged_page_that_was_moved_out_as_it_says_is_read_anew(project, tmp_path):
    line = project.queue("page")[0]
    project.accept(*line.key, "mine", line.version)
    page = project.page(line.page)
    page.xml.write_bytes(b"")
    assert "move it and its picture out of the project" in project.problems()[0]
    for path in (page.xml, page.image):
        path.rename(tmp_path / path.name)
    job = Reader(project).start()
    job.join()
    assert (job.problems, project.line(*line.key)) == ([], line)


@pytest.mark.parametrize("length", [0, -20])
def test_a_page_that_another_program_damaged_is_not_read_over(project, length):
    xml = project.page("page_1").xml
    damaged = xml.read_bytes()[:length]
    xml.write_bytes(damaged)
    assert unread_pages(project).sources == []
    job = Reader(project).start()
    job.join()
    assert (job.done, xml.read_bytes()) == (0, damaged)
    (problem,) = project.problems()
    assert "page_1.xml cannot be used" in problem and "Mend it" in problem


def test_a_page_that_cannot_be_read_costs_no_other(project, drawn_pages, tmp_path):
    xml = drawn_pages.write_page(tmp_path / "more", "page_4")
    add_uploads(project, [xml, xml.with_suffix(".png")])
    add_uploads(project, [drawn_pages.write_page(tmp_path / "more", "page_5").with_suffix(".png")])
    picture = project.originals / "page_5.png"
    picture.write_bytes(picture.read_bytes()[:500])
    job = Reader(project).start()
    job.join()
    assert "page_4" in [page.name for page in project.pages()]
    (problem,) = job.problems
    assert problem.startswith("page_5.png: ")
    assert [source.name for source in unread_pages(project).sources] == ["page_5"]
    said = "Done: 1 page with 3 lines read; 1 page could not be. 1 page waits to be read: press Read."
    assert reading_sentence(job.status(), 1, 4) == said


def test_it_stops_and_goes_on(project, drawn_pages, tmp_path):
    for number in range(4, 7):
        xml = drawn_pages.write_page(tmp_path / "more", f"page_{number}")
        add_uploads(project, [xml, xml.with_suffix(".png")])
    reader = Reader(project)
    reader.recognizer()
    job = reader.start()
    reader.stop()
    assert "Stopping after these pages." in reading_sentence(job.status(), 3, 3)
    job.join()
    assert job.status()["state"] == "stopped"
    assert "wait to be read: press Read." in reading_sentence(job.status(), 3, 3)
    assert len(project.pages()) < 6
    reader.start().join()
    assert [page.name for page in project.pages()] == [f"page_{number}" for number in range(1, 7)]


def test_a_model_that_is_not_there_is_a_sentence(project):
    project.change_settings(model="no/such/model")
    job = Reader(project).start(again=True)
    job.join()
    assert job.error.startswith("The model no/such/model cannot be loaded") and "--model FOLDER" in job.error
    assert reading_sentence(job.status(), 0, 3) == job.error


@pytest.mark.parametrize("root", ["/Users/mamie", "C:\\Users\\mamie"])
def test_the_released_model_of_another_computer_is_that_of_this_one(project, root):
    project.change_settings(model=f"{root}/htr_convtext/hub_upload/htr-convtext-fr")
    assert model_path(project) == str(PACKAGE / RELEASED)
    project.change_settings(model="hub_upload/htr-convtext-fr")  # A name on the Hub.
    assert model_path(project) == "hub_upload/htr-convtext-fr"


def test_suggestions_for_hebrew_look_at_it_as_it_stands_on_the_page(project, hebrew_line):
    line, upright = hebrew_line
    tokenizer = SimpleNamespace(alphabet="abc\u05d0")
    recognizer = SimpleNamespace(processor=SimpleNamespace(tokenizer=tokenizer))
    seen = line_image(project, project.page(line.page), line, recognizer)
    assert seen.tobytes() == upright.tobytes()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\"b' & <b>"])
def test_texts_cannot_become_html(project, text):
    line = project.queue("page")[0]
    project.accept(*line.key, text, line.version)
    shown = page_html(project, project.page(line.page))
    assert "<script" not in shown and "<b>" not in shown and "&lt;" in shown

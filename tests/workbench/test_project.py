# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A project keeps what was accepted, whoever else writes and whatever ends the process."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from htr_convtext.line_datasets import load_lines
from htr_convtext.pages import read_pages
from htr_convtext.workbench.project import ACCEPTED, GIVEN, READ, SKIPPED, LineChanged, Project, ProjectError
from htr_convtext.workbench.records import Journal


def first(project: Project):
    return project.queue("page")[0]


def test_an_accepted_line_is_in_the_page_xml_and_the_text_and_no_longer_in_the_queue(project):
    line = first(project)
    assert line.state == READ and line.confidence is not None
    accepted = project.accept(*line.key, "Chère  Louise, ", line.version)
    assert (accepted.text, accepted.confidence, accepted.state) == ("Chère Louise,", None, ACCEPTED)
    page = project.page(line.page)
    (written,) = read_pages(page.xml)
    assert written.lines[0].transcription == ("Chère Louise,", "", "", None)
    assert written.lines[1].transcription.confidence is not None
    assert (project.pages_folder / "page_1.txt").read_text(encoding="utf-8").startswith("Chère Louise,\n")
    assert line.key not in [each.key for each in project.queue()]


def test_words_keep_their_places_if_their_number_stays_and_go_if_not(project):
    page, lines = project.pages()[0], project.lines(project.pages()[0])
    line = next(each for each in lines if len(each.words) > 1)
    same = " ".join(["mot"] * len(line.words))
    project.accept(*line.key, same, line.version)
    xml = page.xml.read_text(encoding="utf-8")
    assert xml.count("<Unicode>mot</Unicode>") == len(line.words)
    (made,) = [each for each in project.transcribed(project.page(page.name)).lines if each.text == same]
    assert [word.polygon for word in made.words] == [word.polygon for word in line.words]
    accepted = project.line(*line.key)
    project.accept(*line.key, same + " plus", accepted.version)
    assert "<Unicode>mot</Unicode>" not in page.xml.read_text(encoding="utf-8")


def test_of_many_pages_only_those_that_changed_are_looked_at_anew(project, monkeypatch):
    line, looked_at, look = project.queue()[0], [], Project.work_line
    monkeypatch.setattr(Project, "work_line", lambda *given: looked_at.append(given[1].name) or look(*given))
    before = project.stamp(), project.stamp_of_names()
    project.accept(*line.key, "mine", line.version)
    assert line.key not in [each.key for each in project.queue()] and set(looked_at) == {line.page}
    assert project.stamp() != before[0] and project.stamp_of_names() == before[1]  # What was dropped is as it was.
    (project.originals / "more.png").write_bytes(b"")
    assert project.stamp_of_names() != before[1]


def test_worst_first_or_page_order_and_what_was_skipped_last(project):
    worst = project.queue("worst")
    assert [line.confidence for line in worst] == sorted(line.confidence for line in worst)
    in_order = project.queue("page")
    assert [line.key for line in in_order] == sorted(line.key for line in in_order)
    skipped = project.skip(*in_order[0].key, in_order[0].version)
    assert skipped.state == SKIPPED
    assert [line.key for line in project.queue("page")] == [line.key for line in [*in_order[1:], skipped]]


def test_a_reading_is_no_persons_text_however_sure_the_model_is(project):
    line = first(project)
    page = project.page(line.page)
    lines = tuple(each._replace(confidence=0.99999) for each in page.reading.lines)
    project.replace_readings(page.reading._replace(lines=lines))
    assert project.line(*line.key).state == READ
    xml = page.xml.read_text(encoding="utf-8").replace('conf="0.9999"', 'conf="1"')
    page.xml.write_text(xml, encoding="utf-8")  # As other versions wrote it.
    read = project.line(*line.key)
    assert (read.state, read.confidence) == (READ, 1.0)
    project.accept(*read.key, "mine", read.version)
    assert project.undo().state == READ
    xml = page.xml.read_text(encoding="utf-8").replace(f">{escape(line.text)}<", ">by another program<")
    page.xml.write_text(xml.replace('conf="0.9999"', 'conf="1"'), encoding="utf-8")
    assert project.line(*line.key).state == GIVEN


def test_undo_takes_back_one_after_the_other_and_gives_the_reading_back(project):
    one, two = project.queue("page")[:2]
    before = project.page(one.page).xml.read_text(encoding="utf-8")
    project.accept(*one.key, "one", one.version)
    project.skip(*two.key, two.version)
    assert project.undo().key == two.key and project.line(*two.key).state == READ
    back = project.undo()
    assert back == one
    assert project.undo() is None
    after = project.page(one.page).xml.read_text(encoding="utf-8")
    assert [line for line in after.splitlines() if "LastChange" not in line] == [
        line for line in before.splitlines() if "LastChange" not in line
    ]


def test_what_cannot_be_undone_any_more_is_told_once_and_what_was_done_before_is_undone_then(project):
    one, two, three = project.queue("page")[:1] + project.queue("page")[2:4]
    for line in (one, two, three):
        project.accept(*line.key, "typed", line.version)
    page = project.page(two.page)
    content = page.xml.read_text(encoding="utf-8")
    second = content.rindex(">typed<")
    page.xml.write_text(content[:second] + ">by another<" + content[second + 7 :], encoding="utf-8")
    project.page(three.page).xml.unlink()
    with pytest.raises(ProjectError, match="There is no page page_2"):
        project.undo()
    with pytest.raises(LineChanged, match="has been changed by another program"):
        project.undo()
    assert project.line(*two.key).text == "by another"
    assert project.undo() == one and project.undo() is None


def test_the_second_of_two_tabs_is_told_and_loses_nothing(project):
    line = first(project)
    project.accept(*line.key, "of the first tab", line.version)
    with pytest.raises(LineChanged, match="another tab or program.*look at it"):
        project.accept(*line.key, "of the second tab", line.version)
    now = project.line(*line.key)
    assert now.text == "of the first tab"
    assert project.accept(*line.key, "of the second tab", now.version).text == "of the second tab"


def test_a_change_by_another_program_counts_as_one(project):
    line = first(project)
    xml = project.page(line.page).xml
    xml.write_text(
        xml.read_text(encoding="utf-8").replace(f">{escape(line.text)}<", ">by eScriptorium<"), encoding="utf-8"
    )
    with pytest.raises(LineChanged):
        project.accept(*line.key, "mine", line.version)
    assert project.line(*line.key).text == "by eScriptorium"


def test_words_stay_with_their_line_when_another_program_removes_one_before_it(project):
    page = project.pages()[0]
    removed, line, _ = project.lines(page)
    words = ["mot"] * len(line.words)
    xml = page.xml.read_text(encoding="utf-8")
    page.xml.write_text(re.sub("<TextLine .*?</TextLine>", "", xml, count=1, flags=re.DOTALL), encoding="utf-8")
    moved = project.lines(project.page(page.name))[0]
    assert moved.line.identifier == line.line.identifier and moved.line.number == removed.line.number
    assert moved.words == line.words
    project.accept(*moved.key, " ".join(words), moved.version)
    made = project.transcribed(project.page(page.name)).lines[0]
    assert [word.polygon for word in made.words] == [word.polygon for word in line.words]
    places = [" ".join(f"{x:.0f},{y:.0f}" for x, y in word.polygon) for word in line.words]
    assert all(f'<Coords points="{place}"' in page.xml.read_text(encoding="utf-8") for place in places)


SECOND = """
import os, signal, sys
from htr_convtext.workbench.project import Project, ProjectError
try:
    Project(sys.argv[1])
except ProjectError as error:
    print("refused:", error, flush=True)
sys.stdin.readline()
project = Project(sys.argv[1])
lines = project.queue("page")
for number, line in enumerate(lines[:4]):
    project.accept(*line.key, f"accepted {number}", line.version)
    print("accepted", number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_second_process_is_refused_while_the_first_is_there_and_killed_loses_nothing_accepted(project):
    keys = [line.key for line in project.queue("page")[:4]]
    folder = project.folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SECOND, folder], env=environment, **pipes) as second:
        refused = second.stdout.readline()
        project.close()
        accepted, _ = second.communicate("closed\n")
    assert refused.startswith("refused: ")
    assert f"is open in another workbench (process {os.getpid()})" in refused
    assert second.returncode == -signal.SIGKILL and accepted.count("accepted") == 4
    again = Project(folder)
    assert [(again.line(*key).text, again.line(*key).state) for key in keys] == [
        (f"accepted {number}", ACCEPTED) for number in range(4)
    ]
    assert again.undo().key == keys[3]
    again.close()


def test_a_journal_cut_short_by_a_crash_goes_on(project):
    line = first(project)
    project.accept(*line.key, "whole", line.version)
    project.close()
    with project.journal.path.open("ab") as journal:
        journal.write(b'{"number": 1, "page": "pa')
    again = Project(project.folder)
    assert again.line(*line.key).state == ACCEPTED
    again.skip(*first(again).key, first(again).version)
    entries = [json.loads(each) for each in project.journal.path.read_text(encoding="utf-8").splitlines()]
    assert [entry["action"] for entry in entries] == ["accept", "skip"]
    again.close()


def test_an_entry_that_a_full_disk_cuts_short_costs_no_other(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add(action="accept")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(OSError):
            journal.add(action="skip")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.add(action="undo")
    assert Journal(journal.path).entries == journal.entries
    assert [entry["action"] for entry in journal.entries] == ["accept", "undo"]


def test_the_pages_are_training_data_as_they_are(project, accept_all, tmp_path):
    accept_all(project)
    lines = load_lines("lines", project.pages_folder, cache_dir=tmp_path / "cache")["train"]
    assert len(lines) == 9
    assert lines["text"][:3] == [
        "The first line of a letter",
        "and the second goes on here",
        "until the third one ends it.",
    ]


def test_a_page_that_lost_its_picture_costs_no_other(project):
    project.pages()[0].image.unlink()
    assert [page.name for page in project.pages()] == ["page_2", "page_3"]
    (problem,) = project.problems()
    assert "page_1.xml cannot be used" in problem and "Mend it" in problem


def test_folders_of_something_else_are_refused(tmp_path, model_folder):
    (tmp_path / "letter.jpg").write_bytes(b"")
    with pytest.raises(ProjectError, match="is no project of the workbench.*letter.jpg"):
        Project(tmp_path)
    with pytest.raises(ProjectError, match="is a file"):
        Project(tmp_path / "letter.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.jpg"]


def test_a_new_project_on_a_full_disk_can_be_opened_once_there_is_room(tmp_path, monkeypatch):
    def full(*args, **settings):
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr(Project, "change_settings", full)
        Project(tmp_path / "new", "model")
    Project(tmp_path / "new", "model").close()


def test_an_xml_whose_picture_lies_elsewhere_is_no_page(project, drawn_pages, tmp_path):
    secret = tmp_path / "elsewhere" / "secret.png"
    secret.parent.mkdir()
    drawn_pages.draw().save(secret)
    xml = project.page("page_1").xml.read_text(encoding="utf-8").replace("page_1.png", Path(secret).as_posix())
    (project.pages_folder / "page_9.xml").write_text(xml, encoding="utf-8")
    assert "page_9" not in [page.name for page in project.pages()]
    assert any("was not dropped" in problem for problem in project.problems())

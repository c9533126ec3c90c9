# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the server answers, and what it serves of the disk: its own page, its own downloads, nothing else."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

httpx = pytest.importorskip("httpx", reason="no httpx: gradio brings it")
pytest.importorskip("gradio", reason="no gradio: `make test` installs the extra [workbench]")

from htr_convtext.line_datasets import load_lines  # noqa: E402
from htr_convtext.pages import (  # noqa: E402
    LineText,
    Page,
    PageLine,
    TranscribedLine,
    TranscribedPage,
    find_pages,
    read_pages,
)
from htr_convtext.pages.page_files import root_name  # noqa: E402
from htr_convtext.workbench import app as module  # noqa: E402
from htr_convtext.workbench.__main__ import main  # noqa: E402
from htr_convtext.workbench.app import Workbench, launch  # noqa: E402
from htr_convtext.workbench.project import Project, ProjectError  # noqa: E402
from htr_convtext.workbench.takeaway import FORMATS, pack_lines, pack_model, pack_pages  # noqa: E402


@pytest.fixture
def workbench(project) -> Workbench:
    return Workbench(project)


@pytest.fixture
def served(workbench, monkeypatch) -> Iterator[tuple[httpx.Client, object]]:
    """A client of the running server, and its blocks."""
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    blocks = launch(workbench, "127.0.0.1", None, block=False)
    with httpx.Client(base_url=blocks.local_url, trust_env=False) as client:
        yield client, blocks
    blocks.close()


def test_of_the_disk_nothing_is_served_but_what_was_packed(served, workbench, tmp_path):
    client, _ = served
    project = workbench.project
    (tmp_path / "secret.txt").write_text("what it says", encoding="utf-8")
    packed = pack_pages(project, ["txt"])
    folder = packed.parent
    refused = [
        project.folder / "project.json",
        project.folder / "pages" / "page_1.xml",
        project.originals / "page_1.png",
        tmp_path / "secret.txt",
        folder / ".." / "project.json",
        folder / ".." / ".." / "secret.txt",
        Path(module.__file__),
        Path("/etc/hostname"),
    ]
    for path in refused:
        for written in (str(path), quote(str(path), safe=""), str(path).replace("..", "%2e%2e")):
            for route in ("/gradio_api/file=", "/file=", "/gradio_api/file/"):
                answer = client.get(f"{route}{written}")
                assert answer.status_code in (403, 404), (route, written, answer.status_code)
                assert "what it says" not in answer.text
    answer = client.get(f"/gradio_api/file={packed}")
    assert answer.status_code == 200 and answer.content == packed.read_bytes()


def test_it_listens_to_this_computer_and_answers_its_own_page_only(served):
    client, blocks = served
    assert blocks.local_url.startswith("http://127.0.0.1:")
    assert client.get("/").status_code == 200
    assert client.get("/config").status_code == 200
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Origin": "http://127.0.0.1:1"},
    ):
        for path in ("/gradio_api/component_server", "/gradio_api/upload", "/gradio_api/queue/join"):
            assert client.post(path, headers=headers, json={}).status_code == 403, (headers, path)
    own = {"Origin": str(client.base_url).rstrip("/")}
    assert client.post("/gradio_api/component_server", headers=own, json={}).status_code != 403


def test_large_uploads_are_refused_by_the_server(served):
    client, _ = served
    answer = client.post("/gradio_api/upload", files={"files": ("large.png", bytes(200_000))})
    assert answer.status_code == 413


def test_the_page_needs_no_other_server(served):
    client, _ = served
    config = client.get("/config").json()
    assert not config.get("analytics_enabled")
    assert "fonts.googleapis" not in client.get("/theme.css").text


def test_only_the_named_functions_can_be_called(served, workbench):
    client, blocks = served
    (component,) = [key for key, block in blocks.blocks.items() if getattr(block, "elem_id", None) == "correct"]
    call = {"session_hash": "test", "component_id": component, "fn_name": "next_line", "data": ["page"]}
    answer = client.post("/gradio_api/component_server", json=call).json()
    assert answer["line"]["page"] == "page_1" and answer["counts"] == {"done": 0, "total": 9}
    for name in ("get_config", "__init__", "launch", "close"):
        assert client.post("/gradio_api/component_server", json=call | {"fn_name": name}).status_code == 404
    for data in (["../..", "1"], [1], None, {}, [{"a": 1}, [], 3, 4, 5]):
        answer = client.post("/gradio_api/component_server", json=call | {"fn_name": "accept", "data": data})
        assert answer.status_code == 200 and answer.json()["error"].endswith((".", "there are."))


def test_accepting_gives_the_next_line_and_a_changed_one_is_told(workbench):
    line = workbench.next_line("page")["line"]
    arguments = (line["page"], line["number"], "first tab", line["version"], "page")
    answer = workbench.accept(*arguments)
    assert answer["message"] == "Line 1 of page page_1 is saved." and answer["line"]["place"] == 2
    late = workbench.accept(*arguments[:2], "second tab", *arguments[3:])
    assert "was changed in another tab" in late["error"] and late["line"]["text"] == "first tab"
    assert workbench.undo()["line"]["text"] == line["text"]
    assert workbench.undo()["error"] == "There is nothing to undo."
    too_long = workbench.accept(*arguments[:2], "x" * 2001, *arguments[3:])
    assert "at most 2000 characters" in too_long["error"]


def test_pages_are_taken_away_in_every_format(project, accept_all):
    accept_all(project)
    with zipfile.ZipFile(pack_pages(project, list(FORMATS))) as packed:
        names = packed.namelist()
        for ending in ("xml", "alto.xml", "txt", "html", "pdf", "png"):
            assert f"pages/page_1.{ending}" in names, (ending, names)
        assert {"pages/lines.csv", "pages/lines.jsonl"} <= set(names)
        assert packed.read("pages/page_2.txt").decode().startswith("The first line of a letter\n")
        for name in ("pages/page_3.xml", "pages/page_3.alto.xml"):
            assert read_pages(packed.read(name))[0].lines[2].text == "until the third one ends it."
        assert "The first line of a letter" in packed.read("pages/lines.csv").decode()
    assert root_name(project.folder / "takeaway" / "pages" / "page_1.alto.xml") == "alto"


def test_lines_and_model_are_taken_away(project, accept_all, tmp_path):
    with pytest.raises(ProjectError, match="No line is corrected yet"):
        pack_lines(project)
    accept_all(project)
    for kept in ([], ["page_2"]):  # Before the first teaching, those that the tab Teach proposes.
        project.change_settings(kept=kept)
        with zipfile.ZipFile(pack_lines(project)) as packed:
            packed.extractall(tmp_path / f"{kept}")
        splits = load_lines("lines", tmp_path / f"{kept}" / "lines", cache_dir=tmp_path / "cache")
        assert {name: len(split) for name, split in splits.items()} == {"train": 6, "validation": 3}
        page = "page_2" if kept else "page_3"
        assert all(page in line_id for line_id in splits["validation"]["line_id"])
    with pytest.raises(ProjectError, match="lacks README.md"):
        pack_model(project)
    with pytest.raises(ProjectError, match="Choose at least one format"):
        pack_pages(project, [])


def test_a_document_is_whole_though_a_page_of_another_stands_between_its_pages(project, drawn_pages, tmp_path):
    picture = drawn_pages.draw()
    picture.save(tmp_path / "letter.tif", save_all=True, append_images=[picture])
    picture.save(tmp_path / "letter_0001_verso.png")
    for source in find_pages([tmp_path / "letter.tif", tmp_path / "letter_0001_verso.png"]).sources:
        line = PageLine("l1", "r1", LineText(), [(0, 0), (90, 0), (90, 60), (0, 60)], [])
        read = TranscribedLine(line, source.name, 0.9)
        project.add_reading(TranscribedPage(source, Page("", *picture.size, [line]), (read,), "a model"))
    with zipfile.ZipFile(pack_pages(project, ["txt"])) as packed:
        assert packed.read("pages/letter.txt").decode() == "letter_0001\n\fletter_0002\n"
        assert packed.read("pages/letter_0001_verso.txt").decode() == "letter_0001_verso\n"


@pytest.mark.parametrize("name", ["project.json", "journal.jsonl", "teaching/run_001/state.json"])
def test_a_damaged_file_is_a_sentence_that_names_it(tmp_path, name):
    Project(tmp_path, "").close()
    damaged = tmp_path / name
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_text('{"number": 0, "page": "pa{"number": 1}\n', encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^workbench: {damaged}.* is damaged .* Mend it.$"):
        main([str(tmp_path)])

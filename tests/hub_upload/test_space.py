# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo Space, run from its own folder with the released model's folder in place of the Hub."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from htr_convtext.hub_upload.make_space import main, make_space
from htr_convtext.pages import LineText, Page, PageLine, TranscribedLine, TranscribedPage, find_pages

gradio_client = pytest.importorskip("gradio_client", reason="no gradio: `make test` installs the extra [workbench]")

# An editable installation would give the Space what its own copy of the package lacks.
ALONE = (
    "import runpy, sys\n"
    "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]\n"
    "runpy.run_path('app.py', run_name='__main__')"
)


@pytest.fixture(scope="module")
def space(root, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The address of the running Space, and its folder."""
    folder = tmp_path_factory.mktemp("space") / "made"
    make_space(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "HTR_CONVTEXT_MODEL": str(root / "hub_upload" / "htr-convtext-fr"),
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder.parent / "uploads"),
        "PYTHONUNBUFFERED": "1",
    }
    (folder.parent / "uploads").mkdir()
    log = folder.parent / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", ALONE], cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        while "Running on local URL" not in log.read_text(encoding="utf-8"):
            assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        process.wait()


def test_it_reads_lines_with_the_package_that_travels_with_it(space, root):
    address, folder = space
    client = gradio_client.Client(address, verbose=False)
    files = [gradio_client.handle_file(root / "examples" / name) for name in ("lettre_2.jpg", "lettre_3.jpg")]
    said, shown, (archive,) = client.predict(files, api_name="/read")
    assert said == "Done: 2 pages."
    assert 'sandbox="allow-scripts"' in shown and "petit colis" in " ".join(re.sub(r"&lt;.*?&gt;", " ", shown).split())
    with zipfile.ZipFile(archive) as packed:
        names = [
            f"lettre_{number}{ending}" for number in (2, 3) for ending in (".alto.xml", ".page.xml", ".pdf", ".txt")
        ]
        assert sorted(packed.namelist()) == names
        assert packed.read("lettre_3.txt").decode().startswith("Embrasse les en")


def test_an_xml_cannot_fetch_a_picture_of_the_computer(space, root, tmp_path, drawn_pages):
    address, folder = space
    secret = tmp_path / "secret.png"
    drawn_pages.draw().save(secret)
    ways = {
        "absolute": secret.as_posix(),
        "uri": secret.as_uri(),
        "upwards": "../" * 20 + secret.as_posix().lstrip("/"),
        "nowhere": (tmp_path / "no_such_folder" / "secret.png").as_posix(),
    }
    files = []
    for write in (drawn_pages.page_xml, drawn_pages.alto):
        for way, written in ways.items():
            xml = tmp_path / f"{way}_{write.__name__}.xml"
            xml.write_text(write(written, drawn_pages.LETTER, [""] * 3, (640, 400)), encoding="utf-8")
            files.append(xml)
    client = gradio_client.Client(address, verbose=False)
    said, shown, archives = client.predict(list(map(gradio_client.handle_file, files)), api_name="/read")
    assert shown == "" and not archives
    # Of a picture that is there, no more is told than of one that is not.
    for xml in files:
        assert f"{xml.name}: its picture secret.png was not dropped. Drop it, too." in said


@pytest.fixture(scope="module")
def app(root) -> ModuleType:
    """What the Space runs, without its server."""
    pytest.importorskip("gradio", reason="no gradio: `make test` installs the extra [workbench]")
    spec = importlib.util.spec_from_file_location("space_app", root / "hub_upload" / "space" / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_text_of_a_document_is_that_of_all_its_pages(app, drawn_pages, tmp_path):
    picture = drawn_pages.draw()
    picture.save(tmp_path / "letter.tif", save_all=True, append_images=[picture, picture])
    line = PageLine("l1", "r1", LineText(), [(0, 0), (90, 0), (90, 60), (0, 60)], [])
    pages = [
        TranscribedPage(source, Page("", *picture.size, [line]), (TranscribedLine(line, text, 0.9),), "a model")
        for source, text in zip(find_pages([tmp_path]).sources, ("one", "two", "three"), strict=True)
    ]
    (archive,) = app.written(pages, tmp_path / "made")
    with zipfile.ZipFile(archive) as packed:
        assert packed.read("letter.txt").decode() == "one\n\ftwo\n\fthree\n"
        assert {"letter.pdf", "letter_0001.page.xml", "letter_0003.alto.xml"} <= set(packed.namelist())


def test_of_two_uploads_of_one_name_the_first_is_read_and_the_second_is_told(app, drawn_pages, tmp_path):
    files = [tmp_path / folder / "letter.png" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        drawn_pages.draw_line(file.parent.name).save(file)
    sources, problems = app.pages_of(list(map(str, files)), tmp_path / "uploads")
    assert problems == ["letter.png was dropped twice. Rename one of the two."]
    assert [source.document.read_bytes() for source in sources] == [files[0].read_bytes()]


def test_a_folder_that_exists_is_not_written_over(tmp_path):
    with pytest.raises(SystemExit, match="is there already. Choose another folder."):
        main([str(tmp_path)])

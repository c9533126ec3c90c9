# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Projects with drawn pages, read by a network that was never trained."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from htr_convtext.pages import CropOptions, Cut, cut_line
from htr_convtext.workbench.project import Project, WorkLine
from htr_convtext.workbench.reading import Reader
from htr_convtext.workbench.uploads import add_uploads

TEXTS = ("The first line of a letter", "and the second goes on here", "until the third one ends it.")


@pytest.fixture(scope="session")
def read_folder(made_once, drawn_pages, model_folder) -> Path:
    """A project with three pages of three lines each, which were read."""

    def make(folder: Path) -> None:
        project = Project(folder, str(model_folder))
        uploads = folder.with_name(folder.name + "_uploads")
        for number in (1, 2, 3):
            drawn_pages.write_page(uploads, f"page_{number}")
        assert add_uploads(project, sorted(uploads.iterdir())).problems == []
        job = Reader(project).start()
        job.join()
        assert (job.error, job.problems, job.done) == ("", [], 3)
        project.close()

    return made_once("workbench_project", make)


@pytest.fixture
def project(read_folder, tmp_path) -> Iterator[Project]:
    """A copy of that project, open."""
    shutil.copytree(read_folder, tmp_path / "project", ignore=shutil.ignore_patterns(".workbench.*"))
    opened = Project(tmp_path / "project")
    yield opened
    opened.close()


@pytest.fixture
def accept_all() -> Callable[[Project], None]:
    """Gives every line of a project the text that is drawn there."""

    def accept(project: Project) -> None:
        for page in project.pages():
            for line, text in zip(project.lines(page), TEXTS, strict=True):
                project.accept(page.name, line.line.number, text, line.version)

    return accept


@pytest.fixture
def hebrew_line(project) -> tuple[WorkLine, Image.Image]:
    """A line of Hebrew whose baseline is drawn from right to left above it, and its image as it stands on the page."""
    line = project.queue("page")[0]
    page = project.page(line.page)
    left, top, right, _ = map(round, line.line.box)
    baseline = f'<Baseline points="{right},{top} {left},{top}"'
    xml = re.sub('<Baseline points="[^"]*"', baseline, page.xml.read_text(encoding="utf-8"), count=1)
    page.xml.write_text(xml, encoding="utf-8")
    line = project.line(*line.key)
    cut = Cut(tuple(line.line.polygon), (page.page.width, page.page.height), 0.0)
    accepted = project.accept(*line.key, "\u05e9\u05dc\u05d5\u05dd", line.version)
    return accepted, cut_line(project.picture(page), cut, CropOptions())

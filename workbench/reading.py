# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading the pages of a project in a thread of the server, so that no browser needs to stay open."""

import contextlib
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import torch

from ..images_htr_convtext import to_grey
from ..modeling_htr_convtext import HTRConvTextForCTC
from ..pages import CropOptions, PageSource, ReadingOptions, TranscribedPage, cut_line, plan_cut, transcribe
from ..pages.geometry import right_to_left
from ..pipeline_htr_convtext import HTRConvTextPipeline
from ..processing_htr_convtext import HTRConvTextProcessor
from . import RELEASED
from .project import READ, SKIPPED, PageFiles, Project, ProjectError, WorkLine
from .suggestions import suggestions_for
from .uploads import unread_pages

# Pages are shown as soon as eight times so many lines are read; with fewer, batches are too small to be fast.
BATCH_SIZE = 4
PACKAGE = Path(__file__).resolve().parent.parent


class Reader:
    """
    Reads the pages of a project with its model.

    Args:
        project: The project.
    """

    def __init__(self, project: Project):
        self.project = project
        self.loading = threading.Lock()
        self.loaded: tuple[tuple[str, int], HTRConvTextPipeline] | None = None
        self.job: ReadingJob | None = None

    def recognizer(self) -> HTRConvTextPipeline:
        """
        The pipeline of the project's model, loaded once; anew if its folder was written again, as teaching does that
        goes on.

        Raises:
            ProjectError: If it cannot be loaded.
        """
        name = model_path(self.project)
        with self.loading:
            version = name, last_change(Path(name))
            if self.loaded is None or self.loaded[0] != version:
                self.loaded = version, load_recognizer(name)
            return self.loaded[1]

    def start(self, again: bool = False, only_missing: bool = True) -> "ReadingJob":
        """
        Begins to read in a thread, unless it is reading already.

        Args:
            again: Read the lines anew that nobody has corrected, instead of the pages that are not read yet.
            only_missing: Lines that have a text in the XML that came with them keep it.
        """
        if self.job is None or not self.job.is_alive():
            self.job = ReadingJob(self, again, only_missing)
            self.job.start()
        return self.job

    def stop(self) -> None:
        if self.job is not None:
            self.job.stopping.set()

    def status(self) -> dict[str, Any]:
        """What to show of the reading; `state` is "idle" if there was none."""
        return self.job.status() if self.job is not None else {"state": "idle"}

    def suggestions(self, page: str, number: int) -> list[dict[str, Any]]:
        """
        What else the doubtful words of a line may be; see [`suggestions_for`]. Only words that the text of now has.
        """
        line = self.project.line(page, number)
        if line.state not in (READ, SKIPPED) or not line.text or line.line.problem:
            return []
        recognizer = self.recognizer()
        image = to_grey(line_image(self.project, self.project.page(page), line, recognizer))
        found = suggestions_for(image, recognizer)
        return [each for each in found if each["word"] in line.text.split(" ")]


def model_path(project: Project) -> str:
    """The folder of a project's model, or its name on the Hub."""
    return path_of_model(project, project.settings["model"])


def path_of_model(project: Project, name: str) -> str:
    """
    The folder of a model as a project calls it, or its name on the Hub. A project that was moved to another computer
    finds the released model there.
    """
    inside = project.folder / name
    if name and inside.is_dir():
        return str(inside)
    told = PureWindowsPath(name)  # It divides as every system does.
    released = PACKAGE / RELEASED
    is_released = bool(told.root) and "/".join(told.parts[-2:]) == RELEASED and released.is_dir()
    return str(released) if is_released else name


def last_change(folder: Path) -> int:
    """When a file of a model's folder was last written; 0 for a model on the Hub."""
    return max((path.stat().st_mtime_ns for path in folder.glob("*") if path.is_file()), default=0)


def load_recognizer(name: str) -> HTRConvTextPipeline:
    try:
        model = HTRConvTextForCTC.from_pretrained(name, dtype=torch.float32)
        processor = HTRConvTextProcessor.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ProjectError(f"The model {name} cannot be loaded ({error}). Start again with --model FOLDER.") from error
    return model.optimize_for_inference(torch.float32).as_pipeline(processor)


def line_image(project: Project, page: PageFiles, line: WorkLine, recognizer: HTRConvTextPipeline):
    """A line as the network is given it."""
    size = (page.page.width, page.page.height)
    cut, _ = plan_cut(line.line, size, right_to_left(recognizer.processor.tokenizer.alphabet))
    return cut_line(project.picture(page), cut, CropOptions())


class ReadingJob(threading.Thread):
    """One run of reading; see [`Reader.start`]."""

    def __init__(self, reader: Reader, again: bool, only_missing: bool):
        super().__init__(name="reading", daemon=True)
        self.reader, self.again, self.only_missing = reader, again, only_missing
        self.stopping = threading.Event()
        self.started = time.monotonic()
        self.ended: float | None = None
        self.total = self.done = self.read_pages = self.lines = 0
        self.error = ""
        self.problems: list[str] = []

    def run(self) -> None:
        try:
            sources = self.sources()
            self.total = len(sources)
            with contextlib.closing(self.read(sources)) as pages:
                for page in pages:
                    self.take(page)
                    if self.stopping.is_set():
                        break
        except ProjectError as error:
            self.error = str(error)
        except Exception as error:  # Whatever it is, the browser must be told.
            self.error = f"Reading ended with an error ({type(error).__name__}: {error}). Read again to go on."
        self.ended = time.monotonic()

    def sources(self) -> list[PageSource]:
        project = self.reader.project
        if not self.again:
            unread = unread_pages(project)
            self.problems += unread.problems
            return unread.sources
        waiting = [page for page in project.pages() if not all(line.by_people for line in project.lines(page))]
        return [PageSource(page.name, page.xml, 0, page.image, 0, page.name) for page in waiting]

    def read(self, sources: Sequence[PageSource]) -> Generator[TranscribedPage, None, None]:
        if sources and not self.stopping.is_set():
            recognizer = self.reader.recognizer()
            self.started = time.monotonic()
            options = ReadingOptions(only_missing=self.only_missing and not self.again)
            name = model_path(self.reader.project)
            yield from transcribe(sources, recognizer, options, batch_size=BATCH_SIZE, model_name=name)

    def take(self, page: TranscribedPage) -> None:
        """Puts a page that was read into the project."""
        self.done += 1
        if page.error:
            self.problems.append(f"{Path(page.source.document).name}: {page.error}.")
            return
        try:
            if self.again:
                self.reader.project.replace_readings(page)
            else:
                self.reader.project.add_reading(page)
        except (ProjectError, OSError, ValueError) as error:
            self.problems.append(f"{page.source.name}: {error}")
            return
        self.read_pages += 1
        self.lines += sum(line.confidence is not None for line in page.lines)
        self.problems += [f"{page.source.name}: {problem}." for problem in page.problems]
        broken = [line for line in page.lines if line.problem]
        self.problems += [f"{page.source.name}, line {each.line.identifier}: {each.problem}." for each in broken]

    def status(self) -> dict[str, Any]:
        seconds = (self.ended or time.monotonic()) - self.started
        state = "running" if self.ended is None else "failed" if self.error else "done"
        if self.stopping.is_set() and not self.error:
            state = "stopping" if self.ended is None else "stopped"
        return {
            "state": state,
            "total": self.total,
            "done": self.done,
            "read": self.read_pages,
            "lines": self.lines,
            "seconds": seconds,
            "error": self.error,
            "problems": self.problems,
        }

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
A project of the workbench: a folder of plain files, which every other command of this package reads.

    project.json      the model that reads, the pages kept for scoring
    originals/        what was uploaded, as it came
    pages/            of each page its picture, NAME.page.xml (NAME.xml where PAGE came in) and NAME.txt: the text of
                      record. A text with a confidence was read by the model; one without was written by people.
    pages/.pages/     what the model read on each page, with its words and their places
    journal.jsonl     every line that was accepted, skipped or undone
    teaching/         one folder for each time that the model was taught
    models/           models that were taught and are used
    takeaway/         what was made to be taken away
"""

import contextlib
import datetime
import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from PIL import Image

from ..pages import Page, PageLine, PageSource, TranscribedLine, TranscribedPage, Word, find_page_image, read_pages
from ..pages.finding_files import comparable, files_below
from ..pages.kept_pages import KeptPages
from ..pages.outputs import write_document
from ..pages.outputs.documents import xml_file
from ..pages.outputs.line_content import clean_text
from ..pages.outputs.plain_text import page_text
from ..pages.outputs.writing_page_xml import keeps_confidences, write_into_page_xml
from ..pages.page_files import root_name
from ..pages.page_images import open_page_image, plan_page_image
from .corrected_xml import with_transcription
from .records import Journal, read_json, write_durably, write_json

VERSION = 1
SETTINGS, JOURNAL = "project.json", "journal.jsonl"
# The lock of the process that has the project open, and which process that is.
LOCK, OWNER = ".workbench.lock", ".workbench.json"
# Of a page's file: one that was made here, one that came in.
XML_ENDINGS = (".page.xml", ".xml")
FOLDERS = ("originals", "pages", "teaching", "models", "takeaway")
# States of a line: read by the model; passed over for now; accepted here; transcribed in the file that came in.
READ, SKIPPED, ACCEPTED, GIVEN = "read", "skipped", "accepted", "given"
TO_CORRECT, DONE = (READ, SKIPPED), (ACCEPTED, GIVEN)
ORDERS = ("worst", "page")

Key = tuple[str, int]


class ProjectError(Exception):
    """Something that the user can do something about; the message says what."""


class LineChanged(ProjectError):
    """A line is not what its reader saw: another tab, or another program, has changed it; `line` is what it is now."""

    def __init__(self, message: str, line: "WorkLine"):
        super().__init__(message)
        self.line = line


class WorkLine(NamedTuple):
    """
    A line of a project.

    Attributes:
        page: Name of its page.
        place: Its place in the reading order of the page, from 1.
        line: The line as the page's file tells it.
        text: What it says.
        confidence: How sure the model is of it; None if people wrote it.
        words: Its words with their confidences, while it is the model's reading.
        state: One of `READ`, `SKIPPED`, `ACCEPTED`, `GIVEN`.
        by_people: Whether people wrote the text, also of a line that was skipped.
    """

    page: str
    place: int
    line: PageLine
    text: str
    confidence: float | None
    words: tuple[Word, ...]
    state: str
    by_people: bool

    @property
    def key(self) -> Key:
        assert self.line.number is not None
        return self.page, self.line.number

    @property
    def version(self) -> str:
        """Changes with everything that a user sees of the line."""
        seen = f"{self.text}\0{self.confidence}\0{self.state}"
        return hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()[:12]


class PageFiles(NamedTuple):
    """
    A page of a project: its name, its PAGE XML and picture, what that XML tells, what the model read, what document it
    is of, and whether the XML tells the model's readings from people's texts.
    """

    name: str
    xml: Path
    image: Path
    page: Page
    reading: TranscribedPage | None
    document: str
    keeps_confidences: bool


class Project:
    """
    An open project. Its methods may be called from several threads.

    Args:
        folder: The folder; made if there is none.
        model: Folder of the model that reads, or its name on the Hub, for a new project or to change it; None keeps
            the project's own.

    Raises:
        ProjectError: If the folder is something else, or another process has it open.
    """

    def __init__(self, folder: str | Path, model: str | None = None):
        self.folder = Path(folder).expanduser().resolve()
        self.lock = threading.RLock()
        check_folder(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process_lock = lock_folder(self.folder)
        try:
            for name in FOLDERS:
                (self.folder / name).mkdir(exist_ok=True)
            self.settings: dict[str, Any] = {"version": VERSION, "model": "", "kept": []}
            self.settings |= read_json(self.folder / SETTINGS)
            if model is not None or not (self.folder / SETTINGS).is_file():
                self.change_settings(model=model or "")
            self.journal = Journal(self.folder / JOURNAL)
        except BaseException:
            self.process_lock.release()
            raise
        self.stacks: dict[Key, list[dict[str, Any]]] = {}
        self.worked: dict[str, tuple[PageFiles, list[WorkLine]]] = {}
        for entry in self.journal.entries:
            self.replay(entry)
        self.cached: dict[Path, tuple[tuple[int, int, int], PageFiles]] = {}
        self.last_picture: tuple[Any, Image.Image] | None = None

    def close(self) -> None:
        self.process_lock.release()

    def change_settings(self, **settings: Any) -> None:
        with self.lock:
            self.settings |= settings
            write_json(self.folder / SETTINGS, self.settings)

    @property
    def originals(self) -> Path:
        return self.folder / "originals"

    @property
    def pages_folder(self) -> Path:
        return self.folder / "pages"

    @property
    def readings(self) -> KeptPages:
        return KeptPages(self.pages_folder, {})

    # Pages and lines

    def pages(self) -> list[PageFiles]:
        """The pages, by name. What is no page any more, or has lost its picture, is left out; see [`problems`]."""
        with self.lock:
            return [page for page, _ in self.looked_at() if page is not None]

    def stamp(self) -> tuple[Any, ...]:
        """Changes with every file of the originals and the pages, and with everything that is done to lines."""
        with self.lock:
            return len(self.journal.entries), times_of(self.originals), times_of(self.pages_folder)

    def stamp_of_names(self) -> tuple[Any, ...]:
        """Changes with every file of the originals, and when a page comes or goes."""
        with self.lock:
            return times_of(self.originals), tuple(sorted(os.listdir(self.pages_folder)))

    def problems(self) -> list[str]:
        """What is wrong with the files of pages, one sentence each."""
        with self.lock:
            return [problem for _, problem in self.looked_at() if problem]

    def names(self) -> set[str]:
        """Names, as they are compared, of all pages that have a file here; of those that cannot be used, too."""
        return {comparable(self.name_of(xml)) for xml in self.page_files()}

    def page_files(self) -> Iterator[Path]:
        """The PAGE XML of all pages. What is no XML any more was one."""
        return (xml for xml in files_below(self.pages_folder, ".xml") if root_name(xml) in ("PcGts", ""))

    def name_of(self, xml: Path) -> str:
        return page_name(xml.relative_to(self.pages_folder).as_posix())

    def looked_at(self) -> Iterator[tuple[PageFiles | None, str]]:
        for xml in self.page_files():
            try:
                yield self.load(xml), ""
            except (OSError, ValueError) as error:
                name = xml.relative_to(self.folder)
                yield None, f"{name} cannot be used ({error}). Mend it, or move it and its picture out of the project."

    def load(self, xml: Path) -> PageFiles:
        status = xml.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self.cached.get(xml)
        if known is None or known[0] != stamp or not known[1].image.is_file():
            self.cached[xml] = known = stamp, self.parse(xml)
        return known[1]

    def parse(self, xml: Path) -> PageFiles:
        name = self.name_of(xml)
        page = read_pages(xml)[0]
        image, _ = find_page_image(xml, page, self.pages_folder, within=self.pages_folder)
        plan = plan_page_image(image, page)
        page = page._replace(width=plan.size[0], height=plan.size[1])
        source = PageSource(name, xml, 0, image, 0, name)
        told = keeps_confidences(xml.read_bytes())
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # Then it has no words, and that is all.
            reading = self.readings.of_this_run(source)
            if reading is not None:
                document = self.readings.content(source)["page"]["source"]["document_name"]
                return PageFiles(name, xml, image, page, of_lines(page, reading), document, told)
        return PageFiles(name, xml, image, page, None, name, told)

    def page(self, name: str) -> PageFiles:
        """
        Raises:
            ProjectError: If there is none of that name.
        """
        for xml in (self.pages_folder / f"{name}{ending}" for ending in XML_ENDINGS):
            with self.lock, contextlib.suppress(OSError, ValueError):
                if xml.resolve().is_relative_to(self.pages_folder) and root_name(xml) == "PcGts":
                    return self.load(xml)
        raise ProjectError(
            f"There is no page {name} in this project any more. Reload this tab to see those there are."
        )

    def lines(self, page: PageFiles) -> list[WorkLine]:
        """The lines of a page in reading order; found out anew only if it has changed, for all are often asked for."""
        with self.lock:
            known = self.worked.get(page.name)
            if known is None or known[0] is not page:
                read = {line.line.number: line for line in page.reading.lines} if page.reading else {}
                lines = [
                    self.work_line(page, place, line, read.get(line.number))
                    for place, line in enumerate(page.page.lines, start=1)
                ]
                self.worked[page.name] = known = page, lines
            return list(known[1])

    def work_line(self, page: PageFiles, place: int, line: PageLine, reading: TranscribedLine | None) -> WorkLine:
        text, confidence = clean_text(line.text), line.transcription.confidence
        key = (page.name, line.number or 0)
        is_accepted = confidence is None and self.is_accepted(key, text)
        read = reading if reading is not None and was_read_as(reading, text) else None
        if read is not None and not is_accepted and not page.keeps_confidences:
            confidence = read.confidence
        words = read.words if read is not None and confidence is not None else ()
        # Other programs write 1 for what people wrote; the model's own reading is none, however sure it is.
        given = confidence is None or (confidence >= 1 and read is None)
        by_people = is_accepted or bool(text and given)
        state = ACCEPTED if is_accepted else GIVEN if by_people else READ
        if self.is_skipped(key, text):
            state = SKIPPED
        return WorkLine(page.name, place, line, text, confidence, words, state, by_people)

    # The file wins over the journal where somebody else has changed it.

    def is_accepted(self, key: Key, text: str) -> bool:
        """Whether the text of a line is what was accepted here last."""
        accepted = [entry for entry in self.stacks.get(key, ()) if entry["action"] == "accept"]
        return bool(accepted) and accepted[-1]["text"] == text

    def is_skipped(self, key: Key, text: str) -> bool:
        """Whether a line was passed over, with the text that it has."""
        entries = self.stacks.get(key, [])
        return bool(entries) and (entries[-1]["action"], entries[-1]["text"]) == ("skip", text)

    def line(self, page: str, number: int) -> WorkLine:
        """
        Raises:
            ProjectError: If there is no such line.
        """
        for line in self.lines(self.page(page)):
            if line.line.number == number:
                return line
        raise ProjectError(f"There is no such line on page {page} any more. Reload this tab to see those there are.")

    def all_lines(self) -> list[WorkLine]:
        return [line for page in self.pages() for line in self.lines(page)]

    def queue(self, order: str = "worst") -> list[WorkLine]:
        """
        The lines that wait to be corrected, those that were skipped last.

        Args:
            order: "worst", the least sure first; or "page", as they stand on the pages.
        """
        lines = [line for line in self.all_lines() if line.state in TO_CORRECT]
        if order == "worst":
            lines.sort(key=lambda line: line.confidence or 0.0)
        return sorted(lines, key=lambda line: self.stacks[line.key][-1]["number"] + 1 if line.state == SKIPPED else 0)

    def picture(self, page: PageFiles) -> Image.Image:
        """The picture of a page as its XML counts pixels; the last one is kept, for lines come page by page."""
        with self.lock:
            key = (page.image, page.image.stat().st_mtime_ns, page.page.width, page.page.height)
            if self.last_picture is None or self.last_picture[0] != key:
                self.last_picture = key, open_page_image(page.image, plan_page_image(page.image, page.page))
            return self.last_picture[1]

    # Correcting

    def accept(self, page: str, number: int, text: str, seen: str) -> WorkLine:
        """
        Makes a text the transcription of a line; it is on the disk when this returns.

        Args:
            page: Name of the page.
            number: The line's number in its file.
            text: What it says; "" for a line that says nothing.
            seen: The `version` of the line that the user saw.

        Raises:
            LineChanged: If it is another by now; nothing is written then.
        """
        with self.lock:
            line = self.as_seen(page, number, seen)
            text = clean_text(text)
            words = corrected_words(self.reading_of(line), text)
            self.write_line(line, text, None, words)
            self.record("accept", line, text)
            return self.line(page, number)

    def skip(self, page: str, number: int, seen: str) -> WorkLine:
        """Passes over a line: it comes last in the queue, and is not trained on. For the arguments see [`accept`]."""
        with self.lock:
            line = self.as_seen(page, number, seen)
            self.record("skip", line, line.text)
            return self.line(page, number)

    def undo(self) -> WorkLine | None:
        """
        Takes the last acceptance or skip back; None if there is nothing to be undone.

        Raises:
            LineChanged: If somebody else has changed the line since. What was done before it can be undone then.
            ProjectError: If the line is gone; the same.
        """
        with self.lock:
            undone = {entry["of"] for entry in self.journal.entries if entry["action"] == "undo"}
            entries = (each for each in reversed(self.journal.entries) if each["action"] != "undo")
            last = next((entry for entry in entries if entry["number"] not in undone), None)
            if last is None:
                return None
            try:
                self.take_back(last)
            except ProjectError:
                self.record_undo(last)
                raise
            self.record_undo(last)
            return self.line(last["page"], last["line"])

    def take_back(self, last: dict[str, Any]) -> None:
        """Gives the line of an entry the text that it had before, if the entry has changed that."""
        line = self.line(last["page"], last["line"])
        if last["action"] != "accept":
            return
        if line.state != ACCEPTED or line.text != last["text"]:
            raise LineChanged(
                f"Line {line.place} of page {line.page} has been changed by another program since, so it "
                "stays as it is. Here is its text of now.",
                line,
            )
        before = last["before"]
        words = [word for word in self.reading_of(line) if before["confidence"] is not None]
        fit = " ".join(clean_text(word.text) for word in words) == before["text"]
        self.write_line(line, before["text"], before["confidence"], words if fit else [])

    def record_undo(self, entry: dict[str, Any]) -> None:
        self.replay(self.journal.add(action="undo", of=entry["number"], page=entry["page"], line=entry["line"]))

    def as_seen(self, page: str, number: int, seen: str) -> WorkLine:
        line = self.line(page, number)
        if line.version != seen:
            raise LineChanged(
                f"Line {line.place} of page {page} was changed in another tab or program. Here is its text of now: "
                "look at it, and accept it again if it needs your change.",
                line,
            )
        return line

    def reading_of(self, line: WorkLine) -> list[Word]:
        """The words that the model read on a line, whatever its text is now."""
        reading = self.page(line.page).reading
        found = [each for each in reading.lines if each.line.number == line.line.number] if reading else []
        return list(found[0].words) if found else []

    def write_line(self, line: WorkLine, text: str, confidence: float | None, words: Sequence[Word]) -> None:
        """The PAGE XML of the page first, for it is the record; then its plain text."""
        page = self.page(line.page)
        made = TranscribedLine(line.line, text, confidence, tuple(words))
        write_durably(page.xml, with_transcription(page.xml.read_bytes(), page.page, made, now()))
        self.write_text(self.load(page.xml))

    def write_text(self, page: PageFiles) -> None:
        write_durably(self.pages_folder / f"{page.name}.txt", page_text(self.transcribed(page)).encode())

    def record(self, action: str, line: WorkLine, text: str) -> None:
        before = {"text": line.text, "confidence": line.confidence, "state": line.state}
        entry = {"page": line.page, "line": line.line.number, "id": line.line.identifier, "text": text}
        self.replay(self.journal.add(action=action, **entry, before=before))

    def replay(self, entry: dict[str, Any]) -> None:
        self.worked.pop(entry["page"], None)
        stack = self.stacks.setdefault((entry["page"], entry["line"]), [])
        if entry["action"] == "undo":
            stack[:] = [each for each in stack if each["number"] != entry["of"]]
        else:
            stack.append(entry)

    # Readings

    def transcribed(self, page: PageFiles) -> TranscribedPage:
        """A page as the outputs of [`~pages.outputs`] take it: the model's readings, and the texts of people."""
        lines = []
        for line in self.lines(page):
            kept = line.confidence is None or not line.words
            words = corrected_words(self.reading_of(line), line.text) if line.confidence is None else list(line.words)
            lines.append(TranscribedLine(line.line, line.text, None if kept else line.confidence, tuple(words)))
        source = PageSource(page.name, page.xml, 0, page.image, 0, page.name)
        return TranscribedPage(source, page.page, tuple(lines), page.reading.software if page.reading else "people")

    def add_reading(self, read: TranscribedPage) -> PageFiles:
        """
        Takes a page that was read for the first time into `pages/`: picture, PAGE XML, readings, text.

        Raises:
            ProjectError: If it is there already, so that nothing that was corrected is lost.
            OSError, ValueError: If it cannot be written.
        """
        with self.lock:
            name = name_of_source(read.source)
            if comparable(name) in self.names():
                raise ProjectError(f"Page {name} is in the project already, and stays as it is.")
            write_document([read], ("page", "image"), self.pages_folder, now())
            xml = xml_file(read.source, "page", self.pages_folder)
            return self.keep_reading(self.load(xml), read, read.source.document_name)

    def replace_readings(self, read: TranscribedPage) -> PageFiles:
        """
        Gives the lines of a page that nobody has corrected another reading; all others stay as they are.

        Args:
            read: The page, read from its own PAGE XML.
        """
        with self.lock:
            page = self.page(read.source.name)
            waiting = {line.line.number for line in self.lines(page) if not line.by_people}
            old = {line.line.number: line for line in page.reading.lines} if page.reading else {}
            fresh = [line if line.line.number in waiting else line._replace(confidence=None) for line in read.lines]
            content = write_into_page_xml(page.xml.read_bytes(), [read._replace(lines=tuple(fresh))], now())
            write_durably(page.xml, content)
            lines = [line if line.line.number in waiting else old.get(line.line.number, line) for line in read.lines]
            return self.keep_reading(self.load(page.xml), read._replace(lines=tuple(lines)), page.document)

    def keep_reading(self, page: PageFiles, read: TranscribedPage, document: str) -> PageFiles:
        """Keeps what was read beside the page's file, by the numbers that its lines have there."""
        source = PageSource(page.name, page.xml, 0, page.image, 0, document)
        lines = tuple(line._replace(line=told) for line, told in zip(read.lines, page.page.lines, strict=True))
        self.readings.write(read._replace(source=source, page=page.page, lines=lines))
        self.cached.pop(page.xml, None)
        page = self.load(page.xml)
        self.write_text(page)
        return page


def times_of(folder: Path) -> tuple[tuple[str, int], ...]:
    """The files in a folder, with the time when each was changed last."""
    return tuple(sorted((each.path, each.stat().st_mtime_ns) for each in os.scandir(folder)))


def check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file. Give a folder, which may be new.")
    if folder.is_dir() and not (folder / SETTINGS).is_file():
        others = [path.name for path in folder.iterdir() if path.name not in (*FOLDERS, JOURNAL, LOCK, OWNER)]
        if others:
            raise ProjectError(
                f"{folder} is no project of the workbench, and holds other files ({', '.join(sorted(others)[:3])}). "
                "Give a new or an empty folder, and drop the pages into the browser."
            )
    found = read_json(folder / SETTINGS) if folder.is_dir() else {}
    if found and found.get("version") != VERSION:
        raise ProjectError(f"{folder} was made by another version of the workbench. Open it with that one.")


def lock_folder(folder: Path) -> FileLock:
    """A lock that the system itself takes back when the process ends, however it ends."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        owner = read_json(folder / OWNER)
        where = f" (process {owner['process']})" if owner else ""
        raise ProjectError(
            f"{folder} is open in another workbench{where}. Use that one, or end it first, so that neither loses what "
            "the other writes."
        ) from None
    write_json(folder / OWNER, {"process": os.getpid()})
    return lock


def page_name(path: str) -> str:
    return path.removesuffix(".xml").removesuffix(".page")


def name_of_source(source: PageSource) -> str:
    """What a page will be called here. Its file tells, by which foo.page.xml that came in is the page foo."""
    return page_name(xml_file(source, "page", Path()).as_posix())


def was_read_as(reading: TranscribedLine, text: str) -> bool:
    """Whether a text is the model's; one that came in and was kept is among the readings, without a confidence."""
    return reading.confidence is not None and clean_text(reading.text) == text


def of_lines(page: Page, reading: TranscribedPage) -> TranscribedPage:
    """
    What was read of the lines that a page has now: another program may have added, moved or removed some, by which
    those behind them have other numbers. A line is known by its identifier, or by its outline where that is another.
    """
    by_number = {read.line.number: read for read in reading.lines}
    by_name = unlike(reading.lines, lambda read: read.line.identifier)
    by_outline = unlike(reading.lines, lambda read: tuple(read.line.polygon))
    lines = []
    for line in page.lines:
        same = by_number.get(line.number)
        if same is None or same.line.identifier != line.identifier:
            same = by_name.get(line.identifier) or by_outline.get(tuple(line.polygon))
        if same is not None:
            lines.append(same._replace(line=line))
    return reading._replace(lines=tuple(lines))


def unlike(
    lines: Iterable[TranscribedLine], sign: Callable[[TranscribedLine], Hashable]
) -> dict[Hashable, TranscribedLine]:
    """Lines by a sign of theirs, but for those that share it."""
    lines = list(lines)
    number = Counter(map(sign, lines))
    return {sign(line): line for line in lines if number[sign(line)] == 1}


def corrected_words(read: Iterable[Word], text: str) -> list[Word]:
    """The places of the words that were read, with those of a corrected text; none if it has another number."""
    read, texts = list(read), text.split(" ")
    if len(read) != len(texts):
        return []
    return [word._replace(text=each, confidence=1.0) for word, each in zip(read, texts, strict=True)]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)

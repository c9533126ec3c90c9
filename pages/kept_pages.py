# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages that were read, each kept as a JSON file until all are: what a run that was ended goes on from."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .cropping import CropOptions
from .finding_files import real_path
from .layout import LineText, Page, PageLine
from .transcript import PageSource, TranscribedLine, TranscribedPage, Word
from .whole_files import write_whole

FOLDER = ".pages"
VERSION = 1
# As long as that of a page: a name may be as long as the disk allows.
NOTED_SUFFIX = ".done"
# Of new files of one page; what comes in is written back under its own name.
NEW_XML_SUFFIXES = (".page.xml", ".alto.xml")


class KeptPages:
    """
    Pages in a folder, written whole or not at all.

    Args:
        folder: The folder of the results, which gets a hidden one for them.
        settings: What a page's reading depends on beside its files; with other settings it is read again.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self.folder = folder / FOLDER
        self.settings = json.loads(json.dumps(settings))

    def path(self, source: PageSource) -> Path:
        return self.folder / f"{source.name}.json"

    def write(self, page: TranscribedPage) -> None:
        """Keeps a page."""
        content = {"version": VERSION, "settings": self.settings, "files": file_stamps(page.source)}
        content["page"] = page_to_json(page)
        # What is no Unicode in the name of a file becomes an escape of JSON's.
        encoded = json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace")
        write_whole(self.path(page.source), encoded)

    def read(self, source: PageSource) -> TranscribedPage | None:
        """A page that was kept; None if there is none, or its files or the settings have changed since."""
        try:
            content = self.content(source)
            same = content["settings"] == self.settings and content["files"] == file_stamps(source)
            return page_from_json(content["page"])._replace(source=source) if same else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def of_this_run(self, source: PageSource) -> TranscribedPage | None:
        """
        A page that this run has read or found; None if it could not be read. Its file may have changed since: the
        results may be written into it.
        """
        try:
            return page_from_json(self.content(source)["page"])._replace(source=source)
        except OSError:
            return None

    def is_of(self, source: PageSource) -> bool:
        """Whether a page of this name was kept of the same file: at the same place, or as it was and moved since."""
        try:
            content = json.loads(self.path(source).read_text(encoding="utf-8"))
            document = real_path(content["page"]["source"]["document"])
            return document == real_path(source.document) or content["files"] == file_stamps(source)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def time_of(self, source: PageSource) -> int:
        """When a page was kept, in nanoseconds; 0 if it was not."""
        try:
            return self.path(source).stat().st_mtime_ns
        except OSError:
            return 0

    def content(self, source: PageSource) -> dict[str, Any]:
        content = json.loads(self.path(source).read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError(f"kept by another version: {content['version']}")
        return content

    def forget(self, source: PageSource) -> None:
        """Removes a page."""
        if self.time_of(source):
            self.path(source).unlink(missing_ok=True)

    def note_files(self, paths: Iterable[Path], source: PageSource | None = None, made_of: str | None = None) -> None:
        """
        Notes results as they are now, so that one can tell whether somebody changes them.

        Args:
            paths: Those of a document, or the tables; what is not there is left out.
            source: A page of the document; None for the tables.
            made_of: What else they depend on, beside the pages' readings; see [`made_otherwise`].
        """
        before = self.noted(source)
        stamps = {self.key(path): file_stamp(path) for path in paths if os.path.exists(path)}
        made = before["made_of"] | dict.fromkeys(stamps, made_of)
        content = {"document": document_of(source), "files": before["files"] | stamps, "made_of": made}
        write_whole(self.noted_path(source), json.dumps(content).encode())

    def changed_files(self, paths: Iterable[Path], source: PageSource | None = None) -> set[Path]:
        """Those of some results that are there, but not as they were noted."""
        files = self.noted(source)["files"]
        return {path for path in paths if os.path.exists(path) and files.get(self.key(path)) != file_stamp(path)}

    def made_otherwise(self, paths: Iterable[Path], made_of: str, source: PageSource | None = None) -> set[Path]:
        """Those of some results that are noted as made of something else."""
        noted = self.noted(source)["made_of"]
        return {path for path in paths if noted.get(self.key(path)) not in (None, made_of)}

    def has_noted(self, source: PageSource) -> bool:
        """Whether results of this very document were noted."""
        return self.noted(source)["document"] == document_of(source)

    def noted(self, source: PageSource | None) -> dict[str, Any]:
        try:
            content = json.loads(self.noted_path(source).read_bytes())
            made_of = dict(content.get("made_of", {}))  # The versions before did not note it.
            return {"document": content["document"], "files": dict(content["files"]), "made_of": made_of}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {"document": "", "files": {}, "made_of": {}}

    def noted_path(self, source: PageSource | None) -> Path:
        return self.folder / f"{source.document_name if source else ''}{NOTED_SUFFIX}"

    def key(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.folder)).as_posix()


def document_of(source: PageSource | None) -> str:
    return str(real_path(source.document)) if source else ""


def crop_of(content: Mapping[str, Any]) -> CropOptions:
    """How the lines of a kept page were cut out; as they are without another choice, where its settings do not say."""
    return CropOptions(**content["settings"].get("reading", {}).get("crop", {}))


def is_result(path: Path, output: Path) -> bool:
    """Whether a file in a folder of results was written there by an earlier run, and not read by it."""
    path, output = real_path(path), output.resolve()
    if not path.is_relative_to(output):
        return False
    name = path.relative_to(output).as_posix()
    stems = [name.removesuffix(suffix) for suffix in (*NEW_XML_SUFFIXES, path.suffix) if name.endswith(suffix)]
    for stem in (*stems, *(f"{stem}_0001" for stem in stems)):
        try:
            kept = json.loads((output / FOLDER / f"{stem}.json").read_text(encoding="utf-8"))
            source = kept["page"]["source"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if path not in (Path(source["document"]).resolve(), Path(source["image"]).resolve()):
            return True
    return False


def file_stamps(source: PageSource) -> list[list[int]]:
    """Size and time of the last change of a page's files: the document, and its image."""
    return [file_stamp(path) for path in dict.fromkeys((source.document, source.image))]


def file_stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def page_to_json(page: TranscribedPage) -> dict[str, Any]:
    """A page as what JSON knows."""
    source = {**page.source._asdict(), "document": str(page.source.document), "image": str(page.source.image)}
    lines = [line._asdict() | {"line": line_to_json(line.line), "words": words_to_json(line)} for line in page.lines]
    layout = page.page._asdict() | {"lines": []}  # They are those of `lines`.
    return page._asdict() | {"source": source, "page": layout, "lines": lines}


def line_to_json(line: PageLine) -> dict[str, Any]:
    return line._asdict() | {"transcription": line.transcription._asdict()}


def words_to_json(line: TranscribedLine) -> list[dict[str, Any]]:
    return [word._asdict() for word in line.words]


def page_from_json(content: dict[str, Any]) -> TranscribedPage:
    """
    The page of [`page_to_json`].

    Raises:
        KeyError, TypeError: If it is none.
    """
    source = content["source"]
    source = PageSource(**source | {"document": Path(source["document"]), "image": Path(source["image"])})
    lines = tuple(line_from_json(line) for line in content["lines"])
    layout = content["page"] | {"lines": [line.line for line in lines]}
    layout |= {name: tuple(layout[name]) for name in ("problems", "warnings")}
    given = {"source": source, "page": Page(**layout), "lines": lines, "problems": tuple(content["problems"])}
    return TranscribedPage(**content | given)


def line_from_json(content: dict[str, Any]) -> TranscribedLine:
    line = content["line"]
    line = PageLine(
        **line
        | {"transcription": LineText(**line["transcription"]), "tags": tuple(line["tags"])}
        | {name: as_points(line[name]) for name in ("polygon", "baseline")}
    )
    words = tuple(Word(**word | {"polygon": as_points(word["polygon"])}) for word in content["words"])
    return TranscribedLine(**content | {"line": line, "words": words})


def as_points(pairs: list[list[float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in pairs]

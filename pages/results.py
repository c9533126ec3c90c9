# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A run's results: what may be written over, outputs made of the pages that were kept, and what went wrong."""

import contextlib
import datetime
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from .finding_files import comparable, real_path
from .kept_pages import KeptPages
from .outputs import (
    OutputFile,
    collection_files,
    output_files,
    picture_file,
    write_collection,
    write_file,
    writes_pictures,
)
from .page_sources import XML_SUFFIX
from .transcript import PageSource, Problem, TranscribedPage
from .whole_files import remove_unfinished

# Which pictures the PAGE and ALTO of a document name.
SCANS, PICTURES = "scans", "pictures"
SHOWN_PLACES = 5
SHOWN_FILES = 3


def documents_of(sources: Iterable[PageSource]) -> list[list[PageSource]]:
    """The sources of each document."""
    return [list(pages) for _, pages in groupby(sources, lambda source: source.document_name)]


def prepare_output(
    folder: Path, documents: Sequence[Sequence[PageSource]], formats: Sequence[str], kept: KeptPages, mode: str
) -> None:
    """
    Sees to it that nothing is lost in the folder of the results, and that no half-written file stays there. What is to
    be replaced is noted as it is now: a run that goes on with this one may replace it, too, and this one does so only
    if nobody changes it meanwhile.

    Args:
        folder: The folder.
        documents: The documents that are to be read.
        formats: The formats to be written.
        kept: Pages of earlier runs; they are removed unless this run resumes.
        mode: "resume", "overwrite" or "new", which refuses to write over any file.

    Raises:
        FileExistsError: If files would be written over that are not an earlier run's.
        ValueError: If two pictures would be one file.
    """
    refuse_two_in_one(documents, formats, folder)
    in_the_way = [] if mode == "overwrite" else files_in_the_way(documents, formats, folder, kept, mode == "resume")
    if in_the_way:
        more = f" and {len(in_the_way) - SHOWN_FILES} more" if len(in_the_way) > SHOWN_FILES else ""
        shown = ", ".join(map(str, in_the_way[:SHOWN_FILES]))
        raise FileExistsError(
            f"{shown}{more} there already: --resume goes on with an earlier run, --overwrite replaces them, or choose "
            "another --output."
        )
    remove_unfinished(folder)
    if mode != "resume":
        for document in documents:
            for source in document:
                kept.forget(source)
    if mode == "overwrite":
        for document in documents:
            note_existing(paths_of(document, formats, folder), kept, document[0])
        note_existing(collection_files(formats, folder), kept)


def refuse_two_in_one(documents: Sequence[Sequence[PageSource]], formats: Sequence[str], folder: Path) -> None:
    """
    Raises ValueError if the results of two documents would be one file, as those of a.tif and of a.page.xml, or the
    pictures of two pages: in two folders that were given, files of XML with names of their own may name pictures that
    are called alike.
    """
    taken: dict[Path, Path] = {}
    for source in (source for document in documents for source in document if writes_pictures(source, formats)):
        path = picture_file(source, folder)
        other = taken.setdefault(path, source.image)
        if other != source.image:
            raise ValueError(
                f"{other} and {source.image} would both be {path}; read them in two runs, with two --output"
            )
    document_of: dict[str, Path] = {}
    for document in documents:
        for path in paths_of(document, formats, folder):
            other = document_of.setdefault(comparable(str(path)), document[0].document)
            if other != document[0].document:
                both = f"{other} and {document[0].document}"
                raise ValueError(f"{both} would both be {path}; read them in two runs, with two --output")


def paths_of(document: Sequence[PageSource], formats: Sequence[str], folder: Path) -> list[Path]:
    return [file.path for file in output_files(document, formats, folder)]


def note_existing(paths: Iterable[Path], kept: KeptPages, source: PageSource | None = None) -> None:
    if existing := [path for path in paths if os.path.exists(path)]:
        with contextlib.suppress(OSError):  # A name that is too long for the disk: its page cannot be kept, either.
            kept.note_files(existing, source)


def files_in_the_way(
    documents: Sequence[Sequence[PageSource]], formats: Sequence[str], folder: Path, kept: KeptPages, resumes: bool
) -> list[Path]:
    """Outputs that are there, but for what an earlier run has begun and written if this one goes on with it."""
    others = [document for document in documents if not (resumes and is_begun(document, kept))]
    files = [path for document in others for path in paths_of(document, formats, folder)]
    if len(others) == len(documents):
        files += other_tables(documents, formats, folder, kept) if resumes else collection_files(formats, folder)
    return [path for path in files if os.path.exists(path)]


def other_tables(
    documents: Sequence[Sequence[PageSource]], formats: Sequence[str], folder: Path, kept: KeptPages
) -> set[Path]:
    """Tables that no earlier run has written over the same pages, such as none."""
    tables = collection_files(formats, folder)
    rows = rows_of((source for document in documents for source in document), kept)
    return kept.changed_files(tables) | kept.made_otherwise(tables, rows)


def is_begun(document: Sequence[PageSource], kept: KeptPages) -> bool:
    """Whether an earlier run has read pages of a document, or was told to replace its results."""
    return any(map(kept.is_of, document)) or kept.has_noted(document[0])


def write_outputs(
    document: Sequence[PageSource], formats: Sequence[str], folder: Path, kept: KeptPages
) -> Iterator[Problem]:
    """
    Writes the outputs of a document from the pages of it that were read, but for those that are as new as these, and
    those that somebody has changed, perhaps corrected. Tells what keeps it from that. Where pictures are asked for,
    PAGE and ALTO that name the scans are written anew.
    """
    files = output_files(document, formats, folder)
    pages_of = {file.path: file.sources for file in files}
    done = newer_files(pages_of, kept)
    beside = SCANS
    if writes_pictures(document[0], formats):  # PAGE and ALTO name them, and were perhaps made without.
        beside = PICTURES
        done -= kept.made_otherwise([path for path in pages_of if path.suffix == XML_SUFFIX], beside, document[0])
    if len(done) == len(pages_of):
        return
    pages = [page for page in map(kept.of_this_run, document) if page is not None]
    if not pages:
        return
    changed = kept.changed_files(pages_of.keys() - done, document[0])
    yield from map(not_replaced, sorted(changed))
    read = {page.source for page in pages}
    to_write = [file for file in files if file.path not in done | changed and not read.isdisjoint(file.sources)]
    written, problems = write_each(to_write, pages, formats, folder)
    yield from problems
    file = document[0].document
    try:
        kept.note_files(written, document[0], beside)
    except OSError as error:
        yield Problem(str(file), f"what is written of it cannot be noted ({error})", True)
        return
    if any(path.samefile(file) for path in written):  # The document is another file now, but its pages are read.
        oldest = min(path.stat().st_mtime_ns for path in written)
        for page in pages:
            kept.write(page)
            os.utime(kept.path(page.source), ns=(oldest, oldest))


def write_each(
    files: Iterable[OutputFile], pages: Sequence[TranscribedPage], formats: Sequence[str], folder: Path
) -> tuple[list[Path], list[Problem]]:
    """Files of a document that are written, and what keeps the others from that: none costs the others."""
    now = datetime.datetime.now(datetime.UTC)
    written, problems = [], []
    for file in files:
        try:
            written.append(write_file(file, pages, formats, folder, now))
        except Exception as error:  # Whatever the libraries meet in it.
            problems.append(Problem(str(file.path), f"it cannot be written ({type(error).__name__}: {error})", True))
    return written, problems


def may_be_replaced(document: Sequence[PageSource], folder: Path) -> bool:
    """Whether the file that came in lies where results are written."""
    return real_path(document[0].document).is_relative_to(real_path(folder))


def write_as_read(
    pages: Iterable[TranscribedPage],
    documents: Sequence[Sequence[PageSource]],
    formats: Sequence[str],
    folder: Path,
    kept: KeptPages,
) -> Iterator[tuple[TranscribedPage, list[Problem]]]:
    """
    Passes pages on and, with the last page of a document that was read, writes its outputs.

    Args:
        pages: The pages as they are read and kept.
        documents: Those to be written, but for those that [`may_be_replaced`]: a run that goes on after this one reads
            files that came in once more, as they were.
        formats: The formats to be written.
        folder: The folder of the results.
        kept: Where pages are kept.

    Returns:
        Each page, and what kept its document from being written if it is the last of one.
    """
    whole = {document[0].document_name: document for document in documents}
    read: Counter[str] = Counter()
    for page in pages:
        name = page.source.document_name
        read[name] += 1
        is_last = name in whole and read[name] == len(whole[name])
        yield page, list(write_outputs(whole[name], formats, folder, kept)) if is_last else []


def write_tables(
    sources: Sequence[PageSource], formats: Sequence[str], folder: Path, kept: KeptPages
) -> list[Problem]:
    """
    Writes the tables over all pages that were read, but for those that an earlier run has written since over the same
    pages, and those that somebody has changed, which it tells.
    """
    tables = collection_files(formats, folder)
    rows = rows_of(sources, kept)
    done = newer_files(dict.fromkeys(tables, sources), kept) - kept.made_otherwise(tables, rows)
    changed = kept.changed_files(set(tables) - done)
    formats = [name for name in formats if not (done | changed).intersection(collection_files([name], folder))]
    problems = [not_replaced(path) for path in sorted(changed)]
    try:
        if written := write_collection(filter(None, map(kept.of_this_run, sources)), formats, folder):
            kept.note_files(written, made_of=rows)
    except OSError as error:  # As where a table is open in another program. The pages are written all the same.
        names = ", ".join(path.name for path in collection_files(formats, folder))
        problems.append(Problem(str(folder), f"{names} cannot be written ({error}); --resume tries again", True))
    return problems


def rows_of(sources: Iterable[PageSource], kept: KeptPages) -> str:
    """What tells the tables over some pages from those over others; pages that were not read have no rows."""
    there = "\n".join(source.name for source in sources if kept.time_of(source))
    return hashlib.sha256(os.fsencode(there)).hexdigest()


def newer_files(pages_of: Mapping[Path, Sequence[PageSource]], kept: KeptPages) -> set[Path]:
    """Those of some files that are there and not older than any of their pages; none of which no page was kept."""
    read = {path: max(map(kept.time_of, pages), default=0) for path, pages in pages_of.items()}
    return {path for path in pages_of if read[path] and os.path.exists(path) and path.stat().st_mtime_ns >= read[path]}


def not_replaced(path: Path) -> Problem:
    what = "it is not as an earlier run has written it, and stays; --overwrite replaces it with what was read now"
    return Problem(str(path), what, False)


def problems_of(page: TranscribedPage) -> Iterator[Problem]:
    """What went wrong with a page and its lines, and what is odd about them."""
    where = str(page.source.document)
    if page.source.name != page.source.document_name:
        where += f", page {page.source.number + 1}"
    if page.error:
        yield Problem(where, page.error, True)
    for odd in page.problems:
        yield Problem(where, odd, False)
    for line in page.lines:
        if line.problem:
            yield Problem(f"{where}, line {line.line.identifier}", line.problem, False)


def summary(problems: Iterable[Problem], ignored: Mapping[str, int]) -> Iterator[str]:
    """
    Sentences on what went wrong, one for each problem; what many places have in common is one. It names all pages that
    were not read, which nothing else tells, and some of the places that are only odd.
    """
    places: dict[tuple[bool, str], list[str]] = {}
    for where, what, is_failure in problems:
        places.setdefault((not is_failure, what), []).append(where)
    for (is_odd, what), found in sorted(places.items(), key=lambda item: item[0][0]):
        shown = SHOWN_PLACES if is_odd else len(found)
        more = f" and {len(found) - shown} more" if len(found) > shown else ""
        yield f"{'look at' if is_odd else 'not read'}: {'; '.join(found[:shown])}{more}: {what}"
    if ignored:
        yield "ignored: " + ", ".join(f"{number} {suffix}" for suffix, number in sorted(ignored.items()))

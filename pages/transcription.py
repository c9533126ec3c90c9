# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From pages to their text: pictures are decoded in threads, lines are cut out and read with those of other pages."""

import contextlib
import dataclasses
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..images_htr_convtext import to_grey
from ..language_model_htr_convtext import HTRConvTextDecoder
from ..pipeline_htr_convtext import HTRConvTextPipeline, PreparedLine, is_squat_line
from .cropping import CropOptions, Placement, cut_and_place, plan_cut
from .finding_lines import find_lines
from .geometry import Point, mainly_right_to_left, right_to_left, wrong_outline
from .kept_pages import KeptPages
from .layout import LineText, Page, PageLine
from .line_readers import LineReaders, Reading
from .page_files import read_pages
from .page_images import image_size
from .page_sources import find_pages, is_xml, load_page
from .transcript import PageSource, Problem, TranscribedLine, TranscribedPage, Word

IMAGES = ("auto", "lines", "pages")
# An image of less than these many pixels' height, or as long as this many times its height, is a line if it may be.
LINE_HEIGHT, LINE_ASPECT = 300, 3
# A line that was found on an image, and is at least this part of its height, is all of it.
WHOLE_IMAGE = 0.5

BATCH_SIZE = 16
# Lines are read as soon as there are so many batches of them, so that each has lines of one width.
BATCHES_TO_SORT = 8
# Such groups of lines that the network has before the oldest is done.
CHUNKS_AHEAD = 1
# Pages that are prepared before the network asks for them, for each thread; lines of them that may wait.
PAGES_AHEAD, LINES_AHEAD = 2, 256
# One picture at a time has more pixels than this: a gigabyte in colour is enough.
LARGE_PICTURE = 100_000_000
DECIMALS = 4  # of confidences


@dataclasses.dataclass(frozen=True)
class ReadingOptions:
    """
    What to read on pages, and how.

    Args:
        images: What images and PDF pages without XML are: "lines", each is one line; "pages"; or "auto", which takes
            one for a page unless its ink is that of one line. On pages, lines are found.
        crop: How lines are cut out of pages.
        only_missing: Whether lines that have a text already keep it, and only the others are read.
        regions: Only lines of these types or tags are read, if any are given: types and structures in PAGE, labels of
            tags in ALTO, of the line or what it is in.
        leave_out: Lines of these types or tags are left out.
        threshold: Lines whose confidence is lower are doubtful.
        dpi: Resolution of PDF pages that are no scans.
    """

    images: str = "auto"
    crop: CropOptions = CropOptions()
    only_missing: bool = False
    regions: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    threshold: float | None = None
    dpi: float = 300.0

    def __post_init__(self):
        if self.images not in IMAGES:
            raise ValueError(f"Unknown images {self.images!r}. Known: {', '.join(IMAGES)}.")
        for name in ("regions", "leave_out"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be several types or tags, ({getattr(self, name)!r},) for one.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be a confidence, from 0 to 1. Got {self.threshold}.")
        if not self.dpi > 0:
            raise ValueError(f"dpi must be more than 0. Got {self.dpi}.")


class LineToRead(NamedTuple):
    """
    A line that was cut out: its place among the page's lines, what the network reads, the way to the page, and what is
    odd about how it was cut out.
    """

    place: int
    prepared: PreparedLine
    placement: Placement
    warning: str = ""


class PreparedPage(NamedTuple):
    """A page whose lines are cut out, or one that was kept, which has nothing to be read."""

    transcribed: TranscribedPage
    to_read: list[LineToRead]
    is_kept: bool = False


def transcribe(
    inputs: str | Path | Sequence[str | Path | PageSource],
    recognizer: HTRConvTextPipeline,
    options: ReadingOptions | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    num_workers: int | None = None,
    decoder: HTRConvTextDecoder | str | Path | bool | None = None,
    kept: KeptPages | None = None,
    model_name: str = "",
) -> Iterator[TranscribedPage]:
    """
    Reads pages, one after the other.

        from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor
        from htr_convtext.pages import transcribe

        folder = "hub_upload/htr-convtext-fr"
        processor = HTRConvTextProcessor.from_pretrained(folder)
        recognizer = HTRConvTextForCTC.from_pretrained(folder).as_pipeline(processor)
        for page in transcribe("letters/", recognizer):
            print(page.source.name, page.error, *(line.text for line in page.lines), sep="\\n")

    Pictures are decoded and lines cut out in threads, while the network reads lines of several pages together. No more
    than a few pages are in memory.

    Args:
        inputs: Files and folders, see [`find_pages`]; or the sources that it gave.
        recognizer: The pipeline that reads lines, with a PyTorch or an exported network.
        options: What to read, and how.
        batch_size: Most lines that the network has at once; on a CPU in several batches side by side.
        num_workers: Threads that prepare pages; as many as there are processors, but at most 8, if None.
        decoder: Beam search with a language model: its folder, `True` for the model's own; None reads greedily.
        kept: Where pages are kept that were read. Those that are there already are not read again, unless they were
            read together with others that are not: so they have the same readings, to the last digit, as in a run that
            was not interrupted.
        model_name: What the results say read them, beside the name of this package.

    Returns:
        Every page in the order of the sources. One that cannot be read has an `error`, and lines that cannot be read
        have a `problem`.

    Raises:
        FileNotFoundError, ValueError: If inputs do not exist or hold no pages, or there is no such language model, or
            it is of another alphabet. Files that cannot be read are a warning each, and no pages.
        ImportError: If the language model's library, the extra `[lm]`, is not installed.
    """
    options = options or ReadingOptions()
    search = recognizer.processor.resolve_decoder(decoder)
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    sources = [source for source in paths if isinstance(source, PageSource)]
    if len(sources) < len(paths) or not paths:
        sources = [*found_sources([path for path in paths if not isinstance(path, PageSource)]), *sources]
    software = ", model ".join(filter(None, (software_name(), Path(model_name).name)))
    prepared = prepare_pages(sources, recognizer, options, software, num_workers, kept)
    with LineReaders(recognizer, batch_size, search) as readers:
        chunks = read_chunks(chunks_of(prepared, BATCHES_TO_SORT * batch_size), readers, options)
        for page, is_kept in chunks:
            yield keep(page, kept) if kept is not None and not is_kept else page


def found_sources(paths: Sequence[str | Path]) -> list[PageSource]:
    """The pages in files and folders, with a warning for each file that cannot be read."""
    found = find_pages(paths)
    for problem in found.problems:
        warnings.warn(f"{problem.where}: {problem.what}", stacklevel=3)
    return found.sources


def keep(page: TranscribedPage, kept: KeptPages) -> TranscribedPage:
    """Keeps a page, or says why it cannot be; of one that could not be read, nothing is left from earlier runs."""
    try:
        if page.error:
            kept.forget(page.source)
        else:
            kept.write(page)
    except OSError as error:  # A name that is too long for the disk, or a full one.
        return page._replace(error=page.error or f"its reading cannot be kept ({error})")
    return page


def software_name() -> str:
    try:
        return f"htr-convtext {metadata.version('htr-convtext')}"
    except metadata.PackageNotFoundError:  # A folder that is on the path, but not installed.
        return "htr-convtext"


# Reading


def chunks_of(pages: Iterable[PreparedPage], lines: int) -> Iterator[list[PreparedPage]]:
    """
    Pages in lists of at least so many lines. Which pages are read together depends on nothing but the pages, so that
    a run that goes on after another reads them in the same batches, and equally.
    """
    chunk: list[PreparedPage] = []
    waiting = 0
    for page in pages:
        chunk.append(page)
        waiting += number_of_lines(page)
        if waiting >= lines:
            yield chunk
            chunk, waiting = [], 0
    yield chunk


def number_of_lines(page: PreparedPage) -> int:
    """Lines of a page that are read, or were."""
    return len(page.to_read) + sum(line.confidence is not None for line in page.transcribed.lines)


def with_lines_again(page: PreparedPage, recognizer: HTRConvTextPipeline, options: ReadingOptions) -> PreparedPage:
    """A page that was kept, with its lines to be read again, together with those that they were read with."""
    if not page.is_kept:
        return page
    return prepare_page(page.transcribed.source, recognizer, options, page.transcribed.software)


def read_chunks(
    chunks: Iterable[list[PreparedPage]],
    readers: LineReaders,
    options: ReadingOptions,
) -> Iterator[tuple[TranscribedPage, bool]]:
    """Pages with the readings of their lines, and whether they were kept; readers have the next chunk by then."""
    begun: deque[tuple[list[PreparedPage], list[bool], Callable[[], list[Reading]]]] = deque()
    for chunk in chunks:
        was_kept = [page.is_kept for page in chunk]
        if any(page.to_read for page in chunk):
            chunk = [with_lines_again(page, readers.recognizer, options) for page in chunk]
        begun.append((chunk, was_kept, readers.start([line.prepared for page in chunk for line in page.to_read])))
        if len(begun) > CHUNKS_AHEAD:
            yield from finished(*begun.popleft(), options)
    while begun:
        yield from finished(*begun.popleft(), options)


def finished(
    chunk: Sequence[PreparedPage],
    was_kept: Sequence[bool],
    finish: Callable[[], list[Reading]],
    options: ReadingOptions,
) -> Iterator[tuple[TranscribedPage, bool]]:
    """The pages of a chunk once their lines are read."""
    readings = iter(finish())
    for page, is_kept in zip(chunk, was_kept, strict=True):
        lines = list(page.transcribed.lines)
        for line in page.to_read:
            lines[line.place] = with_reading(lines[line.place].line, line, next(readings), options)
        yield page.transcribed._replace(lines=tuple(lines)), is_kept


def with_reading(line: PageLine, cut: LineToRead, reading: dict[str, Any], options: ReadingOptions) -> TranscribedLine:
    confidence = round(reading["score"], DECIMALS)
    height = cut.prepared.target_size[0]
    words = tuple(
        Word(word["word"], round(word["score"], DECIMALS), cut.placement.part(word["start"], word["end"], height))
        for word in reading["words"]
    )
    return TranscribedLine(line, reading["text"], confidence, words, is_doubtful(confidence, options))


def is_doubtful(confidence: float | None, options: ReadingOptions) -> bool:
    return options.threshold is not None and confidence is not None and confidence < options.threshold


# Preparing


def prepare_pages(
    sources: Sequence[PageSource],
    recognizer: HTRConvTextPipeline,
    options: ReadingOptions,
    software: str,
    num_workers: int | None,
    kept: KeptPages | None,
) -> Iterator[PreparedPage]:
    """Pages with their lines cut out, in order; threads prepare some ahead, whatever the network does meanwhile."""
    workers = num_workers or min(8, os.cpu_count() or 1)
    waiting: deque[Future[PreparedPage]] = deque()
    remaining = iter(sources)
    changing = threading.RLock()

    def has_room() -> bool:
        done = [page.result() for page in waiting if page.done()]
        lines = sum(max(1, number_of_lines(page)) for page in done)
        return len(waiting) - len(done) < PAGES_AHEAD * workers and lines < LINES_AHEAD

    def go_on(_: Future[PreparedPage] | None = None) -> None:
        with changing:
            while has_room() and (source := next(remaining, None)) is not None:
                waiting.append(pool.submit(prepare_page, source, recognizer, options, software, kept))
                waiting[-1].add_done_callback(go_on)

    with ThreadPoolExecutor(workers) as pool:
        try:
            go_on()
            while waiting:
                page = waiting[0].result()
                with changing:
                    waiting.popleft()
                    go_on()
                yield page
        finally:
            with changing:
                remaining = iter(())


def prepare_page(
    source: PageSource,
    recognizer: HTRConvTextPipeline,
    options: ReadingOptions,
    software: str,
    kept: KeptPages | None = None,
) -> PreparedPage:
    """A page with its lines cut out; whatever keeps it from being read is its error."""
    done = kept.read(source) if kept is not None else None
    if done is not None:
        return PreparedPage(done, [], is_kept=True)
    try:
        with one_large_picture(source):
            return cut_page(source, recognizer, options, software)
    except Exception as error:  # A page must not cost the others, whatever its parsers meet.
        known = isinstance(error, ValueError | OSError | ImportError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        return PreparedPage(TranscribedPage(source, Page(source.image.name, 0, 0, []), (), software, error=reason), [])


# Threads that open large pictures wait for each other.
LARGE_PICTURES = threading.Lock()


@contextlib.contextmanager
def one_large_picture(source: PageSource) -> Iterator[None]:
    size = image_size(source.image)
    if size is None or size[0] * size[1] <= LARGE_PICTURE:
        yield
        return
    with LARGE_PICTURES:
        yield


def cut_page(
    source: PageSource, recognizer: HTRConvTextPipeline, options: ReadingOptions, software: str
) -> PreparedPage:
    page, picture, warning = load_page(source, options.dpi)
    odd = [oddity for oddity in (warning, *page.warnings, *page.problems) if oddity]
    if not is_xml(source):
        found = lines_of_image(picture, recognizer, options)
        if isinstance(found, PreparedLine):
            one = page_of_one_line(TranscribedPage(source, page, (), software), found)
            if is_wanted(one.transcribed.page.lines[0], options):
                return one
            found = one.transcribed.page.lines
        page = page._replace(lines=found)
    wanted = [line for line in page.lines if is_wanted(line, options)]
    if not wanted:
        types = "of the regions or tags that are to be read" if page.lines else "in its XML" if is_xml(source) else ""
        odd.append(f"there are no lines {types or 'to be found on it'}")
    read = [cut_one(place, line, picture, page, recognizer, options) for place, line in enumerate(wanted)]
    lines, to_read = tuple(line for line, _ in read), [cut for _, cut in read if cut is not None]
    odd += dict.fromkeys(cut.warning for cut in to_read if cut.warning)
    return PreparedPage(TranscribedPage(source, page._replace(lines=wanted), lines, software, tuple(odd)), to_read)


def lines_of_image(
    picture: Image.Image, recognizer: HTRConvTextPipeline, options: ReadingOptions
) -> list[PageLine] | PreparedLine:
    """The lines on an image without XML; or the image itself, prepared for the network, if it is one line."""
    if options.images == "lines":
        return recognizer.prepare(picture, is_one_line=True)
    # Capitals are no more letters: a Hebrew model may know all that foreign names are written with.
    leftwards = mainly_right_to_left("".join(set(recognizer.processor.tokenizer.alphabet.casefold())))
    if options.images == "pages":
        return find_lines(picture, leftwards)
    prepared, is_long = None, picture.width >= LINE_ASPECT * picture.height
    with contextlib.suppress(ValueError):  # Several lines, or nothing that could be one.
        prepared = recognizer.prepare(picture)
    if prepared is not None and (is_long or picture.height < LINE_HEIGHT):
        return prepared
    if not is_long and is_squat_line(to_grey(picture)):
        return recognizer.prepare(picture, is_one_line=True)
    lines = find_lines(picture, leftwards)
    heights = [bottom - top for _, top, _, bottom in (line.box for line in lines)]
    is_all = len(lines) == 1 and heights[0] >= WHOLE_IMAGE * picture.height
    return prepared if prepared is not None and is_all else lines


def page_of_one_line(transcribed: TranscribedPage, prepared: PreparedLine) -> PreparedPage:
    """A page that is a line's image."""
    page = transcribed.page
    corners: list[Point] = [(0, 0), (page.width, 0), (page.width, page.height), (0, page.height)]
    line = PageLine("line_1", "region_1", LineText(), corners, [])
    placement = Placement(np.eye(2, 3), (1.0, 1.0), corners)
    transcribed = transcribed._replace(page=page._replace(lines=[line]), lines=(TranscribedLine(line, ""),))
    return PreparedPage(transcribed, [LineToRead(0, prepared, placement)])


def is_wanted(line: PageLine, options: ReadingOptions) -> bool:
    """Whether a line is of a type or tag that is to be read."""
    tags = {tag.casefold() for tag in line.tags}
    regions, left_out = ({name.casefold() for name in names} for names in (options.regions, options.leave_out))
    return not tags & left_out and (not regions or bool(tags & regions))


def unknown_types(sources: Iterable[PageSource], options: ReadingOptions) -> Iterator[Problem]:
    """The types and tags that are to be read or left out, but that no line of any page has."""
    if not (options.regions or options.leave_out):
        return
    documents = {source.document for source in sources if is_xml(source)}
    lines = (line for document in documents for page in read_pages(document) for line in page.lines)
    known = {tag.casefold(): tag for line in lines for tag in line.tags}
    there = f"there are {', '.join(sorted(known.values()))}" if known else "no line has any"
    for name in (*options.regions, *options.leave_out):
        if name.casefold() not in known:
            yield Problem(name, f"no line is of this type or tag; {there}", False)


def cut_one(
    place: int,
    line: PageLine,
    picture: Image.Image,
    page: Page,
    recognizer: HTRConvTextPipeline,
    options: ReadingOptions,
) -> tuple[TranscribedLine, LineToRead | None]:
    """A line, and what the network reads of it; None if it keeps its text or cannot be read."""
    told = line.transcription
    if options.only_missing and (told.text.strip() or told.problem):
        doubtful = is_doubtful(told.confidence, options)
        return TranscribedLine(line, told.text, doubtful=doubtful, problem=told.problem), None
    size = (page.width, page.height)
    if problem := line.problem or wrong_outline(line.polygon, *size):
        return TranscribedLine(line, "", problem=problem), None
    try:
        cut, warning = plan_cut(line, size, right_to_left(recognizer.processor.tokenizer.alphabet))
        image, placement = cut_and_place(picture, cut, options.crop)
        prepared = recognizer.prepare(image, is_one_line=True)
        return TranscribedLine(line, ""), LineToRead(place, prepared, placement, warning)
    except (ValueError, OSError) as error:
        return TranscribedLine(line, "", problem=f"cannot be read ({error})"), None

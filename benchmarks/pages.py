# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Speed and memory of transcribe.py, model loaded, over pages of 40 drawn lines with their PAGE XML, and over images of
single lines. What is timed is everything from files to files: images decoded, lines cut out and read, pages kept, PAGE
XML and text written.

Beside it is the network's own time for a line, of lines that are ready as arrays of pixels: batches of one width as
transcribe makes them, through the network to its logits, and nothing else running. "One by one" are batches one after
the other, each with all threads of PyTorch, which is how the line pipeline runs them. "Side by side" are batches in as
many threads as transcribe reads in, which is as fast as this processor can be: the ratio to it is what all the rest
costs. A line that is read in several parts counts as one line.

python -m htr_convtext.benchmarks.pages --model hub_upload/htr-convtext-fr --pages 100 --line_images 1000
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFont

from .. import HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor
from ..console import at_least_one
from ..line_datasets.rendering import FONT_SIZE, HEIGHT, draw_hand, draw_line
from ..pages import LineText, Page, PageLine, PageSource, ReadingOptions, TranscribedPage, find_pages
from ..pages.geometry import Point
from ..pages.kept_pages import KeptPages
from ..pages.line_readers import LineReaders, alike
from ..pages.outputs import write_document
from ..pages.results import documents_of, write_as_read
from ..pages.transcript import TranscribedLine
from ..pages.transcription import BATCH_SIZE, BATCHES_TO_SORT, prepare_page, transcribe
from ..pipeline_htr_convtext import PreparedLine
from .runs import ROOT, markdown_table, peak_memory
from .timing import machine, measure

LINES_OF_A_PAGE, PITCH, MARGIN = 40, 110, 60
MARKS = (0.25, 0.5, 1.0)  # of the pages, after which the peak of the memory is told
ROUNDS, MANY = 3, 1000
LINES = ReadingOptions(images="lines")
NETWORK = ("network one by one", "network side by side")
HEADER = ("", "a second", "lines/s", "ms a line", *(f"{name}{what}" for name in NETWORK for what in ("", ", ratio")))
HEADER += (f"minutes for {MANY}",)
# Drawn letters are wide. At half their width lines are some nine times as long as high, as those of real pages are.
NARROWER = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--pages", type=at_least_one, default=100, help="each of 40 lines")
    parser.add_argument("--line_images", type=at_least_one, default=1000)
    options = parser.parse_args()
    processor = HTRConvTextProcessor.from_pretrained(options.model)
    recognizer = HTRConvTextForCTC.from_pretrained(options.model).optimize_for_inference().as_pipeline(processor)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_inputs(folder, options.pages, options.line_images)
        rows = [time_folder(folder / kind, recognizer) for kind in ("pages", "line images")]
        page = find_pages([folder / "pages" / "0.xml"]).sources
        seconds = measure({"page": lambda: list(transcribe(page, recognizer))}, ROUNDS)["page"]
    peaks = f"peak memory in MiB after {' / '.join(f'{mark:.0%}' for mark in MARKS)}"
    print(*markdown_table([*HEADER, peaks], rows), sep="\n")
    print(f"One page of {LINES_OF_A_PAGE} lines: {statistics.median(seconds):.2f} s. {machine()}")


def draw_inputs(folder: Path, pages: int, line_images: int) -> None:
    """Pages and line images, all of the same lines: the texts of the examples, each line in a hand of its own."""
    texts = [path.read_text(encoding="utf-8").strip() for path in sorted((ROOT / "examples").glob("*.txt"))]
    rng, font = np.random.default_rng(0), ImageFont.load_default(FONT_SIZE)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's font is one wherever a size is given.
    wide = [draw_line((texts[n % len(texts)], "", ""), font, draw_hand(rng), rng) for n in range(LINES_OF_A_PAGE)]
    drawn = [line.resize((line.width // NARROWER, line.height)) for line in wide]
    for kind in ("pages", "line images"):
        (folder / kind).mkdir()
    for number in range(line_images):
        drawn[number % len(drawn)].save(folder / "line images" / f"{number}.jpg")
    for number in range(pages):
        write_page(folder / "pages" / f"{number}.jpg", drawn)


def write_page(path: Path, lines: list[Image.Image]) -> None:
    """A page's image and its PAGE XML."""
    size = (max(line.width for line in lines) + 2 * MARGIN, PITCH * len(lines) + 2 * MARGIN)
    picture, told = Image.new("L", size, 220), []
    for number, line in enumerate(lines):
        left, top = MARGIN, MARGIN + PITCH * number
        right, bottom = left + line.width, top + HEIGHT
        picture.paste(line, (left, top))
        outline: list[Point] = [(left, top), (right, top), (right, bottom), (left, bottom)]
        baseline: list[Point] = [(left, bottom - 20), (right, bottom - 20)]
        told.append(PageLine(f"l{number}", "r", LineText(), outline, baseline))
    picture.save(path)
    source = PageSource(path.stem, path, 0, path, document_name=path.stem)
    read = tuple(TranscribedLine(line, "") for line in told)
    write_document([TranscribedPage(source, Page(path.name, *size, told), read, "")], ["page"], path.parent)
    path.with_suffix(".page.xml").rename(path.with_suffix(".xml"))


def time_folder(folder: Path, recognizer: HTRConvTextPipeline) -> list[str]:
    """A row of the table: reading a folder and writing PAGE XML and plain text, against the network by itself."""
    sources, output = find_pages([folder]).sources, folder.with_name(f"{folder.name}, read")
    marks = {max(1, round(mark * len(sources))) for mark in MARKS}
    kept, lines, peaks, started = KeptPages(output, {}), 0, [], time.perf_counter()
    pages = transcribe(sources, recognizer, LINES, kept=kept)
    written = write_as_read(pages, documents_of(sources), ["page", "txt"], output, kept)
    for number, (page, problems) in enumerate(written, 1):
        assert not problems, problems
        lines += len(page.lines)
        if number in marks:
            peaks.append(f"{peak_memory():.0f}")
    seconds = time.perf_counter() - started
    rates = [len(sources) / seconds, lines / seconds, 1e3 * seconds / lines]
    for own in network_seconds(sources, recognizer):
        rates += [1e3 * own, seconds / lines / own]
    many = MANY * seconds / len(sources) / 60
    return [f"{len(sources)} {folder.name}", *(f"{rate:.2f}" for rate in (*rates, many)), " / ".join(peaks)]


def network_seconds(sources: list[PageSource], recognizer: HTRConvTextPipeline) -> list[float]:
    """What the network by itself takes for a line, of as many lines as are read together: in each of two ways."""
    lines: list[PreparedLine] = []
    for source in sources:
        if len(lines) < BATCHES_TO_SORT * BATCH_SIZE:
            lines += [line.prepared for line in prepare_page(source, recognizer, LINES, "").to_read]
    with LineReaders(recognizer, BATCH_SIZE, None) as readers:
        batches = [[part for i in batch for part in lines[i].parts] for batch in alike(lines, readers.batch_size)]

        parts = [part for line in lines for part in line.parts]
        run = torch.inference_mode()(recognizer.logits_of)
        ways = dict(
            zip(NETWORK, (lambda: run(parts, BATCH_SIZE), lambda: list(readers.pool.map(run, batches))), strict=True)
        )
        seconds = measure(ways, ROUNDS)
    return [statistics.median(seconds[name]) / len(lines) for name in NETWORK]


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Character error rates of whole pages: with the lines that their PAGE XML or ALTO tells, and from the bare images.

python -m htr_convtext.benchmarks.page_reading pages/ --model hub_upload/htr-convtext-fr
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jiwer
from PIL import Image

from .. import HTRConvTextForCTC, HTRConvTextProcessor
from ..pages import (
    CropOptions,
    ReadingOptions,
    TranscribedPage,
    cut_line,
    open_source,
    plan_cut,
    transcribe,
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", help="folders of PAGE XML or ALTO with texts and images")
    parser.add_argument("--model", required=True, help="folder of the model")
    options = parser.parse_args(arguments)
    processor = HTRConvTextProcessor.from_pretrained(options.model)
    recognizer = HTRConvTextForCTC.from_pretrained(options.model).as_pipeline(processor)
    told = [page for page in transcribe(options.inputs, recognizer) if any(line.line.text for line in page.lines)]
    bare = read_bare(told, recognizer)
    print("| page | lines told | found | CER by line | line pipeline's | page, lines told | page, lines found |")
    print("|---|---|---|---|---|---|---|")
    rows = [row(page, found, recognizer) for page, found in zip(told, bare, strict=True)]
    for name, counts, errors in [*rows, total(rows)]:
        rates = [f"{100 * wrong / max(length, 1):.2f}" for wrong, length in errors]
        print(f"| {' | '.join([name, *map(str, counts), *rates])} |")


def read_bare(pages: Sequence[TranscribedPage], recognizer) -> list[TranscribedPage]:
    """The pages from copies of their images, without the XML."""
    with tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(pages):
            shutil.copy(page.source.image, Path(folder, f"{number:04d}{page.source.image.suffix}"))
        return list(transcribe(folder, recognizer, ReadingOptions(images="pages")))


def row(page: TranscribedPage, found: TranscribedPage, recognizer) -> tuple[str, list[int], list[tuple[int, int]]]:
    """A page's name, its lines told and found, and errors and characters of each column."""
    lines = [line for line in page.lines if line.line.text.strip()]
    truth = [line.line.text for line in lines]
    picture, size = open_source(page.source, page.page), (page.page.width, page.page.height)
    crops = [cut_line(picture, plan_cut(line.line, size)[0], CropOptions()) for line in lines]
    piped = [read_line(crop, recognizer) for crop in crops]
    by_line = [line.text for line in lines]
    errors = [
        distance(truth, by_line),
        distance(truth, piped),
        distance([" ".join(truth)], [" ".join(by_line)]),
        distance([" ".join(truth)], [" ".join(line.text for line in found.lines if line.text)]),
    ]
    return page.source.name, [len(page.lines), len(found.lines)], errors


def read_line(crop: Image.Image, recognizer) -> str:
    """A line as the pipeline reads it by itself, also where it looks like several."""
    (reading,) = recognizer(crop, on_error="skip")
    (reading,) = recognizer(crop, check_lines=False) if "error" in reading else (reading,)
    return reading["generated_text"]


def distance(truth: Sequence[str], read: Sequence[str]) -> tuple[int, int]:
    """Characters that are wrong, and characters in all."""
    counted = jiwer.process_characters(list(truth), list(read))
    wrong = counted.substitutions + counted.deletions + counted.insertions
    return wrong, sum(map(len, truth))


def total(rows) -> tuple[str, list[int], list[tuple[int, int]]]:
    counts = [sum(column) for column in zip(*(row[1] for row in rows), strict=True)]
    columns = zip(*(row[2] for row in rows), strict=True)
    errors = [(sum(wrong for wrong, _ in column), sum(told for _, told in column)) for column in columns]
    return "all", counts, errors


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Lines that transcribe.py read, as a dataset of the Hub to be corrected: image, text, confidence.

    python -m htr_convtext.line_datasets.push_readings read --license cc-by-4.0 --folder hub_readings
    python -m htr_convtext.line_datasets.push_readings read --license cc-by-4.0 --folder hub_readings \\
        --repo_id OWNER/NAME --private

`read` is the `--output` of transcribe.py, and the pictures are where they were. Once its texts are corrected,
`load_lines("lines", data_dir="hub_readings")` reads the dataset as lines to train on.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Features, Value
from datasets.exceptions import DatasetGenerationError

from ..console import print_any_character
from ..pages import CropOptions, TranscribedLine, TranscribedPage, cut_line, open_source, plan_cut
from ..pages.geometry import any_right_to_left
from ..pages.kept_pages import FOLDER, crop_of, page_from_json
from .formats.page_folders import as_png
from .labels import normalize_text
from .line import FEATURES
from .problems import generation_failed
from .push import add_target_arguments, upload_if_asked, write_folder

READ_FEATURES = Features({**FEATURES, "confidence": Value("float64"), "doubtful": Value("bool")})
MADE = (
    "Read by {software}, not corrected. `confidence` is how sure the reading is, from 0 to 1; `doubtful` lines are "
    "those below what was asked for."
)


def main(arguments: list[str] | None = None) -> int:
    """Writes the folder and uploads it; status 1 if there are no readings, or a picture of theirs is gone."""
    print_any_character()
    parser = argparse.ArgumentParser(
        prog="python -m htr_convtext.line_datasets.push_readings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("output", type=Path, help="folder that transcribe.py wrote to")
    add_target_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        lines, software = load_readings(options.output)
        folder = write_folder(DatasetDict(train=lines), MADE.format(software=software), options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    upload_if_asked(folder, options)
    return 0


def load_readings(output: Path) -> tuple[Dataset, str]:
    """
    The lines that were read, with the columns of [`load_lines`] and `confidence` and `doubtful`, and what read them.

    Raises:
        ValueError: If there are none.
        OSError: If the picture of a page is not where it was, or the cache of `datasets` is full.
    """
    files = sorted((output / FOLDER).rglob("*.json"))
    software = {page.software: None for page, _ in map(kept_page, files) if any(map(was_read, page.lines))}
    if not software:
        raise ValueError(f"{output}: no lines that transcribe.py read; is it the folder of its --output?")
    stamps = [path.stat().st_mtime_ns for path in files]  # Else `datasets` would take the lines of an earlier time.
    made_of = {"files": tuple(files), "stamps": tuple(stamps)}
    try:
        lines = Dataset.from_generator(all_rows, features=READ_FEATURES, gen_kwargs=made_of)
    except DatasetGenerationError as error:
        raise generation_failed(output, error) from error
    return lines, "; ".join(software)


def kept_page(path: Path) -> tuple[TranscribedPage, CropOptions]:
    """A page that was read, and how its lines were cut out."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return page_from_json(content["page"]), crop_of(content)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a page as this version of transcribe.py keeps it; read it again") from error


def was_read(line: TranscribedLine) -> bool:
    return line.confidence is not None and bool(line.text)


def all_rows(files: tuple[Path, ...], stamps: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    for path in files:
        yield from page_rows(*kept_page(path))


def page_rows(page: TranscribedPage, crop: CropOptions) -> Iterator[dict[str, Any]]:
    """The lines of a page that were read and say something, as the network saw them."""
    lines = [(number, line) for number, line in enumerate(page.lines) if was_read(line)]
    if not lines:
        return
    picture = open_source(page.source, page.page)
    size = (page.page.width or picture.width, page.page.height or picture.height)
    leftwards = any_right_to_left(line.text for line in page.lines)
    for number, line in lines:
        cut, _ = plan_cut(line.line, size, leftwards)
        yield {
            "image": {"bytes": as_png(cut_line(picture, cut, crop)), "path": None},
            "text": normalize_text(line.text),
            "line_id": f"{page.source.name}_{number:03d}",
            "source": page.source.document_name,
            "page": page.source.name,
            "writer": None,
            "confidence": round(line.confidence or 0.0, 4),
            "doubtful": line.doubtful,
        }


if __name__ == "__main__":
    sys.exit(main())

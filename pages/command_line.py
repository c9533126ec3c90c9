# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of transcribe.py."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..console import at_least_one, folder_to_write
from ..language_model_htr_convtext import DECODER_FOLDER
from .cropping import CROPS, CropOptions
from .outputs import COLLECTION_FORMATS, DOCUMENT_FORMATS
from .transcription import BATCH_SIZE, IMAGES, ReadingOptions

PROGRAM = "transcribe.py"
BACKENDS = ("torch", "openvino", "onnx")
# What transformers' exporters write beside a network.
EXPORT_MANIFEST = "export.json"
DTYPES = ("float32", "bfloat16", "float16")
DEFAULT_FORMATS = ("page", "txt")


def parse_arguments(description: str | None, arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with `reading`, the [`ReadingOptions`] made of them, and `mode`: "resume", "overwrite" or "new"."""
    parser = argparse.ArgumentParser(
        PROGRAM, description=description, formatter_class=ParagraphsAndDefaults, allow_abbrev=False
    )
    add_files_options(parser)
    add_reading_options(parser)
    add_running_options(parser)
    options = parser.parse_args(arguments)
    options.mode = "resume" if options.resume else "overwrite" if options.overwrite else "new"
    try:
        options.backend = choose_backend(options.backend, options.model)
        options.reading = reading_options(options)
    except ValueError as error:
        parser.error(str(error))
    return options


class ParagraphsAndDefaults(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Help with the description as it is written, and the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default not in (None, False, []) else action.help


def add_files_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files and folders, searched to any depth")
    parser.add_argument("--model", required=True, help="folder of the model, or its name on the Hub")
    parser.add_argument("--output", type=folder_to_write, required=True, help="folder of the results")
    formats = (*DOCUMENT_FORMATS, *COLLECTION_FORMATS)
    parser.add_argument("--format", nargs="+", choices=formats, default=list(DEFAULT_FORMATS), help="what to write")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="go on where an earlier run into OUTPUT ended")
    existing.add_argument("--overwrite", action="store_true", help="replace files that are in OUTPUT already")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    defaults = ReadingOptions()
    group = parser.add_argument_group("what to read")
    group.add_argument("--images", choices=IMAGES, default=defaults.images, help="what images without XML are")
    group.add_argument("--only_missing", action="store_true", help="read only lines without a text, keep the others")
    group.add_argument("--regions", nargs="+", default=[], metavar="TYPE", help="read only these types or tags")
    group.add_argument("--leave_out", nargs="+", default=[], metavar="TYPE", help="leave these types or tags out")
    group.add_argument(
        "--threshold", type=float, metavar="CONFIDENCE", help="lines below it are doubtful (html, csv, jsonl)"
    )
    group.add_argument("--crop", choices=CROPS, default=defaults.crop.crop, help="how lines are cut out of pages")
    group.add_argument("--dpi", type=float, default=defaults.dpi, help="resolution of PDF pages that are no scans")


def add_running_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to run")
    group.add_argument("--backend", choices=BACKENDS, help="what runs the network; default: what the model is for")
    group.add_argument("--dtype", choices=DTYPES, default=DTYPES[0], help="type to compute in")
    group.add_argument("--language_model", metavar="DIR", help="beam search with this decoder, or that of a model")
    group.add_argument(
        "--batch_size", type=at_least_one, default=BATCH_SIZE, help="lines that the network has at once"
    )
    group.add_argument(
        "--num_workers", type=at_least_one, help="threads that prepare pages; default: one for each processor"
    )


def reading_options(options: argparse.Namespace) -> ReadingOptions:
    return ReadingOptions(
        images=options.images,
        crop=CropOptions(options.crop),
        only_missing=options.only_missing,
        regions=tuple(options.regions),
        leave_out=tuple(options.leave_out),
        threshold=options.threshold,
        dpi=options.dpi,
    )


def choose_backend(wanted: str | None, model: str) -> str:
    """
    What runs the network: what was asked for, or else what the model is for.

    Raises:
        ValueError: If the model is for another.
    """
    stored = stored_backend(model)
    if wanted and stored and wanted != stored:
        raise ValueError(
            f"--backend {wanted}: {model} is for {stored}; python -m htr_convtext.export.convert makes one for another"
        )
    return wanted or stored or BACKENDS[0]


def stored_backend(model: str) -> str:
    """What runs the network in a folder; "" where there is no such folder, but perhaps a name on the Hub."""
    manifest = Path(model, EXPORT_MANIFEST)
    try:
        return json.loads(manifest.read_text(encoding="utf-8"))["export_format"]
    except FileNotFoundError:
        return BACKENDS[0] if Path(model).is_dir() else ""
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{manifest} does not name an export format: {error}; export the model again") from error


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """What the reading of a page depends on beside the page; not how it is written."""
    folders = [Path(options.model)]
    if options.language_model is not None:
        folders += [Path(options.language_model), Path(options.language_model) / DECODER_FOLDER]
    files = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if path.is_file()]
    stamps = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    chosen = {name: getattr(options, name) for name in ("model", "language_model", "backend", "dtype", "batch_size")}
    return {**chosen, "files": stamps, "reading": dataclasses.asdict(options.reading)}

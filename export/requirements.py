# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the commands need and may lack, said in one sentence: folders of models and of lines."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..console import errors_as_sentences
from ..extras import needing

if TYPE_CHECKING:
    from datasets import Dataset

Loaded = TypeVar("Loaded")
WRITTEN_BY = {
    "--model": "Name the folder of a model, such as hub_upload/htr-convtext-fr or the --output_dir of a training.",
    "--exported": "Name a folder that python -m htr_convtext.export.convert --output wrote.",
}


def load_or_exit(option: str, name: str, load: Callable[[str], Loaded]) -> Loaded:
    """
    Loads what an option of a command names: a folder, or a repository of the Hub.

    Raises:
        SystemExit: If it cannot be loaded.
    """
    try:
        with errors_as_sentences(f"{option} {name}", ValueError):
            return load(name)
    except OSError as error:
        if Path(name).exists():
            found = f"nothing that can be loaded is there ({str(error).splitlines()[0]})"
        else:
            found = "no such folder, and no repository of the Hub that can be reached"
        raise SystemExit(f"{option} {name}: {found}. {WRITTEN_BY[option]}") from error


def check_dataset_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends the command if they are given without lines."""
    for name in ("dataset", "dataset_option"):
        if getattr(options, name) != parser.get_default(name) and not options.data_dir:
            parser.error(f"--{name} says how the lines of --data_dir are read. Name their folder, too.")


def load_split_or_exit(dataset: str, folder: str, split: str, options: Sequence[str] = ()) -> "Dataset":
    """
    A split of a dataset's folder, read with the "NAME=VALUE" options of a training's `--dataset_option`.

    Raises:
        SystemExit: If the folder cannot be loaded or has no such split.
    """
    with needing("Lines", "train,export"):
        from ..line_datasets import LineDataError, load_lines
        from ..line_datasets.command_line import named_options

    try:
        splits = load_lines(dataset, data_dir=folder, **named_options(list(options)))
    except (FileNotFoundError, LineDataError) as error:
        raise SystemExit(f"--data_dir {error}") from error
    except ValueError as error:
        raise SystemExit(f"--dataset {dataset}: {error}") from error
    if split not in splits:
        raise SystemExit(f"--data_dir {folder}: there is no split {split!r}; there are {', '.join(splits)}.")
    return splits[split]

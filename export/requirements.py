# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the commands need and may lack, said in one sentence: folders of models and of lines."""

from collections.abc import Callable
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


def load_split_or_exit(folder: str, split: str, max_lines: int | None = None) -> "Dataset":
    """
    Lines of a split of a folder, evenly spread if not all.

    Raises:
        SystemExit: If the folder cannot be loaded or has no such split.
    """
    with needing("Lines", "train,export"):
        from ..line_datasets.loading import evenly_spread, load_lines

    try:
        splits = load_lines("lines", data_dir=folder)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"--data_dir {error}") from error
    if split not in splits:
        raise SystemExit(f"--data_dir {folder}: there is no split {split!r}; there are {', '.join(splits)}.")
    return splits[split] if max_lines is None else evenly_spread(splits[split], max_lines)

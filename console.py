# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What commands have in common: where they write, how they end, which lines they take. It is free to import."""

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def print_any_character() -> None:
    """
    Lets standard output write `\\u22ce` for a character that its encoding lacks, as on Windows where it is cp1252,
    instead of failing at it. Standard error does so by itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def errors_as_sentences(program: str, *kinds: type[Exception]) -> Iterator[None]:
    """
    Around a command, whose foreseen errors end it with one line instead of a traceback.

    Args:
        program: Name of the command.
        kinds: Errors that say what is wrong.

    Raises:
        SystemExit: With the command's name and the error's message.
    """
    try:
        yield
    except kinds as error:
        raise SystemExit(f"{program}: {' '.join(str(error).split())}") from error


@contextmanager
def only_writer(folder: Path, lock_file: str, what: str, option: str) -> Iterator[None]:
    """
    Around a run, to whose folder no other may write meanwhile. The lock ends with the process, however it ends.

    Args:
        folder: The folder, which is made.
        lock_file: Name of a file in it that says so; it goes with the run.
        what: What runs.
        option: The option that names the folder.

    Raises:
        ValueError: If another run is writing to the folder.
        OSError: If it cannot be written to.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / lock_file).acquire(timeout=0)
    except Timeout as error:
        there = f"Another {what} is writing to {folder}"
        raise ValueError(f"{there}. Choose another {option}, or wait for its end.") from error
    except OSError as error:
        raise OSError(f"{option} {folder} cannot be written to: {error}") from error
    with lock:
        yield


def at_least_one(text: str) -> int:
    """The value of an option that counts something; a `type` for argparse."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number. Got {text}.") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Got {text}.")
    return number


def folder_to_write(text: str) -> Path:
    """The value of an option that names a folder, new or not; a `type` for argparse."""
    # os.path answers for names that are too long for the disk, too; Path raises OSError.
    if os.path.exists(text) and not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text} is a file. Name a folder.")
    return Path(text)


def hub_errors() -> tuple[type[Exception], ...]:
    """What an upload raises where the Hub refuses it or cannot be reached."""
    from huggingface_hub.errors import HfHubHTTPError

    # Its bases are OSError and what the library for the network raises, which huggingface_hub has changed twice.
    return (ValueError, *HfHubHTTPError.__bases__)


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what the folders of `--data_dir` hold, by the names that training has for them."""
    parser.add_argument("--dataset", default="lines", help="what load_lines knows; default: lines")
    parser.add_argument(
        "--dataset_option",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="those that the model was trained with, such as normal_form=NFD",
    )

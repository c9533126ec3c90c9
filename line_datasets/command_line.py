# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the commands on lines have in common: which lines."""

import argparse
import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..console import at_least_one
from .loading import SOURCES


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which lines to load."""
    parser.add_argument("name", type=known_source, help=", ".join(SOURCES))
    parser.add_argument("--data_dir", action="extend", nargs="+", help="folder or several; default: a copy on the Hub")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="option of load_lines")
    parser.add_argument("--num_proc", type=at_least_one, help="processes that make the cache")


def known_source(name: str) -> str:
    if name in SOURCES:
        return name
    if Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name} is a folder, whose name goes elsewhere: lines --data_dir {name}")
    advice = did_you_mean(name, SOURCES)
    raise argparse.ArgumentTypeError(f"there is no dataset {name!r}{advice}; known are {', '.join(SOURCES)}")


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {prefix}{close[0]}?)" if close else ""


def source_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of [`load_lines`] but for the name."""
    return {"data_dir": options.data_dir, "num_proc": options.num_proc, **named_options(options.option)}


def named_options(options: list[str]) -> dict[str, Any]:
    """
    Options from "NAME=VALUE"; a value is a number, true or false (in any case), or else a text.

    Raises:
        ValueError: If one is no option of a dataset but says which dataset, or asks for streaming, with which nobody
            knows how many lines there are.
    """
    named: dict[str, Any] = {}
    for name, _, value in (option.partition("=") for option in options):
        if name in ("name", "data_dir"):
            raise ValueError(f"{name}={value} is no option of a dataset; the command has an argument for it.")
        if name == "streaming":
            raise ValueError(f"{name}={value} is for load_lines in Python; this command needs all lines.")
        try:
            named[name] = json.loads(value.lower() if value.lower() in ("true", "false") else value)
        except json.JSONDecodeError:
            named[name] = value
    return named

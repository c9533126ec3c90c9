# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes of their own: trainings by train_hf.py, and what measures its memory; the tables made of them."""

import argparse
import json
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KIBIBYTES_IN_MIB = 1024


def parse_run_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Options of a command that trains; `train_options` are those behind `--`, which go to every training."""
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="file of the table (Markdown), written anew")
    arguments, train_options = sys.argv[1:], []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, train_options = arguments[:place], arguments[place + 1 :]
    return parser.parse_args(arguments, argparse.Namespace(train_options=train_options))


def claim(note: Path, made_of: str) -> None:
    """
    Notes in a run's folder what it is made of.

    Raises:
        SystemExit: If the folder is a run that is made of something else.
    """
    if note.exists() and note.read_text(encoding="utf-8") != made_of:
        raise SystemExit(
            f"{note.parent} is a run with other options or lines (see {note}). Choose another --output_dir."
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(made_of, encoding="utf-8")


def start(command: list[str], log: Path) -> None:
    """
    Runs a script of the checkout, or a module (`-m`), with this Python.

    Raises:
        SystemExit: If it ends with an error.
    """
    print("python", shlex.join(command), flush=True)
    script = [str(ROOT / command[0])] if command[0].endswith(".py") else command[:1]
    with log.open("w", encoding="utf-8") as file:
        failed = subprocess.run([sys.executable, *script, *command[1:]], stdout=file, stderr=subprocess.STDOUT)
    if failed.returncode:
        raise SystemExit(f"The run ended with an error; see {log}. Repeat the command to go on.")


def figures_of_process(module: str, *arguments: object) -> dict[str, float]:
    """Figures that a command, run as a process, prints as JSON in its last line."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def peak_memory() -> float:
    """Largest resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES_IN_MIB


def read_json(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def markdown_table(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def write_table(file: Path, lines: Iterable[str]) -> None:
    text = "\n".join(lines) + "\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    print(text)

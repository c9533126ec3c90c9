# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What each part of the recipe does to the error rate, every variant trained from scratch for the same CPU time.

    python -m htr_convtext.benchmarks.recipe --data_dir lines_a lines_b --output_dir runs --table t.md -- --sam_rho 0

Options behind `--` go to every training; each variant changes one of them. CPU time is that of the training process
with all its threads; nothing is evaluated until it is used up. Then the model (its average, where one is kept) reads
the validation lines of each folder. Runs that have finished are not run again, so that an interrupted command can be
repeated, and other --variants and --seeds join the table of the same --output_dir.
"""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

from ..training import error_rates
from .runs import (
    SCRIPT,
    TIMED,
    cpu_minutes,
    markdown_table,
    parse_run_options,
    read_json,
    read_predictions,
    start,
    write_table,
)
from .timing import machine

COMMAND_FILE = "command.txt"
READINGS = "validation_predictions.json"
VARIANTS: dict[str, list[str]] = {
    "base": [],
    "aspect": ["--keep_aspect_ratio", "true", "--image_width", "1024"],
    "sam": ["--sam_rho", "0.05"],
    "no-ema": ["--ema_decay", "0"],
    "no-tcm": ["--tcm_weight", "0"],
    "no-augmentation": ["--augment", "false"],
    "tiny": ["--size", "tiny"],
    "first-folder": [],
}
# Trained on the first data folder alone; like every variant it reads the validation lines of all.
SINGLE_SOURCE = {"first-folder"}


def main() -> None:
    options = parse_options()
    for seed in options.seeds:
        for variant in options.variants:
            run_variant(options, variant, seed)
            write_table(options.table, table(options))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True, help="folders of lines")
    parser.add_argument("--minutes", type=float, default=20, help="CPU minutes of each training")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[123])
    options = parse_run_options(parser)
    if len({Path(folder).name for folder in options.data_dir}) < len(options.data_dir):
        parser.error("the data folders' names must differ: the table tells them apart by name")
    return options


def run_variant(options: argparse.Namespace, variant: str, seed: int) -> None:
    """Trains a variant and reads every folder's validation lines with it, as far as that is not done yet."""
    folder = options.output_dir / f"{variant}-{seed}"
    command = train_command(options, variant, seed, folder)
    check_command(folder, command)
    if not (folder / "train_results.json").exists():
        start(command, folder / "train.log")
    device = ["--use_cpu"] if "--use_cpu" in options.train_options else []
    for source in options.data_dir:
        output = folder / Path(source).name
        if not (output / READINGS).exists():
            read = [
                "--do_eval",
                "--model_name_or_path",
                str(folder),
                "--data_dir",
                source,
                "--output_dir",
                str(output),
            ]
            start([*read, "--report_to", "none", *device], folder / "validation.log")


def train_command(options: argparse.Namespace, variant: str, seed: int, folder: Path) -> list[str]:
    sources = options.data_dir[:1] if variant in SINGLE_SOURCE else options.data_dir
    fixed = [*TIMED, *cpu_minutes(options.minutes), "--seed", str(seed)]
    return ["--data_dir", *sources, "--output_dir", str(folder), *fixed, *options.train_options, *VARIANTS[variant]]


def check_command(folder: Path, command: list[str]) -> None:
    """Refuses to take a run for another: a folder belongs to the options that it was begun with."""
    file = folder / COMMAND_FILE
    text = shlex.join(["python", SCRIPT.name, *command])
    if file.exists() and file.read_text(encoding="utf-8") != text + "\n":
        raise SystemExit(f"{folder} is a run with other options (see {file}). Choose another --output_dir.")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")


def table(options: argparse.Namespace) -> Iterator[str]:
    """The table of all finished runs, the lowest character error rate first, and their commands."""
    sources = [Path(folder).name for folder in options.data_dir]
    finished = [
        folder
        for folder in options.output_dir.glob("*-*")
        if all((folder / source / READINGS).exists() for source in sources)
    ]
    results = {folder: rates_of(folder, sources) for folder in finished}
    ranked = sorted(results, key=lambda folder: (results[folder][0], folder.name))
    yield f"Validation error rates (percent) after {options.minutes:g} CPU minutes from scratch, best first."
    yield f"{machine()}."
    yield ""
    header = ["variant", "seed", "steps", "lines", "CER", "WER", *(f"CER {source}" for source in sources)]
    rows = ([*progress_of(folder), *(f"{100 * rate:.2f}" for rate in results[folder])] for folder in ranked)
    yield from markdown_table(header, rows)
    yield ""
    yield from (f"    {(folder / COMMAND_FILE).read_text(encoding='utf-8').strip()}" for folder in ranked)


def rates_of(folder: Path, sources: list[str]) -> list[float]:
    """CER and WER of all lines, then the CER of each folder's."""
    read = {source: read_predictions(folder / source / READINGS) for source in sources}
    everything = rates([pair for pairs in read.values() for pair in pairs])
    return [everything["cer"], everything["wer"], *(rates(pairs)["cer"] for pairs in read.values())]


def rates(pairs: list[tuple[str, str]]) -> dict[str, float]:
    predictions, references = zip(*pairs, strict=True)
    return error_rates(list(predictions), list(references))


def progress_of(folder: Path) -> list[str]:
    """Variant, seed, steps and lines seen of a finished run."""
    variant, _, seed = folder.name.rpartition("-")
    training, state = read_json(folder / "train_results.json"), read_json(folder / "trainer_state.json")
    return [variant, seed, str(state["global_step"]), str(round(training["epoch"] * training["train_samples"]))]


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What an option or another network does to the error rates: trainings from scratch for the same CPU time.

    python -m htr_convtext.benchmarks.trainings --variant base "" --variant no-tcm "--tcm_weight 0" --peers crnn \\
        --minutes 20 --output_dir runs --table t.md -- --data_dir lines_a lines_b --size lite --use_cpu --sam_rho 0

Options behind `--` go to every training, and after them those of the variant; a peer is trained with them too. CPU
time is that of the training process with all its threads; nothing is evaluated until it is used up. Then the model
(its average, where one is kept) reads the validation lines. Runs that have finished are not run again, so that an
interrupted command can be repeated, and other variants and seeds join the table of the same --output_dir.
"""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

from .peers import PEERS
from .runs import claim, markdown_table, parse_run_options, read_json, start, write_table
from .timing import machine

COMMAND_FILE, RESULTS = "command.txt", "validation_results.json"
SHOWN = ("validation_cer", "validation_wer", "validation_cer_writers")
TRAIN_HF, PEER = ["train_hf.py"], ["-m", "htr_convtext.benchmarks.peers"]
# A training that a clock ends, of which nothing is kept but the last weights and what they read.
TIMED = shlex.split(
    "--do_train --do_eval --eval_strategy no --save_strategy no --report_to none --time_limit_clock cpu"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", nargs=2, action="append", metavar=("NAME", "OPTIONS"), default=[])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[], help="networks beside ours")
    parser.add_argument("--minutes", type=float, default=20, help="CPU minutes of each training")
    parser.add_argument("--seeds", nargs="+", type=int, default=[123])
    options = parse_run_options(parser)
    commands = {name: [*TRAIN_HF, *options.train_options, *shlex.split(text)] for name, text in options.variant}
    commands |= {name: [*PEER, name, *options.train_options] for name in options.peers}
    for seed in options.seeds:
        for name, command in commands.items():
            timed = [*TIMED, "--max_train_minutes", f"{options.minutes:g}", "--seed", str(seed)]
            run(options.output_dir / f"{name}-{seed}", [*command, *timed])
            write_table(options.table, table(options.output_dir))


def run(folder: Path, command: list[str]) -> None:
    """Trains and reads, unless that is done; a folder belongs to the command that it was begun with."""
    command = [*command, "--output_dir", str(folder)]
    claim(folder / COMMAND_FILE, shlex.join(["python", *command]) + "\n")
    if not (folder / RESULTS).exists():
        start(command, folder / "log.txt")


def table(output_dir: Path) -> Iterator[str]:
    """The table of all finished runs, the lowest character error rate first, and their commands."""
    results = {file.parent: read_json(file) for file in output_dir.glob(f"*-*/{RESULTS}")}
    ranked = sorted(results, key=lambda folder: results[folder]["validation_cer"])
    measured = results[ranked[0]]
    rates = [name for name in SHOWN if name in measured]
    rates += [name for name in measured if name.startswith("validation_cer_source_")]
    yield f"Validation error rates (percent) after training from scratch, best first. {machine()}."
    yield ""
    names = [rate.removeprefix("validation_").replace("_", " ") for rate in rates]
    yield from markdown_table(
        ["run", "seed", "steps", "lines", *names],
        ([*progress_of(folder), *(f"{100 * results[folder][rate]:.2f}" for rate in rates)] for folder in ranked),
    )
    yield ""
    yield from (f"    {(folder / COMMAND_FILE).read_text(encoding='utf-8').strip()}" for folder in ranked)


def progress_of(folder: Path) -> list[str]:
    """Name, seed, steps and lines seen of a finished run."""
    name, _, seed = folder.name.rpartition("-")
    training, state = read_json(folder / "train_results.json"), read_json(folder / "trainer_state.json")
    return [name, seed, str(state["global_step"]), str(round(training["epoch"] * training["train_samples"]))]


if __name__ == "__main__":
    main()

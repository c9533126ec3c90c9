# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What each part of the recipe does to the error rate, every variant trained from scratch for the same CPU time.

    python -m htr_convtext.benchmarks.recipe --data_dir lines_a lines_b --minutes 20 --output_dir runs/recipe \\
        --table benchmarks/results/recipe.md -- --size lite --sam_rho 0 --per_device_train_batch_size 8

Options behind `--` go to every training; each variant changes one of them. CPU time is that of the training process
with all its threads; nothing is evaluated until it is used up. Then the model (its average, where one is kept) reads
the validation lines of each folder. Runs that have finished are not run again, so that an interrupted command can be
repeated, and other --variants and --seeds join the table of the same --output_dir.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..training import error_rates

SCRIPT = Path(__file__).resolve().parents[1] / "train_hf.py"
COMMAND_FILE = "command.txt"

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


@dataclass
class Result:
    """A finished run: how far it came and its error rates, of all lines and of each folder's."""

    variant: str
    seed: int
    steps: int
    lines: int
    cer: float
    wer: float
    cer_by_folder: dict[str, float]
    command: str


def main() -> None:
    options = parse_options()
    for seed in options.seeds:
        for variant in options.variants:
            run_variant(options, variant, seed)
            write_table(options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True, help="folders of lines")
    parser.add_argument("--minutes", type=float, default=20, help="CPU minutes of each training")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="file of the table (Markdown), written anew")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[123])
    options = parse_with_train_options(parser)
    if len({Path(folder).name for folder in options.data_dir}) < len(options.data_dir):
        parser.error("the data folders' names must differ: the table tells them apart by name")
    return options


def parse_with_train_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command's options, and as `train_options` what stands behind `--`."""
    arguments, train_options = sys.argv[1:], []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, train_options = arguments[:place], arguments[place + 1 :]
    return parser.parse_args(arguments, argparse.Namespace(train_options=train_options))


def run_variant(options: argparse.Namespace, variant: str, seed: int) -> None:
    """Trains a variant and reads every folder's validation lines with it, as far as that is not done yet."""
    folder = options.output_dir / f"{variant}-{seed}"
    command = train_command(options, variant, seed, folder)
    check_command(folder, command)
    if not (folder / "train_results.json").exists():
        start(command, folder / "train.log")
    for source in options.data_dir:
        readings = folder / Path(source).name
        if not (readings / "validation_predictions.json").exists():
            start(read_command(options, folder, source, readings), folder / "validation.log")


def train_command(options: argparse.Namespace, variant: str, seed: int, folder: Path) -> list[str]:
    sources = options.data_dir[:1] if variant in SINGLE_SOURCE else options.data_dir
    fixed = ["--do_train", "--eval_strategy", "no", "--save_strategy", "no", "--report_to", "none"]
    fixed += ["--max_train_minutes", f"{options.minutes:g}", "--time_limit_clock", "cpu", "--seed", str(seed)]
    return ["--data_dir", *sources, "--output_dir", str(folder), *fixed, *options.train_options, *VARIANTS[variant]]


def read_command(options: argparse.Namespace, model: Path, source: str, folder: Path) -> list[str]:
    fixed = ["--do_eval", "--model_name_or_path", str(model), "--data_dir", source, "--output_dir", str(folder)]
    device = ["--use_cpu"] if "--use_cpu" in options.train_options else []
    return [*fixed, "--report_to", "none", *device]


def check_command(folder: Path, command: list[str]) -> None:
    """Refuses to take a run for another: a folder belongs to the options that it was begun with."""
    file = folder / COMMAND_FILE
    text = shlex.join(["python", SCRIPT.name, *command])
    if file.exists() and file.read_text(encoding="utf-8") != text + "\n":
        raise SystemExit(f"{folder} is a run with other options (see {file}). Choose another --output_dir.")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")


def start(command: list[str], log: Path) -> None:
    print("python", SCRIPT.name, shlex.join(command), flush=True)
    with log.open("w", encoding="utf-8") as file:
        failed = subprocess.run([sys.executable, str(SCRIPT), *command], stdout=file, stderr=subprocess.STDOUT)
    if failed.returncode:
        raise SystemExit(f"The run ended with an error; see {log}. Repeat the command to go on.")


def read_result(folder: Path, sources: list[str]) -> Result:
    """A finished run's result from the files it left."""
    variant, _, seed = folder.name.rpartition("-")
    training = json.loads((folder / "train_results.json").read_text(encoding="utf-8"))
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    read = {source: readings(folder / source) for source in sources}
    rates = error_rates(*map(list, zip(*(pair for pairs in read.values() for pair in pairs), strict=True)))
    return Result(
        variant=variant,
        seed=int(seed),
        steps=state["global_step"],
        lines=round(training["epoch"] * training["train_samples"]),
        cer=rates["cer"],
        wer=rates["wer"],
        cer_by_folder={
            source: error_rates(*map(list, zip(*pairs, strict=True)))["cer"] for source, pairs in read.items()
        },
        command=(folder / COMMAND_FILE).read_text(encoding="utf-8").strip(),
    )


def readings(folder: Path) -> list[tuple[str, str]]:
    """What was read of each validation line, and its transcription."""
    content = json.loads((folder / "validation_predictions.json").read_text(encoding="utf-8"))
    return [(line["prediction"], line["reference"]) for line in content["lines"]]


def write_table(options: argparse.Namespace) -> None:
    """The table of all finished runs, the lowest character error rate first."""
    sources = [Path(folder).name for folder in options.data_dir]
    finished = [
        folder
        for folder in sorted(options.output_dir.glob("*-*"))
        if all((folder / source / "validation_predictions.json").exists() for source in sources)
    ]
    results = sorted((read_result(folder, sources) for folder in finished), key=lambda result: result.cer)
    options.table.parent.mkdir(parents=True, exist_ok=True)
    options.table.write_text("\n".join(table(results, sources, options.minutes)) + "\n", encoding="utf-8")


def table(results: list[Result], sources: list[str], minutes: float) -> Iterator[str]:
    yield f"Validation error rates (percent) after {minutes:g} CPU minutes of training from scratch, best first."
    yield f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}."
    yield ""
    header = ["variant", "seed", "steps", "lines", "CER", "WER", *(f"CER {source}" for source in sources)]
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    for result in results:
        rates = [result.cer, result.wer, *result.cer_by_folder.values()]
        cells = [result.variant, str(result.seed), str(result.steps), str(result.lines)]
        yield "| " + " | ".join([*cells, *(f"{100 * rate:.2f}" for rate in rates)]) + " |"
    yield ""
    yield from (f"    {result.command}" for result in results)


if __name__ == "__main__":
    main()

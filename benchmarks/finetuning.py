# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What transcribing some lines of a hand gains: a released model before and after fine-tuning on them.

    python -m htr_convtext.benchmarks.finetuning --data_dir poilus --hands AN_0008 AN_0327 --lines 20 50 all \\
        --output_dir runs/finetuning --table benchmarks/results/finetuning.md -- --use_cpu

For each hand, lines of the split whose id holds its name: the last `--held_out` pages are read before and after, and
the first 20, 50 and all lines of the pages before them are trained on by recipes/finetune.yaml, as somebody would who
transcribes a notebook from its beginning. Options behind `--` go to every training. Nothing is chosen by these
figures, and the weights are thrown away. Runs that have finished are not run again.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .recipe import parse_with_train_options

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "train_hf.py"
RECIPE = ROOT / "recipes" / "finetune.yaml"
BEFORE = "0"
PAGE = r"(.+)_\d+"


def main() -> None:
    options = parse_options()
    rows = [row for hand in options.hands for row in measure_hand(hand, options)]
    options.table.parent.mkdir(parents=True, exist_ok=True)
    options.table.write_text("\n".join(table(rows, options)) + "\n", encoding="utf-8")
    print(options.table.read_text(encoding="utf-8"))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "hub_upload" / "htr-convtext-fr"), help="model folder")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder with lines/ and lists of its splits")
    parser.add_argument("--split", default="test", help="list that has the hands, without .ln")
    parser.add_argument("--hands", nargs="+", required=True, help="names in the ids of a hand's lines")
    parser.add_argument("--lines", nargs="+", default=["20", "50", "all"], help="lines to train on")
    parser.add_argument("--held_out", type=int, default=1, help="pages at the end that are only read")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="file of the table (Markdown), written anew")
    return parse_with_train_options(parser)


def measure_hand(hand: str, options: argparse.Namespace) -> Iterator[dict]:
    """The hand's rows of the table: read by the model as it is, then after training on more and more lines."""
    names = (options.data_dir / f"{options.split}.ln").read_text(encoding="utf-8").split()
    train, held_out = split_pages([name for name in names if hand in name], options.held_out, hand)
    read = ["--model_name_or_path", options.model, "--do_predict"]
    yield {"hand": hand, "lines": 0, **run(hand, BEFORE, [], held_out, read, options)}
    for number in options.lines:
        chosen = train if number == "all" else train[: int(number)]
        learn = [str(RECIPE), "--model_name_or_path", options.model, "--do_predict", "--do_eval", "false"]
        learn += ["--eval_strategy", "no", "--eval_on_start", "false", "--save_strategy", "no"]
        yield {"hand": hand, "lines": len(chosen), **run(hand, number, chosen, held_out, learn, options)}


def split_pages(names: list[str], held_out: int, hand: str) -> tuple[list[str], list[str]]:
    """
    File names of the lines before the last pages, and of those on them, both in reading order.

    Raises:
        SystemExit: If nothing is left to train on.
    """
    pages: dict[str, list[str]] = {}
    for name in sorted(names):
        found = re.fullmatch(PAGE, Path(name).stem)
        pages.setdefault(found[1] if found else Path(name).stem, []).append(name)
    if len(pages) <= held_out:
        raise SystemExit(f"{hand!r} has {len(pages)} pages, of which {held_out} are held out: nothing to train on.")
    lines = list(pages.values())
    return [name for page in lines[:-held_out] for name in page], [name for page in lines[-held_out:] for name in page]


def run(
    hand: str, number: str, train: list[str], test: list[str], command: list[str], options: argparse.Namespace
) -> dict[str, float]:
    """Trains and reads in a folder of its own, unless that is done; error rates and minutes of the training."""
    folder = options.output_dir / f"{hand}-{number}"
    results = folder / "run" / "test_results.json"
    if not results.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "lines").symlink_to((options.data_dir / "lines").resolve())
        for split, names in (("train", train), ("test", test)):
            if names:
                (folder / f"{split}.ln").write_text("\n".join(names) + "\n", encoding="utf-8")
        start([*command, "--data_dir", str(folder), "--output_dir", str(folder / "run")], folder, options)
    rates = json.loads(results.read_text(encoding="utf-8"))
    training = folder / "run" / "train_results.json"
    seconds = json.loads(training.read_text(encoding="utf-8"))["train_runtime"] if training.exists() else 0.0
    return {"read": len(test), "cer": rates["test_cer"], "wer": rates["test_wer"], "minutes": seconds / 60}


def start(command: list[str], folder: Path, options: argparse.Namespace) -> None:
    command = [str(SCRIPT), *command, "--report_to", "none", *options.train_options]
    print("python", shlex.join(command), flush=True)
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        if subprocess.run([sys.executable, *command], stdout=log, stderr=subprocess.STDOUT).returncode:
            raise SystemExit(f"The run ended with an error; see {log.name}. Repeat the command to go on.")


def table(rows: list[dict], options: argparse.Namespace) -> Iterator[str]:
    yield f"Error rates (percent) on the last {options.held_out} page(s) of each hand, before and after fine-tuning."
    yield ""
    yield "| hand | lines trained on | lines read | CER | WER | minutes of training |"
    yield "|---" * 6 + "|"
    for row in rows:
        rates = f"{100 * row['cer']:.2f} | {100 * row['wer']:.2f} | {row['minutes']:.1f}"
        yield f"| {row['hand']} | {row['lines']} | {row['read']} | {rates} |"
    yield ""
    yield f"    python -m htr_convtext.benchmarks.finetuning {shlex.join(sys.argv[1:])}"


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What transcribing some lines of a hand gains: a released model before and after fine-tuning on them.

    python -m htr_convtext.benchmarks.finetuning --data_dir poilus --hands AN_0008 --output_dir runs --table hands.md

For each hand, lines of the split whose id holds its name: the last `--held_out` pages are read before and after, and
the first 20, 50 and all lines of the pages before them are trained on by recipes/finetune.yaml, as somebody would who
transcribes a notebook from its beginning. Options behind `--` go to every training. Nothing is chosen by these
figures, and the weights are thrown away. Runs that have finished are not run again.
"""

import argparse
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from .runs import ROOT, markdown_table, parse_run_options, read_json, start, write_table

RECIPE = ROOT / "recipes" / "finetune.yaml"
PAGE = r"(.+)_\d+"


def main() -> None:
    options = parse_options()
    rows = [row for hand in options.hands for row in measure_hand(hand, options)]
    write_table(options.table, table(rows, options))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "hub_upload" / "htr-convtext-fr"), help="model folder")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder with lines/ and lists of its splits")
    parser.add_argument("--split", default="test", help="list that has the hands, without .ln")
    parser.add_argument("--hands", nargs="+", required=True, help="names in the ids of a hand's lines")
    parser.add_argument("--lines", nargs="+", default=["20", "50", "all"], help="lines to train on")
    parser.add_argument("--held_out", type=int, default=1, help="pages at the end that are only read")
    return parse_run_options(parser)


def measure_hand(hand: str, options: argparse.Namespace) -> Iterator[list[str]]:
    """The hand's rows of the table: read by the model as it is, then after training on more and more lines."""
    names = (options.data_dir / f"{options.split}.ln").read_text(encoding="utf-8").split()
    train, held_out = split_pages([name for name in names if hand in name], options.held_out, hand)
    read = ["--model_name_or_path", options.model, "--do_predict"]
    learn = [str(RECIPE), *read, "--do_eval", "false", "--eval_strategy", "no", "--eval_on_start", "false"]
    learn += ["--save_strategy", "no"]
    yield [hand, "0", *run(f"{hand}-0", [], held_out, read, options)]
    for number in options.lines:
        chosen = train if number == "all" else train[: int(number)]
        yield [hand, str(len(chosen)), *run(f"{hand}-{number}", chosen, held_out, learn, options)]


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


def run(name: str, train: list[str], test: list[str], command: list[str], options: argparse.Namespace) -> list[str]:
    """Trains and reads in a folder of its own, unless that is done; lines read, error rates, minutes of training."""
    folder = options.output_dir / name
    output = folder / "run"
    if not (output / "test_results.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "lines").symlink_to((options.data_dir / "lines").resolve())
        for split, names in (("train", train), ("test", test)):
            if names:
                (folder / f"{split}.ln").write_text("\n".join(names) + "\n", encoding="utf-8")
        command = [*command, "--data_dir", str(folder), "--output_dir", str(output), "--report_to", "none"]
        start([*command, *options.train_options], folder / "log.txt")
    rates = read_json(output / "test_results.json")
    seconds = read_json(output / "train_results.json")["train_runtime"] if train else 0.0
    percent = [f"{100 * rates[rate]:.2f}" for rate in ("test_cer", "test_wer")]
    return [str(len(test)), *percent, f"{seconds / 60:.1f}"]


def table(rows: list[list[str]], options: argparse.Namespace) -> Iterator[str]:
    yield f"Error rates (percent) on the last {options.held_out} page(s) of each hand, before and after fine-tuning."
    yield ""
    yield from markdown_table(["hand", "lines trained on", "lines read", "CER", "WER", "minutes of training"], rows)
    yield ""
    yield f"    python -m htr_convtext.benchmarks.finetuning {shlex.join(sys.argv[1:])}"


if __name__ == "__main__":
    main()

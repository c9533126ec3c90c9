# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What transcribing some lines of a hand gains: a released model before and after fine-tuning on them.

    python -m htr_convtext.benchmarks.finetuning --data_dir poilus --hands AN_0008 --output_dir runs --table hands.md

For each hand, lines of the split that are by this writer, or, where none is, whose id holds its name: the last
`--held_out` pages are read before and after, and the first 20, 50 and all lines of the pages before them are trained
on by recipes/finetune.yaml, as somebody would who transcribes a notebook from its beginning. Options behind `--` go to
every training. Nothing is chosen by these figures, and the weights are thrown away. Finished runs are not repeated.
"""

import argparse
import json
import re
import shlex
import sys
from collections.abc import Iterator

from datasets import Dataset

from ..console import at_least_one
from ..line_datasets import load_lines
from ..line_datasets.loading import take_split
from ..training.held_out import in_order
from ..training.intervals import PAGE
from .runs import ROOT, claim, markdown_table, parse_run_options, read_json, start, write_table

READ = ["train_hf.py", "--do_predict"]
LEARN = shlex.split("train_hf.py finetune.yaml --do_predict --do_eval false --eval_strategy no --eval_on_start false "
                    "--save_strategy no")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "hub_upload" / "htr-convtext-fr"), help="model folder")
    parser.add_argument("--data_dir", action="extend", nargs="+", required=True, help="folders of lines")
    parser.add_argument("--split", default="test", help="split that has the hands")
    parser.add_argument("--hands", nargs="+", required=True, help="writers, or names in the ids of a hand's lines")
    parser.add_argument("--lines", nargs="+", default=["20", "50", "all"], help="lines to train on")
    parser.add_argument("--held_out", type=at_least_one, default=1, help="pages at the end that are only read")
    options = parse_run_options(parser)
    lines = take_split(load_lines("lines", data_dir=options.data_dir), options.split)
    rows = [row for hand in options.hands for row in measure_hand(hand, lines, options)]
    write_table(options.table, table(rows, options))


def measure_hand(hand: str, lines: Dataset, options: argparse.Namespace) -> Iterator[list[str]]:
    """The hand's rows of the table: read by the model as it is, then after training on more and more lines."""
    train, held_out = split_pages(lines, hand, options.held_out)
    yield [hand, "0", *run(f"{hand}-0", READ, {"test": lines.select(held_out)}, options)]
    for number in options.lines:
        chosen = train if number == "all" else train[: int(number)]
        splits = {"train": lines.select(chosen), "test": lines.select(held_out)}
        yield [hand, str(len(chosen)), *run(f"{hand}-{number}", LEARN, splits, options)]


def split_pages(lines: Dataset, hand: str, held_out: int) -> tuple[list[int], list[int]]:
    """
    Numbers of a hand's lines before its last pages, and of those on them, both in reading order.

    Raises:
        SystemExit: If nothing is left to train on.
    """
    ids, told, writers = lines["line_id"], lines["page"], list(lines["writer"])
    pages: dict[str, list[int]] = {}
    for number, line_id in enumerate(ids):
        if hand == writers[number] if hand in writers else hand in line_id:
            pages.setdefault(told[number] or page_of(line_id), []).append(number)
    pages = {page: pages[page] for page in sorted(pages, key=in_order)}
    for numbers in pages.values():
        if not told[numbers[0]]:  # Lines of pages that the data tells are in the order of reading.
            numbers.sort(key=lambda number: in_order(ids[number]))
    if len(pages) <= held_out:
        raise SystemExit(f"{hand!r} has {len(pages)} pages, of which {held_out} are held out: nothing to train on.")
    of_pages = list(pages.values())
    return sum(of_pages[:-held_out], []), sum(of_pages[-held_out:], [])


def page_of(line_id: str) -> str:
    """The page that a line's name tells."""
    found = re.fullmatch(PAGE, line_id)
    return found[1] if found else line_id


def run(name: str, command: list[str], splits: dict[str, Dataset], options: argparse.Namespace) -> list[str]:
    """Trains and reads in a folder of its own, unless that is done; lines read, error rates, minutes of training."""
    folder = options.output_dir / name
    output = folder / "run"
    command = [*command, "--model_name_or_path", options.model, "--data_dir", str(folder / "lines")]
    command += ["--output_dir", str(output), "--report_to", "none", *options.train_options]
    claim(
        folder / "made_of.json",
        json.dumps([command, {name: list(lines["line_id"]) for name, lines in splits.items()}]),
    )
    if not (output / "test_results.json").exists():
        for split, lines in splits.items():
            lines.to_parquet(folder / "lines" / f"{split}.parquet")
        start(command, folder / "log.txt")
    rates = read_json(output / "test_results.json")
    seconds = read_json(output / "train_results.json")["train_runtime"] if "train" in splits else 0.0
    percent = [f"{100 * rates[rate]:.2f}" for rate in ("test_cer", "test_wer")]
    return [str(len(splits["test"])), *percent, f"{seconds / 60:.1f}"]


def table(rows: list[list[str]], options: argparse.Namespace) -> Iterator[str]:
    yield f"Error rates (percent) on the last {options.held_out} page(s) of each hand, before and after fine-tuning."
    yield ""
    yield from markdown_table(["hand", "lines trained on", "lines read", "CER", "WER", "minutes of training"], rows)
    yield ""
    yield f"    python -m htr_convtext.benchmarks.finetuning {shlex.join(sys.argv[1:])}"


if __name__ == "__main__":
    main()

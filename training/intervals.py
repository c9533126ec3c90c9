# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Error rates with 95 % confidence intervals, from the predictions that train_hf.py writes, as a table.

    python -m htr_convtext.training.intervals OUTPUT/test_predictions.json --page "(.+)-\\d+"
    python -m htr_convtext.training.intervals OUTPUT/test_predictions.json --by writer --together 19th berlioz cremma19

The intervals are percentiles of the bootstrap over pages: lines of one page share a hand, a pen and a subject, so that
lines drawn one by one would make the rates look surer than they are. A line's page is the one that the data names, as
PAGE XML and ALTO do, or else what stands before the last number in its id: `page3` of `page3_01`. `--page` finds it in
the id by another regular expression, as its first group. `--by writer` draws writers instead, as the lines name them:
the interval for writers never seen. The mean over the groups counts each alike, however many lines it has. Lines of
several sources get a row each, and `--together` one of several sources under a name of yours. One group alone has no
interval.

    python -m htr_convtext.training.intervals A/test_predictions.json --against B/test_predictions.json

are the rates of A less those of B, another model's for the same lines, in percentage points: negative where A reads
better. Both have the same pages drawn, so that what a hand makes hard for both does not count: an interval without 0
says more than two that do not overlap.
"""

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..console import at_least_one, print_any_character
from .metrics import align_characters, align_words, edits, whitespace_words

RATES = {
    "CER": align_characters,
    "WER": align_words,
    "WER by white space": partial(align_words, parts=whitespace_words),
}
INTERVAL = (2.5, 97.5)  # percent
PAGE = r"(.+)_\d+"


def main(arguments: list[str] | None = None) -> None:
    options = parse_options(arguments)
    print_any_character()
    lines = read_predictions(options.predictions)
    if options.against:
        lines = paired(lines, read_predictions(options.against))
    named_rows = list(rows(lines, options.together))
    names = header(options)
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
    for name, members in named_rows:
        groups = numbered(writers(members) if options.by == "writer" else pages(members, options.page))
        figures = [str(len(members)), str(groups.max() + 1), *cells(members, groups, options)]
        print(f"| {name} | {' | '.join(figures)} |")


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, nargs="+", help="validation_ or test_predictions.json")
    parser.add_argument("--page", help="regular expression with the page in a line's id as its first group")
    parser.add_argument("--against", type=Path, nargs="+", help="predictions of another model for the same lines")
    parser.add_argument("--by", choices=("page", "writer"), default="page", help="what the bootstrap draws")
    parser.add_argument(
        "--together", nargs="+", action="append", default=[], metavar=("NAME", "SOURCE"), help="sources in one row"
    )
    parser.add_argument("--resamples", type=at_least_one, default=10_000)
    options = parser.parse_args(arguments)
    if options.page and options.by == "writer":
        parser.error("--page finds the pages that are drawn; with --by writer, writers are.")
    if without := next((name for name, *sources in options.together if not sources), None):
        parser.error(f"--together {without}: name its sources, too.")
    return options


def header(options: argparse.Namespace) -> list[str]:
    unit = "percentage points" if options.against else "percent"
    cer, *others = RATES
    spread = (f"its mean over {options.by}s", f"of one {options.by}: lowest, median, highest")
    return [f"{unit} (95 % interval)", "lines", f"{options.by}s", cer, *spread, *others]


def read_predictions(files: Iterable[Path]) -> list[dict]:
    """
    Lines of all files.

    Raises:
        SystemExit: If there are none, or two files have the same: the readings of two models are no larger sample.
    """
    file_of: dict[tuple, Path] = {}
    lines = []
    for file in files:
        own = json.loads(file.read_text(encoding="utf-8"))["lines"]
        keys = list(map(key_of, own))
        if twice := next((key for key in keys if key in file_of), None):
            raise SystemExit(
                f"{file} and {file_of[twice]} both have the line {twice[2]!r}. Several files are one table of all "
                "their lines; two models are compared by --against."
            )
        file_of |= dict.fromkeys(keys, file)
        lines += own
    if not any(line["reference"] for line in lines):
        raise SystemExit(f"There are no transcribed lines in {', '.join(map(str, files))}.")
    return lines


def key_of(line: dict) -> tuple:
    """What tells a line from others, whatever was read in it."""
    return tuple(line.get(name) for name in ("source", "page", "line_id", "reference"))


def paired(lines: Sequence[dict], others: Sequence[dict]) -> list[dict]:
    """
    Lines with what another model read in each, as `against`.

    Raises:
        SystemExit: If the others are not the same lines, or cannot be told apart.
    """
    read = {key_of(line): line["prediction"] for line in others}
    keys = list(map(key_of, lines))
    if odd := next(iter(set(keys) ^ set(read)), None):
        raise SystemExit(
            f"--against: only one of the two models has read the line {odd[2]!r} with this transcription."
        )
    if not len(set(keys)) == len(lines) == len(others):
        raise SystemExit(
            "--against: several lines have one id and one transcription, and it is not known which is which."
        )
    return [{**line, "against": read[key]} for line, key in zip(lines, keys, strict=True)]


def rows(lines: Sequence[dict], together: Iterable[Sequence[str]]) -> Iterator[tuple[str, list[dict]]]:
    """
    Names of the table's rows, and their lines.

    Raises:
        SystemExit: If no line is of a source.
    """
    sources = sorted({line.get("source") or "" for line in lines})
    for name, *wanted in [*([source] * 2 for source in sources if len(sources) > 1), *together]:
        if missing := set(wanted) - set(sources):
            raise SystemExit(f"No line is of the source {min(missing)!r}. There are: {', '.join(sources) or 'none'}.")
        yield name, [line for line in lines if (line.get("source") or "") in wanted]
    yield "all", list(lines)


def pages(lines: Iterable[dict], pattern: str | None) -> list[str]:
    """The page of each line with its source, as two sources may call their pages alike."""
    return ["/".join(filter(None, (line.get("source"), page_of(line, pattern)))) for line in lines]


def page_of(line: dict, pattern: str | None) -> str:
    """
    The page that the data names, unless there is a pattern to find it by in the line's id.

    Raises:
        SystemExit: If the line's id does not match.
    """
    if pattern is None and line.get("page") is not None:
        return line["page"]
    pattern = pattern or PAGE
    match = re.fullmatch(pattern, line["line_id"])
    if match is None or not match.groups():
        raise SystemExit(f"--page {pattern!r} finds no page in the line id {line['line_id']!r}.")
    return match[1]


def writers(lines: Iterable[dict]) -> list[str]:
    """The writer of each line with its source; a source that names no writers counts as one."""
    return ["/".join(filter(None, (line.get("source"), line.get("writer")))) for line in lines]


def numbered(names: list[str]) -> np.ndarray:
    """Number of each line's group, from 0."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names])


def cells(lines: list[dict], groups: np.ndarray, options: argparse.Namespace) -> Iterator[str]:
    """CER, its mean over the groups and how they spread, and the word error rates; or the differences of all."""
    if not any(line["reference"] for line in lines):  # All of them empty: there is no rate of their characters.
        yield from ["-"] * (len(RATES) + 2)
        return
    sign = "+" if options.against else ""
    for name, align in RATES.items():
        errors, lengths = count([(line["prediction"], line["reference"]) for line in lines], groups, align)
        if options.against:
            errors -= count([(line["against"], line["reference"]) for line in lines], groups, align)[0]
        yield rate_with_interval(errors, lengths, options.resamples, sign)
        if name == "CER":
            rates = errors[lengths > 0] / lengths[lengths > 0]
            yield rate_with_interval(rates, np.ones_like(rates), options.resamples, sign)
            yield ", ".join(f"{rate:{sign}.1f}" for rate in np.percentile(100 * rates, (0, 50, 100)))


def count(pairs: list[tuple[str, str]], groups: np.ndarray, align) -> tuple[np.ndarray, np.ndarray]:
    """Edits and reference lengths of each group, both of shape `(groups,)`, from predictions and references."""
    errors, lengths = np.zeros(groups.max() + 1), np.zeros(groups.max() + 1)
    for (prediction, reference), group in zip(pairs, groups, strict=True):
        alignment = align([prediction], [reference])
        errors[group] += edits(alignment)
        lengths[group] += alignment.hits + alignment.substitutions + alignment.deletions
    return errors, lengths


def rate_with_interval(errors: np.ndarray, lengths: np.ndarray, resamples: int, sign: str = "") -> str:
    rate = f"{100 * errors.sum() / lengths.sum():{sign}.2f}"
    if len(errors) < 2:
        return rate
    low, high = interval(errors, lengths, resamples)
    return f"{rate} ({100 * low:{sign}.2f} to {100 * high:{sign}.2f})"


def interval(errors: np.ndarray, lengths: np.ndarray, resamples: int) -> tuple[float, float]:
    """Bounds of the rate when groups are drawn with replacement, as often as there are groups."""
    drawn = np.random.default_rng(0).integers(len(errors), size=(resamples, len(errors)))
    wrong, there = errors[drawn].sum(1), lengths[drawn].sum(1)
    low, high = np.percentile(wrong[there > 0] / there[there > 0], INTERVAL)
    return float(low), float(high)


if __name__ == "__main__":
    main()

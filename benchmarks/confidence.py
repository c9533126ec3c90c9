# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Error rates with 95 % confidence intervals, from the predictions that train_hf.py writes.

    python -m htr_convtext.benchmarks.confidence OUTPUT/test_predictions.json --page "(.+)_\\d+"
    python -m htr_convtext.benchmarks.confidence OUTPUT/test_predictions.json --by writer

The intervals are percentiles of the bootstrap over pages: lines of one page share a hand, a pen and a subject, so that
lines drawn one by one would make the rates look surer than they are. `--page` is a regular expression whose first
group is the page in a line's id. `--by writer` draws writers instead, as the lines name them: the interval for writers
never seen. The mean over the groups counts each alike, however many lines it has.
"""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..training.metrics import align_characters, align_words, edits

RATES = {"CER": align_characters, "WER": align_words}
INTERVAL = (2.5, 97.5)  # percent


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, nargs="+", help="validation_ or test_predictions.json")
    parser.add_argument("--page", default=r"(.+)_\d+", help="regular expression with the page as its first group")
    parser.add_argument("--by", choices=("page", "writer"), default="page", help="what the bootstrap draws")
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args(arguments)
    for file in options.predictions:
        lines = json.loads(file.read_text(encoding="utf-8"))["lines"]
        names = writers(lines) if options.by == "writer" else pages([line["line_id"] for line in lines], options.page)
        groups = numbered(names, options.by)
        print(f"{file}: {len(lines)} lines, {options.by}s: {groups.max() + 1}")
        for name, align in RATES.items():
            errors, lengths = count([(line["prediction"], line["reference"]) for line in lines], groups, align)
            print(f"  {name} {rate_with_interval(errors, lengths, options.resamples)}")
            rates = errors[lengths > 0] / lengths[lengths > 0]
            print(f"    mean of {options.by}s {rate_with_interval(rates, np.ones_like(rates), options.resamples)}")
            best, median, worst = np.percentile(100 * rates, (0, 50, 100))
            print(f"    of single {options.by}s: {best:.1f} to {worst:.1f} %, median {median:.1f}")


def pages(line_ids: Iterable[str], pattern: str) -> list[str]:
    """
    The page of each line.

    Raises:
        SystemExit: If a line's id does not match.
    """
    found = []
    for line_id in line_ids:
        match = re.fullmatch(pattern, line_id)
        if match is None or not match.groups():
            raise SystemExit(f"--page {pattern!r} finds no page in the line id {line_id!r}.")
        found.append(match[1])
    return found


def writers(lines: Iterable[dict]) -> list[str]:
    """The writer of each line with its source; a source that names no writers counts as one."""
    return ["/".join(filter(None, (line.get("source"), line.get("writer")))) for line in lines]


def numbered(names: list[str], what: str) -> np.ndarray:
    """
    Number of each line's group, from 0.

    Raises:
        SystemExit: If all lines are of one.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(numbers) < 2:
        raise SystemExit(f"All lines are of one {what}, {next(iter(names), None)!r}: there is nothing to draw from.")
    return np.array([numbers[name] for name in names])


def count(pairs: list[tuple[str, str]], groups: np.ndarray, align) -> tuple[np.ndarray, np.ndarray]:
    """Edits and reference lengths of each group, both of shape `(groups,)`, from predictions and references."""
    errors, lengths = np.zeros(groups.max() + 1), np.zeros(groups.max() + 1)
    for (prediction, reference), group in zip(pairs, groups, strict=True):
        alignment = align([prediction], [reference])
        errors[group] += edits(alignment)
        lengths[group] += alignment.hits + alignment.substitutions + alignment.deletions
    return errors, lengths


def rate_with_interval(errors: np.ndarray, lengths: np.ndarray, resamples: int) -> str:
    low, high = interval(errors, lengths, resamples)
    rate = errors.sum() / lengths.sum()
    return f"{100 * rate:.2f} %, 95 % interval {100 * low:.2f} to {100 * high:.2f}"


def interval(errors: np.ndarray, lengths: np.ndarray, resamples: int) -> tuple[float, float]:
    """Bounds of the rate when groups are drawn with replacement, as often as there are groups."""
    drawn = np.random.default_rng(0).integers(len(errors), size=(resamples, len(errors)))
    low, high = np.percentile(errors[drawn].sum(1) / lengths[drawn].sum(1), INTERVAL)
    return float(low), float(high)


if __name__ == "__main__":
    main()

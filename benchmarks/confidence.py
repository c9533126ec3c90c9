# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Error rates with 95 % confidence intervals, from the predictions that train_hf.py writes.

    python -m htr_convtext.benchmarks.confidence OUTPUT/test_predictions.json --page "(.+)_\\d+"

The intervals are percentiles of the bootstrap over pages: lines of one page share a hand, a pen and a subject, so that
lines drawn one by one would make the rates look surer than they are. `--page` is a regular expression whose first
group is the page in a line's id; a group that is the writer gives the interval for writers never seen.
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
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args(arguments)
    for file in options.predictions:
        lines = json.loads(file.read_text(encoding="utf-8"))["lines"]
        pages = page_numbers([line["line_id"] for line in lines], options.page)
        print(f"{file}: {len(lines)} lines on {pages.max() + 1} pages")
        for name, align in RATES.items():
            errors, lengths = count([(line["prediction"], line["reference"]) for line in lines], pages, align)
            low, high = interval(errors, lengths, options.resamples)
            rate = errors.sum() / lengths.sum()
            print(f"  {name} {100 * rate:.2f} %, 95 % interval {100 * low:.2f} to {100 * high:.2f}")
            best, median, worst = np.percentile(100 * errors[lengths > 0] / lengths[lengths > 0], (0, 50, 100))
            print(f"    of single pages: {best:.1f} to {worst:.1f} %, median {median:.1f}")


def page_numbers(line_ids: Iterable[str], pattern: str) -> np.ndarray:
    """
    Number of each line's page, from 0.

    Raises:
        SystemExit: If a line's id does not match, or all lines are of one page.
    """
    pages: dict[str, int] = {}
    numbers = []
    for line_id in line_ids:
        match = re.fullmatch(pattern, line_id)
        if match is None or not match.groups():
            raise SystemExit(f"--page {pattern!r} finds no page in the line id {line_id!r}.")
        numbers.append(pages.setdefault(match[1], len(pages)))
    if len(pages) < 2:
        raise SystemExit(f"All lines are of one page, {next(iter(pages), None)!r}: there is nothing to draw from.")
    return np.array(numbers)


def count(pairs: list[tuple[str, str]], pages: np.ndarray, align) -> tuple[np.ndarray, np.ndarray]:
    """Edits and reference lengths of each page, both of shape `(pages,)`, from predictions and references."""
    errors, lengths = np.zeros(pages.max() + 1), np.zeros(pages.max() + 1)
    for (prediction, reference), page in zip(pairs, pages, strict=True):
        alignment = align([prediction], [reference])
        errors[page] += edits(alignment)
        lengths[page] += alignment.hits + alignment.substitutions + alignment.deletions
    return errors, lengths


def interval(errors: np.ndarray, lengths: np.ndarray, resamples: int) -> tuple[float, float]:
    """Bounds of the rate when pages are drawn with replacement, as often as there are pages."""
    drawn = np.random.default_rng(0).integers(len(errors), size=(resamples, len(errors)))
    low, high = np.percentile(errors[drawn].sum(1) / lengths[drawn].sum(1), INTERVAL)
    return float(low), float(high)


if __name__ == "__main__":
    main()

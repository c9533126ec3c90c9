# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
How many of the lines that PAGE XML or ALTO tells are found on the bare images of its pages.

python -m htr_convtext.benchmarks.finding_lines pages/ more_pages/
"""

import argparse
from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..pages.finding_lines import DETECTOR_SIDE, detect_boxes, find_lines
from ..pages.layout import PageLine
from ..pages.page_sources import find_pages, is_xml, load_page

SAMPLES = 100  # points of a baseline
# A point of a told baseline is held by the line whose baseline is nearest, no farther than this part of its height.
NEAR = 0.5
COVERED, PIECE = 0.5, 0.1  # parts of a line's points: found at all, and held by one more line
BASELINE = 0.75  # of a detector's box lies above the baseline

KINDS = ("one to one", "in pieces", "with another line", "missed")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", help="folders of PAGE XML or ALTO with their images")
    options = parser.parse_args(arguments)
    totals: dict[str, Counter[str]] = {"the detector's boxes": Counter(), "lines": Counter()}
    for source in find_pages(options.inputs).sources:
        if not is_xml(source):
            continue
        page, picture, _ = load_page(source, dpi=300)
        picture = picture.resize((page.width, page.height)) if picture.size != (page.width, page.height) else picture
        totals["the detector's boxes"] += compare(page.lines, detected_baselines(picture))
        totals["lines"] += compare(page.lines, [np.array(line.baseline) for line in find_lines(picture)])
    print(f"| | {' | '.join(KINDS)} | lines in all | outlines elsewhere |\n|---|{'---|' * (len(KINDS) + 2)}")
    for what, counts in totals.items():
        numbers = [counts[kind] for kind in KINDS]
        print(f"| {what} | {' | '.join(map(str, numbers))} | {sum(numbers)} | {counts['elsewhere']} |")


def detected_baselines(picture: Image.Image) -> list[np.ndarray]:
    """A baseline for each of the detector's boxes, of shape `(2, 2)`."""
    scale = min(1.0, DETECTOR_SIDE / max(picture.size))
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    corners = np.array([box.corners / scale for box in detect_boxes(small)]).reshape(-1, 4, 2)
    return list((1 - BASELINE) * corners[:, :2] + BASELINE * corners[:, [3, 2]])


def compare(lines: Sequence[PageLine], found: Sequence[np.ndarray]) -> Counter[str]:
    """How lines were found: each is of one of `KINDS`; and how many of the found hold none."""
    shares = np.array([held_shares(line, found) for line in lines if len(line.baseline) > 1 and len(line.polygon) > 2])
    counts: Counter[str] = Counter()
    for row in shares:
        holders = np.flatnonzero(row >= PIECE)
        shared = any((shares[:, holder] >= COVERED).sum() > 1 for holder in holders if row[holder] >= COVERED)
        missed = row.sum() < COVERED
        counts["missed" if missed else KINDS[2] if shared else KINDS[1] if len(holders) > 1 else KINDS[0]] += 1
    counts["elsewhere"] = int((shares.max(axis=0, initial=0) < PIECE).sum())
    return counts


def held_shares(line: PageLine, found: Sequence[np.ndarray]) -> np.ndarray:
    """The part of a line's points that each of the found baselines holds."""
    corners = np.array(line.baseline, dtype=float)
    lengths = np.concatenate([[0.0], np.hypot(*np.diff(corners, axis=0).T).cumsum()])
    at = np.linspace(0.0, lengths[-1], SAMPLES)
    x, y = (np.interp(at, lengths, corners[:, axis]) for axis in (0, 1))
    _, top, _, bottom = line.box
    height = bottom - top - abs(corners[-1, 1] - corners[0, 1])
    nearest, distance = np.full(SAMPLES, -1), np.full(SAMPLES, NEAR * max(height, 1.0))
    for number, points in enumerate(found):
        order = np.argsort(points[:, 0])
        away = np.abs(np.interp(x, points[order, 0], points[order, 1], left=np.inf, right=np.inf) - y)
        nearest, distance = np.where(away < distance, number, nearest), np.minimum(away, distance)
    return np.array([(nearest == number).mean() for number in range(len(found))])


if __name__ == "__main__":
    main()

"""
What to know about lines before a week of training on them, printed and as an HTML page.

    python -m htr_convtext.line_datasets.report lines --data_dir my_lines --output report.html

Ends with status 1 if anything makes lines unusable: unreadable images, labels that the CTC cannot fit into the frames,
characters missing from the vocabulary. Duplicates across splits are a warning.
"""

import argparse
import base64
import html
import random
import sys
from collections import Counter
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image

from .labels import Vocabulary, vocabulary
from .loading import SOURCES, load_lines
from .problems import LineDataError

NETWORK_HEIGHT = 64
PIXELS_PER_FRAME = 4
BINS = 12
SHOWN_LINES = 24
SHOWN_HEIGHT = 48
SHOWN_FINDINGS = 20
STYLE = """body{font:15px sans-serif;margin:2em;max-width:70em}img{max-width:100%;height:48px;border:1px solid #ccc}
td,th{padding:.1em .8em;text-align:left}figure{margin:.6em 0}.bar{background:#468;height:.8em}.error{color:#a00}"""


class Findings(NamedTuple):
    """What was found: sizes by split, characters, and sentences that say what is wrong or odd."""

    lines: dict[str, int]
    widths: list[int]
    lengths: list[int]
    characters: Vocabulary
    errors: list[str]
    warnings: list[str]


def main(arguments: list[str] | None = None) -> int:
    """Prints the report; status 1 if there are errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SOURCES)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--output", type=Path, default=Path("line_report.html"))
    parser.add_argument("--alphabet", help="characters that the model knows; default: those of the train split")
    parser.add_argument("--image_width", type=int, default=512, help="width of the network's input, pixels")
    parser.add_argument("--keep_aspect_ratio", action="store_true", help="the processor scales to the height only")
    parser.add_argument("--seed", type=int, default=0, help="for the choice of lines to show")
    options = parser.parse_args(arguments)
    try:
        splits = load_lines(options.name, data_dir=options.data_dir)
    except LineDataError as error:
        print(error, file=sys.stderr)
        return 1
    width = None if options.keep_aspect_ratio else options.image_width
    findings = examine(splits, options.alphabet, width)
    print(as_text(findings))
    options.output.write_text(as_html(findings, splits, options.seed), encoding="utf-8")
    print(f"Page: {options.output}")
    return 1 if findings.errors else 0


def examine(splits: DatasetDict, alphabet: str | None = None, image_width: int | None = 512) -> Findings:
    """
    Looks at every line.

    Args:
        splits: Result of [`load_lines`], with a train split.
        alphabet: Characters that the model knows; None takes those of the train split.
        image_width: Pixels of the network's input, to which every line is scaled; None if the aspect ratio is kept.
    """
    characters = vocabulary(splits)
    findings = Findings({name: len(split) for name, split in splits.items()}, [], [], characters, [], [])
    for name, split in splits.items():
        examine_split(name, split, image_width, findings)
        missing = sorted(set(characters.counts[name]) - set(characters.alphabet if alphabet is None else alphabet))
        if missing:
            findings.errors.append(f"{name}: not in the vocabulary: {' '.join(map(shown, missing))}")
    findings.warnings.extend(duplicates(splits))
    return findings


def examine_split(name: str, split: Dataset, image_width: int | None, findings: Findings) -> None:
    for row in undecoded(split):
        text, where = row["text"], f"{name}, {row['line_id']}"
        try:
            image = decode(row["image"])
        except OSError as error:
            findings.errors.append(f"{where}: unreadable image ({error})")
            continue
        extrema = image.convert("L").getextrema()
        if extrema[0] == extrema[1]:
            findings.errors.append(f"{where}: empty image, all pixels are {extrema[0]}")
        width = image_width or max(1, round(image.width * NETWORK_HEIGHT / image.height))
        if frames_needed(text) > -(-width // PIXELS_PER_FRAME):
            findings.errors.append(f"{where}: too long for the CTC, {frames_needed(text)} frames for {width} pixels")
        findings.widths.append(image.width)
        findings.lengths.append(len(text))


def undecoded(split: Dataset) -> Dataset:
    return split.cast_column("image", ImageFeature(decode=False))


def decode(image: dict[str, Any]) -> Image.Image:
    """Decodes every pixel; OSError if the file is cut short."""
    opened = Image.open(BytesIO(image["bytes"]) if image["bytes"] else image["path"])
    opened.load()
    return opened


def frames_needed(text: str) -> int:
    """Frames that a CTC path needs: one for each character, and a blank between equal neighbours."""
    return len(text) + sum(first == second for first, second in pairwise(text))


def duplicates(splits: DatasetDict) -> list[str]:
    """Line images (equal bytes) that lie in two splits, one sentence for each pair of splits."""
    where: dict[int, set[str]] = {}
    for name, split in splits.items():
        for row in undecoded(split):
            where.setdefault(hash(row["image"]["bytes"] or row["image"]["path"]), set()).add(name)
    counted = Counter(tuple(sorted(names)) for names in where.values() if len(names) > 1)
    return [f"{number} images lie in {' and '.join(names)}" for names, number in counted.items()]


def shown(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})"


def as_text(findings: Findings) -> str:
    """The report without pictures."""
    rows = [f"{name}: {number} lines" for name, number in findings.lines.items()]
    rows.append(f"{len(findings.characters.alphabet)} characters in train: {findings.characters.alphabet}")
    for name, unseen in findings.characters.unseen.items():
        if unseen:
            rows.append(f"only in {name}: " + ", ".join(f"{shown(key)} x {number}" for key, number in unseen.items()))
    for kind, sentences in (("warning", findings.warnings), ("error", findings.errors)):
        rows.extend(f"{kind}: {sentence}" for sentence in sentences[:SHOWN_FINDINGS])
        if len(sentences) > SHOWN_FINDINGS:
            rows.append(f"{kind}: and {len(sentences) - SHOWN_FINDINGS} more")
    return "\n".join(rows)


def as_html(findings: Findings, splits: DatasetDict, seed: int) -> str:
    """The report as one page that needs no other file."""
    counts = findings.characters.counts["train"]
    rows = "".join(f"<tr><td>{html.escape(shown(key))}<td>{number}" for key, number in counts.items())
    return (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Lines</title><style>{STYLE}</style><h1>Lines</h1>"
        f"<pre>{html.escape(as_text(findings))}</pre><h2>Random lines</h2>{contact_sheet(splits, seed)}"
        f"<h2>Widths (pixels)</h2>{histogram(findings.widths)}<h2>Lengths (characters)</h2>"
        f"{histogram(findings.lengths)}<h2>Characters of the train split</h2><table>{rows}</table></html>"
    )


def contact_sheet(splits: DatasetDict, seed: int) -> str:
    chosen = random.Random(seed)
    figures = []
    for name, split in splits.items():
        for index in sorted(chosen.sample(range(len(split)), min(SHOWN_LINES // len(splits), len(split)))):
            row = undecoded(split)[index]
            try:
                picture = data_url(decode(row["image"]))
            except OSError:
                picture = ""
            caption = f"{html.escape(row['text'])} <small>({name}, {html.escape(row['line_id'])})</small>"
            figures.append(f"<figure><img alt='' src='{picture}'><figcaption>{caption}</figcaption></figure>")
    return "".join(figures)


def data_url(image: Image.Image) -> str:
    content = BytesIO()
    size = (max(1, round(image.width * SHOWN_HEIGHT / image.height)), SHOWN_HEIGHT)
    image.convert("RGB").resize(size).save(content, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def histogram(values: list[int]) -> str:
    if not values:
        return "<p>none</p>"
    low, step = min(values), max(1, -(-(max(values) - min(values) + 1) // BINS))
    counted = Counter((value - low) // step for value in values)
    bars = (
        f"<tr><td>{low + step * index} to {low + step * (index + 1) - 1}<td>{counted[index]}"
        f"<td><div class=bar style='width:{300 * counted[index] // max(counted.values())}px'></div>"
        for index in range(max(counted) + 1)
    )
    return f"<table>{''.join(bars)}</table>"


if __name__ == "__main__":
    raise SystemExit(main())

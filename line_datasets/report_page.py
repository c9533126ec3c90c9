# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The report on lines as one HTML page that needs no other file."""

import base64
import html
import random
from collections import Counter
from io import BytesIO
from typing import Any

from datasets import DatasetDict
from PIL import Image

from .examination import Findings, decode, undecoded

BINS = 12
SHOWN_LINES = 24
SHOWN_HEIGHT = 48
LONGEST_BAR = 300
OPEN_BOX = "\u2423"
STYLE = f"""body{{font:15px sans-serif;margin:2em auto;max-width:75em;padding:0 1em}}
img{{max-width:100%;height:{SHOWN_HEIGHT}px;object-fit:contain;object-position:left;border:1px solid #ccc}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere}} td,th{{padding:.1em .8em;text-align:left}} figure{{margin:.8em 0}}
small{{color:#666}} .bar{{background:#468;height:.8em}} .charset{{columns:15em;list-style:none;padding:0}}
.charset b{{display:inline-block;width:1.5em}} .error{{color:#a00}}"""


def as_html(text: str, findings: Findings, splits: DatasetDict, seed: int) -> str:
    """
    The report as HTML.

    Args:
        text: The printed report.
        findings: What was found.
        splits: The lines.
        seed: For the choice of lines to show.
    """
    return (
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Lines</title><style>{STYLE}</style></head><body><h1>Lines</h1><pre>{html.escape(text)}</pre>"
        f"<h2>Random lines</h2>{contact_sheet(splits, seed)}"
        f"<h2>Widths (pixels)</h2>{histogram(findings.widths)}"
        f"<h2>Lengths (characters)</h2>{histogram(findings.lengths)}"
        f"<h2>Characters</h2>{charset(findings)}{complaints(findings.errors)}</body></html>"
    )


def contact_sheet(splits: DatasetDict, seed: int) -> str:
    dice = random.Random(seed)
    figures = []
    for name, split in splits.items():
        for index in sorted(dice.sample(range(len(split)), min(SHOWN_LINES // len(splits), len(split)))):
            row = undecoded(split)[index]
            caption = f"{html.escape(row['text'])} <small>({name}, {html.escape(row['line_id'])})</small>"
            figures.append(f"<figure>{picture(row)}<figcaption>{caption}</figcaption></figure>")
    return "".join(figures)


def picture(row: dict[str, Any]) -> str:
    try:
        image = decode(row["image"])
    except (OSError, SyntaxError, ValueError):
        return "<p class=error>unreadable image</p>"
    content = BytesIO()
    size = (max(1, round(image.width * SHOWN_HEIGHT / image.height)), SHOWN_HEIGHT)
    image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(content, "JPEG")
    data = base64.b64encode(content.getvalue()).decode()
    return f"<img alt='{html.escape(row['line_id'], quote=True)}' src='data:image/jpeg;base64,{data}'>"


def histogram(values: list[int]) -> str:
    if not values:
        return "<p>none</p>"
    low, step = min(values), max(1, -(-(max(values) - min(values) + 1) // BINS))
    counted = Counter((value - low) // step for value in values)
    bars = (
        f"<tr><td>{low + step * index} to {low + step * (index + 1) - 1}<td>{counted[index]}"
        f"<td><div class=bar style='width:{LONGEST_BAR * counted[index] // max(counted.values())}px'></div>"
        for index in range(max(counted) + 1)
    )
    return f"<table>{''.join(bars)}</table>"


def charset(findings: Findings) -> str:
    """Every character with its number of occurrences in each split; those that the train split lacks in red."""
    counts = findings.characters.counts
    items = []
    for character in sorted({character for counted in counts.values() for character in counted}):
        kind = "" if character in counts["train"] else " class=error"
        numbers = " / ".join(str(counted.get(character, 0)) for counted in counts.values())
        sign = OPEN_BOX if character == " " else html.escape(character)
        items.append(f"<li{kind}><b>{sign}</b> U+{ord(character):04X} <small>{numbers}</small>")
    return f"<p>How often: {' / '.join(counts)}</p><ul class=charset>{''.join(items)}</ul>"


def complaints(errors: list[str]) -> str:
    """All errors."""
    items = "".join(f"<li>{html.escape(error)}" for error in errors)
    return f"<h2>Errors</h2><ul class=error>{items}</ul>" if errors else ""

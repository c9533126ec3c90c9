# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The report on lines as an HTML page, with pictures of lines taken at random."""

import random
from collections import Counter
from typing import Any

from datasets import DatasetDict

from ..pages.html_layout import page_template, picture
from .examination import Findings, decode
from .shared_images import undecoded

BINS = 12
SHOWN_LINES = 24
SHOWN_HEIGHT = 48
LONGEST_BAR = 300
OPEN_BOX = "\u2423"
REPORT = page_template("""
{% block style %}
img { height: {{ height }}px; border: 1px solid #ccc }
figure { margin: .8em 0 }
.bar { background: #468; height: .8em }
.charset { columns: 15em; list-style: none; padding: 0 }
.charset b { display: inline-block; width: 1.5em }
{% endblock %}
{% block body %}
<h1>{{ title }}</h1>
<pre>{{ text }}</pre>
<h2>Random lines</h2>
{% for line in lines %}
<figure>
{% if line.picture %}
<img alt="{{ line.line_id }}" src="{{ line.picture }}">
{% else %}
<p class="error">unreadable image</p>
{% endif %}
<figcaption><bdi>{{ line.text }}</bdi> <small>({{ line.split }}, {{ line.line_id }})</small></figcaption></figure>
{% endfor %}
{% for name, bars in histograms.items() %}
<h2>{{ name }}</h2>
<table>
{% for bar in bars %}
<tr><td>{{ bar.low }} to {{ bar.high }}</td><td>{{ bar.number }}</td>
<td><div class="bar" style="width: {{ bar.length }}px"></div></td></tr>
{% endfor %}
</table>
{% endfor %}
<h2>Characters</h2>
<p>How often: {{ splits | join(" / ") }}</p>
<ul class="charset">
{% for character in characters %}
<li{% if not character.in_train %} class="error"{% endif %}><b>{{ character.sign }}</b> {{ character.code_point }}
<small>{{ character.numbers | join(" / ") }}</small></li>
{% endfor %}
</ul>
{% if errors %}
<h2>Errors</h2>
<ul class="error">
{% for error in errors %}
<li>{{ error }}</li>
{% endfor %}
</ul>
{% endif %}
{% endblock %}
""")


def as_html(text: str, findings: Findings, splits: DatasetDict, seed: int) -> str:
    """
    The report as HTML.

    Args:
        text: The printed report.
        findings: What was found.
        splits: The lines.
        seed: For the choice of lines to show.
    """
    histograms = {"Widths (pixels)": findings.widths, "Lengths (characters)": findings.lengths}
    return REPORT.render(
        title="Lines",
        text=text,
        height=SHOWN_HEIGHT,
        lines=random_lines(splits, seed),
        histograms={name: histogram(values) for name, values in histograms.items()},
        splits=list(findings.characters.counts),
        characters=list_characters(findings),
        errors=findings.errors,
    )


def random_lines(splits: DatasetDict, seed: int) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    shown = []
    for name, split in splits.items():
        for index in sorted(dice.sample(range(len(split)), min(SHOWN_LINES // len(splits), len(split)))):
            row = undecoded(split)[index]
            shown.append(row | {"split": name, "picture": picture_of(row)})
    return shown


def picture_of(row: dict[str, Any]) -> str:
    """The row's image, or "" if it cannot be decoded."""
    try:
        return picture(decode(row["image"]), SHOWN_HEIGHT)
    except ValueError:
        return ""


def histogram(values: list[int]) -> list[dict[str, int]]:
    """How many values there are in each of at most `BINS` steps, and how long a bar shows it, in pixels."""
    if not values:
        return []
    low, step = min(values), max(1, -(-(max(values) - min(values) + 1) // BINS))
    counted = Counter((value - low) // step for value in values)
    return [
        {
            "low": low + step * index,
            "high": low + step * (index + 1) - 1,
            "number": counted[index],
            "length": LONGEST_BAR * counted[index] // max(counted.values()),
        }
        for index in range(max(counted) + 1)
    ]


def list_characters(findings: Findings) -> list[dict[str, Any]]:
    """Every character with its number of occurrences in each split, and whether the train split has it."""
    counts = findings.characters.counts
    return [
        {
            "sign": OPEN_BOX if character == " " else character,
            "code_point": f"U+{ord(character):04X}",
            "numbers": [counted.get(character, 0) for counted in counts.values()],
            "in_train": character in counts["train"],
        }
        for character in sorted({character for counted in counts.values() for character in counted})
    ]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation leaves behind: every line's reading, a report to look at, learning curves."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import matplotlib.figure
import matplotlib.ticker

from ..images_htr_convtext import load_image, to_grey
from ..pages.html_layout import page_template, picture
from .evaluation import ReadLine, cer_of, grouped
from .metrics import align_characters

WORST_LINES = 50
CONFUSIONS = 40
LENGTH_STEP = 10
SHOWN_HEIGHT = 64
DOTTED_CIRCLE = "\u25cc"
CHARACTERS_WRONG = "characters wrong"
# What the curves show: name in the log, what the legend calls it, colour.
LOSS_CURVES = (("loss", "loss", "C0"), ("ctc_loss", "CTC loss", "C1"), ("tcm_loss", "TCM loss", "C2"))
RATE_CURVES = (
    ("eval_cer", "characters wrong (CER)", "C3"),
    ("eval_wer", "words wrong (WER), punctuation marks being words", "C4"),
)
# What the report calls the error rates of `metrics.py`; those by source have a table of their own.
RATE_NAMES = {
    "cer": "characters (CER)",
    "wer": "words, each punctuation mark being a word (WER of the paper)",
    "wer_whitespace": "words as spaces part them (WER of most other tools)",
    "cer_writers": "characters, as the mean over the writers (what to expect of a new hand)",
    "cer_lower": "characters, if capitals and small letters are the same",
    "wer_lower": "words, if capitals and small letters are the same",
    "cer_no_punctuation": "characters, without punctuation marks",
    "wer_no_punctuation": "words, without punctuation marks",
}

REPORT = page_template("""
{% block style %}
th, td { border: 1px solid #bbb }
td { white-space: pre }
.table { display: inline-block; vertical-align: top; margin-right: 3em }
img { height: {{ height }}px; margin: .3em 0 }
mark { background: #ffc9c0 }
.line { border-top: 1px solid #ccc; padding: .6em 0 }
.text { font-size: 110%; white-space: pre-wrap; display: grid; grid-template-columns: 6em 1fr }
.text b { font-size: 80%; font-weight: normal; color: #666 }
{% endblock %}
{% block body %}
<h1>What was read in {{ number }} lines ({{ split }})</h1>
<p>A character is wrong if it was missed, added, or read as another one. A rate is the number of those that are wrong
over the number in the transcriptions, so it can exceed 100%.</p>
{% for title, head, rows in tables %}
<div class="table"><h2>{{ title }}</h2>
<table><tr>{% for name in head %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
<h2>Lines with the most wrong characters</h2>
{% for line, picture, texts in worst %}
<div class="line"><b>{{ line.line_id }}</b>: {{ line.edits }} characters wrong, {{ "%.1f" | format(100 * line.cer) }}%
<img src="{{ picture }}" alt="line {{ line.line_id }}">
{% for name, chunks in texts.items() %}
<div class="text"><b>{{ name }}</b><span dir="auto">
{%- for wrong, text in chunks %}{% if wrong %}<mark>{{ text }}</mark>{% else %}{{ text }}{% endif %}{% endfor -%}
</span></div>
{% endfor %}
</div>
{% endfor %}
{% endblock %}
""")


def write_evaluation(folder: Path, split: str, lines: list[ReadLine], dataset, metrics: dict[str, float]) -> None:
    """
    Writes `<split>_predictions.json`, every line with what was read, and `<split>_report.html`: the worst lines with
    their pictures, what differs marked, which characters were misread, CER by length, source and writer.

    Args:
        folder: Where to.
        split: Name of the split.
        lines: The lines that were read.
        dataset: The same lines in the same order, with their images.
        metrics: Their error rates.
    """
    content = {"metrics": metrics, "lines": [line.as_dict() for line in lines]}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (folder / f"{split}_predictions.json").write_text(text + "\n", encoding="utf-8")

    worst = sorted(range(len(lines)), key=lambda row: (-lines[row].edits, -lines[row].cer))[:WORST_LINES]
    tables = [
        ("How much is wrong", ("of all", "are wrong"), error_rate_rows(metrics, split)),
        ("Characters that were misread", ("transcribed", "read as", "times"), map(named, confusions(lines))),
        ("By the length of the line", ("characters in it", "lines", CHARACTERS_WRONG), rates_by(lines, length_class)),
    ]
    if len({line.source for line in lines}) > 1:
        tables.append(("By source", ("source", "lines", CHARACTERS_WRONG), rates_by(lines, lambda line: line.source)))
    if any(line.writer is not None for line in lines):
        tables.append(("By writer", ("writer", "lines", CHARACTERS_WRONG), rates_by(lines, hand_name)))
    html = REPORT.render(
        title=f"{split}: {100 * metrics[f'{split}_cer']:.2f}% of the characters wrong",
        split=split,
        height=SHOWN_HEIGHT,
        number=len(lines),
        tables=tables,
        worst=[(lines[row], line_picture(dataset[row]["image"]), marked_texts(lines[row])) for row in worst],
    )
    (folder / f"{split}_report.html").write_text(html, encoding="utf-8")


def line_picture(image) -> str:
    """An image of any kind as a data URI."""
    return picture(to_grey(load_image(image)), SHOWN_HEIGHT)


def error_rate_rows(metrics: dict[str, float], split: str) -> list[tuple[str, str]]:
    """The rates among the metrics by names for people, in percent."""
    named_rates = ((name, metrics.get(f"{split}_{rate}")) for rate, name in RATE_NAMES.items())
    return [(name, f"{100 * value:.2f}%") for name, value in named_rates if value is not None]


def marked_texts(line: ReadLine) -> dict[str, list[tuple[bool, str]]]:
    """Transcription and reading of a line in pieces, each with whether it is wrong."""
    chunks = align_characters([line.prediction], [line.reference]).alignments[0]
    return {
        "transcribed": [(c.type != "equal", line.reference[c.ref_start_idx : c.ref_end_idx]) for c in chunks],
        "read": [(c.type != "equal", line.prediction[c.hyp_start_idx : c.hyp_end_idx]) for c in chunks],
    }


def named(confusion: tuple[str, str, int]) -> tuple[str, str, int]:
    """A confusion with words for what cannot be seen, and code points of what looks alike, or is drawn on nothing."""
    there, read, number = confusion
    return shown(there) or "(added)", shown(read) or "(missed)", number


def shown(character: str) -> str:
    if character == " ":
        return "(space)"
    if len(character) != 1 or character.isascii():
        return character
    on_a_circle = DOTTED_CIRCLE * unicodedata.category(character).startswith("M")
    return f"{on_a_circle}{character} (U+{ord(character):04X})"


def confusions(lines: Iterable[ReadLine]) -> list[tuple[str, str, int]]:
    """The commonest confusions; an empty string stands for a character that is missing on its side."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        alignment = align_characters([line.prediction], [line.reference]).alignments[0]
        for chunk in (chunk for chunk in alignment if chunk.type != "equal"):
            there = line.reference[chunk.ref_start_idx : chunk.ref_end_idx]
            read = line.prediction[chunk.hyp_start_idx : chunk.hyp_end_idx]
            length = max(len(there), len(read))
            counts.update((there[i : i + 1], read[i : i + 1]) for i in range(length))
    return [(there, read, number) for (there, read), number in counts.most_common(CONFUSIONS)]


def length_class(line: ReadLine) -> str:
    first = len(line.reference) // LENGTH_STEP * LENGTH_STEP
    return f"{first:3d} to {first + LENGTH_STEP - 1}"


def hand_name(line: ReadLine) -> str:
    """Writer with the source, in which two writers may have one name; the source where it tells no writer."""
    return "/".join(filter(None, line.hand))


def rates_by(lines: Iterable[ReadLine], group) -> list[tuple[str, int, str]]:
    """CER of groups of lines: `(name, lines, CER in percent)`, by name; `group` gives a line's name."""
    groups = grouped(lines, lambda line: str(group(line)))
    return [(name, len(members), f"{100 * cer_of(members):.2f}%") for name, members in sorted(groups.items())]


def write_learning_curves(log_history: list[dict], folder: str | Path) -> None:
    """
    Draws losses and error rates over the steps to `learning_curves.png` and `.svg`.

    Args:
        log_history: The trainer's `state.log_history`.
        folder: Where to.
    """
    figure = matplotlib.figure.Figure(figsize=(10, 4), layout="constrained")
    losses, rates = figure.subplots(1, 2)
    numbers, percent = matplotlib.ticker.StrMethodFormatter("{x:g}"), matplotlib.ticker.PercentFormatter(1.0)
    for axes, curves, title, formatter in (
        (losses, LOSS_CURVES, "training loss", numbers),
        (rates, RATE_CURVES, "validation", percent),
    ):
        for name, label, color in curves:
            points = [(entry["step"], entry[name]) for entry in log_history if name in entry]
            if points:
                axes.plot(*zip(*points, strict=True), color=color, label=label)
        axes.set(title=title, xlabel="optimiser step", yscale="log")
        axes.grid(True, which="both", alpha=0.3)
        axes.yaxis.set_major_formatter(formatter)
        if axes.get_lines():
            axes.legend()
    # A decade of error rates may have no label but these.
    rates.yaxis.set_minor_formatter(percent)
    for ending in ("png", "svg"):
        figure.savefig(Path(folder) / f"learning_curves.{ending}")

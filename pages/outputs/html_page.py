# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A document as one HTML file: the picture of each page beside its text, words shaded by how sure they are."""

import datetime
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image

from ..html_layout import page_template, picture, plural, shown_words
from ..layout import Page
from ..page_sources import open_source
from ..transcript import TranscribedLine, TranscribedPage
from ..whole_files import whole_file
from .line_content import clean_text, line_confidence, line_outline, placed_words

SHOWN_HEIGHT = 1000
HTML = page_template("""
{% block style %}
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --quiet: #666; --edge: #ccc; --mark: 0 90 200 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e3; --paper: #17191c; --quiet: #a0a0a0; --edge: #444; --mark: 110 180 255 }
}
* { box-sizing: border-box }
body { max-width: 110em; background: var(--paper); color: var(--ink) }
h1 { font-size: 1.4em; overflow-wrap: anywhere }
h2 { font-size: 1em; grid-column: 1 / -1; margin: 0 }
header p, h2 { color: var(--quiet) }
section { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: .6em 1.5em; align-items: start }
section { padding: 1em 0; border-top: 1px solid var(--edge) }
.scan { position: sticky; top: .5em; max-height: calc(100vh - 1em); overflow: auto }
.sheet { position: relative }
.sheet img { width: 100%; height: auto }
svg { position: absolute; inset: 0; width: 100%; height: 100% }
polygon { fill: transparent; stroke: rgb(var(--mark) / 0); stroke-width: 2; vector-effect: non-scaling-stroke }
polygon { cursor: pointer }
polygon:hover { stroke: rgb(var(--mark) / .7) }
polygon.here, polygon:target { fill: rgb(var(--mark) / .18); stroke: rgb(var(--mark)) }
.text { font-size: 1.1em; line-height: 1.7 }
.region { margin: 0 0 1.2em }
.region p { margin: 0; padding: 0 .3em 0 3em; position: relative; overflow-wrap: anywhere; cursor: pointer }
.region p { border-inline-start: 4px solid transparent; scroll-margin: 40vh 0 }
.region p.here { background: rgb(var(--mark) / .18) }
.region p.doubtful { border-inline-start-color: #d06000 }
.number { position: absolute; left: 0; width: 2.4em; text-align: right; user-select: none; text-decoration: none }
.number { font-size: 75%; color: var(--quiet); line-height: 2.27 }
.doubtful .number::after { content: "?"; margin-left: .15em; color: #d06000; font-weight: bold }
.word { background: rgb(255 140 0 / calc(var(--doubt) * .75)); border-radius: .2em; padding: .1em 0 }
.unread { color: var(--quiet); font-style: italic }
@media (max-width: 50em) {
  body { margin: .5em auto; padding: 0 .6em }
  section { grid-template-columns: minmax(0, 1fr) }
  .scan { z-index: 1; top: 0; max-height: 42vh; background: var(--paper); border-bottom: 1px solid var(--edge) }
  .region p { scroll-margin: 50vh 0 10vh }
}
@media print {
  :root { --ink: #000; --paper: #fff; --quiet: #444 }
  body { max-width: none; margin: 0; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  section { break-after: page; border: 0; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) }
  section:last-of-type { break-after: auto }
  .scan { position: static; max-height: none; border: 0 }
  .text { font-size: .8em; line-height: 1.5 }
  polygon.here, .region p.here { fill: transparent; stroke: transparent; background: none }
}
{% endblock %}
{% block body %}
<header>
<h1>{{ title }}</h1>
<p>{{ summary }} The darker a word is shaded, the less certain it is;
lines marked <b>?</b> are doubtful. Choose a line to see its place.</p>
</header>
{% for page in pages %}
<section>
<h2>Page {{ page.number }}{% for problem in page.problems %}; {{ problem }}{% endfor %}</h2>
<div class="scan"><div class="sheet">
<img src="{{ page.picture }}" alt="page {{ page.number }}" width="{{ page.size[0] }}" height="{{ page.size[1] }}">
<svg viewBox="0 0 {{ page.size[0] }} {{ page.size[1] }}" preserveAspectRatio="none" aria-hidden="true">
{% for line in page.lines if line.points %}
<polygon id="place-{{ line.name }}" data-line="{{ line.name }}" points="{{ line.points }}"></polygon>
{% endfor %}
</svg>
</div></div>
<div class="text" lang="">
{% for region in page.regions %}
<div class="region">
{% for line in region %}
<p dir="auto" data-line="{{ line.name }}" class="{{ line.kind }}"{% if line.told %} title="{{ line.told }}"{% endif %}>
<a class="number" href="#place-{{ line.name }}" aria-label="line {{ line.number }}: its place">{{ line.number }}</a>
{% for word in line.words %}
<span class="word" style="--doubt: {{ word.doubt }}" title="{{ word.told }}">{{ word.text }}</span>
{% else %}
{{ line.text }}
{% endfor %}
</p>
{% endfor %}
</div>
{% endfor %}
</div>
</section>
{% endfor %}
<script>
addEventListener("click", event => {
  const chosen = event.target.closest("[data-line]");
  if (!chosen) return;
  event.preventDefault();
  for (const before of document.querySelectorAll(".here")) before.classList.remove("here");
  for (const part of document.querySelectorAll(`[data-line="${chosen.dataset.line}"]`)) {
    part.classList.add("here");
    if (part !== chosen) part.scrollIntoView({block: "nearest", inline: "nearest"});
  }
});
</script>
{% endblock %}
""")


def write_html(pages: Sequence[TranscribedPage], path: Path, now: datetime.datetime) -> Path:
    """
    Writes a document as one HTML file that needs no network; its pictures are opened one by one.

    Raises:
        OSError, ValueError: If a picture cannot be opened.
    """
    stream = HTML.stream(
        title=clean_text(pages[0].source.document.name), summary=summary(pages, now), pages=shown_pages(pages)
    )
    with whole_file(path) as temporary, temporary.open("wb") as file:
        stream.dump(file, "utf-8")
    return path


def summary(pages: Sequence[TranscribedPage], now: datetime.datetime) -> str:
    lines = [line for page in pages for line in page.lines]
    doubtful = sum(line.doubtful for line in lines)
    return (
        f"{plural(len(pages), 'page')}, {plural(len(lines), 'line')}, {doubtful} doubtful. "
        f"Read by {pages[0].software}, {now.date().isoformat()}."
    )


def shown_pages(pages: Sequence[TranscribedPage]) -> Iterator[dict[str, Any]]:
    for page in pages:
        image = open_source(page.source, page.page)
        number = page.source.number + 1
        lines = [shown_line(line, place, number, page.page) for place, line in enumerate(page.lines, start=1)]
        regions = groupby(zip(page.lines, lines, strict=True), lambda pair: pair[0].line.region)
        yield {
            "number": number,
            "problems": page.problems,
            "picture": picture(image, SHOWN_HEIGHT),
            "size": page_size(page.page, image),
            "lines": lines,
            "regions": [[line for _, line in of_region] for _, of_region in regions],
        }


def page_size(page: Page, image: Image.Image) -> tuple[int, int]:
    """Width and height that places on the page are counted in."""
    return (page.width, page.height) if page.width and page.height else image.size


def shown_line(line: TranscribedLine, place: int, page_number: int, page: Page) -> dict[str, Any]:
    text, confidence = clean_text(line.text), line_confidence(line)
    unread = f"not read: {line.problem}" if line.problem else "no text"
    return {
        "name": f"{page_number}-{place}",
        "number": place,
        "kind": "doubtful" if line.doubtful else "" if text else "unread",
        "points": " ".join(f"{x},{y}" for x, y in line_outline(line, page)),
        "text": text or unread,
        "told": "" if confidence is None else f"confidence {confidence:.0%}",
        "words": shown_words(placed_words(line)),
    }

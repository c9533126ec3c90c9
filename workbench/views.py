# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the browser shows of a project, as HTML and as what its scripts ask for. Every text is escaped."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from PIL import Image

from ..pages.html_layout import PAGES, jpeg_uri, picture, plural, shown_words
from .project import ACCEPTED, DONE, GIVEN, SKIPPED, PageFiles, Project, WorkLine
from .teaching import BUSY, FAILED, INTERRUPTED, PREPARING, SCORED, TRAINED, TRAINING

PAGE_HEIGHT = 900  # Shown; pictures are sent with twice as many pixels.
LINE_WIDTH, LINE_QUALITY = 1800, 85
# Paper around a line that is shown, as parts of its height.
ABOVE, BESIDE = 0.35, 0.5
SHOWN_PROBLEMS = 20
STATES = {ACCEPTED: "corrected", GIVEN: "from your file", SKIPPED: "skipped"}

PAGE = PAGES.from_string("""
<div class="wb-page">
<div class="wb-scan"><div class="wb-sheet">
<img src="{{ picture }}" alt="Page {{ name }}" width="{{ width }}" height="{{ height }}">
<svg viewBox="0 0 {{ width }} {{ height }}" preserveAspectRatio="none" aria-hidden="true">
{% for line in lines if line.points %}
<polygon data-line="{{ line.number }}" class="{{ line.state }}" points="{{ line.points }}"></polygon>
{% endfor %}
</svg></div></div>
<div class="wb-text" lang="">
{% for region in regions %}
<div class="wb-region">
{% for line in region %}
<div class="wb-line {{ line.state }}" data-line="{{ line.number }}">
<button type="button" class="wb-number" aria-label="Line {{ line.place }}: show its place">{{ line.place }}</button>
<p dir="auto" title="{{ line.told }}">
{% for word in line.words %}
<span class="wb-word" style="--doubt: {{ word.doubt }}" title="{{ word.told }}">{{ word.text }}</span>
{% else %}
{{ line.text or "(no text)" }}
{% endfor %}
</p>
<button type="button" class="wb-edit" data-page="{{ name }}" data-correct="{{ line.number }}">Correct</button>
</div>
{% endfor %}
</div>
{% else %}
<p>No lines were found on this page. Drop its PAGE XML or ALTO with it, under another name, to say where they are.</p>
{% endfor %}
</div>
</div>
""")
PROGRESS = PAGES.from_string("""
<div class="wb-status {{ kind }}" role="status">
<p>{{ sentence }}</p>
{% if total %}<progress max="{{ total }}" value="{{ done }}" aria-label="Progress"></progress>{% endif %}
{% if problems %}
<details {{ "open" if problems | length < 4 }}><summary>{{ problems | length }} to look at</summary><ul>
{% for problem in problems[:shown] %}<li>{{ problem }}</li>{% endfor %}
{% if problems | length > shown %}<li>And {{ problems | length - shown }} more.</li>{% endif %}
</ul></details>
{% endif %}
</div>
""")
TEACHING = PAGES.from_string("""
<div class="wb-status {{ kind }}" role="status"><p>{{ sentence }}</p>
{% if total %}<progress max="{{ total }}" value="{{ done }}" aria-label="Progress"></progress>{% endif %}
{% if detail %}<p><code>{{ detail }}</code></p>{% endif %}
</div>
{% if curves %}
<div class="wb-curves">
{% for curve in curves %}
<figure>
<figcaption>{{ curve.title }}: {{ curve.last }}</figcaption>
<svg viewBox="0 0 400 160" role="img" aria-label="{{ curve.title }}: {{ curve.last }}">
<line x1="44" y1="140" x2="396" y2="140"></line><line x1="44" y1="8" x2="44" y2="140"></line>
<text x="40" y="16" text-anchor="end">{{ curve.top }}</text><text x="40" y="140" text-anchor="end">0</text>
<text x="396" y="156" text-anchor="end">{{ steps }} steps</text>
<polyline points="{{ curve.points }}"></polyline>
{% for x, y in curve.dots %}<circle cx="{{ x }}" cy="{{ y }}" r="3.5"></circle>{% endfor %}
</svg></figure>
{% endfor %}
</div>
{% endif %}
{% if examples %}
<h3>Lines of the kept pages that changed</h3>
<div class="wb-examples">
{% for each in examples %}
{% set more = each.edits_after - each.edits_before %}
<dl class="{{ "worse" if more > 0 else "better" if more < 0 }}">
<dt>written</dt><dd dir="auto">{{ each.written }}</dd>
<dt>before</dt><dd dir="auto">{{ each.before or "(nothing)" }} <small>{{ each.edits_before }} wrong</small></dd>
<dt>after</dt><dd dir="auto">{{ each.after or "(nothing)" }} <small>{{ each.edits_after }} wrong</small></dd>
</dl>
{% endfor %}
</div>
{% endif %}
""")


def page_html(project: Project, page: PageFiles) -> str:
    """A page with its lines over the picture, and its text beside it."""
    lines = [shown_line(line) for line in project.lines(page)]
    regions = groupby(lines, key=lambda line: line["region"])
    return PAGE.render(
        name=page.name,
        picture=picture(project.picture(page), PAGE_HEIGHT),
        width=page.page.width,
        height=page.page.height,
        lines=lines,
        regions=[list(of_region) for _, of_region in regions],
    )


def shown_line(line: WorkLine) -> dict[str, Any]:
    told = STATES.get(line.state) or ("" if line.confidence is None else f"confidence {line.confidence:.0%}")
    return {
        "number": line.line.number,
        "place": line.place,
        "region": line.line.region,
        "state": line.state,
        "points": " ".join(f"{x:g},{y:g}" for x, y in line.line.polygon),
        "text": line.text,
        "told": told,
        "words": shown_words(line.words),
    }


def line_payload(project: Project, line: WorkLine) -> dict[str, Any]:
    """A line to be corrected, for the script of the tab Correct."""
    page = project.page(line.page)
    image, points = line_picture(project, page, line)
    return {
        "page": line.page,
        "number": line.line.number,
        "place": line.place,
        "of": len(page.page.lines),
        "text": line.text,
        "confidence": line.confidence,
        "state": line.state,
        "version": line.version,
        "words": shown_words(line.words),
        "problem": line.line.problem,
        "picture": image,
        "points": points,
    }


def line_picture(project: Project, page: PageFiles, line: WorkLine) -> tuple[dict[str, Any], str]:
    """The line with some of the page around it as a data URI with its size, and its outline on it."""
    whole = project.picture(page)
    if not line.line.polygon:
        return jpeg(whole), ""
    scale = (whole.width / page.page.width, whole.height / page.page.height)
    left, top, right, bottom = line.line.box
    beside, above = BESIDE * (bottom - top), ABOVE * (bottom - top)
    box = (
        max(0, round((left - beside) * scale[0])),
        max(0, round((top - above) * scale[1])),
        min(whole.width, round((right + beside) * scale[0])),
        min(whole.height, round((bottom + above) * scale[1])),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        return jpeg(whole), ""
    shown = jpeg(whole.crop(box))
    smaller = shown["width"] / (box[2] - box[0])
    points = [((x * scale[0] - box[0]) * smaller, (y * scale[1] - box[1]) * smaller) for x, y in line.line.polygon]
    return shown, " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def jpeg(image: Image.Image) -> dict[str, Any]:
    image = image.convert("RGB")
    if image.width > LINE_WIDTH:
        size = (LINE_WIDTH, max(1, round(image.height * LINE_WIDTH / image.width)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return {"uri": jpeg_uri(image, LINE_QUALITY), "width": image.width, "height": image.height}


def counts(project: Project) -> dict[str, int]:
    lines = project.all_lines()
    return {"done": sum(line.state in DONE for line in lines), "total": len(lines)}


# Reading


def reading_html(status: dict[str, Any], unread: int, pages: int, problems: Sequence[str] = ()) -> str:
    """How far reading is, in a sentence."""
    state = status["state"]
    problems = [*problems, *status.get("problems", ())]
    running = state in ("running", "stopping")
    kind = "busy" if running else "bad" if state == "failed" else ""
    return PROGRESS.render(
        sentence=reading_sentence(status, unread, pages),
        kind=kind,
        total=status.get("total", 0) if running else 0,
        done=status.get("done", 0),
        problems=list(dict.fromkeys(problems)),
        shown=SHOWN_PROBLEMS,
    )


def reading_sentence(status: dict[str, Any], unread: int, pages: int) -> str:
    state = status["state"]
    if state == "failed":
        return status["error"]
    if state in ("running", "stopping"):
        ending = "Stopping after these pages." if state == "stopping" else "You may close this window; it goes on."
        if not status["done"]:
            return f"Reading {plural(status['total'], 'page')}. {ending}"
        seconds = max(status["seconds"], 1e-3)
        pace = f"{status['done'] / seconds:.2f} pages and {status['lines'] / seconds:.1f} lines a second"
        return f"{status['done']} of {plural(status['total'], 'page')} done, {pace}. {ending}"
    if state == "stopped" and not status["done"]:
        return f"Stopped before a page was read. {waiting(unread)}: press Read." if unread else "Stopped."
    if state in ("done", "stopped") and status["done"]:
        said = "Stopped" if state == "stopped" else "Done"
        rest = f"{waiting(unread)}: press Read." if unread else "Go on in the tab Correct."
        failed = status["done"] - status["read"]
        but = f"; {plural(failed, 'page')} could not be" if failed else ""
        return f"{said}: {plural(status['read'], 'page')} with {plural(status['lines'], 'line')} read{but}. {rest}"
    if unread:
        return f"{waiting(unread)}. Press Read."
    if pages:
        said = f"All {pages} pages are read." if pages > 1 else "The page is read."
        return f"{said} Drop more, or go on in the tab Correct."
    return "Drop pictures of pages or lines, PDFs, PAGE XML or ALTO with their pictures above; then press Read."


def waiting(unread: int) -> str:
    return f"{plural(unread, 'page')} {'waits' if unread == 1 else 'wait'} to be read"


# Teaching


def teaching_html(status: dict[str, Any], corrected: int) -> str:
    """How far teaching is: a sentence, the curves, and the lines that changed."""
    state, score = status["state"], status.get("score") or {}
    done, total = teaching_progress(status)
    return TEACHING.render(
        sentence=teaching_sentence(status, corrected),
        kind="busy" if state in BUSY else "bad" if state == FAILED else "",
        done=done,
        total=total,
        steps=status.get("steps", 0),
        detail=status.get("last_words", ""),
        curves=curves_of(status),
        examples=score.get("examples", []) if state == SCORED else [],
    )


def teaching_progress(status: dict[str, Any]) -> tuple[int, int]:
    """What is done of how much: lines that are cut out, then steps; of nothing while there is nothing to show."""
    if status["state"] == PREPARING:
        return status["cut"], status["lines"] + status["kept_lines"]
    if status["state"] == TRAINING or status.get("losses"):
        return status["step"], status["steps"]
    return 0, 0


def teaching_sentence(status: dict[str, Any], corrected: int) -> str:
    state = status["state"]
    if state == PREPARING:
        total = plural(status["lines"] + status["kept_lines"], "corrected line")
        return f"Cutting {total} out of the pages: {status['cut']} done. You may close this window; it goes on."
    if state == TRAINING:
        left = status["minutes_left"]
        ahead = "" if left is None else f" About {plural(max(1, round(left)), 'minute')} left."
        first = "" if status["step"] else " The first steps come after the kept pages are read."
        learning = f"Learning from {plural(status['lines'], 'line')}: step {status['step']} of {status['steps']}."
        return learning + ahead + first
    if state == TRAINED:
        return "Learnt. The kept pages are being read with both models."
    if state == INTERRUPTED:
        return f"Teaching was interrupted at step {status['step']} of {status['steps']}. Press Go on, or teach anew."
    if state == FAILED:
        return f"Teaching failed. {status.get('error') or 'What it said at its end:'}"
    if state == SCORED:
        return scored_sentence(status)
    return (
        f"{plural(corrected, 'line')} corrected so far. Correct two or three pages, choose one to keep for scoring, "
        "and press Teach."
    )


def scored_sentence(status: dict[str, Any]) -> str:
    score = status["score"]
    figures = (
        f"Of the characters on the kept pages ({plural(status['kept_lines'], 'line')}), {100 * score['before']:.1f} % "
        f"were wrong before and {100 * score['after']:.1f} % are now."
    )
    if not score["better"]:
        return f"{figures} That is not better, so the model of before stays. Correct more lines, and teach again."
    if status["used"]:
        return f"{figures} The taught model is in use. Press Read again in the tab Read to read what is not corrected."
    return f"{figures} Press Use this model to read with it from now on."


def curves_of(status: dict[str, Any]) -> list[dict[str, Any]]:
    losses, rates = status.get("losses") or [], status.get("rates") or []
    made = []
    if rates:
        title = "Characters wrong on the kept pages"
        made.append(curve(title, [(x, 100 * y) for x, y in rates], status["steps"], "{:.1f} %", "{:.0f} %"))
    if losses:
        made.append(curve("Loss on the lines it learns from", losses, status["steps"], "{:.2f}", "{:.1f}"))
    return made


def curve(title: str, points: list[tuple[int, float]], steps: int, last: str, top: str) -> dict[str, Any]:
    highest = max(max(y for _, y in points), 1e-9)
    places = [(round(44 + 352 * min(x / steps, 1), 1), round(140 - 128 * y / highest, 1)) for x, y in points]
    return {
        "title": title,
        "last": last.format(points[-1][1]),
        "top": top.format(highest),
        "points": " ".join(f"{x},{y}" for x, y in places),
        "dots": places,
    }

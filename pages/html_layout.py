# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What HTML pages made here have in common: one file each, with its pictures in it, that needs no network."""

import base64
from collections.abc import Iterable
from io import BytesIO

import jinja2
from PIL import Image

from .transcript import Word

LAYOUT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 15px sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .6em; text-align: left }
img { max-width: 100%; object-fit: contain; object-position: left; display: block }
small { color: #666 }
.error { color: #a00 }
{% block style %}{% endblock %}
</style></head><body>
{% block body %}{% endblock %}
</body></html>
"""
PAGES = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    loader=jinja2.DictLoader({"layout.html": LAYOUT}),
)


def page_template(blocks: str) -> jinja2.Template:
    """
    A template of a report; whatever is put into it is escaped.

    Args:
        blocks: The blocks `style` and `body` of the layout, which also needs a `title`.
    """
    return PAGES.from_string('{% extends "layout.html" %}' + blocks)


def picture(image: Image.Image, height: int) -> str:
    """An image as a data URI, to be shown at a height in pixels, and sharp on screens with twice as many."""
    height = min(2 * height, image.height)
    size = (max(1, round(image.width * height / image.height)), height)
    return jpeg_uri(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), quality=75)


def jpeg_uri(image: Image.Image, quality: int) -> str:
    """An image in grey or RGB as a data URI."""
    content = BytesIO()
    image.save(content, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def shown_words(words: Iterable[Word]) -> list[dict[str, str]]:
    """Words to be shaded by how doubtful they are, from 0 to 1, with what is told of each."""
    return [
        {"text": word.text, "doubt": f"{1 - word.confidence:.2f}", "told": f"confidence {word.confidence:.0%}"}
        for word in words
    ]


def plural(number: int, name: str) -> str:
    """A number of things: 1 line, 2 lines."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"

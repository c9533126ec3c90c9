# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws the picture of a reading that README shows: lines, what a model reads in them, and its scores.

python examples/draw_reading.py [--model FOLDER] [--output docs/reading.svg] [IMAGE ...]
"""

import argparse
import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

from PIL import Image
from transformers import pipeline

ROOT = Path(__file__).resolve().parent.parent
LINES = ("lettre_1", "lettre_2", "lettre_3")
WIDTH, MARGIN, LINE_HEIGHT, ROW_HEIGHT = 640, 16, 64, 112  # pixels
FONT = "font-family='system-ui, sans-serif' font-size='19'"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "hub_upload" / "htr-convtext-fr"))
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reading.svg")
    parser.add_argument("images", nargs="*", type=Path, help="line images; default: some of this folder's")
    options = parser.parse_args(arguments)
    images = options.images or [ROOT / "examples" / f"{name}.jpg" for name in LINES]
    read = pipeline("image-to-text", model=options.model, trust_remote_code=True)
    readings = [reading[0] for reading in read([str(image) for image in images])]
    options.output.write_text("\n".join(picture(images, readings)) + "\n", encoding="utf-8")


def picture(images: list[Path], readings: list[dict]) -> Iterator[str]:
    """Lines of the SVG; the images are inside it, so that it can be shown anywhere."""
    height = ROW_HEIGHT * len(images) + MARGIN
    yield f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}'>"
    yield f"<rect width='{WIDTH}' height='{height}' fill='white'/>"
    for number, (path, reading) in enumerate(zip(images, readings, strict=True)):
        top = MARGIN + number * ROW_HEIGHT
        width, original = Image.open(path).size
        scale = min(LINE_HEIGHT / original, (WIDTH - 2 * MARGIN) / width)
        place = f"x='{MARGIN}' y='{top}' width='{width * scale:.0f}' height='{original * scale:.0f}'"
        content = base64.b64encode(path.read_bytes()).decode()
        kind = "png" if path.suffix.lower() == ".png" else "jpeg"
        yield f"<image {place} href='data:image/{kind};base64,{content}'/>"
        text, score = escape(reading["generated_text"]), f"{reading['score']:.2f}"
        yield f"<text x='{MARGIN}' y='{top + LINE_HEIGHT + 26}' {FONT} fill='#0b3d91'>{text}</text>"
        yield (
            f"<text x='{WIDTH - MARGIN}' y='{top + LINE_HEIGHT + 26}' {FONT} fill='#555' text-anchor='end'>"
            f"{score}</text>"
        )
    yield "</svg>"


if __name__ == "__main__":
    main()

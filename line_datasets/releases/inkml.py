# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Online handwriting: strokes from InkML, drawn as images."""

import dataclasses
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image, ImageDraw

from ...pages.safe_xml import parse_xml
from ..line import Line
from ..problems import Problems

OVERSAMPLING = 10
HALF_A_PIXEL = 0.5
PAPER, INK = 255, 0

Stroke = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class InkOptions:
    """
    How strokes are drawn: black on white, antialiased, the same bytes for the same strokes.

    The writing is scaled to fit `width` by `height` pixels. The paper does not say how its lines were drawn. The
    defaults imitate a published rendering whose file names its lists have (that it is the paper's is an inference): a
    matplotlib figure of the default size at 100 dots per inch, so that lines become equally wide and the height of
    the writing changes with the length of the line. For one height set `width` to 0. Tell these options with any
    result.

    Args:
        width: Largest width of the writing in pixels; 0 for no limit.
        height: Largest height of the writing in pixels; 0 for no limit.
        stroke_width: Thickness of the pen in pixels; the default is half a point.
        margin: White pixels on each side.
        relative_margin: Further white on each side, as a share of the width or height of the writing.
    """

    width: int = 451
    height: int = 336
    stroke_width: float = 0.7
    margin: int = 10
    relative_margin: float = 0.05

    def __post_init__(self):
        if min(self.width, self.height, self.margin, self.relative_margin) < 0 or self.stroke_width <= 0:
            raise ValueError("VNOnDB: stroke_width must be positive, the other options not negative.")
        if not self.width and not self.height:
            raise ValueError("VNOnDB: give a width, a height, or both.")


class Ink(NamedTuple):
    """Strokes of a line in units of the tablet, y downward, and how to draw them."""

    strokes: tuple[Stroke, ...]
    options: InkOptions

    def encoded(self) -> bytes:
        """The line drawn in grey, as PNG; the same strokes give the same bytes."""
        content = BytesIO()
        draw_strokes(self.strokes, self.options).save(content, "PNG")
        return content.getvalue()


def draw_strokes(strokes: tuple[Stroke, ...], options: InkOptions) -> Image.Image:
    """Draws at `OVERSAMPLING` times the size and averages down, which antialiases the pen's edges."""
    points = np.array([point for stroke in strokes for point in stroke])
    low = points.min(axis=0)
    extent = np.maximum(points.max(axis=0) - low, 1)
    limits = np.array([options.width or np.inf, options.height or np.inf])
    scale = (limits / extent).min()
    white = options.margin + options.relative_margin * extent * scale
    size = np.round(extent * scale + 2 * white).astype(int) + 1
    canvas = Image.new("L", tuple((size * OVERSAMPLING).tolist()), PAPER)
    pen = max(1, round(options.stroke_width * OVERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        path = ((np.array(stroke) - low) * scale + white + HALF_A_PIXEL) * OVERSAMPLING
        draw.line([tuple(point) for point in path.tolist()], fill=INK, width=pen, joint="curve")
        for x, y in (path[0], path[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=INK)
    return canvas.resize(tuple(size.tolist()), Image.Resampling.BOX)


def inkml_lines(path: Path, options: InkOptions, problems: Problems) -> Iterator[Line]:
    """Lines of an InkML file, with or without the namespace of the W3C: one for each `traceGroup`."""
    try:
        groups = parse_xml(path).findall(".//{*}traceGroup")
    except ValueError as error:
        problems.add(path, str(error))
        return
    for group in groups:
        identifier = group.get("id", "?")
        text = group.findtext(".//{*}Tg_Truth")
        try:
            strokes = tuple(stroke for trace in group.findall("{*}trace") if (stroke := parse_trace(trace)))
        except (ValueError, IndexError) as error:
            problems.add(path, f"{identifier}: malformed trace ({error})")
            continue
        if text is None or not strokes:
            problems.add(path, f"{identifier} has no {'Tg_Truth' if text is None else 'trace'}")
        else:
            yield Line(f"{path.stem}_{identifier}", text, Ink(strokes, options), page=path.stem)


def parse_trace(trace: Element) -> Stroke:
    """Points "x y, x y, ": a comma may end them, and fields after the second are ignored."""
    points = (piece.split() for piece in (trace.text or "").split(",") if piece.strip())
    return tuple((float(point[0]), float(point[1])) for point in points)

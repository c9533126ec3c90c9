"""HANDS-VNOnDB: online handwriting in InkML, its strokes drawn as images."""

import dataclasses
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from PIL import Image, ImageDraw

from .line_folder import Lines, ln_lists, numbered_lines, read_ln
from .lines import Line
from .pages import parse_xml
from .problems import Problems

SPLIT_FILES = {"train": "train_set.txt", "validation": "validation_set.txt", "test": "test_set.txt"}
OVERSAMPLING = 4
PAPER, INK = 255, 0

Stroke = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class VnondbOptions:
    """
    Options of `load_lines("vnondb", ...)`: how strokes are drawn, black on white, antialiased.

    Args:
        height: Pixels from the highest to the lowest point of a line, margins left out; 0 scales to `width` instead.
        width: Pixels from the leftmost to the rightmost point, used if `height` is 0. The default, 496 pixels,
            follows the published rendering whose file names the papers' lists use: a figure of fixed width, so that
            the height of the writing changes with the length of the line.
        stroke_width: Thickness of the pen in pixels. 0.7 is the half point at 100 dots per inch of that rendering.
        margin: White pixels on each side.
    """

    height: int = 0
    width: int = 496
    stroke_width: float = 0.7
    margin: int = 10

    def __post_init__(self):
        if self.height <= 0 and self.width <= 0 or self.stroke_width <= 0 or self.margin < 0:
            raise ValueError("VNOnDB: height or width and stroke_width must be positive, margin not negative.")


class Ink(NamedTuple):
    """Strokes of a line in units of the tablet, y downward, and how to draw them."""

    strokes: tuple[Stroke, ...]
    options: VnondbOptions

    def encoded(self) -> bytes:
        """The line drawn in grey, as PNG; the same strokes give the same bytes."""
        content = BytesIO()
        draw_strokes(self.strokes, self.options).save(content, "PNG")
        return content.getvalue()


def draw_strokes(strokes: tuple[Stroke, ...], options: VnondbOptions) -> Image.Image:
    """Draws at `OVERSAMPLING` times the size and averages down, which antialiases the pen's edges."""
    xs, ys = zip(*(point for stroke in strokes for point in stroke), strict=True)
    wide, high = max(max(xs) - min(xs), 1), max(max(ys) - min(ys), 1)
    scale = options.height / high if options.height else options.width / wide
    size = [round(extent * scale) + 2 * options.margin + 1 for extent in (wide, high)]
    canvas = Image.new("L", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), PAPER)
    pen = max(1, round(options.stroke_width * OVERSAMPLING))
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        points = [
            tuple((value - low) * scale * OVERSAMPLING + (options.margin + 0.5) * OVERSAMPLING for value, low in pair)
            for pair in (((x, min(xs)), (y, min(ys))) for x, y in stroke)
        ]
        draw.line(points, fill=INK, width=pen, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=INK)
    return canvas.resize((size[0], size[1]), Image.Resampling.BOX)


def read(root: Path, options: VnondbOptions, problems: Problems) -> Lines:
    """
    Lines of the unpacked release, or of a rendered copy with `.ln` lists.

    The release is `InkData_line/*.inkml` with `train_set.txt`, `validation_set.txt` and `test_set.txt`, which name the
    files, anywhere below `root`.
    """
    if ln_lists(root):
        return read_ln(root, problems)
    files = {path.name: path for path in root.rglob("*.inkml") if path.parent.name in ("InkData_line", root.name)}
    lines: Lines = {}
    for split, name in SPLIT_FILES.items():
        listed = next(root.rglob(name), None)
        if listed is None:
            problems.add(root, f"no list {name}")
            continue
        for number, item in numbered_lines(listed, problems):
            path = files.get(item if item.endswith(".inkml") else f"{item}.inkml")
            if path is None:
                problems.add(listed, f"there is no {item} in InkData_line/", number)
            else:
                lines.setdefault(split, []).extend(inkml_lines(path, options, problems))
    return lines


def inkml_lines(path: Path, options: VnondbOptions, problems: Problems) -> list[Line]:
    """Lines of an InkML file, with or without the namespace of the W3C: one for each `traceGroup`."""
    root = parse_xml(path, problems)
    lines = []
    for group in root.findall(".//{*}traceGroup") if root is not None else []:
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
            lines.append(Line(f"{path.stem}_{identifier}", text, Ink(strokes, options), page=path.stem))
    return lines


def parse_trace(trace: Element) -> Stroke:
    """Points "x y, x y, ": a comma may end them, and fields after the second are ignored."""
    points = (piece.split() for piece in (trace.text or "").split(",") if piece.strip())
    return tuple((float(point[0]), float(point[1])) for point in points)

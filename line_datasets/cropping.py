"""Lines cut out of the images of whole pages."""

import dataclasses
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from .lines import open_image
from .page_layout import Point

CROPS = ("polygon", "box")
PNG_COMPRESSION = 1
ASPECT_TOLERANCE = 0.02
HIGH_BYTE = 1 / 256

Box = tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class CropOptions:
    """
    How lines are cut out of pages.

    Args:
        crop: "box": the axis-aligned box around the outline, as the papers on READ2016 cut it; "polygon": the same box
            with everything outside the outline painted in the median colour of what is inside, which is the paper's.
        turn_above: With "polygon", a line whose baseline is turned by more degrees than this (a slanted note, a scan
            that lies on its side) is turned until it reads from left to right. 180 turns none.
    """

    crop: str = "polygon"
    turn_above: float = 15.0

    def __post_init__(self):
        if self.crop not in CROPS:
            raise ValueError(f"Unknown crop {self.crop!r}. Known: {', '.join(CROPS)}.")


class Cut(NamedTuple):
    """
    Where a line lies on its page.

    Attributes:
        points: Outline in pixels of a page of `size`.
        size: Width and height of the page that the points refer to; the image may be scaled or, by its EXIF
            orientation, turned.
        angle: Degrees, clockwise as seen, by which the direction of reading is turned from left to right.
    """

    points: tuple[Point, ...]
    size: tuple[int, int]
    angle: float


class PageCrop(NamedTuple):
    """A line to be cut out of the image of a page."""

    path: Path
    cut: Cut
    options: CropOptions

    def encoded(self) -> bytes:
        """The line as PNG; ValueError or OSError, naming the page, if the image is unreadable or of another shape."""
        return cut_line(load_page(self.path, self.cut.size), self.cut, self.options)


def cut_line(page: Image.Image, cut: Cut, options: CropOptions) -> bytes:
    """A line of a page as PNG."""
    scale_x, scale_y = page.width / cut.size[0], page.height / cut.size[1]
    points = [(x * scale_x, y * scale_y) for x, y in cut.points]
    box = bounding_box(points, page.size)
    line = page.crop(box)
    if options.crop == "polygon" and len(points) > 2:
        angle = cut.angle if abs(cut.angle) > options.turn_above else 0.0
        line = within_outline(line, [(x - box[0], y - box[1]) for x, y in points], angle)
    content = BytesIO()
    line.save(content, "PNG", compress_level=PNG_COMPRESSION)
    return content.getvalue()


@lru_cache(maxsize=1)
def load_page(path: Path, size: tuple[int, int]) -> Image.Image:
    """See [`oriented_page`]; the last page is kept, since lines come page by page."""
    with open_image(path, path) as opened:
        return oriented_page(opened, size, path)


def oriented_page(opened: Image.Image, size: tuple[int, int], name: str | Path) -> Image.Image:
    """
    A page in grey or RGB, turned by its EXIF orientation if `size` is that of the turned page.

    Raises:
        ValueError: If the page has another shape than `size` says; the message begins with `name`.
    """
    for page in (opened, ImageOps.exif_transpose(opened)):
        if has_shape(page, size):
            if page.mode.startswith("I;16"):
                page = page.point(lambda value: value * HIGH_BYTE).convert("L")
            return page.copy() if page.mode in ("L", "RGB") else page.convert("RGB")
    raise ValueError(f"{name}: {opened.width} x {opened.height} pixels, but its XML says {size[0]} x {size[1]}")


def has_shape(page: Image.Image, size: tuple[int, int]) -> bool:
    return abs(page.width / page.height / (size[0] / size[1]) - 1) < ASPECT_TOLERANCE


def bounding_box(points: list[Point], size: tuple[int, int]) -> Box:
    """Left, top, right and bottom (both exclusive) of the pixels that an outline touches, within the page."""
    xs, ys = zip(*points, strict=True)
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    right, bottom = min(size[0], int(max(xs)) + 1), min(size[1], int(max(ys)) + 1)
    return min(left, size[0] - 1), min(top, size[1] - 1), max(right, left + 1), max(bottom, top + 1)


def within_outline(line: Image.Image, points: list[Point], angle: float) -> Image.Image:
    """The line with everything outside its outline in the colour of the paper, turned back by `angle` degrees."""
    mask = Image.new("L", line.size)
    ImageDraw.Draw(mask).polygon(points, fill=255, outline=255)
    paper = np.median(np.asarray(line)[np.asarray(mask) > 0], axis=0).astype(np.uint8)
    colour = tuple(paper.tolist()) if line.mode == "RGB" else int(paper)
    painted = Image.composite(line, Image.new(line.mode, line.size, colour), mask)
    if not angle:
        return painted
    turned = painted.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=colour)
    return turned.crop(mask.rotate(angle, expand=True).getbbox())

"""Lines cut out of the images of whole pages."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from .lines import open_image

CROPS = ("polygon", "box")
PNG_COMPRESSION = 1
ASPECT_TOLERANCE = 0.02

Point = tuple[float, float]


class PageCrop(NamedTuple):
    """
    A line cut out of a page.

    Args:
        path: Image of the page.
        points: Outline of the line in pixels of a page of `size`.
        size: Width and height of the page that the points refer to; the image may be scaled or, by its EXIF
            orientation, turned.
        crop: "box": the axis-aligned box around the outline, as the papers on READ2016 cut it; "polygon": the same box
            with everything outside the outline painted in the median colour of what is inside, which is the paper's.
    """

    path: Path
    points: tuple[Point, ...]
    size: tuple[int, int]
    crop: str

    def encoded(self) -> bytes:
        """The line as PNG; ValueError or OSError, naming the page, if the image is unreadable or of another shape."""
        page = load_page(self.path, self.size)
        scale_x, scale_y = page.width / self.size[0], page.height / self.size[1]
        points = [(x * scale_x, y * scale_y) for x, y in self.points]
        box = bounding_box(points, page.size)
        line = page.crop(box)
        if self.crop == "polygon" and len(points) > 2:
            line = paint_outside(line, [(x - box[0], y - box[1]) for x, y in points])
        content = BytesIO()
        line.save(content, "PNG", compress_level=PNG_COMPRESSION)
        return content.getvalue()


@lru_cache(maxsize=1)
def load_page(path: Path, size: tuple[int, int]) -> Image.Image:
    """A page in grey or RGB, turned by its EXIF orientation if the points refer to the turned page."""
    with open_image(path, path) as opened:
        page = opened if opened.mode in ("L", "RGB") else opened.convert("RGB")
        page.load()
        if has_shape(page, size):
            return page
        turned = ImageOps.exif_transpose(opened).convert(page.mode)
        if has_shape(turned, size):
            return turned
    raise ValueError(f"{path}: {page.width} x {page.height} pixels, but its XML says {size[0]} x {size[1]}")


def has_shape(page: Image.Image, size: tuple[int, int]) -> bool:
    return abs(page.width / page.height / (size[0] / size[1]) - 1) < ASPECT_TOLERANCE


def bounding_box(points: list[Point], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (both exclusive) of the pixels that an outline touches, within the page."""
    xs, ys = zip(*points, strict=True)
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    right, bottom = min(size[0], int(max(xs)) + 1), min(size[1], int(max(ys)) + 1)
    return min(left, size[0] - 1), min(top, size[1] - 1), max(right, left + 1), max(bottom, top + 1)


def paint_outside(line: Image.Image, points: list[Point]) -> Image.Image:
    """The line with everything outside a polygon in the median colour of what is inside."""
    mask = Image.new("1", line.size)
    ImageDraw.Draw(mask).polygon(points, fill=1, outline=1)
    inside = np.asarray(line)[np.asarray(mask)]
    paper = np.median(inside, axis=0).astype(np.uint8)
    colour = tuple(paper.tolist()) if line.mode == "RGB" else int(paper)
    return Image.composite(line, Image.new(line.mode, line.size, colour), mask)

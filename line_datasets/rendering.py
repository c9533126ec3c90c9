# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Drawn lines of handwriting: text set in a font made after handwriting, written unsteadily, on used paper.

A font repeats every letter exactly and on a straight line, which no hand does. So the words are set one by one, each
a little off the line, and the writing is bent by a smooth random displacement that makes every letter another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

HEIGHT = 96
FONT_SIZE = 80
MESH = 24
NOT_A_CHARACTER = "\uffff"


@dataclass(frozen=True)
class Hand:
    """
    How one line is written. Lengths are multiples of the font size if nothing else is said.

    Args:
        word_space: Space between words.
        unsteadiness: Standard deviation of a word's height above the line.
        slant: Shear to the right, in pixels for each pixel of height.
        stretch: Width as a multiple of the font's.
        thickness: Share of the blurred stroke that is left without ink: 0.5 keeps the font's weight, less is bolder.
        bend: Largest displacement of the strokes, in pixels of the finished line.
        ink: Grey of the ink, 0 black to 255 white.
        paper: Grey of the paper.
        grain: How unevenly the ink covers, 0 to 1, as a pencil does.
        ruling: Pixels between printed lines; 0 for none.
        squares: Whether the ruling has upright lines too.
        pitch: From one line to the next, in heights of the line; what of its neighbours reaches into the image is
            seen there.
        margins: Around the writing left, top, right and bottom; negative ones cut loops off.
    """

    word_space: float
    unsteadiness: float
    slant: float
    stretch: float
    thickness: float
    bend: float
    ink: float
    paper: float
    grain: float
    ruling: int
    squares: bool
    pitch: float
    margins: tuple[float, float, float, float]


def draw_hand(rng: np.random.Generator) -> Hand:
    """A hand at random, of ink or, one in four, of pencil."""
    paper = rng.uniform(150, 245)
    contrast = rng.uniform(0.15, 0.5) if rng.random() < 0.25 else rng.uniform(0.5, 0.9)
    left, right = rng.uniform(0, 0.5, 2)
    top, bottom = rng.uniform(-0.08, 0.25, 2)
    return Hand(
        word_space=rng.uniform(0.2, 0.6),
        unsteadiness=rng.uniform(0, 0.05),
        slant=rng.normal(0.1, 0.2),
        stretch=rng.uniform(0.8, 1.7),
        thickness=rng.uniform(0.2, 0.5),
        bend=rng.uniform(0.5, 3.0),
        ink=paper * (1 - contrast),
        paper=paper,
        grain=max(0.0, rng.uniform(-0.3, 0.5)),
        ruling=int(rng.integers(20, 60)) if rng.random() < 0.3 else 0,
        squares=bool(rng.random() < 0.5),
        pitch=rng.uniform(0.8, 1.6),
        margins=(left, top, right, bottom),
    )


def draw_line(texts: Sequence[str], font: ImageFont.FreeTypeFont, hand: Hand, rng: np.random.Generator) -> Image.Image:
    """
    Writes a line between two others.

    Args:
        texts: The line, the one above it and the one below it; all but the line may be empty. See [`writes`].
        font: Of `FONT_SIZE`.
        hand: How to write it.
        rng: Of what is uneven within the line.

    Returns:
        Grey image, 96 pixels high.
    """
    coverage = bent(cut_out(texts, font, hand, rng), hand, rng)
    strokes = np.asarray(coverage, dtype=np.float32) / 255
    # A steep ramp around the threshold: strokes change their width and stay sharp.
    strokes = np.clip((strokes - hand.thickness) / 0.35 + 0.5, 0, 1)
    strokes *= 1 - hand.grain * rng.random(strokes.shape, dtype=np.float32)
    paper = hand.paper + 4 * smooth_noise(coverage.width, 48, rng) + 3 * rng.standard_normal(strokes.shape)
    paper -= 22 * ruled(coverage.width, hand, rng)
    ink = hand.ink + 0.1 * (hand.paper - hand.ink) * smooth_noise(coverage.width, 24, rng)
    return Image.fromarray((paper + strokes * (ink - paper)).clip(0, 255).astype(np.uint8))


def cut_out(texts: Sequence[str], font: ImageFont.FreeTypeFont, hand: Hand, rng: np.random.Generator) -> Image.Image:
    """The line's box and its margins, with what reaches into them, at the line's size; 255 is ink."""
    # Swashes may reach beyond a word's own width, and loops into the lines above and below.
    width = int(max(map(font.getlength, texts)) + FONT_SIZE * (2 + hand.word_space * texts[0].count(" ") * 1.5))
    line, neighbours = (Image.new("L", (width, 8 * FONT_SIZE)) for _ in range(2))
    write(texts[0], line, 4 * FONT_SIZE, font, hand, rng)
    left, top, right, bottom = line.getbbox() or (0, 0, 1, 1)
    for text, pitch in ((texts[1], -hand.pitch), (texts[2], hand.pitch)):
        write(text, neighbours, 4 * FONT_SIZE + pitch * (bottom - top), font, hand, rng)
    line, neighbours = sheared(line, hand), sheared(neighbours, hand)
    left, top, right, bottom = line.getbbox() or (0, 0, 1, 1)
    margins = [round(margin * FONT_SIZE) for margin in hand.margins]
    box = (left - margins[0], top - margins[1], right + margins[2], max(bottom + margins[3], top - margins[1] + 1))
    page = ImageChops.lighter(line, neighbours).crop(box)
    size = (max(1, round(page.width * HEIGHT / page.height * hand.stretch)), HEIGHT)
    return page.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1.0))


def write(
    text: str, page: Image.Image, height: float, font: ImageFont.FreeTypeFont, hand: Hand, rng: np.random.Generator
) -> None:
    """Sets the words one by one on a line that rises or falls a little."""
    brush = ImageDraw.Draw(page)
    start, climb = float(FONT_SIZE), rng.normal(0, 0.006)
    for word in text.split(" "):
        offset = climb * start + rng.normal(0, hand.unsteadiness) * FONT_SIZE
        brush.text((start, height + offset), word, fill=255, font=font, anchor="ls")
        start += font.getlength(word) + hand.word_space * FONT_SIZE * rng.uniform(0.7, 1.4)


def sheared(image: Image.Image, hand: Hand) -> Image.Image:
    """The writing leaning to the right by the hand's slant, on a canvas that holds it."""
    shift = abs(hand.slant) * image.height
    matrix = (1, hand.slant, -shift if hand.slant > 0 else 0.0, 0, 1, 0)
    size = (int(image.width + shift) + 1, image.height)
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def bent(image: Image.Image, hand: Hand, rng: np.random.Generator) -> Image.Image:
    """The strokes displaced smoothly: a mesh of quadrilaterals with corners moved at random."""
    columns, rows = -(-image.width // MESH), -(-HEIGHT // MESH)
    corners = np.stack(np.meshgrid(np.arange(columns + 1), np.arange(rows + 1)), axis=-1) * float(MESH)
    corners += rng.uniform(-hand.bend, hand.bend, corners.shape)
    mesh = [
        (
            (x * MESH, y * MESH, (x + 1) * MESH, (y + 1) * MESH),
            tuple(np.concatenate([corners[y, x], corners[y + 1, x], corners[y + 1, x + 1], corners[y, x + 1]])),
        )
        for y in range(rows)
        for x in range(columns)
    ]
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def smooth_noise(width: int, scale: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of standard deviation about 1 that changes over about `scale` pixels, of shape `(HEIGHT, width)`."""
    coarse = rng.standard_normal((HEIGHT // scale + 2, width // scale + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, HEIGHT), Image.Resampling.BICUBIC))


def ruled(width: int, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """1 on the paper's printed lines, 0 elsewhere, of shape `(HEIGHT, width)`."""
    lines = np.zeros((HEIGHT, width), dtype=np.float32)
    if hand.ruling:
        lines[int(rng.integers(hand.ruling)) :: hand.ruling] = 1
        if hand.squares:
            lines[:, int(rng.integers(hand.ruling)) :: hand.ruling] = 1
    return lines


def writes(font: ImageFont.FreeTypeFont, characters: str) -> str:
    """Those of the characters that the font has a glyph for; a space needs none."""
    missing = bytes(font.getmask(NOT_A_CHARACTER))
    return "".join(one for one in characters if one == " " or bytes(font.getmask(one)) not in (missing, b""))

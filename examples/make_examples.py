# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws the line images in this folder: French notebook lines in handwriting fonts, on slightly worn paper.

Two of them are hard: `carnet_5` and `lettre_5` are faint, run off the level, and hold bits of the lines around them.

The fonts are packages of the npm registry and are not kept here (credits: README.md in this folder):

    npm install --prefix DIR @fontsource/bad-script @fontsource/beth-ellen @fontsource/caveat \
        @fontsource/cedarville-cursive @fontsource/dancing-script @fontsource/fuggles @fontsource/homemade-apple \
        @fontsource/kalam @fontsource/kolker-brush @fontsource/marck-script @fontsource/oooh-baby @fontsource/satisfy
    python examples/make_examples.py --fonts DIR
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from htr_convtext.line_datasets.rendering import HEIGHT, smooth_noise

MARGIN = 14
SUPERSAMPLING = 4
NEIGHBOUR_PITCH = 0.7  # heights of the image from one line to the next, where neighbours are seen


@dataclass(frozen=True)
class Line:
    """
    One line of the notebook and how it is written; lengths in pixels of the finished image. `rise` is how far it
    climbs in each pixel of its length; `neighbour` is the text of the lines around it, of which most is cut off.
    """

    name: str
    text: str
    font: str
    size: int
    ink: int
    paper: int
    word_space: int
    slant: float
    ruling: str
    rise: float = 0.0
    neighbour: str = ""


# fmt: off
LINES = (
    Line("carnet_1", "Lyon, le 14 mai 1931.", "caveat", 46, 45, 208, 16, 0.05, "squares"),
    Line("carnet_2", "Nous partons demain matin pour la montagne,", "kalam", 36, 60, 204, 16, 0.12, "none"),
    Line("carnet_3", "si le temps le permet. Hier il a plu toute la journée.",
         "marck-script", 38, 50, 210, 22, 0.0, "lines"),
    Line("carnet_4", "Le village est à 3 km de la gare", "oooh-baby", 38, 110, 196, 18, 0.1, "none"),
    Line("carnet_5", "et la route monte encore jusqu’au col.", "kolker-brush", 44, 95, 168, 12, 0.25, "lines",
         0.015, "les premières neiges sont tombées par ici"),
    Line("lettre_1", "Ma chère Louise, j’ai bien reçu ta lettre de dimanche",
         "bad-script", 38, 40, 212, 20, 0.0, "none"),
    Line("lettre_2", "et le petit colis de Mme Garnier.", "dancing-script", 42, 55, 206, 14, 0.0, "squares"),
    Line("lettre_3", "Embrasse les enfants pour moi.", "satisfy", 40, 50, 214, 14, 0.0, "none"),
    Line("lettre_4", "À bientôt, ton frère Émile", "cedarville-cursive", 38, 45, 210, 14, 0.0, "lines"),
    Line("lettre_5", "Réponds-moi avant la fin du mois, je t’en prie.", "fuggles", 56, 135, 186, 16, -0.1, "none",
         -0.01, "Papa va mieux, il se lève l’après-midi"),
    Line("registre", "Jeanne Marie Lefèvre, couturière, née à Dijon", "beth-ellen", 30, 65, 198, 20, 0.0, "none"),
    Line("adresse", "12, rue du Moulin", "homemade-apple", 32, 50, 208, 12, 0.0, "none"),
)
# fmt: on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, required=True, help="folder that npm installed the font packages into")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="where the images go")
    parser.add_argument("--seed", type=int, default=1931, help="of the paper, the ink and the unsteady hand")
    options = parser.parse_args()
    for number, line in enumerate(LINES):
        image = draw_line(line, options.fonts, np.random.default_rng([options.seed, number]))
        image.save(options.output / f"{line.name}.jpg", quality=85)
        (options.output / f"{line.name}.txt").write_text(line.text + "\n", encoding="utf-8")


def draw_line(line: Line, fonts: Path, rng: np.random.Generator) -> Image.Image:
    """Writes one line and returns it as an 8-bit grey image 96 pixels high."""
    coverage = slanted(write_lines(line, fonts, rng), line.slant)
    width = coverage.width
    paper = line.paper + 3 * smooth_noise(width, 40, rng) + 2.5 * rng.standard_normal((HEIGHT, width))
    paper = np.minimum(paper, ruling(line, width, rng))
    ink = line.ink + 14 * smooth_noise(width, 25, rng)
    alpha = np.asarray(coverage, dtype=np.float32) / 255
    return Image.fromarray((paper + alpha * (ink - paper)).clip(0, 255).astype(np.uint8))


def write_lines(line: Line, fonts: Path, rng: np.random.Generator) -> Image.Image:
    """The line between its neighbours, as ink coverage 0 to 255."""
    written = write_words(line.text, line, fonts, rng)
    for pitch in (-NEIGHBOUR_PITCH, NEIGHBOUR_PITCH) if line.neighbour else ():
        above_or_below = write_words(line.neighbour, line, fonts, rng)
        written.paste(255, (0, round(pitch * HEIGHT)), mask=above_or_below)
    return written


def write_words(text: str, line: Line, fonts: Path, rng: np.random.Generator) -> Image.Image:
    """Sets the words one by one, each a little off the line and a little turned, as ink coverage 0 to 255."""
    path = fonts / f"node_modules/@fontsource/{line.font}/files/{line.font}-latin-400-normal.woff"
    if not path.is_file():
        raise FileNotFoundError(f"No font at {path}: install @fontsource/{line.font} as the docstring says.")
    font = ImageFont.truetype(path, line.size * SUPERSAMPLING)
    margin, height = MARGIN * SUPERSAMPLING, HEIGHT * SUPERSAMPLING
    words = text.split(" ")
    spaces = line.word_space * SUPERSAMPLING * rng.uniform(0.8, 1.3, len(words))
    advances = [font.getlength(word) + space for word, space in zip(words, spaces, strict=True)]
    starts = margin + np.cumsum([0, *advances])
    canvas = Image.new("L", (int(starts[-1] + margin), height))
    for word, start in zip(words, starts[:-1], strict=True):
        layer = Image.new("L", canvas.size)
        climb = line.rise * (start - starts[len(words) // 2])
        baseline = (0.64 + rng.normal(0, 0.008)) * height - climb
        ImageDraw.Draw(layer).text((start, baseline), word, fill=255, font=font, anchor="ls")
        turned = layer.rotate(rng.normal(0, 0.6), Image.Resampling.BICUBIC, center=(start, baseline))
        canvas.paste(255, mask=turned)
    canvas = canvas.filter(ImageFilter.GaussianBlur(0.35 * SUPERSAMPLING))
    return canvas.resize((canvas.width // SUPERSAMPLING, HEIGHT), Image.Resampling.LANCZOS)


def slanted(image: Image.Image, slant: float) -> Image.Image:
    """Shears the writing to the right by `slant` pixels for each pixel of height."""
    shift = -0.64 * HEIGHT * slant
    return image.transform(image.size, Image.Transform.AFFINE, (1, slant, shift, 0, 1, 0), Image.Resampling.BICUBIC)


def ruling(line: Line, width: int, rng: np.random.Generator) -> np.ndarray:
    """Grey of the notebook's printed lines, 255 where there are none."""
    rules = np.full((HEIGHT, width), 255, dtype=np.float32)
    if line.ruling == "none":
        return rules
    distance = 26
    rules[int(rng.integers(4, 10)) :: distance] = line.paper - 22
    if line.ruling == "squares":
        rules[:, int(rng.integers(0, distance)) :: distance] = line.paper - 22
    return rules


if __name__ == "__main__":
    main()

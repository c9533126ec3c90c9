# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Draws lines of handwriting to train on beside real ones: their words, in the fonts of a folder.

    npm install --prefix FONTS @fontsource/la-belle-aurore @fontsource/playwrite-fr-trad ...
    python -m htr_convtext.line_datasets.synthesize --data_dir my_lines --fonts FONTS --number 10000 --output drawn
    accelerate launch train_hf.py --dataset lines --data_dir my_lines drawn ...

The words are those of the training lines, in new company: every line begins at a random word and goes on for a random
length. `--text` takes files with more text; its words with characters that no training line has are left out, as are
words of Hebrew or Arabic: the words of a line are set from left to right.
Take fonts made after handwriting, under a licence that lets you draw images with them; those on the npm registry under
`@fontsource/` carry theirs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import ImageFont

from ..console import at_least_one, folder_to_write, print_any_character
from ..pages.geometry import right_to_left
from .labels import normalize_text
from .loading import load_lines, take_split
from .problems import Problems
from .rendering import FONT_SIZE, draw_hand, draw_line, writes
from .text_files import read_text

Font = tuple[ImageFont.FreeTypeFont, set[str]]
FONT_SUFFIXES = (".ttf", ".otf", ".woff")
WORDS_WRITTEN = 0.9


def main(arguments: list[str] | None = None) -> int:
    """Writes the folder; status 1 if the lines, the text or the fonts cannot be used."""
    print_any_character()
    options = parse(arguments)
    try:
        words = known_words(options.data_dir, options.text)
        fonts = fonts_for(words, options.fonts)
        if options.output.exists():
            raise FileExistsError(f"{options.output} is there already. Name a new folder, or remove it.")
        write_lines(words, fonts, options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.number} lines in {len(fonts)} font files: {options.output}")
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m htr_convtext.line_datasets.synthesize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data_dir", action="extend", nargs="+", required=True, help="folders of real lines, for their words"
    )
    parser.add_argument("--text", type=Path, nargs="+", default=[], help="UTF-8 files with more text")
    parser.add_argument("--fonts", type=Path, required=True, help="folder of .ttf, .otf or .woff files at any depth")
    parser.add_argument("--number", type=at_least_one, default=10000, help="of lines")
    parser.add_argument(
        "--characters", type=at_least_one, nargs=2, default=(5, 65), help="shortest and longest line, about"
    )
    parser.add_argument("--seed", type=int, default=123)
    parser.add_argument("--output", type=folder_to_write, required=True, help="new folder for train.ln and lines/")
    return parser.parse_args(arguments)


def known_words(folders: Sequence[str], texts: Sequence[Path]) -> list[str]:
    """
    The words of the training lines, then those of the texts that are written with the lines' characters; without those
    that are read from right to left.

    Raises:
        ValueError: If less than `WORDS_WRITTEN` of the lines' words are left, or a text cannot be read.
    """
    lines = take_split(load_lines("lines", data_dir=list(folders)), "train")
    words = [word for text in lines["text"] for word in text.split()]
    drawable = [word for word in words if not right_to_left(word)]
    if len(drawable) < WORDS_WRITTEN * len(words):
        raise ValueError(
            f"{len(words) - len(drawable)} of the {len(words)} words are read from right to left, and lines are drawn "
            "from left to right only."
        )
    alphabet = set("".join(drawable))
    problems = Problems("--text")
    found = [normalize_text(read_text(path, problems) or "") for path in texts]
    problems.raise_if_any()
    return drawable + [word for text in found for word in text.split() if set(word) <= alphabet]


def fonts_for(words: Sequence[str], folder: Path) -> list[Font]:
    """
    The folder's fonts that write at least `WORDS_WRITTEN` of the words, each with the characters that it has.

    A font of the web comes in parts, one for each script: the parts for other scripts are left out by this.

    Raises:
        ValueError: If the folder has no such font, or a file is none.
    """
    alphabet = "".join(sorted(set("".join(words))))
    fonts = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in FONT_SUFFIXES):
        try:
            font = ImageFont.truetype(path, FONT_SIZE)
        except OSError as error:
            raise ValueError(f"{path} is no font that can be read ({error}). Remove it from the folder.") from error
        characters = set(writes(font, alphabet))
        if sum(characters.issuperset(word) for word in words) >= WORDS_WRITTEN * len(words):
            fonts.append((font, characters))
    if not fonts:
        raise ValueError(
            f"{folder} has no font ({', '.join(FONT_SUFFIXES)}) with the characters of {WORDS_WRITTEN:.0%} of "
            "the words. Put fonts into it that have them."
        )
    return fonts


def write_lines(words: list[str], fonts: list[Font], options: argparse.Namespace) -> None:
    """Writes the images with their texts, and last the list that makes them a training split."""
    lines = options.output / "lines"
    lines.mkdir(parents=True)
    names = []
    for number in range(options.number):
        rng = np.random.default_rng([options.seed, number])
        font, characters = fonts[rng.integers(len(fonts))]
        length = rng.integers(*options.characters)
        texts = [draw_text(words, characters, length, rng) for _ in range(3)]
        names.append(f"drawn_{number:06}.jpg")
        draw_line(texts, font, draw_hand(rng), rng).save(lines / names[-1], quality=int(rng.integers(60, 95)))
        (lines / names[-1]).with_suffix(".txt").write_text(texts[0] + "\n", encoding="utf-8")
    (options.output / "train.ln").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def draw_text(words: list[str], characters: set[str], length: int, rng: np.random.Generator) -> str:
    """Words from a random place on, without those that the font cannot write, until the text is long enough."""
    start = int(rng.integers(len(words)))
    line: list[str] = []
    for number in range(start, start + len(words)):
        word = words[number % len(words)]
        if set(word) <= characters:
            line.append(word)
        if sum(map(len, line)) + len(line) > length:
            break
    return " ".join(line)


if __name__ == "__main__":
    raise SystemExit(main())

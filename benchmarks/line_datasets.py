# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Loading many lines: time and peak memory of the first load, which makes the cache, and of the second, which finds it.

    python -m htr_convtext.benchmarks.line_datasets --lines 200000 --folder many_lines

Draws the lines once (layout: train.ln, lines/*.jpg with a .txt each), then loads them in processes of their own. The
base is what such a process takes once everything is imported.
"""

import argparse
import json
import random
import shutil
import time
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .runs import figures_of_process, peak_memory
from .timing import print_table

WORDS = "the hand that wrote these lines was small and patient; it left no margin, and few blots".split()
DISTINCT_IMAGES = 500
WORDS_IN_A_LINE = (4, 9)
HEIGHT = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=Path("many_lines"), help="made if it is not there")
    parser.add_argument("--load", action="store_true", help="only load, and print the figures as JSON")
    options = parser.parse_args()
    cache = options.folder.with_name(options.folder.name + "_cache")
    if options.load:
        print(json.dumps(load(options.folder, cache)))
        return
    if not options.folder.is_dir():
        draw_lines(options.folder, options.lines)
    shutil.rmtree(cache, ignore_errors=True)
    first, second = (figures_of_process(__spec__.name, "--load", "--folder", options.folder) for _ in range(2))
    print("seconds; memory in MiB, over = over the base")
    rows = [[name, *(f"{figure:.1f}" for figure in run.values())] for name, run in (("1st", first), ("2nd", second))]
    print_table(["load", *first], rows)
    clock, cpu = (first[name] / second[name] for name in ("seconds", "cpu"))
    print(f"first / second: {clock:.1f} by the clock, {cpu:.1f} on the CPU")


def draw_lines(folder: Path, number: int) -> None:
    """Writes lines; `DISTINCT_IMAGES` drawings take turns, which is as much work to load."""
    dice = random.Random(0)
    partial = folder.with_name(folder.name + "_partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "lines").mkdir(parents=True)
    drawings = [drawing(dice) for _ in range(DISTINCT_IMAGES)]
    names = [f"line_{index:07d}.jpg" for index in range(number)]
    for index, name in enumerate(names):
        text, content = drawings[index % DISTINCT_IMAGES]
        (partial / "lines" / name).write_bytes(content)
        (partial / "lines" / name).with_suffix(".txt").write_text(f"{text} {index}", encoding="utf-8")
    (partial / "train.ln").write_text("\n".join(names), encoding="utf-8")
    partial.rename(folder)


def drawing(dice: random.Random) -> tuple[str, bytes]:
    text = " ".join(dice.choices(WORDS, k=dice.randint(*WORDS_IN_A_LINE)))
    font = ImageFont.load_default(size=28)
    image = Image.new("L", (int(font.getlength(text)) + 20, HEIGHT), 245)
    ImageDraw.Draw(image).text((10, 12), text, font=font, fill=30)
    content = BytesIO()
    image.save(content, "JPEG", quality=90)
    return text, content.getvalue()


def load(folder: Path, cache: Path) -> dict[str, float]:
    """Lines, seconds by the clock and on the CPU, and memory (MiB) of one load in this process."""
    from ..line_datasets import load_lines

    base, start, cpu = peak_memory(), time.perf_counter(), time.process_time()
    lines = load_lines("lines", data_dir=folder, cache_dir=cache)["train"]
    seconds, cpu, peak = time.perf_counter() - start, time.process_time() - cpu, peak_memory()
    return {"lines": len(lines), "seconds": seconds, "cpu": cpu, "base": base, "peak": peak, "over": peak - base}


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Loading many lines: time and peak memory of the first load, which makes the cache, and of the second, which finds it.

    python -m htr_convtext.benchmarks.line_datasets --lines 200000 --folder many_lines

Draws the lines once (layout: train.ln, lines/*.jpg with a .txt each), then loads them in processes of their own. The
base is what such a process takes once everything is imported. With --num_proc, the peak is that of the process plus as
many times the largest of those that it starts.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WORDS = "the hand that wrote these lines was small and patient; it left no margin, and few blots".split()
DISTINCT_IMAGES = 500
WORDS_IN_A_LINE = (4, 9)
HEIGHT = 64
KIBIBYTES_IN_MIB = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=Path("many_lines"), help="made if it is not there")
    parser.add_argument("--num_proc", type=int, default=1)
    parser.add_argument("--load", action="store_true", help="only load, and print the figures as JSON")
    options = parser.parse_args()
    cache = options.folder.with_name(options.folder.name + "_cache")
    if options.load:
        print(json.dumps(load(options.folder, cache, options.num_proc)))
        return
    if not options.folder.is_dir():
        draw_lines(options.folder, options.lines)
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", __spec__.name, "--load", "--folder", str(options.folder)]
    command += ["--num_proc", str(options.num_proc)]
    runs = [json.loads(subprocess.check_output(command, text=True).splitlines()[-1]) for _ in range(2)]
    print_table(runs)


def print_table(runs: list[dict[str, float]]) -> None:
    names = ("lines", "seconds", "cpu", "base", "peak", "over")
    print(
        f"{'load':8}" + "".join(f"{name:>10}" for name in names) + "   (seconds; memory in MiB, over = over the base)"
    )
    for title, run in zip(("first", "second"), runs, strict=True):
        figures = {**run, "over": run["peak"] - run["base"]}
        print(f"{title:8}" + "".join(f"{figures[name]:10.{name in ('seconds', 'cpu'):d}f}" for name in names))
    first, second = runs
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


def load(folder: Path, cache: Path, num_proc: int) -> dict[str, float]:
    """Seconds by the clock and on the CPU (children too), lines, and memory (MiB) of one load in this process."""
    from ..line_datasets import load_lines

    base = peak_memory()
    start, cpu_start = time.perf_counter(), cpu_seconds()
    lines = load_lines("lines", data_dir=folder, cache_dir=cache, num_proc=num_proc if num_proc > 1 else None)["train"]
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu_start
    return {"seconds": seconds, "cpu": cpu, "lines": len(lines), "base": base, "peak": peak_memory(num_proc)}


def cpu_seconds() -> float:
    """Seconds that this process and those it started and waited for spent on the CPU: other work does not count."""
    return sum(os.times()[:4])


def peak_memory(processes: int = 0) -> float:
    """Largest resident memory so far, MiB: of this process, and of so many others that it started."""
    own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + (processes if processes > 1 else 0) * others) / KIBIBYTES_IN_MIB


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Where the time goes between image files and texts: the pipeline over many lines, and each of its steps by itself.

    python -m htr_convtext.benchmarks.end_to_end --lines LINES/lines --number 1000 --size base --batch_size 4
    python -m htr_convtext.benchmarks.end_to_end --lines LINES/lines --model hub_upload/htr-convtext-fr

`--lines` is a folder with image files. With `--size` the network has random weights, which takes as long.
"""

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from PIL import Image

from .. import SIZES, HTRConvTextForCTC, HTRConvTextProcessor, load_image
from ..pages.finding_files import IMAGE_SUFFIXES
from .timing import machine, new_network, print_table


def main() -> None:
    options = parse_options()
    paths = line_images(options.lines)[: options.number]
    model, processor = load(options)
    read = model.as_pipeline(processor, batch_size=options.batch_size)
    read(paths[: options.batch_size])  # warm-up; puts the network into inference mode
    steps = time_steps(paths, model, processor, options.batch_size)
    start = time.perf_counter()
    read(paths)
    steps["pipeline"] = time.perf_counter() - start
    print(f"{options.model or options.size}, {len(paths)} lines, batch {options.batch_size}, {machine()}")
    rows = (
        [name, f"{1000 * seconds / len(paths):.2f}", f"{100 * seconds / steps['network']:.1f} %"]
        for name, seconds in steps.items()
    )
    print_table(["", "ms a line", "of the network's"], rows)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path, required=True, help="folder with line images")
    parser.add_argument("--number", type=int, default=1000)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--size", choices=SIZES, default="base")
    source.add_argument("--model", help="model folder")
    parser.add_argument("--batch_size", type=int, default=4)
    return parser.parse_args()


def line_images(folder: Path) -> list[str]:
    paths = sorted(str(path) for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise SystemExit(f"{folder} holds no image files ({', '.join(IMAGE_SUFFIXES)}).")
    return paths


def load(options: argparse.Namespace) -> tuple[HTRConvTextForCTC, HTRConvTextProcessor]:
    if options.model:
        model = HTRConvTextForCTC.from_pretrained(options.model)
        return model.eval(), HTRConvTextProcessor.from_pretrained(options.model)
    return new_network(options.size, "sdpa"), HTRConvTextProcessor.for_dataset("iam")


@torch.no_grad()
def time_steps(
    paths: list[str], model: HTRConvTextForCTC, processor: HTRConvTextProcessor, batch_size: int
) -> dict[str, float]:
    """Seconds of each step over all lines, one step after the other within a batch."""
    seconds = dict.fromkeys(("open and decode", "grey, resize and scale", "network", "frames to text"), 0.0)

    def timed(name, function, *arguments):
        start = time.perf_counter()
        result = function(*arguments)
        seconds[name] += time.perf_counter() - start
        return result

    for start in range(0, len(paths), batch_size):
        lines: dict[int, list[torch.Tensor]] = {}
        for path in paths[start : start + batch_size]:
            image = timed("open and decode", load_image, path)
            line = timed("grey, resize and scale", pixels_of, image, processor)
            lines.setdefault(line.shape[-1], []).append(line)
        for members in lines.values():
            logits = timed("network", model, torch.cat(members)).logits
            timed("frames to text", processor.post_process_text_recognition, SimpleNamespace(logits=logits))
    return seconds


def pixels_of(image: Image.Image, processor: HTRConvTextProcessor) -> torch.Tensor:
    return processor.image_processor(image, return_tensors="pt").pixel_values


if __name__ == "__main__":
    main()

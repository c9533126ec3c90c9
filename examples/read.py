# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Transcribes line images with a model folder: the examples, and the lines of ../shared/lines where they are at hand.

python examples/read.py [--model FOLDER_OR_HUB_NAME] [IMAGE ...]
"""

import argparse
import sys
from pathlib import Path

from transformers import pipeline

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "hub_upload" / "htr-convtext-fr"))
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("images", nargs="*", type=Path, help="line images; a .txt beside one is shown for comparison")
    options = parser.parse_args()
    # Consoles and files of Windows may lack a character: it is shown escaped.
    sys.stdout.reconfigure(errors="backslashreplace")
    images = options.images or default_images()
    read = pipeline("image-to-text", model=options.model, trust_remote_code=True)
    lines = read([str(path) for path in images], batch_size=options.batch_size, on_error="skip")
    for image, (line,) in zip(images, lines, strict=True):
        if "error" in line:
            print(f"{image.name}\n  not read     {line['error']}")
            continue
        print(f"{image.name}\n  read ({line['score']:.2f})  {line['generated_text']}")
        if image.with_suffix(".txt").is_file():
            print(f"  written      {image.with_suffix('.txt').read_text(encoding='utf-8').strip()}")


def default_images(extra: int = 8) -> list[Path]:
    """The examples, and up to `extra` lines of the test split of each source in ../shared/lines."""
    images = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in {".png", ".jpg"})
    for split in sorted((ROOT.parent / "shared" / "lines").glob("*/test.ln")):
        names = split.read_text(encoding="utf-8").split()
        images += [split.parent / "lines" / name for name in names[:: max(1, len(names) // extra)][:extra]]
    return images


if __name__ == "__main__":
    main()

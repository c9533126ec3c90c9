# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Transcribes line images with a model folder: those beside this file, or others.

python examples/read.py [--model FOLDER_OR_HUB_NAME] [IMAGE ...]
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from transformers import pipeline

EXAMPLES = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(EXAMPLES.parent / "hub_upload" / "htr-convtext-fr"))
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("images", nargs="*", type=Path, help="line images; a .txt beside one is shown for comparison")
    options = parser.parse_args()
    # Consoles and files of Windows may lack a character: it is shown escaped.
    sys.stdout.reconfigure(errors="backslashreplace")
    images = options.images or sorted(EXAMPLES.glob("*.jpg"))
    read = pipeline("image-to-text", model=options.model, trust_remote_code=True)
    lines = read([str(path) for path in images], batch_size=options.batch_size, on_error="skip")
    compared = []
    for image, (line,) in zip(images, lines, strict=True):
        if "error" in line:
            print(f"{image.name}\n  not read     {line['error']}")
            continue
        print(f"{image.name}\n  read ({line['score']:.2f})  {line['generated_text']}")
        if image.with_suffix(".txt").is_file():
            written = image.with_suffix(".txt").read_text(encoding="utf-8").strip()
            print(f"  written      {written}")
            compared.append((written, line["generated_text"]))
    if compared:
        print_error_rate(compared)


def print_error_rate(compared: list[tuple[str, str]]) -> None:
    """Prints the character error rate of texts, each with its reading."""
    if importlib.util.find_spec("jiwer") is None:
        print("\nFor the error rate over all lines: pip install jiwer")
        return
    import jiwer

    written, read = (list(texts) for texts in zip(*compared, strict=True))
    print(f"\n{100 * jiwer.cer(written, read):.1f} % of the characters of {len(compared)} lines are wrong (CER).")


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures for a model card: lines with what the model reads in them, right and wrong, and what is written.

python -m htr_convtext.hub_upload.reading_examples --model hub_upload/NAME examples/*.jpg

copies the images into the model's folder and prints the table for its card. Beside each image is its text in a .txt.
Show only images that you may publish.
"""

import argparse
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from transformers import pipeline

from ..console import errors_as_sentences, print_any_character

FOLDER = "examples"


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("images", nargs="+", type=Path, help="line images with a .txt beside each")
    options = parser.parse_args(arguments)
    missing = [str(image) for image in options.images if not image.with_suffix(".txt").is_file()]
    if missing:
        parser.error(f"no text beside {', '.join(missing)}: write what the line says into a .txt of the same name.")
    with errors_as_sentences(parser.prog, OSError, ValueError):
        print("\n".join(table(options.model, options.images)))


def table(model: Path, images: Iterable[Path]) -> Iterator[str]:
    """Rows of Markdown; the images are copied to where they point."""
    read = pipeline("image-to-text", model=str(model), trust_remote_code=True)
    (model / FOLDER).mkdir(exist_ok=True)
    yield "| line | read | written |"
    yield "|---|---|---|"
    for image in images:
        shutil.copy(image, model / FOLDER / image.name)
        written = image.with_suffix(".txt").read_text(encoding="utf-8").strip()
        cells = [f"![{image.stem}]({FOLDER}/{image.name})", read(str(image))[0]["generated_text"], written]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    main()

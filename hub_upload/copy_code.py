# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Copies the code that travels with every model into the released models' folders, or into others.

python -m htr_convtext.hub_upload.copy_code [FOLDER ...]

What travels is found as transformers finds it: by the relative imports of the modeling file, and of what they name.
"""

import argparse
import shutil
from pathlib import Path

from transformers.dynamic_module_utils import get_relative_import_files

from ..console import print_any_character

ROOT = Path(__file__).resolve().parent.parent
MODELING = ROOT / "modeling_htr_convtext.py"
CODE = "*_htr_convtext.py"


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="model folder; default: the released")
    options = parser.parse_args(arguments)
    for folder in options.folders or released_folders():
        copy_code(folder)
        print(f"Wrote {', '.join(path.name for path in code_files())} to {folder}.")


def released_folders() -> list[Path]:
    """The folders of released models in this repository."""
    return sorted(path.parent for path in Path(__file__).parent.glob("*/config.json"))


def code_files() -> list[Path]:
    """The files that a model needs, sorted by name: its modeling file and all that its relative imports lead to."""
    return sorted({MODELING, *map(Path, get_relative_import_files(MODELING))})


def copy_code(folder: Path) -> None:
    """
    Writes the code as real files; links, and files that no longer travel, go.

    Args:
        folder: A model folder.
    """
    for old in folder.glob(CODE):
        old.unlink()
    for path in code_files():
        shutil.copyfile(path, folder / path.name)


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the folder of the demo Space: its app, its card, and what it needs of this package, which is on no index.

python -m htr_convtext.hub_upload.make_space FOLDER
"""

import argparse
import shutil
from pathlib import Path

from ..console import errors_as_sentences, print_any_character

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "htr_convtext"
# What is taken along beside the files that travel with every model, and pages/.
FILES = ("__init__.py", "extras.py", "console.py", "LICENSE")


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to write, which must not exist")
    options = parser.parse_args(arguments)
    with errors_as_sentences(parser.prog, OSError):
        make_space(options.folder)
    print(f"Wrote {options.folder}. Write your name for OWNER in its README.md and app.py, then upload it.")


def make_space(folder: Path) -> None:
    """
    Args:
        folder: Folder to write.

    Raises:
        FileExistsError: If it exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is there already. Choose another folder.")
    shutil.copytree(ROOT / "hub_upload" / "space", folder, ignore=shutil.ignore_patterns("__pycache__"))
    package = folder / PACKAGE
    package.mkdir()
    for path in [*(ROOT / name for name in FILES), *sorted(ROOT.glob(f"*_{PACKAGE}.py"))]:
        shutil.copyfile(path, package / path.name)
    for path in sorted((ROOT / "pages").rglob("*.py")):
        target = package / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


if __name__ == "__main__":
    main()

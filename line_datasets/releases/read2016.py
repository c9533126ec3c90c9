# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""READ2016 (ICFHR 2016, Ratsprotokolle of Bozen): lines cut out of pages with PAGE XML."""

import dataclasses
from pathlib import Path
from xml.etree.ElementTree import Element

from ...pages import CropOptions
from ...pages.finding_files import files_below
from ..formats.image_lists import image_lists, read_image_lists
from ..formats.page_folders import folder_lines
from ..line import Lines
from ..problems import Problems
from . import changed_options

NOT_SIGN = "\u00ac"
FOLDERS = {
    "train": ("Training", "Train", "train"),
    "validation": ("Validation", "Valid", "validation", "val"),
    "test": ("Test-ICFHR-2016", "Test", "test"),
}


@dataclasses.dataclass(frozen=True)
class Read2016Options(CropOptions):
    """
    Options of `load_lines("read2016", ...)`.

    Args:
        crop: "box", the axis-aligned box around a line's outline, as the papers cut it; or "polygon".
        keep_not_sign: Keep the hyphens at line ends that are transcribed as the not sign U+00AC. HTR-VT and this
            paper remove them (default), VAN and DAN keep them: the two are not comparable.
        skip_first_child: Leave out the first child of every Page, as VAN's script does, which made the papers' lists:
            nothing is lost where it is the reading order, a region where it is one.
    """

    crop: str = "box"
    keep_not_sign: bool = False
    skip_first_child: bool = False

    def edit(self, text: str) -> str:
        """A transcription with or without not signs."""
        return text if self.keep_not_sign else text.replace(NOT_SIGN, "")


def read(root: Path, options: Read2016Options, problems: Problems) -> Lines:
    """
    Lines of the unpacked release (`PublicData/Training/page/*.xml` with `Images/*.JPG`, likewise `Validation` and
    `Test-ICFHR-2016`, at any depth below `root`) or of the layout with `.ln` lists.

    The number of lines differs slightly between readers of these files: papers give 8349 / 1040 / 1138, and the
    PAGE files hold a few more elements. Lines without text are left out.
    """
    if image_lists(root):
        refused = [name for name in changed_options(options) if name != "keep_not_sign"]
        lines = read_image_lists(root, problems, refused)
    else:
        folders = {split: path for split in FOLDERS if (path := release_folder(root, split))}
        lines = {
            split: folder_lines(path, problems, options, edit=remove_first_child if options.skip_first_child else None)
            for split, path in folders.items()
        }
        if not folders:
            names = ", ".join(names[0] for names in FOLDERS.values())
            problems.add(root, f"neither lists (train.ln) nor a folder of the release ({names})")
    return {split: (line._replace(text=options.edit(line.text)) for line in found) for split, found in lines.items()}


def remove_first_child(root: Element) -> None:
    """Takes the first element out of a PAGE file's Page."""
    page = root.find("{*}Page")
    if page is not None and len(page):
        page.remove(page[0])


def release_folder(root: Path, split: str) -> Path | None:
    """The shallowest folder of a split that holds XML."""
    below = (path.relative_to(root).parts for path in files_below(root, ".xml"))
    found = {parts[: parts.index(name) + 1] for parts in below for name in FOLDERS[split] if name in parts[:-1]}
    return root.joinpath(*min(found, key=lambda parts: (len(parts), parts))) if found else None

"""READ2016 (ICFHR 2016, Ratsprotokolle of Bozen): lines cut out of pages with PAGE XML."""

import dataclasses
from pathlib import Path

from .line_folder import Lines, ln_lists, read_ln
from .pages import folder_lines
from .problems import Problems

NOT_SIGN = "\u00ac"
FOLDERS = {
    "train": ("Training", "Train", "train"),
    "validation": ("Validation", "Valid", "validation", "val"),
    "test": ("Test-ICFHR-2016", "Test", "test"),
}


@dataclasses.dataclass(frozen=True)
class Read2016Options:
    """
    Options of `load_lines("read2016", ...)`.

    Args:
        crop: "box", the axis-aligned box around a line's outline, as the papers cut it; or "polygon".
        keep_not_sign: Keep the hyphens at line ends that are transcribed as the not sign U+00AC. HTR-VT and this
            paper remove them (default), VAN and DAN keep them: the two are not comparable.
    """

    crop: str = "box"
    keep_not_sign: bool = False


def read(root: Path, options: Read2016Options, problems: Problems) -> Lines:
    """
    Lines of the unpacked release (`PublicData/Training/page/*.xml` with `Images/*.JPG`, likewise `Validation` and
    `Test-ICFHR-2016`, at any depth below `root`) or of the layout with `.ln` lists.

    The number of lines differs slightly between readers of these files: papers give 8349 / 1040 / 1138, and the
    PAGE files hold a few more elements. Lines without text are left out.
    """
    if ln_lists(root):
        lines = read_ln(root, problems)
    else:
        folders = {split: path for split in FOLDERS if (path := release_folder(root, split))}
        lines = {split: list(folder_lines(path, problems, options.crop)) for split, path in folders.items()}
        if not lines:
            names = ", ".join(names[0] for names in FOLDERS.values())
            problems.add(root, f"neither lists (train.ln) nor a folder of the release ({names})")
    if options.keep_not_sign:
        return lines
    return {split: [line._replace(text=line.text.replace(NOT_SIGN, "")) for line in lines[split]] for split in lines}


def release_folder(root: Path, split: str) -> Path | None:
    """The shallowest folder of a split that holds XML."""
    named = (path for path in root.rglob("*") if path.is_dir() and path.name in FOLDERS[split])
    by_depth = sorted(named, key=lambda path: len(path.parts))
    return next((path for path in by_depth if next(path.rglob("*.xml"), None)), None)

"""
Line images with transcriptions: lists of images with a text file for each, text files beside images, tables.

Every reader here gives lines by split and notes what is wrong instead of stopping at it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .lines import IMAGE_SUFFIXES, SPLIT_NAMES, SPLITS, ImageFile, Line, files_below, split_folders
from .problems import Problems, read_text

GROUND_TRUTH_SUFFIX = ".gt.txt"
TEXT_SUFFIXES = (GROUND_TRUTH_SUFFIX, ".txt")
INNER_SUFFIXES = (".bin", ".nrm")
TABLE_SUFFIXES = (".txt", ".tsv", ".lst", ".tbl")
IMAGE_FOLDERS = ("", "lines", "images", "image", "imgs", "img")
SPACE_SYMBOL = "<space>"

Lines = Mapping[str, Iterable[Line]]


def ln_lists(root: Path) -> dict[str, Path]:
    """The lists `train.ln`, `val.ln` and `test.ln` of a folder, by split."""
    return by_split(path for path in root.glob("*.ln") if path.stem.lower() in SPLIT_NAMES)


def by_split(paths: Iterable[Path]) -> dict[str, Path]:
    found = {SPLIT_NAMES[split_word(path)]: path for path in sorted(paths)}
    return {split: found[split] for split in SPLITS if split in found}


def split_word(path: Path) -> str:
    """The one part of a file's name that names a split ("gt_test.txt": "test"), or ""."""
    words = [word for word in re.split(r"[_\-. ]", path.stem.lower()) if word in SPLIT_NAMES]
    return words[0] if len(words) == 1 else ""


def read_ln(
    root: Path, problems: Problems, ignored: Mapping[str, bool] | None = None, encoding: str = "utf-8"
) -> Lines:
    """
    Lists `train.ln`, `val.ln`, `test.ln`, each naming one image of `lines/` (or of the list's folder) on each line.

    Beside `x.png` lies its transcription, `x.txt` or `x.gt.txt`. The last line of a list may lack its line feed.

    Args:
        root: Folder.
        problems: Takes what is wrong.
        ignored: Options that act on the official release only, and whether someone asked for them.
        encoding: Encoding of the lists and transcriptions.
    """
    for option in (option for option, asked in (ignored or {}).items() if asked):
        problems.add(root, f"the option {option} is for the official release, and this folder has lists (train.ln)")
    return {split: listed_lines(path, encoding, problems) for split, path in ln_lists(root).items()}


def listed_lines(path: Path, encoding: str, problems: Problems) -> Iterator[Line]:
    folder = path.parent / "lines" if (path.parent / "lines").is_dir() else path.parent
    for number, name in numbered_lines(path, problems, encoding):
        image = folder / name
        if not image.is_file():
            problems.add(path, f"there is no image {image}", number)
        elif line := line_with_sidecar(image, image.stem, problems, encoding):
            yield line


def numbered_lines(path: Path, problems: Problems, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Lines of a list or table that are neither blank nor a `#` comment, with their numbers from 1."""
    for number, line in enumerate((read_text(path, encoding, problems) or "").split("\n"), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def line_with_sidecar(image: Path, line_id: str, problems: Problems, encoding: str) -> Line | None:
    """The line of an image with its transcription in a text file beside it."""
    transcription = sidecar(image)
    if transcription is None:
        names = " or ".join(image.stem + suffix for suffix in TEXT_SUFFIXES)
        problems.add(image, f"no transcription {names} beside it")
        return None
    text = read_text(transcription, encoding, problems)
    return None if text is None else Line(line_id, text, ImageFile(image))


def sidecar(image: Path) -> Path | None:
    """`x.gt.txt` or `x.txt` of `x.png`; also of kraken's and Calamari's `x.bin.png` and `x.nrm.png`."""
    stems = [image.stem, *(image.stem.removesuffix(end) for end in INNER_SUFFIXES if image.stem.endswith(end))]
    candidates = (image.with_name(stem + suffix) for stem in stems for suffix in TEXT_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def read_pairs(root: Path, problems: Problems, encoding: str = "utf-8") -> Lines:
    """
    Images with a text file beside each, in `train/`, `val/`, `test/`, or else all for the train split.

    Below those folders, folders are part of a line's identifier.
    """
    folders = split_folders(root) or {"train": root}
    return {split: paired_lines(folder, encoding, problems) for split, folder in folders.items()}


def paired_lines(folder: Path, encoding: str, problems: Problems) -> Iterator[Line]:
    for path in files_below(folder, *IMAGE_SUFFIXES, GROUND_TRUTH_SUFFIX):
        if path.name.lower().endswith(GROUND_TRUTH_SUFFIX):
            if not image_of(path):
                problems.add(path, "there is no image beside it")
        elif line := line_with_sidecar(path, path.relative_to(folder).with_suffix("").as_posix(), problems, encoding):
            yield line


def image_of(transcription: Path) -> Path | None:
    """The image `x.png` (or `x.bin.png`, or another ending) of `x.gt.txt`."""
    stem = transcription.name[: -len(GROUND_TRUTH_SUFFIX)]
    endings = (
        inner + end for inner in ("", *INNER_SUFFIXES) for suffix in IMAGE_SUFFIXES for end in (suffix, suffix.upper())
    )
    return next((path for end in endings if (path := transcription.with_name(stem + end)).is_file()), None)


def tables(root: Path) -> dict[str, Path]:
    """Tables of a folder by split: text files named like a split that do not lie beside an image of that name."""
    candidates = [path for path in root.iterdir() if path.suffix in TABLE_SUFFIXES and path.is_file()]
    return by_split(path for path in candidates if split_word(path) and not image_named(root, path.stem))


def read_tables(root: Path, problems: Problems, encoding: str = "utf-8") -> Lines:
    """
    Tables with an image and its transcription on each line, as PyLaia, Loghi and the TrOCR archives write them.

    A tab, or else the first blank, ends the image's name: a path, or a name with or without its ending, of an image
    in the folder or in its `lines/`, `images/`, `image/`, `imgs/` or `img/`. Where every symbol of a table stands
    alone (`h e l l o <space> y o u`), the symbols are joined.
    """
    return {split: read_table(path, problems, encoding) for split, path in tables(root).items()}


def read_table(path: Path, problems: Problems, encoding: str) -> list[Line]:
    rows = list(table_rows(path, problems, encoding))
    tokenized = any(SPACE_SYMBOL in text for _, _, text in rows) and all(is_tokenized(text) for _, _, text in rows)
    lines = []
    for number, name, text in rows:
        image = image_named(path.parent, name)
        if image is None:
            problems.add(path, f"there is no image {name}", number)
        else:
            lines.append(Line(image.stem, join_symbols(text) if tokenized else text, ImageFile(image)))
    return lines


def table_rows(path: Path, problems: Problems, encoding: str) -> Iterator[tuple[int, str, str]]:
    for number, line in numbered_lines(path, problems, encoding):
        name, *text = line.split("\t", 1) if "\t" in line else line.split(maxsplit=1)
        if text:
            yield number, name, text[0]
        else:
            problems.add(path, f"{name} has no transcription", number)


def is_tokenized(text: str) -> bool:
    return all(len(symbol) == 1 or symbol == SPACE_SYMBOL for symbol in text.split())


def join_symbols(text: str) -> str:
    return "".join(" " if symbol == SPACE_SYMBOL else symbol for symbol in text.split())


def image_named(root: Path, name: str) -> Path | None:
    """The image of a table's row: the path itself, or with an ending added, in the folder or its image folders."""
    for folder in IMAGE_FOLDERS:
        path = root / folder / name
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            return path
        for suffix in IMAGE_SUFFIXES:
            for ending in (suffix, suffix.upper()):
                if (candidate := path.with_name(path.name + ending)).is_file():
                    return candidate
    return None

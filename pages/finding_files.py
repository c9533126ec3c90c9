# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Finding files as other systems wrote their names: any case of the ending, composed or decomposed letters."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pbm", ".pgm", ".ppm")


def refuse_folder(folder: Path, what: str) -> None:
    raise OSError(f"{folder}: {what}. Get the right to read it, or move it elsewhere.")


def leave_out(folder: Path, what: str) -> None:
    """For a look at a folder that is read later, which tells what cannot be opened."""


def files_below(
    folder: Path, *suffixes: str, unreadable: Callable[[Path, str], None] = refuse_folder
) -> Iterator[Path]:
    """
    Files below a folder by folder and name, hidden ones left out; links are followed, but for those to a folder that
    they are in.

    Args:
        folder: The folder.
        suffixes: Endings in lower case; of all files if none is given.
        unreadable: Takes a folder that cannot be opened, and why; by default that is an OSError.
    """
    for parent, names in folders_below(folder, unreadable, frozenset()):
        for name in names:
            if not suffixes or name.lower().endswith(suffixes):
                yield Path(parent, name)


def folders_below(
    folder: Path, unreadable: Callable[[Path, str], None], above: frozenset[Path]
) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, each with the names of its files; `above` are the folders that it is in."""
    above |= {real_path(folder)}
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry.name, leads_to_folder(entry)) for entry in found if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        unreadable(folder, f"the folder cannot be opened ({error.strerror})")
        return
    yield folder, [name for name, is_folder in entries if not is_folder]
    for below in (folder / name for name, is_folder in entries if is_folder):
        if real_path(below) not in above:
            yield from folders_below(below, unreadable, above)


def leads_to_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to what may not be seen, or to itself.
        return False


def real_path(path: str | Path) -> Path:
    """Where a path leads. Path.resolve raises RuntimeError for a link to itself before Python 3.13."""
    return Path(os.path.realpath(path))


def file_below(folder: Path, name: str) -> Path | None:
    """The file of a name that is least deep below a folder."""
    found = (path for path in files_below(folder, name.lower()) if path.name == name)
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def named_file(folder: Path, name: str) -> Path | None:
    """The file that a list names, seen from a folder; folders may be divided as Windows does. See [`locate`]."""
    path = folder / name
    # os.path answers for names that are too long for the disk, too; Path raises OSError.
    found = path if os.path.isfile(path) else locate(path.parent, (path.name,))
    if not (found and os.path.isfile(found)):
        parts = tuple(part for part in re.split(r"[\\/]+", name) if part not in ("", "."))
        found = locate(folder, parts) if parts else None
    return found if found and os.path.isfile(found) else None


def locate(folder: Path, parts: tuple[str, ...]) -> Path | None:
    """
    What a relative path of several parts names, seen from a folder; where nothing has the very name, what differs from
    it only in case or Unicode normal form.
    """
    for part in parts:
        entry = folder.parent if part == ".." else folder / part
        if not os.path.exists(entry):
            same = entries_by_name(folder).get(comparable(part), ())
            if len(same) != 1:  # None, or several that only their case tells apart.
                return None
            entry = folder / same[0]
        folder = entry
    return folder


def images_of_stem(folder: Path, stem: str) -> list[Path]:
    """Images of a folder with a name but for the ending, in the order of `IMAGE_SUFFIXES`."""
    names = (name for suffix in IMAGE_SUFFIXES for name in entries_by_name(folder).get(comparable(stem + suffix), ()))
    return [folder / name for name in names]


def comparable(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def entries_by_name(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names in a folder by what they are compared as; empty if there is no such folder."""
    try:
        return entries_at_time(folder, folder.stat().st_mtime_ns)
    except (OSError, ValueError):  # A name with a zero byte is a ValueError.
        return {}


@lru_cache(maxsize=64)
def entries_at_time(folder: Path, changed: int) -> dict[str, tuple[str, ...]]:
    entries: dict[str, tuple[str, ...]] = {}
    for name in sorted(os.listdir(folder)):
        entries[comparable(name)] = (*entries.get(comparable(name), ()), name)
    return entries

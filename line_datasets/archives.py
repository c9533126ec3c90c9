# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Archives of a release, unpacked into the cache once, after a look at where their members would go."""

import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import datasets

from .cache import files_digest
from .problems import LineDataError, Problems

ARCHIVE_SUFFIXES = (".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
# What archives raise that are damaged, or encrypted (RuntimeError).
DAMAGE = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError)
TO_CONTENT = {"lines.tgz": "lines", "ascii.tgz": "ascii", "xml.tgz": "xml"}


def archives_of(root: Path) -> list[Path]:
    """Archives in a folder; `root` itself if it is one."""
    if root.is_file():
        return [root]
    return sorted(path for path in root.iterdir() if path.is_file() and path.name.lower().endswith(ARCHIVE_SUFFIXES))


def unpacked(root: Path, cache_dir: str | None) -> Path:
    """
    A folder with the content of the archives of `root` beside links to its other files; `root` if it holds none.
    `root` may also be an archive itself.

    The archives of IAM, which have no folder at their top, go into folders named like them. Only plain files are
    unpacked, no links and devices.

    Raises:
        LineDataError: If `root` is another file, an archive is damaged, or a member would lie outside the folder;
            nothing is kept then.
    """
    if root.is_file() and not root.name.lower().endswith((*ARCHIVE_SUFFIXES, ".tar")):
        raise LineDataError(root, [f"{root}: this is a file, and a folder or an archive is expected; name its folder"])
    archives = archives_of(root)
    if not archives:
        return root
    cache = Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser() / "unpacked_lines"
    entries = [root] if root.is_file() else entries_of(root, cache.parent.resolve())
    states = [state(path) for path in sorted({*archives, *entries})]
    key = hashlib.sha256(repr(states).encode()).hexdigest()[:32]
    target = cache / key / root.resolve().name.split(".")[0]
    if not target.is_dir():
        problems = Problems(root)
        for archive in archives:
            check_members(archive, problems)
        problems.raise_if_any()
        cache.mkdir(parents=True, exist_ok=True)
        unpack(root, archives, entries, target, Path(tempfile.mkdtemp(dir=cache)))
    return target


def entries_of(root: Path, cache: Path) -> list[Path]:
    """What a folder holds, hidden files left out, and the cache, which may be in the folder and grows by unpacking."""
    return [path for path in sorted(root.iterdir()) if not path.name.startswith(".") and path.resolve() != cache]


def state(path: Path) -> tuple[str, int, int]:
    """Changes with a file, or with any file below a folder."""
    if path.is_dir():
        return str(path.resolve()), 0, files_digest(path)
    return str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns


def unpack(root: Path, archives: list[Path], entries: list[Path], target: Path, partial: Path) -> None:
    """Fills a new folder with what is in archives and links to the other entries, then gives it its name."""
    try:
        for archive in archives:
            extract(archive, partial / TO_CONTENT.get(archive.name, "."))
        for path in entries:
            if path not in archives:
                link_tree(path.resolve(), partial / path.name)
        target.parent.mkdir(exist_ok=True)
        os.replace(partial, target)
    except DAMAGE as error:
        if not target.is_dir():  # Another process may have come first.
            raise LineDataError(root, [f"{root}: cannot be unpacked ({error})"]) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def link_tree(source: Path, target: Path) -> None:
    """Links to a file, or to all files below a folder, where the archives did not have the same name."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=link_new, dirs_exist_ok=True)
    else:
        link_new(str(source), str(target))


def link_new(source: str, target: str) -> None:
    if os.path.lexists(target):
        return
    try:
        os.symlink(source, target)
    except (OSError, NotImplementedError):  # Windows has links for administrators only, other disks have none.
        shutil.copy2(source, target)


def check_members(archive: Path, problems: Problems) -> None:
    try:
        for name in member_names(archive):
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts:
                problems.add(archive, f"member {name} would lie outside the folder")
    except DAMAGE as error:
        problems.add(archive, f"damaged archive ({error})")


def member_names(archive: Path) -> Iterator[str]:
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as opened:
            yield from opened.namelist()
    else:
        with tarfile.open(archive) as opened_tar:
            yield from (member.name for member in opened_tar)


def extract(archive: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    else:
        with tarfile.open(archive) as opened_tar:
            files = (member for member in opened_tar if member.isfile() or member.isdir())
            opened_tar.extractall(folder, members=files, filter="data")

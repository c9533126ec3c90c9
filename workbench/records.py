# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that are on the disk when writing them returns, and the journal of what was done to lines."""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from ..pages.whole_files import whole_file


def write_durably(path: Path, content: bytes) -> Path:
    """Writes a file whole or not at all; once this returns, it outlives a power cut."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return path


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable; Windows has no call for it, and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, content: Any) -> Path:
    return write_durably(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def read_json(path: Path) -> Any:
    """
    What a JSON file holds; an empty dict if there is none.

    Raises:
        ValueError: If it is damaged; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path}: the file is damaged ({error}). Mend it.") from error


class Journal:
    """
    What was done to lines, one JSON object a line; only ever added to.

    Args:
        path: The file. What a crash left unfinished at its end is cut off.

    Attributes:
        entries: All of them, in order, each with its `number` and `time`.

    Raises:
        ValueError: If it is damaged before its end; the message names it.
    """

    def __init__(self, path: Path):
        self.path = path
        self.entries: list[dict[str, Any]] = []
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self.entries.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: it is damaged ({error}). Mend it.") from error
        if whole != content:
            write_durably(path, whole)

    def add(self, **entry: Any) -> dict[str, Any]:
        """
        Adds an entry; it is on the disk when this returns.

        Raises:
            OSError: If it cannot be written. Nothing of it is in the file then.
        """
        entry = {"number": len(self.entries), "time": time.strftime("%Y-%m-%dT%H:%M:%S"), **entry}
        is_new = not self.path.exists()
        self.append(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        if is_new:
            sync_folder(self.path.parent)
        self.entries.append(entry)
        return entry

    def append(self, line: bytes) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # Of a full disk there may be half of it, which the next entry would be glued to.
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise

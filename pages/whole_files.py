# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONG_NAME = 200  # bytes
UNFINISHED = re.compile(r"\..+\.\d+\.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """
    A path beside a file to write to; it takes the file's place once all is written, and is removed if writing fails.

    Args:
        path: The file. Its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that is as long as the disk allows leaves no room for more.
    name = path.name if len(os.fsencode(path.name)) < LONG_NAME else f"{zlib.crc32(os.fsencode(path.name)):08x}"
    # Hidden, so that nothing takes it for a result, and of this process, so that no two write to one.
    temporary = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Removes what processes left that were ended while they wrote a file below a folder."""
    for path in folder.rglob(".*.part"):
        if UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> Path:
    """Writes a file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    return path

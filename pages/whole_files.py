# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = re.compile(r"\..+\.\d+\.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """
    A path beside a file to write to; it takes the file's place once all is written, and is removed if writing fails.

    Args:
        path: The file. Its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that nothing takes it for a result, and of this process, so that no two write to one.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
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

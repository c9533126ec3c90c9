# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def write_whole(path: Path, content: bytes) -> Path:
    """Writes a file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    return path

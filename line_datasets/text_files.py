# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Text files as users have them. No encoding is ever guessed: a wrong guess gives wrong letters and no error."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path

from .problems import Problems


def read_text(path: Path, problems: Problems, encoding: str = "utf-8") -> str | None:
    """
    Text of a file, without a byte order mark; None, noted as a problem, if it is missing or in another encoding.

    Args:
        path: File.
        problems: Takes what is wrong.
        encoding: Name of a codec.
    """
    try:
        return path.read_text(encoding="utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding)
    except FileNotFoundError:
        problems.add(path, "there is no such file")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        advice = "save it as UTF-8, or name its encoding with the option encoding where there is one"
        problems.add(path, f"not {encoding.upper()} at byte {error.start}; {advice}", number)
    except UnicodeError as error:
        problems.add(path, f"not {encoding.upper()} ({error})")
    return None


def numbered_lines(
    path: Path, problems: Problems, encoding: str = "utf-8", is_entry: Callable[[str], bool] = lambda line: False
) -> Iterator[tuple[int, str]]:
    """
    Lines of a list or table that are neither blank nor a comment, with their numbers from 1.

    Args:
        path: The list.
        problems: Takes what is wrong.
        encoding: Name of a codec.
        is_entry: Whether a line that begins with `#`, as comments do, is none: a file may be called `#12.png`.
    """
    for number, line in enumerate((read_text(path, problems, encoding) or "").split("\n"), start=1):
        if line.strip() and (not line.startswith("#") or is_entry(line.strip())):
            yield number, line.strip()


def check_encoding(encoding: str) -> None:
    """
    Raises:
        ValueError: If there is no codec of this name.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"Unknown encoding {encoding!r}. For example: utf-8, cp1258, cp1252, iso-8859-1.") from None

"""Everything that is wrong with the files of a dataset, told at once."""

import codecs
from pathlib import Path

SHOWN_PROBLEMS = 20


class LineDataError(ValueError):
    """
    Files of a dataset are missing, unreadable or contradict each other.

    Attributes:
        problems: One sentence for each file or line of a file, in the order they were found. The message shows the
            first 20.
    """

    def __init__(self, root: str | Path, problems: list[str]):
        self.root = root
        self.problems = problems
        listed = "".join(f"\n  {problem}" for problem in problems[:SHOWN_PROBLEMS])
        more = f"\n  and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        super().__init__(f"{root}: {len(problems)} problem{'s' if len(problems) > 1 else ''}:{listed}{more}")

    def __reduce__(self):
        return type(self), (self.root, self.problems)


class Problems:
    """Collects what is wrong while a dataset is read, so that one error names it all."""

    def __init__(self, root: str | Path):
        self.root = root
        self.found: list[str] = []

    def add(self, file: str | Path, what: str, line: int | None = None) -> None:
        """Notes that `what` is wrong with a file, at a line of it (from 1) where that is known."""
        self.found.append(f"{file}, line {line}: {what}" if line else f"{file}: {what}")

    def raise_if_any(self) -> None:
        """
        Ends the reading.

        Raises:
            LineDataError: If anything was noted.
        """
        if self.found:
            raise LineDataError(self.root, self.found)


def read_utf8(path: Path, problems: Problems) -> str | None:
    """Text of a file, without a byte order mark; None, noted as a problem, if it is missing or not UTF-8."""
    return read_text(path, "utf-8", problems)


def read_text(path: Path, encoding: str, problems: Problems) -> str | None:
    """
    Text of a file, without a byte order mark; None, noted as a problem, if it is missing or in another encoding.

    No encoding is ever guessed: a wrong guess gives wrong letters and no error.

    Args:
        path: File.
        encoding: Name of a codec.
        problems: Takes what is wrong.
    """
    try:
        return path.read_text(encoding="utf-8-sig" if is_utf8(encoding) else encoding)
    except FileNotFoundError:
        problems.add(path, "there is no such file")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        advice = "save it as UTF-8, or name its encoding with the option encoding where there is one"
        problems.add(path, f"not {encoding.upper()} at byte {error.start}; {advice}", number)
    return None


def check_encoding(encoding: str) -> None:
    """
    Raises:
        ValueError: If there is no codec of this name.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"Unknown encoding {encoding!r}. For example: utf-8, cp1258, cp1252, iso-8859-1.") from None


def is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "utf-8"

"""Everything that is wrong with the files of a dataset, told at once."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

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
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problems.add(path, "there is no such file")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        problems.add(path, f"not UTF-8 at byte {error.start}; save it as UTF-8", number)
    return None

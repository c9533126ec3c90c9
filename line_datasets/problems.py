# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Everything that is wrong or odd in the files of a dataset, told at once."""

import logging
from collections.abc import Iterable
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


def generation_failed(what: str | Path, error: Exception) -> OSError:
    """An error that says what `datasets` met while it made a dataset; its own says only that there was something."""
    reason = str(error.__cause__ or error)
    if reason.startswith('\n"""\nTraceback'):  # Of another process; the first error's last line says what it was.
        reason = reason.partition("\n\nThe above exception")[0].rpartition("\n")[2]
    return OSError(f"{what} cannot be loaded: {reason}")


class Problems:
    """
    Collects what is wrong or odd while a dataset is read, so that one summary names it all.

    Attributes:
        root: The dataset.
        found: What cannot be used, one sentence each.
        odd: What is used although it is odd: for each kind, where it was found.
    """

    def __init__(self, root: str | Path):
        self.root = root
        self.found: list[str] = []
        self.odd: dict[str, list[str]] = {}

    def add(self, file: str | Path, what: str, line: int | None = None) -> None:
        """Notes that `what` is wrong with a file, at a line of it (from 1) where that is known."""
        self.found.append(f"{file}, line {line}: {what}" if line else f"{file}: {what}")

    def refuse(self, file: str | Path, options: Iterable[str], why: str) -> None:
        """Notes options that someone asked for and that do not act on a file: they are `why`."""
        for option in options:
            self.add(file, f"the option {option} is {why}")

    def warn(self, where: str | Path, kind: str) -> None:
        """Notes something odd: `kind` in the plural ("words that differ from their line's text"), and where it is."""
        self.odd.setdefault(kind, []).append(str(where))

    def warnings(self) -> list[str]:
        """What is odd, one sentence for each kind."""
        return [
            f"{kind}: {where[0]}" + (f" and {len(where) - 1} more" if len(where) > 1 else "")
            for kind, where in self.odd.items()
        ]

    def raise_if_any(self) -> None:
        """
        Ends the reading.

        Raises:
            LineDataError: If anything is wrong.
        """
        if self.found:
            raise LineDataError(self.root, self.found)

    def end(self, on_error: str) -> None:
        """
        Logs at the end of the reading what was left out, and what is odd.

        Raises:
            LineDataError: If anything is wrong and `on_error` is "raise".
        """
        if on_error == "raise":
            self.raise_if_any()
        if self.found:
            logger.warning("Left out: %s", LineDataError(self.root, self.found))
        if self.odd:
            listed = "".join(f"\n  {warning}" for warning in self.warnings())
            logger.warning("%s: read, but look at:%s", self.root, listed)

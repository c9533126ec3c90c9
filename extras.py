# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is said where a library of an extra is missing. It is free to import."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

PACKAGE = Path(__file__).resolve().parent
IN_CHECKOUT = (PACKAGE / "setup.cfg").is_file()


class MissingExtraError(ImportError):
    """
    A library of an extra is missing; the message says how to install it.

    Args:
        what: What needs it.
        state: Which library it is, and whether it is missing or broken.
        extras: As pip takes them.
    """

    def __init__(self, what: str, state: str, extras: str):
        here = f'-e ".[{extras}]" -c constraints.txt in the checkout' if IN_CHECKOUT else f'"htr-convtext[{extras}]"'
        super().__init__(f"{what} needs {state}: pip install {here}")
        self.state = state


@contextmanager
def needing(what: str, extras: str = "pages") -> Iterator[None]:
    """
    Around imports from libraries that come with extras. Of several around each other the outermost is named: it is
    what was asked for.

    Args:
        what: What needs them.
        extras: As pip takes them: "export" or "train,export".

    Raises:
        MissingExtraError: If one is missing.
    """
    try:
        yield
    except ImportError as error:
        raise missing_extra(what, error, extras) from error


def missing_extra(what: str, error: ImportError, extras: str = "pages") -> MissingExtraError:
    """The error for something that needs extras: what it is, why it failed, and what to do."""
    if isinstance(error, MissingExtraError):
        return MissingExtraError(what, error.state, extras)
    missing = isinstance(error, ModuleNotFoundError)
    state = f"{error.name}, which is not installed" if missing else f"what cannot be loaded ({error})"
    return MissingExtraError(what, state, extras)


def is_command(words: list[str]) -> bool:
    """Whether with these words Python runs a command of this package: a module (python -m) or a script at its root."""
    if "-m" in words:
        return [name.split(".")[0] for name in words[words.index("-m") + 1 :][:1]] == [__package__]
    scripts = [word for word in words if word.endswith(".py")]
    return bool(scripts) and Path(scripts[0]).resolve().parent == PACKAGE


def say_what_is_missing(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Python's way to end by an error, but for a missing extra: of that a command says the sentence alone."""
    if isinstance(error, MissingExtraError):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


if is_command(sys.orig_argv):
    sys.excepthook = say_what_is_missing

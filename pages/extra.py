# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is said where a library of an extra is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_CHECKOUT = (Path(__file__).resolve().parent.parent / "setup.cfg").is_file()


class MissingExtraError(ImportError):
    """A library of an extra is missing; the message says how to install it."""


@contextmanager
def needing(what: str, extras: str = "pages") -> Iterator[None]:
    """
    Around imports from libraries that come with extras.

    Args:
        what: What needs them.
        extras: As pip takes them: "export" or "train,export".

    Raises:
        MissingExtraError: If one is missing.
    """
    try:
        yield
    except MissingExtraError:
        raise
    except ImportError as error:
        raise missing_extra(what, error, extras) from error


def missing_extra(what: str, error: ImportError, extras: str = "pages") -> MissingExtraError:
    """The error for something that needs extras: what it is, why it failed, and what to do."""
    missing = isinstance(error, ModuleNotFoundError)
    state = f"{error.name}, which is not installed" if missing else f"what cannot be loaded ({error})"
    if IN_CHECKOUT:
        return MissingExtraError(
            f'{what} needs {state}: pip install -e ".[{extras}]" -c constraints.txt in the checkout'
        )
    return MissingExtraError(f'{what} needs {state}: pip install "htr-convtext[{extras}]"')

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The beginning and the end of a run: its folder is its own, and what stops it is a sentence."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import TrainingArguments

from ..console import only_writer
from .options import PROGRAM

LOCK_FILE = ".training.lock"
# Where torch's launcher looks for the reason why a process ended, to show it last.
ERROR_FILE_VARIABLE = "TORCHELASTIC_ERROR_FILE"


@contextmanager
def ending_with_a_sentence(args: TrainingArguments) -> Iterator[None]:
    """
    Around a run, whose errors that tell what to do end it without a traceback. `--log_level debug` shows that, too.

    Raises:
        SystemExit: With the error's message.
    """
    try:
        yield
    except (OSError, ValueError, FloatingPointError, MemoryError) as error:
        if args.log_level == "debug":
            raise
        message = f"{PROGRAM}: {error}"
        tell_launcher(message)
        raise SystemExit(message) from error


def tell_launcher(message: str) -> None:
    """Lets torch's launcher of several processes end with the message, which otherwise stands far above its table."""
    if path := os.environ.get(ERROR_FILE_VARIABLE):
        content = json.dumps({"message": message, "timestamp": int(time.time())})
        Path(path).write_text(content, encoding="utf-8")


@contextmanager
def taken(args: TrainingArguments) -> Iterator[None]:
    """
    Around a training, whose folder no other may write to meanwhile.

    Raises:
        ValueError: If another training is writing to the folder.
        OSError: If it cannot be written to.
    """
    if not args.do_train or args.process_index > 0:
        yield
        return
    with only_writer(Path(args.output_dir), LOCK_FILE, "training", "--output_dir"):
        yield

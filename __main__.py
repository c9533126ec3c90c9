# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands of the installed package as one: htr-convtext COMMAND ..., or python -m htr_convtext COMMAND ..."""

import importlib
import sys

from . import __version__
from .console import print_any_character
from .extras import MissingExtraError, needing

PROGRAM = "htr-convtext"
# Module of each command, the extras that it needs, and what it does.
COMMANDS = {
    "transcribe": ("transcribe", "pages", "read pages and lines into text, PAGE XML, ALTO, PDF, ..."),
    "train": ("train_hf", "train", "train or fine-tune on lines; a recipe, such as finetune.yaml, comes first"),
    "workbench": ("workbench.__main__", "workbench", "read, correct and teach in the browser"),
    "report": ("line_datasets.report", "train", "look at a dataset: its lines, its alphabet, what is wrong in it"),
    "convert": ("hub_upload.convert_original", "train", "a checkpoint of the authors' code to a model folder"),
    "push": ("hub_upload.push", "train", "a model folder to the Hugging Face Hub"),
}


def main() -> None:
    print_any_character()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
    elif name in ("-h", "--help"):
        print(describe_commands())
    elif name in COMMANDS:
        run(name)
    else:
        raise SystemExit(f"{PROGRAM}: there is no command {name!r}.\n\n{describe_commands()}")


def describe_commands() -> str:
    commands = [f"  {name:11s} {what}" for name, (_, _, what) in COMMANDS.items()]
    return "\n".join(
        [
            f"{PROGRAM} COMMAND [options], with the commands:",
            *commands,
            f"{PROGRAM} COMMAND --help lists a command's options, {PROGRAM} --version tells the version.",
        ]
    )


def run(name: str) -> None:
    """
    Runs a command with what follows its name in `sys.argv`.

    Raises:
        SystemExit: If a library is missing; the message names the extra that brings it.
    """
    module, extras, _ = COMMANDS[name]
    try:
        with needing(f"{PROGRAM} {name}", extras):
            command = importlib.import_module(f"htr_convtext.{module}")
    except MissingExtraError as error:
        raise SystemExit(str(error)) from error
    sys.argv = [f"{PROGRAM} {name}", *sys.argv[2:]]
    sys.exit(command.main())


if __name__ == "__main__":
    main()

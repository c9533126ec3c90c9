# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Opens the workbench in the browser: read pages, correct lines, teach the model a hand, take everything away.

    python -m htr_convtext.workbench my_project --model hub_upload/htr-convtext-fr

A project is a folder, which is made if there is none; all that is done is in it. It needs the extra [workbench].
"""

import argparse
from pathlib import Path

from ..console import errors_as_sentences
from ..extras import MissingExtraError, needing
from . import RELEASED


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    try:
        with needing("The workbench", "workbench"):
            from .app import Workbench, launch
            from .project import Project, ProjectError
    except MissingExtraError as error:
        raise SystemExit(str(error)) from error
    with errors_as_sentences("workbench", ProjectError, OSError, ValueError):
        project = Project(options.project, model_of(options))
    try:
        with errors_as_sentences("workbench", OSError, ValueError):
            workbench = Workbench(project, options.training_option)
        launch(workbench, options.host, options.port, options.open)
    except OSError as error:
        raise SystemExit(f"workbench: {error}. Choose another --port.") from error
    finally:
        project.close()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m htr_convtext.workbench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("project", nargs="?", default="workbench_project", help="folder of the project (%(default)s)")
    parser.add_argument(
        "--model",
        help="model folder, or a name on the Hub, that reads from now on, in place of a taught one, too; by default "
        f"that of the project, of a new one {RELEASED}",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s: this computer alone)")
    parser.add_argument("--port", type=int, help="port; by default a free one from 7860 on")
    parser.add_argument("--open", action="store_true", help="open the browser")
    parser.add_argument(
        "--training_option",
        action="append",
        default=[],
        metavar="OPTION",
        help="a further option of train_hf.py, such as --training_option=--use_cpu; may be repeated",
    )
    return parser.parse_args(arguments)


def model_of(options: argparse.Namespace) -> str | None:
    """The model that was asked for, or the released one for a new project; None for that of the project."""
    if options.model:
        return str(Path(options.model).resolve()) if Path(options.model).is_dir() else options.model
    if (Path(options.project).expanduser() / "project.json").is_file():
        return None
    return str(Path(__file__).resolve().parent.parent / RELEASED)


if __name__ == "__main__":
    main()

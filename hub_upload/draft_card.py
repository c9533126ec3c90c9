# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The card that a training leaves beside its model, to be completed before others see it."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard

from ..training.line_trainer import SCORES_FILE
from .model_card import RATE_NAMES, error_rates, model_card

# Stands in a card that a training wrote and may write again; taking it out keeps the card.
DRAFT_MARK = "<!-- A draft that the training wrote. Without this line, the next training keeps the card as it is. -->"
SUMMARY = """\
{mark}

Handwritten text recognition, {origin} {lines} lines of {data}.

*This is a draft: say here what the model reads and what it does not, and put the language of its lines and the licence
of its weights into the head of this file.*
"""


def write_draft_cards(
    run: Path,
    base_model: str | None,
    data: Sequence[str],
    lines: Mapping[str, int],
    command: Sequence[str],
    measured: Sequence[str],
) -> list[Path]:
    """
    Writes README.md into a training's folder, with the error rates of its `*_results.json`, and beside the best models
    that it kept, with those that each had then. A card that is no draft stays.

    Args:
        run: The training's folder, which is the last model's.
        base_model: What it was fine-tuned from; none if it was trained from its beginning.
        data: Names of the datasets.
        lines: Number of lines of each split.
        command: The script that trained it and its options, as in `sys.argv`.
        measured: The splits that were read after the training. Results of others are of an earlier run.

    Returns:
        The cards written.
    """
    paths = [folder / "README.md" for folder in (run, *sorted(run.glob("best_*/")))]
    drafts = [path for path in paths if not path.is_file() or DRAFT_MARK in path.read_text(encoding="utf-8")]
    for path in drafts:
        of_last = {split: path.parent / f"{split}_results.json" for split in measured}
        measurements = of_last if path.parent == run else {"validation": path.parent / SCORES_FILE}
        draft_card(run, base_model, data, lines, command, measurements).save(path)
    return drafts


def draft_card(
    run: Path,
    base_model: str | None,
    data: Sequence[str],
    lines: Mapping[str, int],
    command: Sequence[str],
    measurements: Mapping[str, Path],
) -> ModelCard:
    """The card of [`write_draft_cards`], with the error rates that a file of each split tells."""
    names = ", ".join(map(last_name, data))
    origin = "trained on" if base_model is None else f"fine-tuned from `{last_name(base_model)}` on"
    splits = ", ".join(f"{number:,} {split}" for split, number in lines.items())
    rates = [rate for split, path in measurements.items() for rate in rates_in(path, split, names)]
    figures = [f"| {rate.dataset_split} | {rate.metric_name} | {rate.metric_value:.2f} |" for rate in rates]
    return model_card(
        name=run.resolve().name,
        summary=SUMMARY.format(mark=DRAFT_MARK, origin=origin, lines=f"{lines.get('train', 0):,}", data=names),
        language=None,
        license=None,
        results=rates,
        sections={
            "Data": f"Lines of {names}: {splits}.",
            "Figures": "\n".join(
                ["| split | rate | |", "|---|---|---|", *figures] if figures else ["Not measured yet."]
            ),
            "Training": f"```sh\n{run_again(command)}\n```",
        },
        # The Hub knows models by their names, not by folders.
        base_model=None if base_model is None or Path(base_model).exists() else base_model,
    )


def last_name(location: str) -> str:
    """The name of a folder, also of one given as `.`, or of a repository of the Hub."""
    return os.path.basename(os.path.abspath(location))


def run_again(command: Sequence[str]) -> str:
    """
    The command line that trained: with the script, or with the installed package's command, of two words. Other
    machines have no such folders, and nobody needs to know their owner's.
    """
    program, *options = map(without_own_folders, command)
    if program.endswith(".py"):
        return f"accelerate launch {shlex.join([program, *options])}"
    return f"{program} {shlex.join(options)}"


def without_own_folders(argument: str) -> str:
    """An argument of a command, where it is a path: seen from here if it lies below, or else the name at its end."""
    option, equals, value = argument.partition("=")
    path = Path(argument)
    if not path.is_absolute():
        return f"{option}={without_own_folders(value)}" if equals else argument
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name


def rates_in(path: Path, split: str, data: str) -> list[EvalResult]:
    """The error rates that a file tells; none if there is no such file."""
    if not path.is_file():
        return []
    prefix = "eval" if path.name == SCORES_FILE else split
    measured = json.loads(path.read_text(encoding="utf-8"))
    rates = {name: 100 * rate for name in RATE_NAMES if (rate := measured.get(f"{prefix}_{name}")) is not None}
    return error_rates(data, "lines", rates, split=split)


__all__ = ["write_draft_cards"]

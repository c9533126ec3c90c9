# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of train_hf.py: from a recipe (a YAML or JSON file) and the command line, which wins."""

import json
from argparse import Action, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from ..configuration_htr_convtext import SIZES
from ..line_datasets.command_line import did_you_mean
from .arguments import RESUME_WORDS, HTRConvTextTrainingArguments

PROGRAM = "train_hf.py"
# Those that come with the package; what names one of them finds it wherever the command runs.
RECIPES = Path(__file__).resolve().parent.parent / "recipes"
RECIPE_SUFFIXES = (".yaml", ".yml", ".json")
NOT_GIVEN = object()


@dataclass
class ModelArguments:
    """What to train. What is `None` is the model's own, or the default of a new one."""

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Model to start from, with its processor; by default a new one of --size."}
    )
    extend_alphabet: bool = field(
        default=False,
        metadata={"help": "Give characters that --model_name_or_path does not know classes of their own."},
    )
    size: str | None = field(
        default=None, metadata={"help": "Size of a new model, by default base.", "choices": list(SIZES)}
    )
    keep_aspect_ratio: bool | None = field(
        default=None,
        metadata={"help": "New model: narrower lines keep a width of their own instead of --image_width.",
                  "nargs": "?", "const": True},
    )  # fmt: skip
    image_width: int | None = field(
        default=None, metadata={"help": "New model: width in pixels that wider lines are squeezed to, by default 512."}
    )
    pad_to_multiple_of: int | None = field(
        default=None,
        metadata={"help": "New model, --keep_aspect_ratio: widths are padded to a multiple of this, by default 64."},
    )
    autocontrast_cutoff: list[float] | None = field(
        default=None,
        metadata={"help": "New model: percent of a line's darkest and lightest pixels that become ink and paper."},
    )
    tcm_context_size: int | None = field(
        default=None, metadata={"help": "New model: characters of context on either side, by default 5."}
    )
    hidden_dropout_prob: float | None = field(default=None, metadata={"help": "Dropout; of a new model 0.1."})
    attention_probs_dropout_prob: float | None = field(
        default=None, metadata={"help": "Dropout on attention weights; of a new model 0.1."}
    )
    drop_path_rate: float | None = field(
        default=None, metadata={"help": "Stochastic depth of the last layer; of a new model 0.1."}
    )
    tcm_dropout_prob: float | None = field(default=None, metadata={"help": "Dropout in the TCM; of a new model 0.1."})


# What a trained model has decided already.
NEW_MODEL_OPTIONS = (
    "size",
    "keep_aspect_ratio",
    "image_width",
    "pad_to_multiple_of",
    "autocontrast_cutoff",
    "tcm_context_size",
)
DROPOUT_OPTIONS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "tcm_dropout_prob")


@dataclass
class DataArguments:
    """What to train on."""

    dataset: str = field(default="lines", metadata={"help": "lines (folders of images), iam, lam, read2016, vnondb."})
    data_dir: list[str] = field(
        default_factory=list, metadata={"help": "Folder of the dataset, or several; default: its copy on the Hub."}
    )
    dataset_option: list[str] = field(
        default_factory=list, metadata={"help": "Options of the dataset as NAME=VALUE, such as transcription=laia."}
    )
    validation_fraction: float = field(
        default=0.0,
        metadata={"help": "Share of the training lines to validate on where the data has no validation split, by "
                          "whole pages; 0 for none."},
    )  # fmt: skip
    max_train_lines: int | None = field(default=None, metadata={"help": "Train on the first lines only."})
    max_eval_lines: int | None = field(default=None, metadata={"help": "Evaluate on the first lines only."})
    preprocessing_num_workers: int | None = field(
        default=None, metadata={"help": "Processes that decode and resize the images before training."}
    )

    def __post_init__(self):
        if not 0 <= self.validation_fraction < 1:
            raise ValueError(f"--validation_fraction must be in [0, 1). Got {self.validation_fraction:g}.")


def parse_arguments(arguments: Sequence[str]) -> tuple[ModelArguments, DataArguments, HTRConvTextTrainingArguments]:
    """
    Options from a recipe, if the first argument is one, and the command line, which wins.

    Args:
        arguments: As in `sys.argv[1:]`. A recipe is a file, or the name of one of those that come with the package.

    Raises:
        SystemExit: If an option is unknown, cannot have its value, or contradicts another; the message names it.
    """
    parser = OptionParser()
    recipe: dict[str, Any] = {}
    if arguments and arguments[0].endswith(RECIPE_SUFFIXES):
        recipe = parser.given_in_recipe(arguments[0])
        arguments = arguments[1:]
    options = combine(recipe, parser.given(list(arguments), PROGRAM))
    settle_tasks(options)
    try:
        model_args, data_args, args = parser.parse_dict(options)
    except ValueError as error:
        raise SystemExit(f"{PROGRAM}: {error}") from error
    # transformers turns it on wherever there is an evaluation strategy.
    args.do_eval = options.get("do_eval", args.do_eval)
    return model_args, data_args, args


class Gathered(Action):
    """Values of an option that takes several, however often it is given: argparse keeps the last ones alone."""

    def __call__(self, parser, namespace, values, option_string=None):
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*(before if isinstance(before, list) else []), *values])


class OptionParser(HfArgumentParser):
    """Parser that tells what was given from what is a default, and answers a mistake with a sentence."""

    def __init__(self):
        super().__init__(
            [ModelArguments, DataArguments, HTRConvTextTrainingArguments],
            prog=PROGRAM,
            description="Trains, fine-tunes or evaluates on lines. A recipe (YAML or JSON file) may come first.",
        )
        self.source = PROGRAM
        self.names = {action.dest for action in self._actions} - {"help"}

    def add_argument(self, *names, **options):
        """As argparse's, but values of an option that is given twice are those of both."""
        return super().add_argument(*names, **({"action": Gathered} if options.get("nargs") == "+" else {}), **options)

    def given(self, arguments: list[str], source: str) -> dict[str, Any]:
        """
        The options among `arguments` by their whole names, however they are spelt: with dashes, or abbreviated.

        Args:
            arguments: Options and their values.
            source: What errors call the place that they come from.
        """
        self.source = source
        namespace, rest = self.parse_known_args(arguments, Namespace(**dict.fromkeys(self.names, NOT_GIVEN)))
        if rest:
            unknown = [argument for argument in rest if argument.startswith("-")] or rest
            self.error(" ".join(self.unknown(argument.partition("=")[0]) for argument in unknown))
        return {name: value for name, value in vars(namespace).items() if value is not NOT_GIVEN}

    def given_in_recipe(self, path: str) -> dict[str, Any]:
        """The options of a recipe, by the rules of the command line."""
        options = {name.replace("-", "_"): value for name, value in read_recipe(path).items()}
        if unknown := sorted(set(options) - self.names):
            self.source = path
            self.error(" ".join(self.unknown(f"--{name}") for name in unknown))
        return self.given(as_arguments(options), path)

    def unknown(self, argument: str) -> str:
        """What is wrong with an argument that is no option."""
        name = argument.lstrip("-").replace("-", "_")
        if not argument.startswith("-"):
            return f"{argument!r} is no option. A recipe ({', '.join(RECIPE_SUFFIXES)}) comes before the options."
        return f"there is no option --{name}{did_you_mean(name, self.names, '--')}."

    def error(self, message: str) -> NoReturn:
        """Ends with the message; argparse would print every option before it."""
        raise SystemExit(f"{self.source}: {message.rstrip('.')}. {PROGRAM} --help lists the options.")


def read_recipe(path: str) -> dict[str, Any]:
    """
    Raises:
        SystemExit: If there is no such file, or it holds no options.
    """
    file = Path(path)
    if not file.is_file() and file.parent in (Path(), Path(RECIPES.name)):
        file = RECIPES / file.name
    if not file.is_file():
        there = sorted(other.name for other in file.parent.glob("*") if is_recipe(other))
        raise SystemExit(
            f"{PROGRAM}: there is no recipe {path}{did_you_mean(file.name, there)}. "
            f"{file.parent} has {', '.join(there) or 'none'}."
        )
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SystemExit(f"{path} is no YAML or JSON: {error}") from error
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise SystemExit(f"{path} holds no options. Write each on a line of its own as NAME: VALUE.")
    model = options.get("model_name_or_path")
    if file.resolve().parent == RECIPES and model and not Path(model).exists() and (RECIPES.parent / model).is_dir():
        options["model_name_or_path"] = str(RECIPES.parent / model)  # Found from anywhere, as the recipe itself is.
    return options


def is_recipe(path: Path) -> bool:
    return path.is_file() and path.suffix in RECIPE_SUFFIXES


def as_arguments(options: dict[str, Any]) -> list[str]:
    """A recipe's options as the command line has them; those without a value are left out."""
    arguments: list[str] = []
    for name, value in options.items():
        if isinstance(value, list):
            arguments += [f"--{name}", *map(str, value)] if value else []
        elif value is not None:
            arguments.append(f"--{name}={json.dumps(value) if isinstance(value, dict) else value}")
    return arguments


def combine(recipe: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """The recipe's options and those of the command line, which wins over what contradicts it in the recipe, too."""
    contradicted: set[str] = set()
    if typed.get("num_train_epochs", 0) > 0:
        contradicted.add("max_steps")
    if typed.get("max_steps", 0) > 0:
        contradicted.add("num_train_epochs")
    if typed.get("model_name_or_path"):
        contradicted.update(NEW_MODEL_OPTIONS)
    return {name: value for name, value in recipe.items() if name not in contradicted} | typed


def settle_tasks(options: dict[str, Any]) -> None:
    """Without a task it trains; only a training evaluates as it goes."""
    others = options.get("do_eval") or options.get("do_predict")
    if not options.setdefault("do_train", not others):
        options["eval_strategy"] = "no"  # Reading a test split needs no validation split.
        if not others:
            raise SystemExit(f"{PROGRAM}: nothing to do. Give --do_train, --do_eval or --do_predict.")
        checkpoint = options.get("resume_from_checkpoint")
        if RESUME_WORDS.get(str(checkpoint).lower(), checkpoint) is not None:
            raise SystemExit(
                f"{PROGRAM}: --resume_from_checkpoint goes on with a training, and nothing is trained. To read with a "
                "checkpoint, name its folder as --model_name_or_path."
            )

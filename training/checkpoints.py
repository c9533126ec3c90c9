# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are written whole or not at all, and what a checkpoint of training holds beside the model."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import TrainingArguments
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME

from ..configuration_htr_convtext import TCM_FILE
from ..processing_htr_convtext import HTRConvTextTokenizer
from .ema import UPDATES_KEY, ExponentialMovingAverage

MODEL_FILE = "model.safetensors"
# The weights that the optimiser moves, where model.safetensors holds their average.
OWN_WEIGHTS_FILE = "weights_without_ema.safetensors"
REQUIRED_FILES = ("config.json", MODEL_FILE, OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME)
STAGING_SUFFIX = ".incomplete"
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")
# Of what a run leaves that is resumed from an earlier checkpoint: no name of transformers or of this project.
LEFT_PREFIX = "left-"
# What a full or failing disk raises: Python, safetensors, and torch.save.
WRITE_ERRORS = (OSError, SafetensorError, RuntimeError)


@contextmanager
def whole_folder(path: str | os.PathLike) -> Iterator[Path]:
    """
    Writes a folder under another name and renames it when it is whole, so that nobody ever sees a part of it.

    Args:
        path: The folder; one that exists is replaced.

    Yields:
        Folder to write to. If the block raises, it is removed and what was at `path` stays.
    """
    path = Path(path)
    staging = path.with_name(path.name + STAGING_SUFFIX)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        replace_folder(staging, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


@contextmanager
def damage_as_a_sentence(checkpoint: str | os.PathLike) -> Iterator[None]:
    """
    Around the reading of a checkpoint's files.

    Raises:
        ValueError: If one is not what was written.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError, SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{checkpoint} is damaged ({error}). Resume from another checkpoint.") from error


def replace_folder(source: Path, target: Path) -> None:
    """Renames `source` to `target`; a folder that is there goes away afterwards."""
    old = target.with_name(target.name + ".old" + STAGING_SUFFIX)
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)  # Left by a process that was killed before it was gone.
        os.replace(target, old)
    os.replace(source, target)
    shutil.rmtree(old, ignore_errors=True)


def checkpoints(output_dir: str | os.PathLike) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return [path for _, path in numbered_checkpoints(output_dir) if not missing_files(path)]


def numbered_checkpoints(output_dir: str | os.PathLike) -> list[tuple[int, Path]]:
    """What is called a checkpoint in a run's folder, whole or not, with the step that it is named by, oldest first."""
    paths = Path(output_dir).glob("checkpoint-*")
    return sorted((int(match[1]), path) for path in paths if (match := CHECKPOINT_NAME.fullmatch(path.name)))


def missing_files(checkpoint: Path) -> list[str]:
    """Files that a checkpoint must hold and this one does not."""
    return [name for name in REQUIRED_FILES if not (checkpoint / name).is_file()]


def find_checkpoint(resume_from_checkpoint: str | bool, output_dir: str) -> str:
    """
    The checkpoint to go on from.

    Args:
        resume_from_checkpoint: A checkpoint's folder, or `True` or "last" for the last whole one of `output_dir`.
        output_dir: Folder of the run.

    Raises:
        ValueError: If there is none, or it is not whole.
    """
    if resume_from_checkpoint in (True, "last"):
        found = checkpoints(output_dir)
        if not found:
            where = ", in another --output_dir or after deleting this one" if traces(Path(output_dir)) else ""
            raise ValueError(
                f"There is no whole checkpoint in {output_dir} to resume from. Start without resuming{where}."
            )
        return str(found[-1])
    missing = missing_files(Path(str(resume_from_checkpoint)))
    if missing:
        raise ValueError(
            f"{resume_from_checkpoint} is no whole checkpoint of a training: it has no {', '.join(missing)}."
        )
    return str(resume_from_checkpoint)


def check_output_dir(args: TrainingArguments) -> None:
    """
    Refuses to mix a new run into the folder of another, and a resume from nothing.

    Raises:
        ValueError: The message says what to do.
    """
    if not args.do_train:
        return
    folder = Path(args.output_dir)
    if args.resume_from_checkpoint:
        find_checkpoint(args.resume_from_checkpoint, args.output_dir)
    elif used := traces(folder):
        onward = (
            "Choose another --output_dir; to go on with that run, give its options and --resume_from_checkpoint."
            if checkpoints(folder)
            else "It has no checkpoint to go on from: choose another --output_dir, or delete this one."
        )
        raise ValueError(f"{folder} holds another run ({used[0].name}). {onward}")


def traces(folder: Path) -> list[Path]:
    """What a run has left in a folder."""
    return [path for name in ("checkpoint-*", "best_*er", MODEL_FILE) for path in sorted(folder.glob(name))]


def leave_later_checkpoints(checkpoint: str | os.PathLike, output_dir: str | os.PathLike) -> list[str]:
    """
    Sets those of a run's checkpoints aside that come after the one it goes on from. By their numbers the next resume
    would take them for its own, and `--save_total_limit` would keep them and delete what the run writes now.

    Args:
        checkpoint: The checkpoint that the run goes on from, of this folder or another.
        output_dir: Folder of the run.

    Returns:
        The names that they had; they have them still, behind `LEFT_PREFIX`.
    """
    with damage_as_a_sentence(checkpoint):
        step = json.loads((Path(checkpoint) / TRAINER_STATE_NAME).read_text(encoding="utf-8"))["global_step"]
    later = [path for number, path in numbered_checkpoints(output_dir) if number > step]
    for path in later:
        replace_folder(path, path.with_name(LEFT_PREFIX + path.name))
    return [path.name for path in later]


def save_training_weights(folder: Path, model, tcm, ema: ExponentialMovingAverage | None) -> None:
    """Writes what the model folder does not hold and a resumed run needs: the TCM and the weights without average."""
    if tcm is not None:
        save_file(contiguous(tcm.state_dict()), folder / TCM_FILE, metadata={"format": "pt"})
    if ema is not None:
        metadata = {"format": "pt", UPDATES_KEY: str(ema.updates)}
        save_file(contiguous(model.state_dict()), folder / OWN_WEIGHTS_FILE, metadata=metadata)


def load_training_weights(folder: Path, model, tcm, ema: ExponentialMovingAverage | None) -> None:
    """
    Reads a checkpoint's weights into the model, the TCM and the average.

    Raises:
        ValueError: If the checkpoint was trained with other options: without the TCM or the average, or with, or
            another network; or if it is damaged.
    """
    for part, name, option in ((tcm, TCM_FILE, "tcm_weight"), (ema, OWN_WEIGHTS_FILE, "ema_decay")):
        if (part is not None) != (folder / name).is_file():
            used = "without" if part is not None else "with"
            raise ValueError(
                f"{folder} was trained {used} --{option}; resume it with the options it was started with."
            )
    try:
        model.load_state_dict(load_file(folder / MODEL_FILE))
        if tcm is not None:
            tcm.load_state_dict(load_file(folder / TCM_FILE))
        if ema is not None:
            with safe_open(folder / OWN_WEIGHTS_FILE, framework="pt") as file:
                ema.restore(model, int(file.metadata()[UPDATES_KEY]))
            model.load_state_dict(load_file(folder / OWN_WEIGHTS_FILE))
    except SafetensorError as error:
        raise ValueError(f"{folder} is damaged ({error}). Resume from another checkpoint.") from error
    except RuntimeError as error:
        raise ValueError(
            f"{folder} holds a network of another size or alphabet. Resume it with the options and the lines that it "
            f"was started with. {error}"
        ) from error


def check_alphabet(checkpoint: Path, tokenizer: HTRConvTextTokenizer) -> None:
    """
    Raises:
        ValueError: If the checkpoint's classes are other characters than the tokenizer's.
    """
    alphabet = HTRConvTextTokenizer.from_pretrained(checkpoint).alphabet
    if alphabet != tokenizer.alphabet:
        other = "".join(sorted(set(alphabet) ^ set(tokenizer.alphabet))) or "their order"
        raise ValueError(
            f"{checkpoint} was trained with another alphabet (the difference: {other!r}). Have the training lines "
            "changed? Resume with those that it was started with, or start from it with --model_name_or_path."
        )


def contiguous(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in state_dict.items()}

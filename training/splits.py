# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The splits that train_hf.py's options ask for."""

import logging

from datasets import Dataset, DatasetDict

from ..configuration_htr_convtext import HTRConvTextConfig
from ..line_datasets import load_lines
from ..line_datasets.command_line import named_options
from ..line_datasets.loading import take_split
from ..line_datasets.shared_images import shared_images
from ..processing_htr_convtext import HTRConvTextProcessor
from .arguments import HTRConvTextTrainingArguments
from .held_out import hold_out
from .options import DataArguments
from .preparation import prepare_lines

logger = logging.getLogger(__name__)


def load_splits(args: DataArguments) -> DatasetDict:
    """
    Lines of all data folders, split by split; `--validation_fraction` gives a validation split to data without one.

    Raises:
        ValueError: If they cannot be loaded.
    """
    try:
        splits = load_lines(args.dataset, data_dir=args.data_dir, **named_options(args.dataset_option))
    except (OSError, ValueError) as error:
        raise ValueError(f"--dataset {args.dataset}: {error}") from error
    if args.validation_fraction and "train" in splits and "validation" not in splits:
        splits["train"], splits["validation"] = hold_out(splits["train"], args.validation_fraction)
    limits = {"train": args.max_train_lines, "validation": args.max_eval_lines, "test": args.max_eval_lines}
    return DatasetDict({name: first_lines(split, limits.get(name)) for name, split in splits.items()})


def first_lines(split: Dataset, limit: int | None) -> Dataset:
    return split if limit is None else split.select(range(min(limit, len(split))))


def settle_validation(lines: DatasetDict, args: HTRConvTextTrainingArguments) -> None:
    """A training without lines to evaluate on says so and goes on."""
    if args.do_train and "validation" not in lines:
        logger.warning(
            "The data has no validation split, such as a list val.ln: nothing tells how good the model gets, and "
            "there will be no best_cer, only the last model in %s. --validation_fraction 0.1 holds pages out.",
            args.output_dir,
        )
        args.do_eval, args.eval_strategy, args.eval_on_start = False, "no", False


def warn_of_shared_images(lines: DatasetDict) -> None:
    """Says which images would be learnt and measured on, too, such as one photo under two names."""
    for found in shared_images(lines):
        logger.warning("%s. Error rates on them look better than on new lines: leave them out of one split.", found)


def prepare_splits(
    lines: DatasetDict,
    processor: HTRConvTextProcessor,
    config: HTRConvTextConfig,
    data_args: DataArguments,
    args: HTRConvTextTrainingArguments,
) -> dict[str, Dataset]:
    """
    The splits that this run needs, decoded and checked, by one process of each machine first.

    Raises:
        ValueError: If there is no such split, or a line of it cannot be used.
    """
    wanted = {
        "train": args.do_train,
        "validation": args.do_eval or (args.do_train and args.eval_strategy != "no"),
        "test": args.do_predict,
    }
    if args.do_train and args.should_log:
        warn_of_shared_images(lines)
    prepared = {}
    with args.main_process_first(desc="preparing lines"):
        for name in (name for name, needed in wanted.items() if needed):
            split = take_split(lines, name)
            try:
                prepared[name] = prepare_lines(
                    split, processor, config, name == "train", data_args.preprocessing_num_workers
                )
            except ValueError as error:
                raise ValueError(f"Split {name}: {error}") from error
    return prepared

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The model that train_hf.py's options start from: a new one, or a trained one and what its alphabet lacks."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from transformers.utils import logging

from ..configuration_htr_convtext import SIZES, HTRConvTextConfig
from ..line_datasets.command_line import named_options
from ..line_datasets.labels import PAPERS_FORM, published_alphabet
from ..line_datasets.loading import take_split
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from ..processing_htr_convtext import HTRConvTextImageProcessor, HTRConvTextProcessor, HTRConvTextTokenizer
from .arguments import HTRConvTextTrainingArguments
from .options import DROPOUT_OPTIONS, DataArguments, ModelArguments
from .vocabulary import extend_vocabulary, load_tcm

logger = logging.get_logger(__name__)

StartingModel = tuple[HTRConvTextProcessor, HTRConvTextForCTC, HTRConvTextTCM | None]


def load_model(
    model_args: ModelArguments,
    data_args: DataArguments,
    args: HTRConvTextTrainingArguments,
    lines: DatasetDict,
) -> StartingModel:
    """
    Processor and model to start from, and a trained TCM where the model's folder has one.

    Raises:
        ValueError: If there are no training lines, the options do not fit the model, it lacks characters of theirs, or
            there is none to read with.
    """
    train_lines = take_split(lines, "train").select_columns(["line_id", "text"]) if args.do_train else None
    if model_args.model_name_or_path is None:
        if train_lines is None:
            raise ValueError(
                "Nothing is trained and no model is named: a new one has learnt nothing. Name the folder of the model "
                "that is to read, --model_name_or_path."
            )
        form = named_options(data_args.dataset_option).get("normal_form", PAPERS_FORM)
        return new_model(model_args, new_tokenizer(data_args.dataset, train_lines["text"], form))
    return trained_model(model_args, args, train_lines)


def new_model(args: ModelArguments, tokenizer: HTRConvTextTokenizer) -> StartingModel:
    """A network of drawn weights."""
    processor = HTRConvTextProcessor(new_image_processor(args), tokenizer)
    config = HTRConvTextConfig(
        vocab_size=len(tokenizer),
        **given(args, "tcm_context_size", *DROPOUT_OPTIONS),
        **SIZES[args.size or "base"],
    )
    return processor, HTRConvTextForCTC(config), None


def new_image_processor(args: ModelArguments) -> HTRConvTextImageProcessor:
    """The paper's preprocessing but for what is given."""
    size = {"height": 64, "width": args.image_width or 512}
    return HTRConvTextImageProcessor(
        size, **given(args, "keep_aspect_ratio", "pad_to_multiple_of", "autocontrast_cutoff")
    )


def new_tokenizer(dataset: str, texts: list[str], form: str = PAPERS_FORM) -> HTRConvTextTokenizer:
    """The alphabet of one of the paper's datasets, or else, as in another normal form, of the training lines."""
    if alphabet := published_alphabet(dataset, form):
        return HTRConvTextTokenizer.from_alphabet(alphabet)
    if not texts:
        raise ValueError("There are no training lines to take the alphabet from.")
    return HTRConvTextTokenizer.from_texts(texts)


def given(args: ModelArguments, *names: str) -> dict[str, Any]:
    """Those of the options that have a value."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def trained_model(
    model_args: ModelArguments, args: HTRConvTextTrainingArguments, train_lines: Dataset | None
) -> StartingModel:
    """A model of before, with classes for new characters if they are asked for."""
    name = model_args.model_name_or_path
    assert name is not None
    processor = trained_processor(name)
    # Whatever the folder has: half precision is too coarse for the steps of training and for their average.
    model = HTRConvTextForCTC.from_pretrained(name, dtype=torch.float32, **given(model_args, *DROPOUT_OPTIONS))
    check_new_model_options(model_args, model.config, processor.image_processor)
    if train_lines is not None and (unknown := unknown_characters(train_lines, processor.tokenizer.alphabet)):
        if not model_args.extend_alphabet:
            raise ValueError(
                f"{name} does not know these characters of the training lines: {unknown}. Correct the "
                "transcriptions, or give them classes of their own with --extend_alphabet."
            )
        logger.info("New characters get classes of their own: %s", unknown)
        processor, model = extend_vocabulary(processor, model, train_lines["text"])
    tcm = load_tcm(name, model.config) if args.do_train and args.tcm_weight else None
    return processor, model, tcm


def trained_processor(name: str) -> HTRConvTextProcessor:
    """
    The processor of a folder, or of a repository of the Hub, without what was fitted to the weights there: the
    calibration of its scores and its decoder.

    Raises:
        OSError: If there is neither, or no model in the folder; transformers alone speaks of the Hub, even if a folder
            was meant.
    """
    if Path(name).exists() and not (Path(name) / "config.json").is_file():
        raise FileNotFoundError(
            f"--model_name_or_path {name} is no folder of a model: there is no config.json in it. Name one that a "
            "training wrote, such as its best_cer, or one that came from the Hub."
        )
    try:
        processor = HTRConvTextProcessor.from_pretrained(name)
        return HTRConvTextProcessor(processor.image_processor, processor.tokenizer)
    except (OSError, ValueError) as error:
        if Path(name).is_dir():
            raise
        raise FileNotFoundError(
            f"--model_name_or_path {name}: there is no such folder, and it cannot be loaded from the Hub: {error}"
        ) from error


def check_new_model_options(
    args: ModelArguments, config: HTRConvTextConfig, image_processor: HTRConvTextImageProcessor
) -> None:
    """
    Raises:
        ValueError: If an option describes another network or other preprocessing than the trained model's.
    """
    own = {
        **{name: getattr(image_processor, name) for name in ("keep_aspect_ratio", "pad_to_multiple_of")},
        "autocontrast_cutoff": image_processor.autocontrast_cutoff,
        "image_width": image_processor.size["width"],
        "tcm_context_size": config.tcm_context_size,
    }
    other = [name for name, value in given(args, *own).items() if value != own[name]]
    if args.size is not None:
        sized = HTRConvTextConfig(**SIZES[args.size])
        if any(getattr(config, name) != getattr(sized, name) for sizes in SIZES.values() for name in sizes):
            other.append("size")
    if other:
        options = " and ".join(f"--{name} {getattr(args, name)}" for name in other)
        raise ValueError(
            f"{options}: that is for a new model, and --model_name_or_path {args.model_name_or_path} has its own. "
            "Leave out one or the other."
        )


def unknown_characters(lines: Dataset, alphabet: str) -> str:
    """The characters outside the alphabet, each with the first line that has it."""
    first: dict[str, str] = {}
    for line in lines:
        for character in set(line["text"]) - set(alphabet):
            first.setdefault(character, line["line_id"])
    return ", ".join(f"{char!r} (U+{ord(char):04X}, first in {line_id})" for char, line_id in sorted(first.items()))

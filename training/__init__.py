# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Training by the paper's recipe: Trainer, SAM, EMA, augmentation, metrics."""

from typing import TYPE_CHECKING

from ..extras import needing

with needing("Training", "train"):
    from .allocator import keep_freed_memory
    from .arguments import HTRConvTextTrainingArguments
    from .augmentation import LineAugmentation
    from .checkpoints import check_output_dir, checkpoints, find_checkpoint
    from .collator import LineCollator
    from .ema import ExponentialMovingAverage, ema_decay
    from .ending import ending_with_a_sentence, taken
    from .evaluation import LineScorer, ReadLine
    from .fast_modules import made_fast, put_in_fast_modules
    from .joint_model import HTRConvTextWithTCM
    from .metrics import all_error_rates, error_rates
    from .options import DataArguments, ModelArguments, parse_arguments
    from .preparation import prepare_lines
    from .report import write_evaluation, write_learning_curves
    from .schedule import learning_rate
    from .splits import load_splits, prepare_splits, settle_validation
    from .starting_model import load_model
    from .trainer import HTRConvTextTrainer
    from .vocabulary import extend_vocabulary, load_tcm

if TYPE_CHECKING:
    from .evaluate_metric import HTRConvTextErrorRates

__all__ = [
    "DataArguments",
    "ExponentialMovingAverage",
    "HTRConvTextErrorRates",
    "HTRConvTextTrainer",
    "HTRConvTextTrainingArguments",
    "HTRConvTextWithTCM",
    "LineAugmentation",
    "LineCollator",
    "LineScorer",
    "ModelArguments",
    "ReadLine",
    "all_error_rates",
    "check_output_dir",
    "checkpoints",
    "ema_decay",
    "ending_with_a_sentence",
    "error_rates",
    "extend_vocabulary",
    "find_checkpoint",
    "keep_freed_memory",
    "learning_rate",
    "load_model",
    "load_splits",
    "load_tcm",
    "made_fast",
    "parse_arguments",
    "prepare_lines",
    "prepare_splits",
    "put_in_fast_modules",
    "settle_validation",
    "taken",
    "write_evaluation",
    "write_learning_curves",
]


def __getattr__(name: str):
    """Imports the one thing that needs `evaluate`, and with it much of scipy, when it is asked for."""
    if name != "HTRConvTextErrorRates":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .evaluate_metric import HTRConvTextErrorRates

    return HTRConvTextErrorRates

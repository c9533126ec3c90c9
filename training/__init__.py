# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Training by the paper's recipe: Trainer, SAM, EMA, augmentation, metrics."""

from .allocator import keep_freed_memory
from .arguments import HTRConvTextTrainingArguments
from .augmentation import LineAugmentation
from .checkpoints import checkpoints, find_checkpoint
from .collator import LineCollator
from .ema import ExponentialMovingAverage, ema_decay
from .evaluation import LineScorer, ReadLine
from .joint_model import HTRConvTextWithTCM
from .metrics import HTRConvTextErrorRates, error_rates
from .preparation import prepare_lines
from .report import write_evaluation, write_learning_curves
from .schedule import learning_rate
from .trainer import HTRConvTextTrainer
from .vocabulary import extend_vocabulary, load_tcm

__all__ = [
    "ExponentialMovingAverage",
    "HTRConvTextErrorRates",
    "HTRConvTextTrainer",
    "HTRConvTextTrainingArguments",
    "HTRConvTextWithTCM",
    "LineAugmentation",
    "LineCollator",
    "LineScorer",
    "ReadLine",
    "checkpoints",
    "ema_decay",
    "error_rates",
    "extend_vocabulary",
    "find_checkpoint",
    "keep_freed_memory",
    "learning_rate",
    "load_tcm",
    "prepare_lines",
    "write_evaluation",
    "write_learning_curves",
]

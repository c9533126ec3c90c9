# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of training, on top of transformers' TrainingArguments; the defaults are the paper's recipe."""

import re
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any

from transformers import TrainingArguments

from .augmentation import LineAugmentation
from .schedule import SCHEDULES
from .time_limit import CLOCKS

COMPILED_WIDTH_STEP = 64  # Of few widths, as the network is compiled for each.
DEFAULT_STEPS = 100_000
# What --resume_from_checkpoint may have instead of a checkpoint's folder.
RESUME_WORDS = {"true": "last", "false": None}
# Of --train_sampling_strategy, those that draw the lines here; the others are transformers'.
DRAWING_STRATEGIES = ("group_by_length", "random")
# Options of transformers that would do nothing here, or harm, and why; their defaults are the only values.
NOT_SUPPORTED = {
    "average_tokens_across_devices": "losses are always averaged over the lines of all processes",
    "batch_eval_metrics": "error rates are those of all lines together",
    "eval_do_concat_batches": "error rates are those of all lines together",
    "label_names": "evaluation needs the batch's index",
    "label_smoothing_factor": "CTC sums over alignments and has no label of a frame to smooth",
    "load_best_model_at_end": "the best models are kept in best_cer and best_wer",
    "logging_nan_inf_filter": "a loss that is not finite ends the run and is never logged",
    "lr_scheduler_kwargs": "the schedule has --min_learning_rate and --warmup_steps",
    "neftune_noise_alpha": "its noise is for the embeddings of a language model",
    "prediction_loss_only": "evaluation reads the lines and computes no loss",
    "push_to_hub": "it would upload checkpoints and a card that says nothing. Afterwards, `python -m "
    "htr_convtext.hub_upload.push` uploads the model with its card",
    "remove_unused_columns": "the collator itself takes the columns that it needs",
    "use_liger_kernel": "its kernels are for language models",
}

# One option --augment_NAME for each part of LineAugmentation that says what it is for.
AugmentationArguments: Any = make_dataclass(
    "AugmentationArguments",
    [
        (f"augment_{part.name}", part.type, field(default=part.default, metadata=part.metadata))
        for part in fields(LineAugmentation)
        if part.metadata
    ],
)


@dataclass
class HTRConvTextTrainingArguments(AugmentationArguments, TrainingArguments):
    """
    transformers' options with the recipe's defaults, and the recipe's own options.

    Options of transformers that have no meaning here are refused by name. `--help` of train_hf.py lists all.
    """

    learning_rate: float = field(default=1e-3, metadata={"help": "Highest learning rate."})
    min_learning_rate: float = field(default=1e-7, metadata={"help": "Learning rate at the end."})
    warmup_steps: float = field(
        default=1000, metadata={"help": "Steps of linear warm-up; below 1 a share of the training."}
    )
    lr_schedule: str = field(
        default="cosine",
        metadata={
            "help": "cosine (the textbook's), trapezoid (constant, then that cosine in the last 40 %%), or paper (the "
            "published numbers).",
            "choices": list(SCHEDULES),
        },
    )
    lr_scheduler_type: str = field(
        default="cosine", metadata={"help": "Not to be chosen: the schedule is --lr_schedule."}
    )
    max_steps: int | None = field(
        default=None, metadata={"help": f"Optimiser steps; {DEFAULT_STEPS:,} without --num_train_epochs."}
    )
    num_train_epochs: float = field(
        default=-1.0, metadata={"help": "Epochs, instead of --max_steps; -1 where the steps are given."}
    )
    max_train_minutes: float = field(
        default=0.0,
        metadata={"help": "End after this time, with the learning rate at its minimum; 0 for no limit. Counts "
                          "training and evaluations since the run's start, also those before a resume."},
    )  # fmt: skip
    time_limit_clock: str = field(
        default="wall",
        metadata={"help": "max_train_minutes of the clock (wall) or of the first process's threads (cpu).",
                  "choices": list(CLOCKS)},
    )  # fmt: skip
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Lines in a batch of one device."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Lines in an evaluation batch."})
    weight_decay: float = field(default=0.05, metadata={"help": "AdamW's, on every parameter."})
    adam_beta2: float = field(default=0.99, metadata={"help": "AdamW's second beta."})
    muon: bool = field(
        default=False, metadata={"help": "Muon instead of AdamW for the matrices among the weights: fewer steps."}
    )
    max_grad_norm: float = field(default=0.0, metadata={"help": "Gradient clipping; 0 for none, as in the recipe."})
    seed: int = field(default=123, metadata={"help": "Seed of weights, order, dropout and augmentation."})

    ctc_weight: float = field(default=0.1, metadata={"help": "Weight of the CTC loss."})
    tcm_weight: float = field(default=1.0, metadata={"help": "Weight of the TCM loss; 0 trains without the module."})
    tcm_warmup_steps: int = field(
        default=0, metadata={"help": "Steps over which the TCM's weight rises linearly to tcm_weight."}
    )
    sam_rho: float = field(
        default=0.05, metadata={"help": "Radius of sharpness-aware minimisation; 0 is AdamW at half the cost."}
    )
    ema_decay: float = field(
        default=0.9999,
        metadata={"help": "Highest decay of the moving average that is evaluated and saved; 0 keeps none."},
    )
    ema_warmup: bool = field(
        default=True,
        metadata={"help": "Whether the decay begins low and soon forgets the weights at the start. Without it a short "
                          "fine-tuning keeps part of the model that it started from."},
    )  # fmt: skip
    freeze_batch_norm: bool = field(default=False, metadata={"help": "Keep the batch norms' statistics."})
    sync_batch_norm: bool = field(
        default=False, metadata={"help": "Batch norm statistics over all GPUs instead of each one's own."}
    )

    augment: bool = field(default=True, metadata={"help": "Whether training lines are augmented."})

    eval_strategy: str = field(default="steps", metadata={"help": "When to evaluate."})
    eval_steps: float | None = field(
        default=1000, metadata={"help": "Steps between evaluations; below 1 a share of the training."}
    )
    save_steps: float = field(
        default=1000, metadata={"help": "Steps between checkpoints; below 1 a share of the training."}
    )
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints kept; the best models are extra."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "A loss that is not finite ends the run."})
    train_sampling_strategy: str = field(
        default="group_by_length", metadata={"help": "group_by_length batches lines of similar width; random."}
    )
    source_temperature: float = field(
        default=1.0,
        metadata={"help": "A source of n lines is drawn in proportion to n to this power, and so is a writer in it: "
                          "1 draws every line alike, below 1 small sources and hands more often."},
    )  # fmt: skip
    length_column_name: str = field(default="width", metadata={"help": "Column to group lines by."})
    resume_from_checkpoint: str | None = field(
        default=None,
        metadata={"help": "Go on from this checkpoint, or from the run's last one.", "nargs": "?", "const": "last"},
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "The collator reads the columns it needs."})
    ddp_find_unused_parameters: bool | None = field(default=False, metadata={"help": "Every parameter is used."})

    def __post_init__(self):
        self._settle_length()
        if self.greater_is_better is None and is_error_rate(self.metric_for_best_model or ""):
            self.greater_is_better = False
        resume = self.resume_from_checkpoint
        self.resume_from_checkpoint = RESUME_WORDS.get(str(resume).lower(), resume)
        super().__post_init__()
        if self.device.type == "cpu":
            self.dataloader_pin_memory = False  # It is for copies to a device, and torch warns of it without one.
        self._check_supported()
        self._check_values()
        self.make_augmentation()

    def _settle_length(self):
        """Steps or epochs: given both, transformers would take the steps without a word."""
        if self.max_steps == 0 or self.num_train_epochs == 0:
            raise ValueError("--max_steps and --num_train_epochs must be above 0, or -1 where the other one is given.")
        by_epochs = self.num_train_epochs > 0
        if by_epochs and self.max_steps is not None and self.max_steps > 0:
            raise ValueError(
                f"--num_train_epochs {self.num_train_epochs:g} and --max_steps {self.max_steps} contradict each "
                "other. Give one of them."
            )
        if self.max_steps is None:
            self.max_steps = -1 if by_epochs else DEFAULT_STEPS
        elif self.max_steps < 0 and not by_epochs:
            raise ValueError(f"--max_steps {self.max_steps} needs --num_train_epochs: how long is the training?")

    def _check_supported(self):
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in NOT_SUPPORTED and value != option.default:
                raise ValueError(f"--{option.name} {value} is not supported: {NOT_SUPPORTED[option.name]}.")
        if self.lr_scheduler_type != "cosine":
            raise ValueError(
                f"--lr_scheduler_type {self.lr_scheduler_type.value} is not supported: choose the schedule with "
                f"--lr_schedule {' or '.join(SCHEDULES)}."
            )
        if "loss" in self.include_for_metrics or (self.metric_for_best_model or "").removeprefix("eval_") == "loss":
            raise ValueError(
                "Evaluation reads the lines and computes no loss: --include_for_metrics and --metric_for_best_model "
                "cannot have it. Choose cer or wer."
            )
        if self.dataloader_drop_last and (self.eval_strategy != "no" or self.do_eval or self.do_predict):
            raise ValueError(
                "--dataloader_drop_last would leave lines out of evaluation, too. Leave it out, or train with "
                "--eval_strategy no."
            )
        if self.sam_rho and "lomo" in self.optim.value:
            raise ValueError(
                f"--optim {self.optim.value} steps during the backward pass, which --sam_rho {self.sam_rho} needs "
                "twice for one step. Set --sam_rho 0 or choose another optimiser."
            )
        if self.muon and not self.optim.value.startswith("adamw_torch"):
            raise ValueError(f"--muon goes with AdamW, not with --optim {self.optim.value}. Leave one of them out.")

    def _check_values(self):
        for name in (
            "ctc_weight",
            "tcm_weight",
            "tcm_warmup_steps",
            "sam_rho",
            "min_learning_rate",
            "max_train_minutes",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} must not be negative. Got {getattr(self, name)}.")
        if 0 < self.learning_rate < self.min_learning_rate:
            raise ValueError(
                f"--min_learning_rate {self.min_learning_rate:g} is above --learning_rate {self.learning_rate:g}. "
                "Lower it."
            )
        if not 0 <= self.source_temperature <= 1:
            raise ValueError(f"--source_temperature must be in 0 to 1. Got {self.source_temperature}.")
        if self.source_temperature < 1 and self.train_sampling_strategy not in DRAWING_STRATEGIES:
            raise ValueError(
                f"--source_temperature {self.source_temperature:g} does nothing to the order of "
                f"--train_sampling_strategy {self.train_sampling_strategy}. Choose {' or '.join(DRAWING_STRATEGIES)}."
            )
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"--ema_decay must be in [0, 1). Got {self.ema_decay}.")
        if self.ctc_weight == 0:
            raise ValueError("--ctc_weight must be above 0: the TCM alone does not train the classifier that reads.")
        if self.lr_schedule not in SCHEDULES:
            raise ValueError(f"--lr_schedule must be one of {', '.join(SCHEDULES)}. Got {self.lr_schedule!r}.")
        if self.time_limit_clock not in CLOCKS:
            raise ValueError(f"--time_limit_clock must be one of {', '.join(CLOCKS)}. Got {self.time_limit_clock!r}.")

    def make_augmentation(self) -> LineAugmentation | None:
        """The augmentation that the options describe, or `None`."""
        if not self.augment:
            return None
        options = {
            part.name: getattr(self, f"augment_{part.name}") for part in fields(LineAugmentation) if part.metadata
        }
        if self.torch_compile:
            options["width_step"] = COMPILED_WIDTH_STEP
        return LineAugmentation(**options)


def is_error_rate(metric: str) -> bool:
    """Whether a metric's name says that it is a character or word error rate, such as `eval_cer_lower`."""
    return re.search(r"(^|_)(cer|wer)(_|$)", metric) is not None

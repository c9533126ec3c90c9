# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Options of training, on top of transformers' TrainingArguments; the defaults are the paper's recipe."""

import time
from dataclasses import dataclass, field

from transformers import TrainingArguments

from .augmentation import LineAugmentation
from .schedule import SCHEDULES

# What the time limit counts: the clock's, or that of all threads of the process.
CLOCKS = {"wall": time.monotonic, "cpu": time.process_time}


@dataclass
class HTRConvTextTrainingArguments(TrainingArguments):
    """transformers' options with the recipe's defaults, and the recipe's own options."""

    learning_rate: float = field(default=1e-3, metadata={"help": "Highest learning rate."})
    min_learning_rate: float = field(default=1e-7, metadata={"help": "Learning rate at the end."})
    warmup_steps: float = field(default=1000, metadata={"help": "Steps of linear warm-up; a share of them below 1."})
    lr_schedule: str = field(
        default="cosine",
        metadata={"help": "cosine (the textbook's) or paper (the published numbers).", "choices": list(SCHEDULES)},
    )
    max_steps: int = field(default=100_000, metadata={"help": "Optimiser steps; -1 for num_train_epochs."})
    max_train_minutes: float = field(
        default=0.0,
        metadata={"help": "End after this time, with the learning rate at its minimum; 0 for no limit. Counts all "
                          "of train(), evaluations included, anew after a resume."},
    )  # fmt: skip
    time_limit_clock: str = field(
        default="wall",
        metadata={"help": "max_train_minutes of the clock (wall) or of the process's threads (cpu).",
                  "choices": list(CLOCKS)},
    )  # fmt: skip
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Lines in a batch of one device."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Lines in an evaluation batch."})
    weight_decay: float = field(default=0.05, metadata={"help": "AdamW's, on every parameter."})
    adam_beta2: float = field(default=0.99, metadata={"help": "AdamW's second beta."})
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
    freeze_batch_norm: bool = field(default=False, metadata={"help": "Keep the batch norms' statistics."})
    sync_batch_norm: bool = field(
        default=False, metadata={"help": "Batch norm statistics over all GPUs instead of each one's own."}
    )

    augment: bool = field(default=True, metadata={"help": "Whether training lines are augmented."})
    augment_probability: float = field(default=0.5, metadata={"help": "Of each of the recipe's changes."})
    augment_scope: str = field(
        default="line",
        metadata={
            "help": "Draw changes for each line, or once for a batch as the recipe.",
            "choices": ["line", "batch"],
        },
    )
    augment_corner_shift: float = field(default=8.0, metadata={"help": "Projective: pixels a corner moves by."})
    augment_kernel_size: int = field(default=2, metadata={"help": "Erosion, dilation: largest kernel side, pixels."})
    augment_jitter: float = field(default=0.4, metadata={"help": "Brightness, contrast: largest relative change."})
    augment_slant: float = field(
        default=0.0, metadata={"help": "Largest slant, pixels sideways per pixel; 0 for none."}
    )
    augment_elastic: float = field(default=0.0, metadata={"help": "Largest elastic displacement, pixels; 0 for none."})
    augment_stretch: float = field(
        default=0.0, metadata={"help": "Largest relative change of a batch's width, up or down; 0 for none."}
    )
    augment_rise: float = field(
        default=0.0, metadata={"help": "Largest rise or fall between a line's ends, in its heights; 0 for none."}
    )
    augment_shrink: float = field(
        default=0.0, metadata={"help": "Largest share of its height that a line loses; 0 for none."}
    )
    augment_mask: float = field(default=0.0, metadata={"help": "Share of a line hidden under strips; 0 for none."})

    eval_strategy: str = field(default="steps", metadata={"help": "When to evaluate."})
    eval_steps: float | None = field(default=1000, metadata={"help": "Steps between evaluations."})
    save_steps: float = field(default=1000, metadata={"help": "Steps between checkpoints."})
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
        # Before transformers turns do_eval on by itself wherever there is an evaluation strategy.
        if not (self.do_train or self.do_eval or self.do_predict):
            self.do_train = True
        if not self.do_train:
            self.eval_strategy = "no"  # Reading a test split needs no validation split.
        super().__post_init__()
        if self.device.type == "cpu":
            self.dataloader_pin_memory = False  # It is for copies to a device, and torch warns of it without one.
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
        if not 0 <= self.source_temperature <= 1:
            raise ValueError(f"--source_temperature must be in 0 to 1. Got {self.source_temperature}.")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"--ema_decay must be in [0, 1). Got {self.ema_decay}.")
        if self.ctc_weight == 0:
            raise ValueError("--ctc_weight must be above 0: the TCM alone does not train the classifier that reads.")
        if self.lr_schedule not in SCHEDULES:
            raise ValueError(f"--lr_schedule must be one of {', '.join(SCHEDULES)}. Got {self.lr_schedule!r}.")
        if self.time_limit_clock not in CLOCKS:
            raise ValueError(f"--time_limit_clock must be one of {', '.join(CLOCKS)}. Got {self.time_limit_clock!r}.")
        if self.lr_scheduler_type != "linear":
            raise ValueError(
                f"Choose the schedule with --lr_schedule {' or '.join(SCHEDULES)}, not --lr_scheduler_type."
            )
        if self.load_best_model_at_end:
            raise ValueError("The best models are kept in best_cer and best_wer: leave --load_best_model_at_end away.")
        self.make_augmentation()

    def make_augmentation(self) -> LineAugmentation | None:
        """The augmentation that the options describe, or `None`."""
        if not self.augment:
            return None
        return LineAugmentation(
            probability=self.augment_probability,
            corner_shift=self.augment_corner_shift,
            kernel_size=self.augment_kernel_size,
            jitter=self.augment_jitter,
            slant=self.augment_slant,
            elastic=self.augment_elastic,
            stretch=self.augment_stretch,
            rise=self.augment_rise,
            shrink=self.augment_shrink,
            mask=self.augment_mask,
            scope=self.augment_scope,
        )

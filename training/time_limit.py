# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The time of a run: one clock, the first process's, for all processes and for all parts of a resumed run."""

import json
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import TrainerCallback, TrainerState
from transformers.trainer_utils import IntervalStrategy, SaveStrategy
from transformers.utils import logging

logger = logging.get_logger(__name__)

# What the limit counts: the clock's time, or that of all threads of the first process.
CLOCKS = {"wall": time.monotonic, "cpu": time.process_time}
TIME_FILE = "training_time.json"
ROUNDING = 1e-9
# What Trainer does every so many steps, and what asks it to.
TURNS = {"logging": "should_log", "eval": "should_evaluate", "save": "should_save"}


class TimeLimitCallback(TrainerCallback):
    """
    Counts the time of a run and ends the run when it is used up.

    Processes that each read a clock would train with learning rates of their own, and one would stop a step before the
    others, which then wait for it. So all go by the first one's, which they are told once a step.

    Args:
        accelerator: Of the trainer.
        minutes: Limit; 0 for none.
        clock: `"wall"` or `"cpu"`.

    Attributes:
        seconds: Time used as of the last step, earlier parts of the run included, the same on all processes.
        has_ended_run: Whether the run was ended by time.
        shares: Of what is done at shares of the training, such as "eval": the share.
        turns: How many of its shares were over as of the last step.
    """

    def __init__(self, accelerator: Accelerator, minutes: float, clock: str):
        self.accelerator = accelerator
        self.minutes = minutes
        self.clock = CLOCKS[clock]
        self.started = self.clock()
        self.seconds = 0.0
        self.has_ended_run = False
        self.shares: dict[str, float] = {}
        self.turns: dict[str, int] = {}

    def start(self, checkpoint: str | None = None) -> None:
        """Counts from now on, or on from where a checkpoint was written."""
        before = 0.0 if checkpoint is None else seconds_of(Path(checkpoint), warn=bool(self.minutes))
        self.started = self.clock() - before
        self.has_ended_run = False
        self.measure()

    def measure(self) -> None:
        """Reads the first process's clock, in all of them at once."""
        elapsed = self.clock() - self.started if self.accelerator.is_main_process else 0.0
        # Whole microseconds: an MPS device has no float64, and float32 would lose the seconds of a long run.
        microseconds = torch.tensor(int(elapsed * 1e6), device=self.accelerator.device)
        self.seconds = int(self.accelerator.reduce(microseconds, "sum")) / 1e6

    def share_used(self) -> float:
        """Share of the limit that is used up, 1 at most; 0 without a limit."""
        return min(self.seconds / (60 * self.minutes), 1.0) if self.minutes else 0.0

    def take_shares(self, args, state: TrainerState) -> None:
        """Takes over what is asked for at shares of a training: Trainer's are of steps for which there is no time."""
        self.shares = {}
        for what in TURNS if self.minutes else ():
            share = getattr(args, f"{what}_steps")
            if getattr(args, f"{what}_strategy") == IntervalStrategy.STEPS and 0 < share < 1:
                self.shares[what] = share
                setattr(state, f"{what}_steps", state.max_steps)  # At the end alone, of Trainer's own.
        self.turns = self.turns_of(state)

    def turns_of(self, state: TrainerState) -> dict[str, int]:
        """How many of its shares of the training are over, for all that is done at such: of the time, or the steps."""
        progress = max(self.share_used(), state.global_step / state.max_steps)
        return {what: int(progress / share + ROUNDING) for what, share in self.shares.items()}

    def save(self, checkpoint: Path) -> None:
        """Writes the time used until now."""
        content = json.dumps({"seconds": round(self.clock() - self.started, 3)})
        (checkpoint / TIME_FILE).write_text(content + "\n", encoding="utf-8")

    def on_optimizer_step(self, args, state, control, **kwargs):
        """Before the next learning rate is set, which depends on it."""
        if self.minutes:
            self.measure()

    def on_evaluate(self, args, state, control, **kwargs):
        """Shares that went by during an evaluation ask for no other one."""
        if self.shares:
            self.measure()
            self.turns = self.turns_of(state)

    def on_step_end(self, args, state, control, **kwargs):
        if self.share_used() < 1.0:
            before, self.turns = self.turns, self.turns_of(state)
            for what in (what for what, turn in self.turns.items() if turn > before[what]):
                if what != "eval" or args.eval_delay <= state.global_step:
                    setattr(control, TURNS[what], True)
            return
        self.has_ended_run = state.global_step < state.max_steps
        control.should_training_stop = control.should_log = True
        control.should_evaluate = args.eval_strategy != IntervalStrategy.NO
        control.should_save = args.save_strategy != SaveStrategy.NO

    def on_train_end(self, args, state, control, **kwargs):
        if self.has_ended_run and state.is_world_process_zero:
            logger.warning(self.last_words(state))
            if args.warmup_steps >= state.global_step:
                logger.warning(
                    f"These were no more steps than --warmup_steps {args.warmup_steps:g}, and the learning rate never "
                    f"reached {args.learning_rate:g}. A share of the time, such as --warmup_steps 0.1, fits any limit."
                )

    def last_words(self, state: TrainerState) -> str:
        """What a run that was ended by time has to say."""
        return (
            f"--max_train_minutes {self.minutes:g} ended the training after step {state.global_step:,} of at most "
            f"{state.max_steps:,}. To go on from its last checkpoint, raise --max_train_minutes and give "
            "--resume_from_checkpoint; the learning rate rises again to where it is at that share of the time."
        )


def seconds_of(checkpoint: Path, warn: bool) -> float:
    """Seconds that a run had used when its checkpoint was written, 0 where the checkpoint does not say."""
    try:
        return float(json.loads((checkpoint / TIME_FILE).read_text(encoding="utf-8"))["seconds"])
    except FileNotFoundError:
        if warn:
            logger.warning(f"{checkpoint} does not say how long the run took: --max_train_minutes counts from now on.")
        return 0.0

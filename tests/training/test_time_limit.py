# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs that end by time, with clocks that the tests turn."""

import shutil

import pytest
from transformers import TrainerCallback

from htr_convtext.training.schedule import learning_rate
from htr_convtext.training.time_limit import TIME_FILE

MINUTES = {"max_train_minutes": 1.0, "max_steps": 50, "save_strategy": "steps", "save_steps": 2}


@pytest.fixture
def make_timed(make_trainer):
    """Builds a trainer for whose clock every step takes the given seconds."""

    def make(seconds=12.0, **options):
        trainer = make_trainer(**{**MINUTES, **options})
        steps_taken = []
        training_step = trainer.training_step
        trainer.training_step = lambda *inputs: steps_taken.append(1) or training_step(*inputs)
        trainer.time_limit.clock = lambda: seconds * len(steps_taken)
        return trainer

    return make


def rates(trainer) -> list[float]:
    return [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]


def test_the_run_ends_when_its_time_is_used_up_at_falling_rates(make_timed):
    trainer = make_timed()
    trainer.train()
    assert trainer.state.global_step == 5
    # Each step takes a fifth of the time, so that every tenth rate of fifty steps is used.
    assert rates(trainer) == [learning_rate(step, 50, 0, 1e-3, 1e-7) for step in (0, 10, 20, 30, 40)]
    assert trainer.time_limit.has_ended_run


@pytest.mark.parametrize(("warmup", "said"), [(0.2, False), (4, False), (5, True)])
def test_a_warmup_is_a_share_of_the_time_or_said_to_be_too_long(make_timed, caplog, warmup, said):
    trainer = make_timed(warmup_steps=warmup, save_strategy="no")
    trainer.train()
    assert trainer.state.global_step == 5
    assert ("no more steps than --warmup_steps 5" in caplog.text) == said
    # After a fifth of the time, which are a tenth of the fifty steps.
    assert (rates(trainer)[1] == pytest.approx(1e-3)) == (warmup < 1)


class Turns(TrainerCallback):
    """The steps after which a run was evaluated and saved."""

    def __init__(self):
        self.evaluated, self.saved = [], []

    def on_evaluate(self, args, state, control, **kwargs):
        self.evaluated.append(state.global_step)

    def on_save(self, args, state, control, **kwargs):
        self.saved.append(state.global_step)


SHARES = {"eval_strategy": "steps", "eval_steps": 0.4, "save_steps": 0.2, "logging_steps": 0.2, "sam_rho": 0.0}


@pytest.mark.parametrize(
    ("seconds", "options", "evaluated", "saved", "logged"),
    [
        (6.0, {}, [4, 8, 10], [2, 4, 6, 8, 10], [2, 4, 6, 8, 10]),
        (6.0, {"eval_delay": 5}, [8, 10], [2, 4, 6, 8, 10], [2, 4, 6, 8, 10]),
        # Steps end it, long before the time does.
        (1.0, {"max_steps": 5}, [2, 4, 5], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        (6.0, {"save_steps": 3, "logging_steps": 1}, [4, 8, 10], [3, 6, 9, 10], list(range(1, 11))),
    ],
)
def test_shares_are_of_the_time_where_it_ends_the_run(make_timed, seconds, options, evaluated, saved, logged):
    trainer = make_timed(seconds, **{**SHARES, **options})
    turns = Turns()
    trainer.add_callback(turns)
    trainer.train()
    assert (turns.evaluated, turns.saved) == (evaluated, saved)
    assert [entry["step"] for entry in trainer.state.log_history if "loss" in entry] == logged


def test_a_long_evaluation_is_not_followed_by_the_next(make_timed, monkeypatch):
    """It begins after a fifth of the time and takes a quarter, so that the next one comes after three fifths."""
    trainer = make_timed(3.0, **SHARES | {"eval_steps": 0.2, "save_strategy": "no"})
    turns, in_evaluations, clock = Turns(), [], trainer.time_limit.clock
    trainer.add_callback(turns)
    trainer.time_limit.clock = lambda: clock() + sum(in_evaluations)
    loop = trainer.evaluation_loop
    monkeypatch.setattr(
        trainer, "evaluation_loop", lambda *args, **kwargs: in_evaluations.append(15.0) or loop(*args, **kwargs)
    )
    trainer.train()
    assert turns.evaluated[:2] == [4, 7]


def test_a_resumed_run_counts_the_time_before_it_was_stopped(make_timed, tmp_path):
    first = make_timed()
    first.train()
    shutil.rmtree(tmp_path / "run" / "checkpoint-5")
    resumed = make_timed()
    resumed.time_limit.clock = lambda now=resumed.time_limit.clock: 5e6 + now()  # Another boot of the machine.
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 5
    assert rates(resumed) == rates(first)


@pytest.mark.parametrize(("minutes", "steps"), [(1.0, 5), (2.0, 10)])
def test_a_run_that_has_had_its_time_goes_on_with_a_higher_limit_only(make_timed, minutes, steps):
    make_timed().train()
    resumed = make_timed(max_train_minutes=minutes)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == steps
    assert resumed.time_limit.has_ended_run
    words = resumed.time_limit.last_words(resumed.state)
    assert f"--max_train_minutes {minutes:g} ended the training after step {steps} of at most 50" in words
    assert "--resume_from_checkpoint" in words


def test_a_checkpoint_without_its_time_says_that_counting_begins_anew(make_timed, tmp_path, caplog):
    make_timed(max_steps=2).train()
    (tmp_path / "run" / "checkpoint-2" / TIME_FILE).unlink()
    resumed = make_timed()
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 7
    assert "counts from now on" in caplog.text


def test_a_run_that_ends_by_its_steps_says_nothing_of_time(make_timed, caplog):
    trainer = make_timed(max_steps=5)
    trainer.train()
    assert not trainer.time_limit.has_ended_run
    assert "max_train_minutes" not in caplog.text

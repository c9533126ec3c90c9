# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A resumed run takes the options that it is given now; what it cannot take, it refuses by name."""

import shutil
from pathlib import Path

import pytest

from htr_convtext import HTRConvTextProcessor, HTRConvTextTokenizer
from htr_convtext.training import find_checkpoint
from htr_convtext.training.schedule import learning_rate

from .conftest import TEXTS

OPTIONS = {"sam_rho": 0.0, "tcm_weight": 0.0, "augment": False, "save_strategy": "steps", "save_steps": 4}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def checkpoint(make_trainer, kept) -> Path:
    """The fourth of six steps, which is the second epoch's first; trained once for all tests."""
    folder = kept / "checkpoint-4"
    if not folder.exists():
        trainer = make_trainer("first", max_steps=6, **OPTIONS)
        trainer.train()
        shutil.copytree(Path(trainer.args.output_dir) / folder.name, folder)
    return folder


@pytest.fixture
def resume(make_trainer, checkpoint):
    """Goes on with other options; the trainer."""

    def train(model=None, processor=None, **options):
        trainer = make_trainer("second", model=model, **{"max_steps": 6, **OPTIONS, **options})
        trainer.processing_class = processor or trainer.processing_class
        shutil.copytree(checkpoint, Path(trainer.args.output_dir) / checkpoint.name, dirs_exist_ok=True)
        trainer.train(resume_from_checkpoint=True)
        return trainer

    return train


def logged(trainer, name: str) -> dict[int, float]:
    return {entry["step"]: entry[name] for entry in trainer.state.log_history if name in entry}


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 1e-5},
        {"learning_rate": 1e-2},
        {"max_steps": 9},
        {"min_learning_rate": 1e-4},
        {"warmup_steps": 5},
        {"lr_schedule": "paper"},
        {"learning_rate": 1e-5, "max_steps": 9, "warmup_steps": 1},
        {"max_steps": None, "num_train_epochs": 3},
    ],
    ids=str,
)
def test_learning_rates_are_those_asked_for_from_the_next_step_on(resume, options):
    trainer = resume(**options)
    args, paper = trainer.args, int(trainer.args.lr_schedule == "paper")
    last = trainer.state.max_steps
    expected = {
        step: learning_rate(
            step - 1 + paper, last + paper, args.warmup_steps, args.learning_rate,
            args.min_learning_rate, args.lr_schedule,
        )
        for step in range(5, last + 1)
    }  # fmt: skip
    found = {step: rate for step, rate in logged(trainer, "learning_rate").items() if step > 4}
    assert found == pytest.approx(expected, rel=1e-6)
    assert trainer.optimizer.param_groups[0]["initial_lr"] == args.learning_rate


def test_other_options_of_the_optimiser_are_taken_with_the_moments_of_before(resume):
    trainer = resume(weight_decay=0.2, adam_beta1=0.8, adam_beta2=0.9, adam_epsilon=1e-6)
    for group in (group for group in trainer.optimizer.param_groups if group["params"]):
        assert (group["weight_decay"], group["betas"], group["eps"]) == (0.2, (0.8, 0.9), 1e-6)
    assert {int(state["step"]) for state in trainer.optimizer.state.values()} == {6}


def test_logging_evaluation_and_checkpoints_come_when_asked_for_now(resume):
    trainer = resume(logging_steps=2, save_steps=2, eval_strategy="steps", eval_steps=5)
    assert sorted(step for step in logged(trainer, "loss") if step > 4) == [6]
    assert sorted(logged(trainer, "eval_cer")) == [5, 6]
    assert {path.name for path in Path(trainer.args.output_dir).glob("checkpoint-*")} == {
        "checkpoint-4",
        "checkpoint-6",
    }


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_a_run_that_has_had_its_steps_trains_no_more(resume, steps):
    trainer = resume(max_steps=steps)
    assert trainer.state.global_step == 4
    assert max(logged(trainer, "loss")) == 4


def test_what_came_after_the_checkpoint_is_neither_resumed_nor_kept_in_place_of_what_comes_now(make_trainer):
    first = make_trainer(max_steps=3, **{**OPTIONS, "save_steps": 1, "save_total_limit": 5})
    first.train()
    folder = Path(first.args.output_dir)
    options = {**OPTIONS, "save_steps": 1, "save_total_limit": 1, "max_steps": 2}
    make_trainer(**options).train(resume_from_checkpoint=str(folder / "checkpoint-1"))
    assert {path.name for path in folder.iterdir()} == {"checkpoint-2", "left-checkpoint-2", "left-checkpoint-3"}
    assert find_checkpoint("last", str(folder)) == str(folder / "checkpoint-2")


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"])
@pytest.mark.parametrize("size", [0, 100])
def test_a_damaged_file_is_told(make_trainer, checkpoint, tmp_path, name, size):
    shutil.copytree(checkpoint, tmp_path / "checkpoint-4")
    file = tmp_path / "checkpoint-4" / name
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ValueError, match="checkpoint-4 is damaged .*Resume from another checkpoint"):
        make_trainer(max_steps=6, **OPTIONS).train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))


def test_another_optimiser_is_refused(resume):
    with pytest.raises(ValueError, match="checkpoint-4 was trained with another optimiser"):
        resume(optim="sgd")


def test_another_network_is_refused(resume, make_model):
    with pytest.raises(ValueError, match="checkpoint-4 holds a network of another size or alphabet"):
        resume(model=make_model(num_hidden_layers=4))


def test_other_characters_are_refused_even_where_they_are_as_many(resume, processor):
    texts = [text.replace("b", "p") for text in TEXTS]
    tokenizer = HTRConvTextTokenizer.from_texts(texts)
    with pytest.raises(ValueError, match="another alphabet .the difference: 'bp'"):
        resume(processor=HTRConvTextProcessor(processor.image_processor, tokenizer))

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Precision, compilation and checkpointed activations in training, each against plain float32 with SAM and TCM on."""

import copy

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import TrainerCallback

from htr_convtext.training import trainer as trainer_module

from .conftest import DETERMINISTIC

# SGD: AdamW would make steps of the rounding errors of gradients that are zero. Statistics of a few narrow lines would
# enlarge rounding errors a hundredfold.
OPTIONS = {
    "augment": False,
    "max_steps": 3,
    "optim": "sgd",
    "learning_rate": 1e-3,
    "max_grad_norm": 1.0,
    "freeze_batch_norm": True,
}
SMALLEST = {"num_hidden_layers": 2}


def parameters(trainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in trainer.recognizer.parameters()])


def losses(trainer, name="loss") -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if "ctc_loss" in entry]


@pytest.fixture
def train(make_trainer, make_model):
    """Trains the same network with options; the trainer and how far its parameters moved."""

    def train_with(change=lambda trainer: None, **options):
        trainer = make_trainer(model=make_model(**SMALLEST, **DETERMINISTIC), **{**OPTIONS, **options})
        change(trainer)
        start = parameters(trainer)
        trainer.train()
        return trainer, parameters(trainer) - start

    return train_with


def test_bf16_autocast_trains_as_float32_does(train):
    dtypes = set()

    def watch(trainer):
        trainer.recognizer.ctc_head.register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))

    exact, exact_step = train()
    trainer, step = train(watch, bf16=True)
    assert dtypes == {torch.bfloat16}
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}
    for name in ("ctc_loss", "tcm_loss"):
        assert losses(trainer, name) == pytest.approx(losses(exact, name), rel=0.01)
    assert torch.nn.functional.cosine_similarity(step, exact_step, dim=0) > 0.98


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_muon_computes_in_the_type_of_training(make_trainer, bf16, dtype):
    trainer = make_trainer(bf16=bf16, muon=True, max_steps=1, sam_rho=0.0)
    trainer.train()
    assert trainer.optimizer.optimizer.dtype == dtype
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_evaluation_in_bfloat16_rounds_no_weights_that_are_trained_or_saved(make_trainer, ema_decay):
    trainer = make_trainer(bf16_full_eval=True, ema_decay=ema_decay, max_steps=1, sam_rho=0.0)
    trainer.train()
    own, read_with = copy.deepcopy(trainer.model.state_dict()), []
    trainer.recognizer.register_forward_pre_hook(lambda model, inputs: read_with.append(model.dtype))
    trainer.evaluate()
    assert set(read_with) == {torch.bfloat16}
    torch.testing.assert_close(trainer.model.state_dict(), own, rtol=0, atol=0)


@pytest.mark.parametrize(("unit", "warned"), [("avx512_bf16", False), ("amx_bf16", False), ("avx2", True)])
def test_bf16_on_a_processor_without_it_is_said_to_be_slow(make_trainer, monkeypatch, unit, warned):
    warnings = []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True, "avx512_vnni": True}, raising=False)
    monkeypatch.setattr(trainer_module.logger, "warning", warnings.append)
    make_trainer(bf16=True)
    assert [message.startswith("--bf16: this processor") for message in warnings] == [True] * warned
    make_trainer("float32")
    assert len(warnings) == warned


@pytest.mark.parametrize("dropout", [DETERMINISTIC, {}], ids=["without dropout", "with dropout"])
def test_checkpointed_activations_change_nothing(make_trainer, make_model, dropout):
    passes = []
    trainers = []
    for checkpointed in (False, True):
        trainer = make_trainer(
            model=make_model(**{**SMALLEST, **dropout}), activation_checkpointing=checkpointed, **OPTIONS
        )
        layer = trainer.recognizer.htr_convtext.encoder.layers[0].self_attn
        count = []
        layer.register_forward_hook(lambda module, inputs, output, count=count: count.append(1))
        trainer.train()
        passes.append(len(count))
        trainers.append(trainer)
    assert passes == [2 * OPTIONS["max_steps"], 4 * OPTIONS["max_steps"]]
    assert losses(trainers[0]) == losses(trainers[1])
    torch.testing.assert_close(parameters(trainers[0]), parameters(trainers[1]), rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_compiled_training_computes_what_eager_does(train):
    exact, exact_step = train()
    trainer, step = train(torch_compile=True)
    assert type(trainer.model_wrapped).__name__ == "OptimizedModule"
    for name in ("ctc_loss", "tcm_loss"):
        assert losses(trainer, name) == pytest.approx(losses(exact, name), rel=1e-4)
    assert (step - exact_step).norm() < 0.02 * exact_step.norm()
    assert trainer.evaluate()["eval_cer"] == exact.evaluate()["eval_cer"]
    trainer.save_model()


def half_precision(scale: float):
    """What fp16 is on a GPU, on a CPU, where accelerate leaves it out: autocast to float16 and a gradient scaler."""

    def change(trainer):
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
        trainer.accelerator.native_amp = True

    return change


# float16 is slow on a CPU.
ONE_LINE = {"per_device_train_batch_size": 1}


@pytest.fixture
def float16(monkeypatch):
    monkeypatch.setattr(AcceleratorState, "mixed_precision", "fp16")


def test_fp16_scales_gradients_and_not_the_perturbation(train, float16):
    exact, exact_step = train(**ONE_LINE, max_steps=2)
    trainer, step = train(half_precision(2.0**4), **ONE_LINE, max_steps=2)
    assert trainer.accelerator.scaler.get_scale() == 2.0**4
    assert losses(trainer) == pytest.approx(losses(exact), rel=0.01)
    assert torch.nn.functional.cosine_similarity(step, exact_step, dim=0) > 0.98
    assert step.norm().item() == pytest.approx(exact_step.norm().item(), rel=0.05)


@pytest.mark.parametrize("second_pass", [False, True], ids=["first pass", "second pass"])
def test_fp16_overflow_leaves_the_step_out(train, float16, second_pass):
    """Nothing moves, nothing is averaged, the schedule waits, the scale halves; the next step is a plain one."""
    records = []

    class Records(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            records.append((parameters(trainer), trainer.ema.updates, trainer.accelerator.scaler.get_scale()))

    def overflow_in_the_second_step(changed):
        nonlocal trainer
        trainer = changed
        half_precision(2.0**4)(trainer)
        trainer.add_callback(Records())
        plain = trainer.compute_loss

        def compute_loss(*args, **kwargs):
            # Still a number in float32, as the loss is, and too large for the gradients in float16.
            overflows = trainer.state.global_step == 1 and trainer.in_second_pass == second_pass
            return plain(*args, **kwargs) * (1e20 if overflows else 1)

        trainer.compute_loss = compute_loss

    trainer = None
    train(overflow_in_the_second_step, **ONE_LINE)
    moves = [not torch.equal(one[0], two[0]) for one, two in zip(records, records[1:], strict=False)]
    assert moves == [False, True]
    assert [updates for _, updates, _ in records] == [1, 1, 2]
    assert [scale for _, _, scale in records] == [2.0**4, 2.0**3, 2.0**3]
    assert trainer.lr_scheduler.last_epoch == 2
    assert torch.isfinite(parameters(trainer)).all()

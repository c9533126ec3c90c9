# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The Trainer: losses, SAM, accumulation, evaluation, checkpoints."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from transformers import EarlyStoppingCallback, TrainerState

from htr_convtext import HTRConvTextForCTC, HTRConvTextImageProcessor, HTRConvTextProcessor, HTRConvTextTCM
from htr_convtext.training import all_error_rates, find_checkpoint, line_trainer, made_fast, prepare_lines
from htr_convtext.training import trainer as trainer_module

from .conftest import DETERMINISTIC, TEXTS


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def losses(trainer) -> list[dict]:
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def test_both_losses_are_logged_and_add_up(make_trainer):
    trainer = make_trainer(ctc_weight=0.1, tcm_weight=0.5, sam_rho=0.05)
    trainer.train()
    assert len(losses(trainer)) == 4
    for entry in losses(trainer):
        assert entry["loss"] == pytest.approx(0.1 * entry["ctc_loss"] + 0.5 * entry["tcm_loss"], rel=1e-4)


def test_first_loss_is_the_models_own(make_trainer, make_model, lines):
    model = make_model(**DETERMINISTIC)
    tcm = HTRConvTextTCM(model.config)
    trainer = make_trainer(model=model, trainer_options={"tcm": tcm}, augment=False, max_steps=1)
    batch = trainer.data_collator([lines[i] for i in list(trainer._get_train_sampler())[:4]])
    model.train()
    # In the order of sums that training has; that the fast modules compute the same is shown in double precision.
    with torch.no_grad(), made_fast(model):
        outputs = model(batch["pixel_values"], labels=batch["labels"])
        expected = tcm(outputs.last_hidden_state, batch["labels"]).loss
    model.load_state_dict(make_model(**DETERMINISTIC).state_dict())
    trainer.train()
    assert losses(trainer)[0]["ctc_loss"] == pytest.approx(outputs.loss.item(), rel=1e-5)
    assert losses(trainer)[0]["tcm_loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_accumulated_micro_batches_equal_one_batch(make_trainer, make_model, equally_wide_lines):
    results = []
    for batch, accumulation in ((8, 1), (2, 4)):
        # In double precision, as rounding errors grow a thousandfold in the norm of the third gradient.
        model = make_model(**DETERMINISTIC).double()
        trainer = make_trainer(
            model=model,
            trainer_options={"train_dataset": equally_wide_lines, "tcm": HTRConvTextTCM(model.config).double()},
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            freeze_batch_norm=True,
            augment=False,
            max_steps=3,
            max_grad_norm=1.0,
            optim="sgd",  # AdamW would make steps of the rounding errors of gradients that are zero.
            learning_rate=0.01,
        )
        trainer.train()
        results.append((losses(trainer), weights(trainer)))
    for one, many in zip(results[0][0], results[1][0], strict=True):
        for name in ("loss", "ctc_loss", "tcm_loss"):
            assert one[name] == pytest.approx(many[name], rel=1e-5)
        assert one["grad_norm"] == pytest.approx(many["grad_norm"], rel=1e-6)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-8, rtol=1e-6)


def test_sam_steps_like_its_equations(make_trainer, make_model):
    """One step against SAM written out: gradient at w + rho g / |g|, the optimiser's step from w."""
    rho, learning_rate = 0.05, 1e-4
    # SGD: AdamW would make steps of the rounding errors of gradients that are zero.
    options = {"augment": False, "max_steps": 1, "sam_rho": rho, "optim": "sgd", "learning_rate": learning_rate}
    trainer = make_trainer(model=make_model(**DETERMINISTIC), **options)
    reference = make_trainer("reference", model=make_model(**DETERMINISTIC), **options)
    reference.model.load_state_dict(trainer.model.state_dict())
    batch = trainer.data_collator([trainer.train_dataset[i] for i in list(trainer._get_train_sampler())[:4]])

    def gradients() -> list[torch.Tensor]:
        with made_fast(reference.model):
            outputs = reference.recognizer(batch["pixel_values"], labels=batch["labels"])
            tcm = reference.model.tcm(outputs.last_hidden_state, batch["labels"])
            return list(torch.autograd.grad(0.1 * outputs.loss + tcm.loss, parameters))

    reference.model.train()
    parameters = list(reference.model.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    first = gradients()
    norm = torch.sqrt(sum(gradient.square().sum() for gradient in first))
    with torch.no_grad():
        for parameter, gradient in zip(parameters, first, strict=True):
            parameter += rho * gradient / norm
    second = gradients()
    with torch.no_grad():
        for parameter, value, gradient in zip(parameters, start, second, strict=True):
            parameter.copy_(value)
            parameter.grad = gradient
    torch.optim.SGD(parameters, learning_rate, weight_decay=0.05).step()

    trainer.train()
    expected = reference.model.state_dict()
    for name, tensor in trainer.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=2e-5, rtol=1e-4, msg=name)


def test_gradient_that_is_not_finite_moves_nothing():
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.tensor([1.0, float("inf"), 0.0])
    with trainer_module.perturbed([parameter], 0.05) as moved:
        assert not moved
        assert torch.equal(parameter, torch.ones(3))


def test_no_line_is_made_too_narrow_for_its_label(make_trainer, make_model, processor, raw_lines):
    """Lines of 60 letters in 64 frames, whose images may become a third narrower or half as wide again."""
    text = "ab" * 30
    crowded = raw_lines.remove_columns("text").add_column("text", [text] * len(raw_lines))
    image_processor = HTRConvTextImageProcessor({"height": 64, "width": 256})
    wide = HTRConvTextProcessor(image_processor, processor.tokenizer)
    lines = prepare_lines(crowded, wide, make_model().config)
    trainer = make_trainer(trainer_options={"train_dataset": lines}, augment_stretch=0.5)
    batch = trainer.data_collator([lines[i] for i in range(4)])
    widths = {trainer._augment(batch, number)["pixel_values"].shape[-1] for number in range(20)}
    assert min(widths) == 240 and widths <= set(range(240, 385, 16)) and max(widths) > 320


def test_tcm_weight_rises(make_trainer):
    trainer = make_trainer(tcm_warmup_steps=3, sam_rho=0.0)
    trainer.train()
    found = [(entry["loss"] - 0.1 * entry["ctc_loss"]) / entry["tcm_loss"] for entry in losses(trainer)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0], rel=1e-3)


def test_weight_decay_is_on_every_parameter(make_trainer):
    trainer = make_trainer()
    trainer.create_optimizer()
    decayed = [group["weight_decay"] for group in trainer.optimizer.param_groups for _ in group["params"]]
    assert decayed == [0.05] * len(list(trainer.model.parameters()))


def test_frozen_batch_norm_keeps_its_statistics(make_trainer):
    for freeze in (True, False):
        trainer = make_trainer(freeze_batch_norm=freeze, max_steps=1)
        before = weights(trainer)
        trainer.train()
        name = next(name for name in before if name.endswith("running_mean"))
        assert torch.equal(before[name], weights(trainer)[name]) == freeze


def test_evaluation_reads_each_line_at_its_own_width_with_averaged_weights(make_trainer, processor, raw_lines):
    trainer = make_trainer(max_steps=3, per_device_eval_batch_size=10)
    trainer.train()
    own = weights(trainer)
    metrics = trainer.evaluate()
    torch.testing.assert_close(weights(trainer), own, rtol=0, atol=0)

    averaged = trainer.ema.module.eval()
    read = []
    for line in raw_lines:
        inputs = processor(images=[line["image"]], return_tensors="pt")
        with torch.no_grad():
            read.append(processor.post_process_text_recognition(averaged(**inputs))[0]["text"])
    assert [line.prediction for line in trainer.scorer.lines] == read
    assert [line.reference for line in trainer.scorer.lines] == TEXTS
    rates = all_error_rates(read, TEXTS)
    assert metrics["eval_cer"] == rates["cer"]
    assert metrics["eval_wer"] == rates["wer"]


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_evaluation_has_the_statistics_that_the_first_process_saves(make_trainer, monkeypatch, ema_decay):
    trainer = make_trainer(max_steps=1, ema_decay=ema_decay, sam_rho=0.0, tcm_weight=0.0)
    trainer.train()
    own, read_with, step = weights(trainer), [], trainer.prediction_step

    def prediction_step(*args, **kwargs):
        read_with.extend(buffer.clone() for buffer in trainer.recognizer.buffers())
        return step(*args, **kwargs)

    monkeypatch.setattr(trainer, "prediction_step", prediction_step)
    monkeypatch.setattr(line_trainer, "broadcast", torch.ones_like)
    trainer.evaluate()
    assert read_with and all((buffer == 1).all() for buffer in read_with)
    torch.testing.assert_close(weights(trainer), own, rtol=0, atol=0)


def test_best_models_are_kept_and_load(make_trainer):
    trainer = make_trainer(eval_strategy="steps", eval_steps=2, max_steps=4)
    trainer.train()
    evaluations = [entry for entry in trainer.state.log_history if "eval_cer" in entry]
    for name in ("cer", "wer"):
        folder = Path(trainer.args.output_dir) / f"best_{name}"
        best = min(evaluations, key=lambda entry: entry[f"eval_{name}"])
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        assert (scores["step"], scores[f"eval_{name}"]) == (best["step"], best[f"eval_{name}"])
        HTRConvTextForCTC.from_pretrained(folder)
        assert not (folder / "tcm.safetensors").exists()


class PretendedRates:
    """Error rates of several evaluations; each call gives the next."""

    def __init__(self, trainer, *cers: float):
        self.trainer, self.cers = trainer, iter(cers)

    def __call__(self, prediction):
        return {**self.trainer.scorer(prediction), "cer": next(self.cers)}


def test_the_best_model_of_steps_that_a_resumed_run_leaves_is_set_aside_if_it_was_better(make_trainer):
    options = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "sam_rho": 0.0}
    first = make_trainer(max_steps=2, **options)
    first.compute_metrics = PretendedRates(first, 0.5, 0.1)
    first.train()
    folder = Path(first.args.output_dir)
    resumed = make_trainer(max_steps=2, **options)
    resumed.compute_metrics = PretendedRates(resumed, 0.4)
    resumed.train(resume_from_checkpoint=str(folder / "checkpoint-1"))
    found = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))["eval_cer"]
        for path in folder.glob("*best_cer/scores.json")
    }
    assert found == {"best_cer": 0.4, "left-best_cer": 0.1}


def test_several_evaluation_sets_are_judged_by_their_mean(make_trainer, lines):
    sets = {"one": lines.select(range(4)), "one_two": lines}
    trainer = make_trainer(
        trainer_options={"eval_dataset": sets}, eval_strategy="steps", eval_steps=1, max_steps=3, sam_rho=0.0,
        metric_for_best_model="cer",
    )  # fmt: skip
    # The second step has the best mean, and neither of the best single rates.
    trainer.compute_metrics = PretendedRates(trainer, 0.1, 0.8, 0.2, 0.2, 0.8, 0.1)
    trainer.train()
    means = [entry["eval_cer"] for entry in trainer.state.log_history if "eval_cer" in entry]
    assert means == pytest.approx([0.45, 0.2, 0.45])
    folder = Path(trainer.args.output_dir)
    scores = json.loads((folder / "best_cer" / "scores.json").read_text(encoding="utf-8"))
    assert (scores["step"], scores["eval_cer"]) == (2, pytest.approx(0.2))
    assert (scores["eval_one_cer"], scores["eval_one_two_cer"]) == (0.2, 0.2)
    assert trainer.state.best_metric == pytest.approx(0.2)
    assert (folder / "best_wer" / "model.safetensors").exists()


def test_a_rate_that_the_lines_do_not_have_is_refused_before_the_first_step(make_trainer, lines):
    one_hand = {"eval_dataset": lines.select(range(0, 10, 2))}
    make_trainer(metric_for_best_model="eval_cer_writers")
    for metric, options in (("cer_writers", one_hand), ("cer_lines", {})):
        with pytest.raises(ValueError, match=f"--metric_for_best_model {metric}: .*gives cer, cer_lower, "):
            make_trainer(metric_for_best_model=metric, trainer_options=options)


@pytest.mark.parametrize(
    ("rates", "options", "said"),
    [
        ({"accuracy": 0.5}, {}, True),
        ({"cer": 0.5}, {}, False),
        ({"accuracy": 0.5}, {"metric_for_best_model": "accuracy"}, False),
    ],
)
def test_metrics_by_which_no_model_is_the_best_are_said_once(make_trainer, caplog, rates, options, said):
    line_trainer.logger.warning_once.cache_clear()
    trainer = make_trainer(
        trainer_options={"compute_metrics": lambda prediction: rates}, eval_strategy="steps", eval_steps=1,
        max_steps=2, sam_rho=0.0, **options,
    )  # fmt: skip
    trainer.train()
    assert caplog.text.count("compute_metrics gives no cer and no wer, and no best model is kept") == said
    assert (Path(trainer.args.output_dir) / "best_cer").exists() == ("cer" in rates)


@pytest.mark.parametrize(("cers", "gained"), [((0.3, 0.4, 0.3), False), ((0.3, 0.4, 0.2), True)])
def test_a_training_that_gained_nothing_says_so(make_trainer, caplog, cers, gained):
    trainer = make_trainer(eval_on_start=True, eval_strategy="steps", eval_steps=1, max_steps=2, sam_rho=0.0)
    trainer.compute_metrics = PretendedRates(trainer, *cers)
    trainer.train()
    trainer.warn_of_no_gain()
    said = "No evaluation gave a lower CER than the one before the first step" in caplog.text
    assert said == (not gained) and ("best_cer holds the model that the training began with" in caplog.text) == said


def test_early_stopping_stops_when_the_error_rate_no_longer_falls(make_trainer, lines):
    for sets, rates in ((lines, [0.5, 0.3, 0.4, 0.35]), ({"a": lines}, [0.5, 0.3, 0.4, 0.35])):
        trainer = make_trainer(
            f"run-{len(sets)}", trainer_options={"callbacks": [EarlyStoppingCallback(2)], "eval_dataset": sets},
            eval_strategy="steps", eval_steps=1, max_steps=6, sam_rho=0.0, metric_for_best_model="cer",
        )  # fmt: skip
        trainer.compute_metrics = PretendedRates(trainer, *rates)
        trainer.train()
        assert trainer.state.global_step == 4


@pytest.mark.parametrize("strategy", ["best", "steps"])
def test_the_best_checkpoint_is_known_by_its_place_and_kept(make_trainer, strategy):
    trainer = make_trainer(
        eval_strategy="steps", eval_steps=1, save_strategy=strategy, save_steps=1, max_steps=5, sam_rho=0.0,
        metric_for_best_model="cer", save_total_limit=2,
    )  # fmt: skip
    trainer.compute_metrics = PretendedRates(trainer, 0.5, 0.2, 0.3, 0.4, 0.5)
    trainer.train()
    best = Path(trainer.args.output_dir) / "checkpoint-2"
    kept = {path.name for path in best.parent.glob("checkpoint-*")}
    assert kept == ({"checkpoint-1", "checkpoint-2"} if strategy == "best" else {"checkpoint-2", "checkpoint-5"})
    assert trainer.state.best_model_checkpoint == str(best)
    for checkpoint in kept - {"checkpoint-1"}:
        state = TrainerState.load_from_json(str(best.parent / checkpoint / "trainer_state.json"))
        assert state.best_model_checkpoint == str(best)


@pytest.mark.parametrize(("temperature", "muon"), [(1.0, False), (0.3, True)])
def test_resumed_run_ends_with_the_same_weights(make_trainer, temperature, muon):
    """Dropout, drop path, augmentation, SAM, EMA and TCM are on; the run is cut within its second epoch."""
    options = {"max_steps": 7, "save_strategy": "steps", "save_steps": 1, "save_total_limit": 10}
    options |= {"source_temperature": temperature, "muon": muon}
    whole = make_trainer("whole", **options)
    whole.train()
    for cut in (2, 4):
        resumed = make_trainer(f"resumed-{cut}", **options)
        source = Path(whole.args.output_dir) / f"checkpoint-{cut}"
        shutil.copytree(source, Path(resumed.args.output_dir) / source.name)
        torch.manual_seed(99)
        resumed.train(resume_from_checkpoint=True)
        assert losses(resumed)[cut:] == losses(whole)[cut:]
        torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
        average = dict(resumed.ema.module.state_dict())
        torch.testing.assert_close(average, dict(whole.ema.module.state_dict()), rtol=0, atol=0)
        assert resumed.ema.updates == whole.ema.updates == 7


def test_temperature_draws_small_hands_more_often(make_trainer, lines):
    """Eight lines of Ada and two of Bob become as many of the one as of the other."""
    lines = lines.remove_columns("writer").add_column("writer", ["Ada"] * 8 + ["Bob"] * 2)
    trainer = make_trainer(source_temperature=0.0, trainer_options={"train_dataset": lines})
    drawn = list(trainer._get_train_sampler())
    assert sum(line >= 8 for line in drawn) in (4, 5, 6)
    assert sorted(make_trainer(trainer_options={"train_dataset": lines})._get_train_sampler()) == list(range(10))


def test_error_rates_of_writers_are_evaluated(make_trainer):
    trainer = make_trainer()
    metrics = trainer.evaluate()
    of_hands = [
        sum(line.edits for line in lines) / sum(len(line.reference) for line in lines)
        for lines in (trainer.scorer.lines[::2], trainer.scorer.lines[1::2])
    ]
    assert metrics["eval_cer_writers"] == pytest.approx(sum(of_hands) / 2)


def test_checkpoint_is_a_model_folder_with_averaged_weights(make_trainer):
    trainer = make_trainer(save_strategy="steps", save_steps=4)
    trainer.train()
    folder = Path(trainer.args.output_dir) / "checkpoint-4"
    model = HTRConvTextForCTC.from_pretrained(folder)
    torch.testing.assert_close(dict(model.state_dict()), dict(trainer.ema.module.state_dict()), rtol=0, atol=0)
    assert not [path.name for path in Path(trainer.args.output_dir).iterdir() if "incomplete" in path.name]


def test_half_a_checkpoint_is_never_taken(make_trainer):
    trainer = make_trainer(save_strategy="steps", save_steps=2)
    trainer.train()
    output = Path(trainer.args.output_dir)
    (output / "checkpoint-4" / "optimizer.pt").unlink()
    assert find_checkpoint(True, str(output)) == str(output / "checkpoint-2")
    with pytest.raises(ValueError, match="checkpoint-4 is no whole checkpoint.*: it has no optimizer.pt"):
        find_checkpoint(str(output / "checkpoint-4"), str(output))
    with pytest.raises(ValueError, match="no whole checkpoint in .*elsewhere"):
        find_checkpoint(True, str(output / "elsewhere"))


@pytest.mark.parametrize("options", [{"tcm_weight": 0.0}, {"ema_decay": 0.0}])
def test_checkpoint_of_other_options_is_refused(make_trainer, options):
    trainer = make_trainer(save_strategy="steps", save_steps=2, max_steps=2)
    trainer.train()
    other = make_trainer(**options)
    with pytest.raises(ValueError, match=f"was trained with --{next(iter(options))}"):
        other.train(resume_from_checkpoint=True)


def test_full_disk_costs_a_checkpoint_and_not_the_training(make_trainer, monkeypatch):
    trainer = make_trainer(save_strategy="steps", save_steps=1, save_total_limit=10)
    save = torch.save

    def save_until_full(content, path, *args, **kwargs):
        if "optimizer.pt" in str(path) and trainer.state.global_step == 2:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        return save(content, path, *args, **kwargs)

    monkeypatch.setattr(torch, "save", save_until_full)
    trainer.train()
    names = sorted(path.name for path in Path(trainer.args.output_dir).iterdir())
    assert names == ["checkpoint-1", "checkpoint-3", "checkpoint-4"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 14 MB, which holds one checkpoint of the miniature network and a part of the next."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_disk_that_is_really_full_keeps_the_last_whole_checkpoint(make_trainer, small_disk):
    trainer = make_trainer(output="disk", save_strategy="steps", save_steps=1, save_total_limit=10)
    trainer.train()
    assert trainer.state.global_step == 4
    assert [path.name for path in small_disk.iterdir()] == ["checkpoint-1"]
    resumed = make_trainer(output="disk", model=None)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed)[-1]["loss"] == losses(trainer)[-1]["loss"]


def test_loss_that_is_not_finite_ends_the_run_and_names_the_lines(make_trainer):
    def nan_images(lines):
        batch = collate(lines)
        batch["pixel_values"][0] = float("nan")
        return batch

    trainer = make_trainer()
    collate = trainer.data_collator
    trainer.data_collator = nan_images
    with pytest.raises(FloatingPointError, match=r"step 1 is nan; the batch's images are not finite.*line-\d"):
        trainer.train()


def test_out_of_memory_says_what_to_do_and_loses_nothing(make_trainer, monkeypatch):
    trainer = make_trainer(save_strategy="steps", save_steps=1)
    compute_loss = trainer.compute_loss

    def compute_loss_until_full(*args, **kwargs):
        if trainer.state.global_step == 2:
            torch.empty(2**60)
        return compute_loss(*args, **kwargs)

    monkeypatch.setattr(trainer, "compute_loss", compute_loss_until_full)
    with pytest.raises(MemoryError, match="step 3 .*--per_device_train_batch_size .now 4. .*--gradient_accumulation"):
        trainer.train()
    resumed = make_trainer()
    resumed.train(resume_from_checkpoint=True)
    assert [entry["step"] for entry in losses(resumed)] == [1, 2, 3, 4]


def test_one_line_is_enough_to_train(make_trainer, lines):
    trainer = make_trainer(max_steps=2)
    trainer.train_dataset = lines.select([3])
    trainer.train()
    assert len(losses(trainer)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sam_rho": -1.0}, "--sam_rho must not be negative"),
        ({"ema_decay": 1.0}, "--ema_decay"),
        ({"ctc_weight": 0.0}, "--ctc_weight"),
        ({"lr_schedule": "linear"}, "--lr_schedule"),
        ({"lr_scheduler_type": "constant"}, "--lr_schedule"),
        ({"augment_jitter": 1.5}, "jitter"),
        ({"sync_batch_norm": True}, "--sync_batch_norm works on GPUs"),
        ({"fp16": True}, "--fp16 works on GPUs"),
    ],
)
def test_impossible_options_are_refused(make_trainer, options, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**options)

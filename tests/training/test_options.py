# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Options: each does what it says or is refused by name, on the command line, in a recipe and in Python."""

import dataclasses
import json

import pytest

from htr_convtext import SIZES, HTRConvTextConfig, HTRConvTextImageProcessor
from htr_convtext.training import HTRConvTextTrainingArguments, LineAugmentation, ModelArguments, parse_arguments
from htr_convtext.training.arguments import is_error_rate
from htr_convtext.training.starting_model import check_new_model_options

OUTPUT = ["--output_dir", "unused", "--use_cpu"]


def parse(*arguments: object):
    return parse_arguments([*map(str, arguments), *OUTPUT])


def arguments(**options) -> HTRConvTextTrainingArguments:
    return HTRConvTextTrainingArguments(output_dir="unused", use_cpu=True, **options)


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe, as YAML or JSON; its path."""

    def write(name="mine.yaml", **options) -> str:
        path = tmp_path / name
        lines = [f"{option}: {json.dumps(value)}" for option, value in options.items()]
        path.write_text(json.dumps(options) if name.endswith(".json") else "\n".join(lines), encoding="utf-8")
        return str(path)

    return write


# How long


@pytest.mark.parametrize(
    ("options", "steps", "epochs"),
    [
        ([], 100_000, -1),
        (["--max_steps", 7], 7, -1),
        (["--num_train_epochs", 5], -1, 5),
        (["--num-train-epochs=0.5"], -1, 0.5),
        (["--num_train", 5], -1, 5),
        (["--num_train_epochs", 5, "--max_steps", -1], -1, 5),
    ],
)
def test_steps_or_epochs(options, steps, epochs):
    _, _, args = parse(*options)
    assert (args.max_steps, args.num_train_epochs) == (steps, epochs)


@pytest.mark.parametrize("name", ["mine.yaml", "mine.json"])
@pytest.mark.parametrize(
    ("written", "typed", "steps", "epochs"),
    [
        ({"max_steps": 400}, ["--num_train_epochs", 5], -1, 5),
        ({"num_train_epochs": 5}, ["--max_steps", 7], 7, -1),
        ({"num-train-epochs": 5}, [], -1, 5),
        ({"max_steps": 400}, ["--max-steps", 7], 7, -1),
    ],
)
def test_the_command_line_s_length_wins_over_the_recipe_s(recipe, name, written, typed, steps, epochs):
    _, _, args = parse(recipe(name, **written), *typed)
    assert (args.max_steps, args.num_train_epochs) == (steps, epochs)


def test_the_fine_tuning_recipe_can_be_run_by_steps(root):
    _, _, args = parse(root / "recipes" / "finetune.yaml", "--max_steps", 5)
    assert (args.max_steps, args.num_train_epochs) == (5, -1)


def test_steps_and_epochs_at_once_are_refused_by_both_names(recipe):
    for length in (["--num_train_epochs", 5, "--max_steps", 7], [recipe(num_train_epochs=5, max_steps=7)]):
        with pytest.raises(SystemExit, match="--num_train_epochs 5 and --max_steps 7"):
            parse(*length)
    with pytest.raises(ValueError, match="--num_train_epochs 5 and --max_steps 7"):
        arguments(num_train_epochs=5, max_steps=7)
    with pytest.raises(ValueError, match="--max_steps and --num_train_epochs must be above 0"):
        arguments(num_train_epochs=0)
    with pytest.raises(ValueError, match="--max_steps -1 needs --num_train_epochs"):
        arguments(max_steps=-1)


@pytest.mark.parametrize("options", [{}, {"num_train_epochs": 5}, {"max_steps": 7}, {"metric_for_best_model": "cer"}])
def test_arguments_survive_a_copy_and_json(options):
    args = arguments(**options)
    copied = dataclasses.replace(args, learning_rate=1e-4)
    again = HTRConvTextTrainingArguments(**json.loads(json.dumps(args.to_dict())))
    for name in ("max_steps", "num_train_epochs", "lr_scheduler_type", "greater_is_better"):
        assert getattr(copied, name) == getattr(args, name) == getattr(again, name)


def test_epochs_are_trained(make_trainer):
    trainer = make_trainer(max_steps=None, num_train_epochs=2, sam_rho=0.0)
    trainer.train()
    assert (trainer.state.global_step, trainer.state.epoch) == (6, 2)  # Ten lines, four at once.


def test_a_warm_up_longer_than_the_training_is_said(make_trainer, monkeypatch):
    from htr_convtext.training import trainer as trainer_module

    said = []
    monkeypatch.setattr(trainer_module.logger, "warning", said.append)
    make_trainer(warmup_steps=1000, max_steps=1).train()
    assert [message.startswith("--warmup_steps 1000") for message in said] == [True]
    make_trainer("shorter", warmup_steps=0.1, max_steps=1).train()
    assert len(said) == 1


# What to do


@pytest.mark.parametrize(
    ("options", "trains", "evaluates"),
    [
        ([], True, True),
        (["--do_eval"], False, True),
        (["--do-eval"], False, True),
        (["--do-ev"], False, True),
        (["--do_eval=True"], False, True),
        (["--do_eval", "yes"], False, True),
        (["--do_predict"], False, False),
        (["--do-predict"], False, False),
        (["--do_train", "--do_predict"], True, True),
        (["--do_train", "--eval_strategy", "no"], True, False),
        (["--do_eval", "false"], True, False),
        (["--do-train=false", "--do-eval"], False, True),
    ],
)
def test_tasks_are_those_asked_for_and_training_evaluates(options, trains, evaluates):
    _, _, args = parse(*options)
    assert (args.do_train, args.do_eval) == (trains, evaluates)


@pytest.mark.parametrize("name", ["mine.yaml", "mine.json"])
@pytest.mark.parametrize("written", [{"do_eval": True}, {"do-eval": True}, {"do_eval": "true"}])
def test_tasks_of_a_recipe(recipe, name, written):
    _, _, args = parse(recipe(name, **written))
    assert (args.do_train, args.do_eval, args.eval_strategy) == (False, True, "no")
    _, _, args = parse(recipe(name, **written), "--do-train")
    assert (args.do_train, args.do_eval, args.eval_strategy) == (True, True, "steps")


def test_nothing_to_do_is_said():
    with pytest.raises(SystemExit, match="nothing to do"):
        parse("--do_train", "false")


def test_values_of_an_option_that_is_given_twice_are_those_of_both(recipe):
    typed = "--data_dir a b --data_dir c --dataset_option on_error=skip --dataset-option transcription=laia".split()
    for path in ([], [recipe(data_dir=["of", "the recipe"])]):
        _, data_args, _ = parse(*path, *typed)
        assert data_args.data_dir == ["a", "b", "c"]
        assert data_args.dataset_option == ["on_error=skip", "transcription=laia"]


@pytest.mark.parametrize("checkpoint", [[], ["last"], ["run/checkpoint-1"]])
def test_reading_with_a_checkpoint_is_told_how(checkpoint):
    with pytest.raises(SystemExit, match="name its folder as --model_name_or_path"):
        parse("--do_predict", "--resume_from_checkpoint", *checkpoint)
    assert parse("--do_predict", "--resume_from_checkpoint", "false")[2].resume_from_checkpoint is None


@pytest.mark.parametrize("spelling", ["True", "last", "true"])
def test_resuming_by_a_word(spelling, recipe):
    assert parse("--resume_from_checkpoint", spelling)[2].resume_from_checkpoint == "last"
    assert parse("--resume-from-checkpoint")[2].resume_from_checkpoint == "last"
    assert parse(recipe(resume_from_checkpoint=True))[2].resume_from_checkpoint == "last"
    assert parse(recipe(resume_from_checkpoint=False))[2].resume_from_checkpoint is None
    assert parse("--resume_from_checkpoint", "runs/a")[2].resume_from_checkpoint == "runs/a"


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning_rte", "1e-3"], r"no option --learning_rte \(did you mean --learning_rate\?\)"),
        (["--do-evaluate"], r"no option --do_evaluate \(did you mean --do_eval\?\)"),
        (["--qwertz=5"], "no option --qwertz. train_hf.py --help"),
        (["--max_steps", "many"], "argument --max_steps/--max-steps: invalid int value: 'many'"),
        (["--size", "huge"], "--size: invalid choice: 'huge'"),
        (["--seed", "1", "recipes/finetune.yaml"], "'recipes/finetune.yaml' is no option. A recipe .* comes before"),
        (["--do"], "ambiguous option: --do could match"),
        (["--ctc_weight", "0"], "^train_hf.py: --ctc_weight must be above 0"),
    ],
)
def test_mistakes_on_the_command_line_get_a_sentence(options, message):
    with pytest.raises(SystemExit, match=message):
        parse(*options)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"learning_rte": 1e-3}, r"mine.yaml: there is no option --learning_rte \(did you mean --learning_rate\?\)"),
        ({"max_steps": "many"}, "mine.yaml: argument --max_steps/--max-steps: invalid int value"),
        ({"max_steps": 4.5}, "mine.yaml: argument --max_steps/--max-steps: invalid int value"),
        ({"size": "huge"}, "mine.yaml: argument --size: invalid choice: 'huge'"),
    ],
)
def test_mistakes_of_a_recipe_name_it(recipe, written, message):
    with pytest.raises(SystemExit, match=message):
        parse(recipe(**written))


@pytest.mark.parametrize("name", ["finetune.yaml", "recipes/finetune.yaml"])
def test_a_recipe_of_the_package_is_found_from_anywhere(name, tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)
    assert parse(name)[2].learning_rate == parse(root / "recipes" / "finetune.yaml")[2].learning_rate == 3e-4
    assert (root / "hub_upload" / "htr-convtext-fr").samefile(parse(name)[0].model_name_or_path)
    with pytest.raises(SystemExit, match=r"no recipe finetun.yaml \(did you mean finetune.yaml\?\)"):
        parse("finetun.yaml")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("max_steps: 3")  # one's own comes first
    assert parse(name)[2].max_steps == 3


def test_a_recipe_that_is_not_there_or_holds_no_options(recipe, tmp_path):
    recipe("finetune.yaml", seed=1)
    with pytest.raises(SystemExit, match=r"no recipe .*finetun.yaml \(did you mean finetune.yaml\?\)"):
        parse(tmp_path / "finetun.yaml")
    for text, message in (
        ("- a\n- b", "holds no options"),
        ("a: [1", "is no YAML or JSON"),
        ("3", "holds no options"),
    ):
        (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit, match=f"bad.yaml {message}"):
            parse(tmp_path / "bad.yaml")


def test_values_of_a_recipe_are_those_of_the_command_line(recipe):
    path = recipe(
        learning_rate="1e-4", data_dir="my_lines", dataset_option=["a=b", "c=d"], autocontrast_cutoff=[1, 2.5],
        augment=False, keep_aspect_ratio=True, eval_steps=None, accelerator_config={"split_batches": True},
    )  # fmt: skip
    model_args, data_args, args = parse(path, "--no_augment")
    assert (args.learning_rate, args.augment, args.eval_steps) == (1e-4, False, 1000)
    assert (data_args.data_dir, data_args.dataset_option) == (["my_lines"], ["a=b", "c=d"])
    assert (model_args.autocontrast_cutoff, model_args.keep_aspect_ratio) == ([1.0, 2.5], True)
    assert args.accelerator_config.split_batches


# Options of transformers


@pytest.mark.parametrize(
    "options",
    [
        {"lr_scheduler_type": "linear"},
        {"lr_scheduler_type": "constant"},
        {"lr_scheduler_kwargs": {"power": 2}},
        {"label_smoothing_factor": 0.1},
        {"neftune_noise_alpha": 5.0},
        {"use_liger_kernel": True},
        {"label_names": ["labels"]},
        {"prediction_loss_only": True},
        {"remove_unused_columns": True},
        {"logging_nan_inf_filter": True},
        {"eval_do_concat_batches": False},
        {"batch_eval_metrics": True},
        {"average_tokens_across_devices": False},
        {"push_to_hub": True},
        {"include_for_metrics": ["loss"]},
        {"metric_for_best_model": "loss"},
        {"metric_for_best_model": "eval_loss"},
        {"load_best_model_at_end": True, "save_strategy": "steps"},
        {"dataloader_drop_last": True},
        {"optim": "lomo"},
        {"min_learning_rate": 1e-3, "learning_rate": 1e-4},
        {"source_temperature": 0.7, "train_sampling_strategy": "sequential"},
    ],
    ids=str,
)
def test_what_would_have_no_effect_is_refused_by_name(options):
    with pytest.raises(ValueError, match=f"--{next(iter(options))}"):
        arguments(**options)


def test_adapters_are_refused(make_trainer, make_model):
    """Their checkpoints were no whole ones, and best_cer held no model."""
    peft = pytest.importorskip("peft")
    with pytest.raises(ValueError, match="has adapters .PEFT.*merge_and_unload"):
        make_trainer(model=peft.get_peft_model(make_model(), peft.LoraConfig(target_modules=["qkv_proj"])))


def test_a_loss_of_the_user_s_own_is_refused(make_trainer):
    with pytest.raises(ValueError, match="compute_loss_func"):
        make_trainer(trainer_options={"compute_loss_func": lambda *args, **kwargs: 0})


@pytest.mark.parametrize(
    ("metric", "greater"),
    [("cer", False), ("wer", False), ("eval_cer", False), ("one_wer", False), ("cer_lower", False),
     ("macro_cer", False),
     ("eval_cer_no_punctuation", False), ("accuracy", True), ("answer", True), ("my_loss", False)],
)  # fmt: skip
def test_lower_error_rates_are_better(metric, greater):
    assert arguments(metric_for_best_model=metric).greater_is_better is greater
    assert is_error_rate(metric) is (not greater and "loss" not in metric)


# New models and trained ones


def test_options_of_a_new_model_contradict_a_trained_one():
    config, image_processor = HTRConvTextConfig(**SIZES["tiny"]), HTRConvTextImageProcessor()
    same = ModelArguments("some/model", size="tiny", image_width=512, keep_aspect_ratio=False, tcm_context_size=5)
    check_new_model_options(same, config, image_processor)
    for name, value in {"size": "lite", "image_width": 256, "keep_aspect_ratio": True, "tcm_context_size": 3}.items():
        with pytest.raises(ValueError, match=f"--{name} {value}: .*--model_name_or_path some/model"):
            check_new_model_options(ModelArguments("some/model", **{name: value}), config, image_processor)


def test_a_model_on_the_command_line_wins_over_a_recipe_s_size(root):
    recipe = root / "recipes" / "paper.yaml"
    assert parse(recipe)[0].size == "base"
    assert parse(recipe, "--model_name_or_path", "some/model")[0].size is None


# Augmentation


def test_augmentation_is_written_once():
    args = arguments(augment_slant=0.3, augment_scope="batch", augment_mask=0.1)
    assert args.make_augmentation() == LineAugmentation(slant=0.3, scope="batch", mask=0.1)
    assert arguments().make_augmentation() == LineAugmentation()
    assert arguments(augment=False, augment_slant=0.3).make_augmentation() is None
    names = {field.name for field in dataclasses.fields(args) if field.name.startswith("augment_")}
    changes = "probability corner_shift kernel_size jitter slant elastic stretch rise shrink mask scope".split()
    assert names == {f"augment_{change}" for change in changes}


def test_a_folder_is_no_recipe(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="there is no recipe .*mine.yaml. .* has none"):
        parse_arguments([str(tmp_path / "mine.yaml")])

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The training script, as users start it."""

import contextlib
import importlib.util
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file
from transformers import TrainerState, pipeline

from htr_convtext import ALPHABETS, HTRConvTextProcessor
from htr_convtext.training.sampler import LineSampler

WORDS = "the hand that wrote these lines was small and patient; it left no margin, and few blots".split()
QUICK = ["--size", "lite", "--image_width", "128", "--use_cpu", "--disable_tqdm", "true", "--do_train"]
QUICK += ["--report_to", "none"]
NO_DROPOUT = ["--hidden_dropout_prob", "0", "--attention_probs_dropout_prob", "0", "--drop_path_rate", "0"]


@pytest.fixture(scope="module")
def train_hf(root):
    """The script as a module, to call what does not need a process of its own."""
    spec = importlib.util.spec_from_file_location("train_hf", root / "train_hf.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_hf"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def line_folder(tmp_path_factory) -> Path:
    """A folder of drawn lines in three splits."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "lines").mkdir()
    dice = random.Random(0)
    font = ImageFont.load_default(size=26)
    for split, number in (("train", 24), ("val", 4), ("test", 4)):
        names = [f"{split}-{i:02d}.jpg" for i in range(number)]
        for name in names:
            text = " ".join(dice.sample(WORDS, dice.randint(1, 2)))
            image = Image.new("L", (int(font.getlength(text)) + 20, 40), 245)
            ImageDraw.Draw(image).text((8, 4), text, font=font, fill=30)
            image.save(folder / "lines" / name)
            (folder / "lines" / name).with_suffix(".txt").write_text(text, encoding="utf-8")
        (folder / f"{split}.ln").write_text("\n".join(names) + "\n", encoding="utf-8")
    return folder


def command(root: Path, *options: object, launcher: tuple[str, ...] = (sys.executable,)) -> list[str]:
    return [*launcher, str(root / "train_hf.py"), *map(str, options)]


def launch(
    root: Path, *options: object, launcher: tuple[str, ...] = (sys.executable,), timeout: float | None = None
) -> str:
    """Runs the script to its end, from the checkout, with one thread; what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = command(root, *options, launcher=launcher)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=root, env=environment, text=True, **pipes) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.terminate()  # On which accelerate ends the processes that it has started.
            raise
    assert process.returncode == 0, output[-3000:] + errors[-6000:]
    return output


def accelerate(*options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "accelerate.commands.launch", *options)


def history(output: Path) -> list[dict]:
    log = TrainerState.load_from_json(str(output / "trainer_state.json")).log_history
    return [entry for entry in log if "ctc_loss" in entry]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def distance(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    return sum((one[name] - two[name]).double().square().sum().item() for name in one) ** 0.5


def test_thirty_steps_learn_and_the_pipeline_reads_with_the_result(train_hf, line_folder, tmp_path, monkeypatch):
    output = tmp_path / "run"
    options = ["--max_steps", 30, "--warmup_steps", 10, "--per_device_train_batch_size", 8]
    options += ["--logging_steps", 1, "--eval_steps", 30, "--save_steps", 30, "--do_eval", "--do_predict"]
    options += ["--sam_rho", 0, "--ema_decay", 0.9]
    run_inside(train_hf, monkeypatch, "--data_dir", line_folder, "--output_dir", output, *QUICK, *options)

    log = history(output)
    first, last = ({name: entry[name] for name in ("loss", "tcm_loss")} for entry in (log[0], log[-1]))
    assert last["loss"] < first["loss"] / 2
    assert last["tcm_loss"] < first["tcm_loss"]
    predictions = json.loads((output / "test_predictions.json").read_text(encoding="utf-8"))
    assert [line["line_id"] for line in predictions["lines"]] == [f"test-{i:02d}" for i in range(4)]
    for name in (
        "test_report.html",
        "validation_report.html",
        "learning_curves.png",
        "README.md",
        "best_cer/README.md",
    ):
        assert (output / name).exists()

    images = [line_folder / "lines" / f"test-{i:02d}.jpg" for i in range(4)]
    folders = (output, output / "checkpoint-30")
    assert not (output / "tcm.safetensors").exists()
    for folder in folders:
        read = pipeline("image-to-text", model=str(folder), trust_remote_code=True)
        texts = [line["generated_text"] for (line,) in read([str(image) for image in images])]
        assert texts == [line["prediction"] for line in predictions["lines"]]


# Of two runs by two processes: labels of unequal length on the ranks, TCM and SAM on, dropout off, batch norms frozen;
# SGD, because AdamW would make steps of the rounding errors of gradients that are zero.
ONE_BATCH = ["--max_steps", 3, "--warmup_steps", 0, "--logging_steps", 1, "--eval_strategy", "no", "--save_steps", 3]
ONE_BATCH += ["--augment", "false", "--freeze_batch_norm", "--tcm_dropout_prob", 0, *NO_DROPOUT]
ONE_BATCH += ["--optim", "sgd", "--learning_rate", 1e-3, "--max_grad_norm", 1]
ONE_BATCH += ["--seed", 123, "--train_sampling_strategy", "random", *QUICK, "--size", "tiny"]
TWO_CLOCKS = ["--max_train_minutes", 0.1, "--max_steps", 1000, "--warmup_steps", 0, "--eval_strategy", "no"]
TWO_CLOCKS += ["--freeze_batch_norm", "--save_strategy", "no", "--muon", *QUICK]


@pytest.fixture(scope="module")
def two_processes(root, line_folder, tmp_path_factory) -> tuple[Path, str]:
    """The folder of two runs by two processes, `one_batch` and `two_clocks`, and what they printed."""
    folder = tmp_path_factory.mktemp("two_processes")
    files = []
    for name, options in (("one_batch", ONE_BATCH), ("two_clocks", TWO_CLOCKS)):
        options = [*options, "--data_dir", line_folder, "--per_device_train_batch_size", 4]
        options += ["--output_dir", folder / name]
        files.append(folder / f"{name}.json")
        files[-1].write_text(json.dumps(list(map(str, options))), encoding="utf-8")
    launcher = accelerate("--config_file", str(root / "recipes" / "two_cpu_processes.yaml"))
    script = str(root / "tests" / "training" / "two_processes.py")
    return folder, launch(root, *files, launcher=(*launcher, script), timeout=600)


def test_two_processes_compute_what_one_does_with_the_whole_batch(
    two_processes, train_hf, line_folder, tmp_path, monkeypatch
):
    # Of the first global batch, rank 0 has the first four lines and rank 1 the others.
    names = (line_folder / "train.ln").read_text(encoding="utf-8").split()
    texts = [(line_folder / "lines" / name).with_suffix(".txt").read_text(encoding="utf-8") for name in names]
    lengths = [len(texts[line]) for line in LineSampler(len(texts), seed=123)]
    assert sum(lengths[:4]) != sum(lengths[4:8])
    folders = two_processes[0] / "one_batch", tmp_path
    options = ["--data_dir", line_folder, "--output_dir", tmp_path, "--per_device_train_batch_size", 8]
    run_inside(train_hf, monkeypatch, *ONE_BATCH, *options)
    # Every process writes its own random state: there were two, and one.
    assert [len(list((folder / "checkpoint-3").glob("rng_state_*.pth"))) for folder in folders] == [2, 0]

    for two, one in zip(*map(history, folders), strict=True):
        for name in ("loss", "ctc_loss", "tcm_loss"):
            assert one[name] == pytest.approx(two[name], rel=1e-4)
    two, one = (load_file(folder / "checkpoint-3" / "weights_without_ema.safetensors") for folder in folders)
    # How far the weights have moved from their average is the measure of how near they must be to each other.
    assert distance(one, two) < 0.05 * distance(one, weights(tmp_path))


def test_two_processes_end_together_by_the_first_one_s_clock(two_processes):
    """
    With clocks that differ: the same learning rates, the same weights, the same last step. Muon is shared out. Then
    they evaluate with the same statistics.
    """
    folder, output = two_processes
    first, second = (load_file(folder / "two_clocks" / f"rank_{rank}.safetensors") for rank in (0, 1))
    # Of the six seconds, the start takes one and each step one.
    assert len(first["rates"]) == 5 and first["rates"][-1] < first["rates"][0] / 2
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert output.splitlines()[-1].startswith("--max_train_minutes 0.1 ended the training after step 5 of at most")


def last_step(output: Path) -> int:
    steps = [folder.name.removeprefix("checkpoint-") for folder in output.glob("checkpoint-*")]
    return max((int(step) for step in steps if step.isdigit()), default=0)


@pytest.mark.slow
def test_run_killed_at_random_points_ends_with_the_same_weights(request, root, line_folder, tmp_path):
    """As often as --kills says: while it starts, resumes, makes steps and saves."""
    steps, kills = 14, request.config.getoption("--kills")
    options = ["--max_steps", steps, "--warmup_steps", 2, "--logging_steps", 1, "--per_device_train_batch_size", 4]
    options += ["--eval_strategy", "no", "--save_steps", 1, "--save_total_limit", 2, "--data_dir", line_folder, *QUICK]
    launch(root, "--output_dir", tmp_path / "whole", *options)

    output, dice = tmp_path / "killed", random.Random()
    for number in range(kills):
        wanted = 1 + number * (steps - 2) // kills
        # Where the run has come so far already, any time of its start will do.
        longest = 10.0 if last_step(output) >= wanted else 0.5
        resume = ["--resume_from_checkpoint"] if last_step(output) else []
        words = command(root, "--output_dir", output, *options, *resume)
        with subprocess.Popen(words, cwd=root, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and last_step(output) < wanted:
                time.sleep(0.005)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(dice.random() * longest)
            process.send_signal(signal.SIGKILL)
        assert process.returncode in (0, -signal.SIGKILL)
    launch(root, "--output_dir", output, *options, "--resume_from_checkpoint")

    assert [entry["loss"] for entry in history(output)] == [entry["loss"] for entry in history(tmp_path / "whole")]
    torch.testing.assert_close(weights(output), weights(tmp_path / "whole"), rtol=0, atol=0)
    for name in ("weights_without_ema.safetensors", "tcm.safetensors"):
        found, expected = (load_file(run / f"checkpoint-{steps}" / name) for run in (output, tmp_path / "whole"))
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.slow
def test_sixty_four_real_lines_are_learnt_by_heart(root, shared_lines, tmp_path):
    output = tmp_path / "run"
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "lines").symlink_to(shared_lines / "peraire" / "lines")
    names = (shared_lines / "peraire" / "train.ln").read_text(encoding="utf-8").splitlines()[:64]
    for split in ("train", "val"):
        (folder / f"{split}.ln").write_text("\n".join(names) + "\n", encoding="utf-8")
    options = ["--size", "tiny", "--use_cpu", "--do_train", "--do_eval", "--max_steps", 600]
    options += ["--per_device_train_batch_size", 8, "--warmup_steps", 100, "--sam_rho", 0.05, "--ema_decay", 0.99]
    options += ["--augment", "false", "--eval_steps", 150, "--save_strategy", "no", "--max_grad_norm", 5]
    launch(root, "--data_dir", folder, "--output_dir", output, *options)
    results = json.loads((output / "validation_results.json").read_text(encoding="utf-8"))
    assert results["validation_cer"] < 0.01


@pytest.mark.parametrize("recipe", ["iam", "lam", "read2016", "vnondb"])
def test_the_papers_recipe_runs_three_steps_on_each_dataset(
    root, train_hf, request, miniatures, tmp_path, monkeypatch, recipe
):
    output = tmp_path / "run"
    release = request.getfixturevalue(f"{recipe}_release")
    # All that is not the recipe's: a small network, a small batch, and steps few enough for a test.
    options = ["--size", "lite", "--image_width", 256, "--max_steps", 3, "--per_device_train_batch_size", 2]
    options += ["--logging_steps", 1, "--dataloader_num_workers", 0, "--use_cpu", "--report_to", "none"]
    options += ["--dataset", recipe, "--data_dir", release, "--output_dir", output]
    run_inside(train_hf, monkeypatch, root / "recipes" / "paper.yaml", *options)

    log = history(output)
    # The paper's schedule: the warm-up's second, third and fourth rate, as its iterations count from 1.
    assert [entry["learning_rate"] for entry in log] == pytest.approx([2e-3 / 1001, 3e-3 / 1001, 4e-3 / 1001])
    assert all(0 < entry["tcm_loss"] < entry["ctc_loss"] < math.inf for entry in log)
    assert HTRConvTextProcessor.from_pretrained(output).tokenizer.alphabet == ALPHABETS[recipe]
    predictions = json.loads((output / "test_predictions.json").read_text(encoding="utf-8"))
    expected = getattr(miniatures, recipe.upper())["test"]
    assert {line["line_id"]: line["reference"] for line in predictions["lines"]} == expected


def test_every_recipe_is_understood(train_hf, root):
    names = [path for path in (root / "recipes").glob("*.yaml") if "two_" not in path.name]
    assert len(names) == 2
    for path in names:
        _, _, args = train_hf.parse_arguments([str(path), "--output_dir", "unused", "--seed", "5"])
        assert args.seed == 5


def run_inside(train_hf, monkeypatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["train_hf.py", *map(str, options)])
    train_hf.main()


def test_folder_of_another_run_is_refused_and_kept(train_hf, line_folder, tmp_path, monkeypatch):
    options = ["--data_dir", line_folder, "--output_dir", tmp_path, *QUICK, "--max_steps", 1, "--save_steps", 1]
    options += ["--per_device_train_batch_size", 4, "--eval_strategy", "no"]
    run_inside(train_hf, monkeypatch, *options)
    before = weights(tmp_path)
    with pytest.raises(SystemExit, match="holds another run .checkpoint-1.*--resume_from_checkpoint"):
        run_inside(train_hf, monkeypatch, *options)
    shutil.rmtree(tmp_path / "checkpoint-1")
    with pytest.raises(SystemExit, match="holds another run .model.safetensors"):
        run_inside(train_hf, monkeypatch, *options)
    with pytest.raises(SystemExit, match="no whole checkpoint"):
        run_inside(train_hf, monkeypatch, *options, "--resume_from_checkpoint")
    torch.testing.assert_close(weights(tmp_path), before, rtol=0, atol=0)


def test_reading_alone_trains_nothing_however_it_is_spelt(train_hf, line_folder, tmp_path, monkeypatch):
    base = ["--data_dir", line_folder, *QUICK, "--max_steps", 1, "--per_device_train_batch_size", 4]
    run_inside(train_hf, monkeypatch, *base, "--output_dir", tmp_path / "base", "--save_strategy", "no")
    model = ["--model_name_or_path", tmp_path / "base", "--use_cpu", "--report_to", "none"]
    for number, (spelling, split) in enumerate(
        {
            "--do-eval": "validation",
            "--do-predict": "test",
            "--do_ev": "validation",
            "--do_predict=True": "test",
        }.items()
    ):
        output = tmp_path / f"read-{number}"
        run_inside(train_hf, monkeypatch, "--data_dir", line_folder, *model, "--output_dir", output, spelling)
        written = {path.name for path in output.iterdir()}
        assert written == {"all_results.json"} | {
            f"{split}_{name}" for name in ("results.json", "predictions.json", "report.html")
        }


def test_a_line_that_cannot_be_trained_is_named_before_the_first_step(train_hf, line_folder, tmp_path, monkeypatch):
    (tmp_path / "lines").mkdir()
    image = (line_folder / "lines" / "train-00.jpg").read_bytes()
    for name, text in (("good", "word"), ("bad", "x" * 30)):
        (tmp_path / "lines" / f"{name}.jpg").write_bytes(image)
        (tmp_path / "lines" / f"{name}.txt").write_text(text, encoding="utf-8")
    for split in ("train", "val"):
        (tmp_path / f"{split}.ln").write_text("good.jpg\nbad.jpg\n", encoding="utf-8")
    options = ["--data_dir", tmp_path, "--output_dir", tmp_path / "run", *QUICK, "--max_steps", 1]
    with pytest.raises(SystemExit, match="bad.*needs 59 frames.*gives 32"):
        run_inside(train_hf, monkeypatch, *options)
    assert not list(tmp_path.glob("run/checkpoint-*"))


def test_fine_tuning_needs_its_characters_or_extends_the_alphabet(train_hf, line_folder, tmp_path, monkeypatch):
    quick = [*QUICK, "--max_steps", 1, "--per_device_train_batch_size", 4, "--save_strategy", "no"]
    run_inside(train_hf, monkeypatch, "--data_dir", line_folder, "--output_dir", tmp_path / "base", *quick)
    (tmp_path / "new").mkdir()
    for path in (line_folder / "lines").iterdir():
        text = "na\u00efve" if path.suffix == ".txt" else None
        target = tmp_path / "new" / path.name
        target.write_text(text, encoding="utf-8") if text else target.write_bytes(path.read_bytes())
    (tmp_path / "lines").symlink_to(tmp_path / "new")
    for split in ("train", "val"):
        (tmp_path / f"{split}.ln").write_text("train-00.jpg\ntrain-01.jpg\n", encoding="utf-8")
    options = ["--data_dir", tmp_path, "--model_name_or_path", tmp_path / "base", *quick]
    with pytest.raises(SystemExit, match=r"'\u00ef' \(U\+00EF, first in train-00\).*--extend_alphabet"):
        run_inside(train_hf, monkeypatch, *options, "--output_dir", tmp_path / "refused")
    run_inside(train_hf, monkeypatch, *options, "--output_dir", tmp_path / "tuned", "--extend_alphabet")
    vocabulary = json.loads((tmp_path / "tuned" / "vocab.json").read_text(encoding="utf-8"))
    assert list(vocabulary)[-1] == "\u00ef"
    assert weights(tmp_path / "tuned")["ctc_head.weight"].shape[0] == len(vocabulary)


@pytest.mark.parametrize("validation", [True, False])
def test_fine_tuning_shows_what_it_gains(root, train_hf, line_folder, tmp_path, monkeypatch, validation):
    monkeypatch.chdir(root)
    folder = tmp_path / "hand"
    folder.mkdir()
    for name in ("lines", "train.ln", *(["val.ln"] if validation else [])):
        (folder / name).symlink_to(line_folder / name)
    options = ["--data_dir", folder, "--output_dir", tmp_path / "run", "--max_steps", 2, *QUICK[4:]]
    run_inside(train_hf, monkeypatch, "recipes/finetune.yaml", *options, "--save_strategy", "no")
    log = TrainerState.load_from_json(str(tmp_path / "run" / "trainer_state.json")).log_history
    evaluated = [entry["step"] for entry in log if "eval_cer" in entry]
    assert evaluated == ([0, 1, 2] if validation else [])
    assert (tmp_path / "run" / "model.safetensors").exists()

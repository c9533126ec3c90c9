# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Teaching: what it learns from, what a kill leaves, and that the model never gets worse silently."""

import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor
from htr_convtext.hub_upload.push import check_folder
from htr_convtext.line_datasets import load_lines
from htr_convtext.pages import cut_line
from htr_convtext.training.options import parse_arguments
from htr_convtext.workbench import dataset
from htr_convtext.workbench import teaching as module
from htr_convtext.workbench.dataset import (
    KEPT,
    LINES,
    TRAIN,
    CorrectedLines,
    corrected_lines,
    offer_pages,
    suggested_pages,
    write_lines,
)
from htr_convtext.workbench.project import Project, ProjectError
from htr_convtext.workbench.reading import Reader
from htr_convtext.workbench.teaching import (
    FAILED,
    INTERRUPTED,
    PREPARING,
    SCORED,
    TRAINING,
    Teaching,
    curves,
    score,
)
from htr_convtext.workbench.uploads import add_uploads
from htr_convtext.workbench.views import teaching_html


def write_biased(source: Path, folder: Path, bias: float) -> Path:
    """The untrained network, with blank more or less likely: it reads nothing at all, or far too much."""
    model = HTRConvTextForCTC.from_pretrained(source)
    with torch.no_grad():
        model.ctc_head.bias[0] += bias
    model.save_pretrained(folder)
    HTRConvTextProcessor.from_pretrained(source).save_pretrained(folder)
    return folder


@pytest.fixture
def run(project, accept_all, model_folder, tmp_path):
    """A run with its lines, and with no model in it yet."""
    accept_all(project)
    folder = project.folder / "teaching" / "run_001"
    lists = write_lines(project, folder / module.DATA, ["page_3"])
    (folder / "run").mkdir()
    teaching = Teaching(project)
    numbers = {"lines": len(lists[TRAIN]), "kept_lines": len(lists[KEPT])}
    state = {"state": FAILED, "model": str(model_folder), "kept": ["page_3"], "steps": 40, "used": False, **numbers}
    teaching.change(folder, **state)
    return folder


def put_models(run: Path, teaching: Teaching, source: Path, tmp_path: Path, before: float, after: float) -> None:
    teaching.change(run, model=str(write_biased(source, tmp_path / "before", before)))
    write_biased(source, run / "run" / "best_cer", after)


def test_a_better_model_is_used_complete_with_its_card(project, run, model_folder, tmp_path):
    teaching = Teaching(project)
    put_models(run, teaching, model_folder, tmp_path, before=-8, after=1000)
    found = score(run, teaching.state(run))
    assert found["after"] == 1.0 < found["before"] and found["better"]
    assert {each["after"] for each in found["examples"]} == {""}
    teaching.change(run, state=SCORED, score=found)
    assert teaching.use(run) == "taught_001"
    folder = project.folder / "models" / "taught_001"
    check_folder(folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{100 * found['before']:.2f} % before, 100.00 % after" in card and "6 corrected lines" in card
    assert project.settings["model"] == "models/taught_001"
    assert Reader(project).recognizer().model.ctc_head.bias[0] > 500


def test_a_used_model_that_has_learnt_more_can_be_used_again(project, run, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Teaching, "follow", lambda self, run: None)
    teaching, reader = Teaching(project), Reader(project)
    biases = []
    for bias in (1000, 2000):
        write_biased(model_folder, run / "run" / "best_cer", bias)
        found = {"before": 1.0, "after": 0.5, "better": True, "examples": []}
        teaching.change(run, state=SCORED, stopped=True, score=found)
        assert not teaching.state(run)["used"]
        teaching.use(run)
        biases.append(round(reader.recognizer().model.ctc_head.bias[0].item(), -3))
        teaching.go_on()
    assert biases == [1000, 2000]


def test_a_used_model_in_whose_place_another_was_chosen_can_be_used_again(project, run, model_folder):
    teaching = Teaching(project)
    write_biased(model_folder, run / "run" / "best_cer", 0)
    teaching.change(run, state=SCORED, score={"before": 1.0, "after": 0.5, "better": True, "examples": []})
    teaching.use(run)
    assert "The taught model is in use" in teaching_html(teaching.status(), 6)
    project.change_settings(model=str(model_folder))
    assert not teaching.status()["used"] and "Press Use this model" in teaching_html(teaching.status(), 6)
    teaching.use(run)
    assert teaching.status()["used"]


def test_a_project_that_was_moved_finds_the_models_of_its_runs(project, run, model_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(Teaching, "follow", lambda self, run: None)
    write_biased(model_folder, project.folder / "models" / "taught_001", 0)
    project.change_settings(model="models/taught_001")
    name = Teaching(project).start(["page_3"]).name
    project.close()
    moved = Project(shutil.move(project.folder, tmp_path / "stick"))
    teaching = Teaching(moved)
    state = teaching.with_model(teaching.state(teaching.folder / name))
    assert state["model"] == str(moved.folder / "models" / "taught_001")
    assert state["model"] in teaching.options(teaching.folder / name, teaching.state(teaching.folder / name))
    moved.close()


def test_a_model_that_got_worse_is_not_used(project, run, model_folder, tmp_path):
    teaching = Teaching(project)
    put_models(run, teaching, model_folder, tmp_path, before=1000, after=-8)
    found = score(run, teaching.state(run))
    assert not found["better"] and found["after"] > found["before"] == 1.0
    teaching.change(run, state=SCORED, score=found)
    before = project.settings["model"]
    with pytest.raises(ProjectError, match="does not read the kept pages better"):
        teaching.use(run)
    assert project.settings["model"] == before and not any((project.folder / "models").iterdir())


def test_it_learns_from_the_corrected_lines_but_for_the_kept_pages(project, accept_all, tmp_path):
    accept_all(project)
    lines = corrected_lines(project)
    assert lines.of_page == {"page_1": 3, "page_2": 3, "page_3": 3} and suggested_pages(lines) == ["page_3"]
    line = project.line("page_1", 1)
    project.undo()  # The last line of page_3 is the model's again.
    write_lines(project, tmp_path / "data", ["page_3"])
    splits = load_lines("lines", tmp_path / "data", cache_dir=tmp_path / "cache")
    assert {name: len(split) for name, split in splits.items()} == {"train": 6, "validation": 2}
    assert line.text in splits["train"]["text"]
    assert all(image.height > 30 for image in splits["train"]["image"])


def test_pages_whose_names_begin_as_comments_in_a_list_are_learnt_from(project, accept_all, tmp_path):
    accept_all(project)
    for path in (project.folder / "pages").glob("page_1.*"):
        path.rename(path.with_name(f"#{path.name}"))
    (xml,) = (project.folder / "pages").glob("#page_1*.xml")
    xml.write_text(xml.read_text("utf-8").replace('"page_1.', '"#page_1.'), "utf-8")
    write_lines(project, tmp_path / "data", [])
    lines = load_lines("lines", tmp_path / "data", cache_dir=tmp_path / "cache")["train"]
    assert len(lines) == corrected_lines(project).number and "#page_1_001" in lines["line_id"]


def test_hebrew_is_learnt_as_it_stands_on_the_page(project, hebrew_line, tmp_path):
    (name,) = write_lines(project, tmp_path, [])[TRAIN]
    with Image.open(tmp_path / LINES / name) as image:
        assert image.tobytes() == hebrew_line[1].tobytes()


def test_lines_that_cannot_do_are_told_before_anything_starts(project, accept_all):
    teaching = Teaching(project)
    with pytest.raises(ProjectError, match="Choose a page to keep for scoring"):
        teaching.start(["page_3"])
    accept_all(project)
    with pytest.raises(ProjectError, match="Correct lines on another page"):
        teaching.start(["page_1", "page_2", "page_3"])
    assert teaching.runs() == []


def test_pages_that_the_user_keeps_stay_while_more_is_corrected(project):
    lines = [CorrectedLines({"page_1": number, "page_2": 3, "page_3": 3}) for number in (1, 2, 3)]
    project.change_settings(kept=["page_2"])
    offer = offer_pages(project, lines[0], [], None)
    assert offer.kept == ["page_2"] and suggested_pages(lines[0]) == ["page_3"]
    assert offer_pages(project, lines[1], offer.kept, offer).kept == ["page_2"]
    for number in (1, 2):  # Those that would be suggested, too.
        offer = offer_pages(project, lines[number], ["page_3"], offer)
        assert offer.kept == ["page_3"]
    fewer = CorrectedLines({"page_1": 3, "page_2": 3})
    assert offer_pages(project, fewer, ["page_3"], offer).kept == ["page_2"]


def test_runs_that_were_removed_are_in_no_ones_way(project, accept_all, monkeypatch):
    monkeypatch.setattr(Teaching, "follow", lambda self, run: None)
    accept_all(project)
    teaching = Teaching(project)
    for name in ("run_002", "run_999", "run_1000"):
        teaching.change(project.folder / "teaching" / name, state=FAILED)
    assert teaching.last().name == "run_1000"
    assert teaching.start(["page_3"]).name == "run_1001"


@pytest.fixture
def slow_cutting(monkeypatch) -> threading.Event:
    """Cutting out a line waits for this."""
    may_go_on = threading.Event()

    def cut(*arguments):
        assert may_go_on.wait(600)
        return cut_line(*arguments)

    monkeypatch.setattr(dataset, "cut_line", cut)
    return may_go_on


def test_lines_are_cut_out_in_the_background_which_can_be_stopped(project, accept_all, monkeypatch, slow_cutting):
    accept_all(project)
    teaching = Teaching(project)
    run = teaching.start(["page_3"])
    shown = teaching_html(teaching.status(), 9)
    assert "Cutting 9 corrected lines out of the pages: 0 done." in shown and 'max="9" value="0"' in shown
    teaching.stop()
    slow_cutting.set()
    teaching.follower.join()
    assert teaching.status()["state"] == INTERRUPTED and teaching.status()["can_go_on"]
    assert not (run / module.DATA / TRAIN).exists()

    launched = []
    monkeypatch.setattr(Teaching, "launch", lambda self, run: launched.append(self.change(run, state=FAILED)))
    teaching.go_on()
    teaching.follower.join()
    (state,) = launched
    assert (state["lines"], state["kept_lines"]) == (6, 3)
    assert [len((run / module.DATA / name).read_text().splitlines()) for name in (TRAIN, KEPT)] == [6, 3]


def test_a_workbench_that_ended_while_it_cut_out_lines_goes_on_by_itself(project, accept_all, monkeypatch):
    accept_all(project)
    run = project.folder / "teaching" / "run_001"
    run.mkdir()
    state = {"state": PREPARING, "model": "", "kept": ["page_2"], "steps": 40, "lines": 6, "kept_lines": 3}
    monkeypatch.setattr(Teaching, "launch", lambda self, run: self.change(run, state=FAILED, error="No process here."))
    module.write_json(run / "state.json", state | {"used": False})
    (run / module.DATA).mkdir()
    (run / module.DATA / "half.png").write_bytes(b"")
    teaching = Teaching(project)
    teaching.follower.join()
    assert teaching.state(run)["is_cut"] and not (run / module.DATA / "half.png").exists()
    assert "Teaching failed. No process here." in teaching_html(teaching.status(), 9)


@pytest.mark.parametrize("steps, check", [(10, 10), (45, 23), (400, 50), (2000, 250)])
def test_the_options_are_those_of_the_recipe_and_the_last_step_is_checked(project, run, steps, check):
    teaching = Teaching(project, ["--use_cpu"])
    steps = module.whole_checks(steps) * module.steps_of_check(steps)
    options = teaching.options(run, {"steps": steps, "model": "some/model"})
    model_args, _, args = parse_arguments(options)
    assert (model_args.extend_alphabet, args.freeze_batch_norm, args.tcm_weight) == (True, True, 0.0)
    assert args.eval_steps == args.save_steps == check and args.max_steps % check == 0


LOG = """{'eval_cer': '1.5', 'eval_wer': '1', 'epoch': '0'}
a warning
{'loss': '12.5', 'grad_norm': '3', 'learning_rate': '1e-05', 'epoch': '2'}
{'loss': 'nan
{'loss': '11.25', 'grad_norm': '3', 'learning_rate': '1e-05', 'epoch': '4'}
{'eval_cer': '0.75', 'eval_wer': '1', 'epoch': '4'}
{'train_runtime': '10', 'train_loss': '11', 'epoch': '4'}
"""


def test_curves_are_read_from_what_the_process_says(tmp_path):
    (tmp_path / "log.txt").write_text(LOG, encoding="utf-8")
    losses, rates = curves(tmp_path, {"steps": 240})
    assert losses == [(6, 12.5), (12, 11.25)] and rates == [(0, 1.5), (12, 0.75)]


def wait_until(condition, seconds: float = 900) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.1)


@pytest.mark.slow  # test_trainer.py and the browser's test cover its halves
def test_a_training_that_is_killed_goes_on_from_its_checkpoint(project, accept_all):
    accept_all(project)
    options = ["--use_cpu", "--per_device_train_batch_size", "2"]
    teaching = Teaching(project, options)
    run = teaching.start(["page_3"], rounds=40)
    wait_until(lambda: (run / "run" / "checkpoint-20").is_dir() or not teaching.is_busy())
    found_again = Teaching(project, options)  # As after a kill of the workbench alone: the training goes on.
    assert found_again.is_busy() and found_again.status()["state"] == TRAINING
    os.kill(teaching.state(run)["process"], signal.SIGKILL)
    teaching.follower.join()
    found_again.follower.join()
    assert teaching.state(run)["state"] == INTERRUPTED, (run / "log.txt").read_text(encoding="utf-8")[-2000:]
    with pytest.raises(ProjectError, match="so the one of before stays"):
        teaching.use(run)

    again = Teaching(project, options)  # As after a restart of the workbench.
    assert again.status()["can_go_on"]
    again.go_on()
    wait_until(lambda: again.state(run)["state"] != PREPARING)
    assert again.state(run)["first_step"] == 20
    again.follower.join()
    status = again.status()
    assert status["state"] == SCORED, (run / "log.txt").read_text(encoding="utf-8")[-2000:]
    assert {"before", "after", "better"} <= set(status["score"])
    assert (run / "run" / "checkpoint-40").is_dir()


WORDS = (
    "le la un une mon cher ami lettre maison jour soir pain vin bonne heure petit grand revoir demain toujours".split()
)


@pytest.mark.slow  # Minutes: it teaches the released model. With -s it prints the figures.
def test_the_released_model_learns_a_hand(tmp_path, root, drawn_pages, capsys):
    """From the first page to the taught model, on drawn pages of a font."""
    project = Project(tmp_path / "project", str(root / "hub_upload" / "htr-convtext-fr"))
    choose = random.Random(0)
    texts = {f"page_{page}": [" ".join(choose.choices(WORDS, k=5)) for _ in range(8)] for page in range(1, 5)}
    began = time.monotonic()
    for name, of_page in texts.items():
        lines = [drawn_pages.DrawnLine(text, 40, 90 + 80 * row) for row, text in enumerate(of_page)]
        xml = drawn_pages.write_page(tmp_path / "uploads", name, lines, size=(760, 740))
        assert add_uploads(project, [xml, xml.with_suffix(".png")]).problems == []
    Reader(project).start().join()
    read = time.monotonic()
    for name, of_page in texts.items():
        for line, text in zip(project.lines(project.page(name)), of_page, strict=True):
            project.accept(*line.key, text, line.version)
    teaching = Teaching(project, ["--use_cpu"])
    run = teaching.start(["page_4"], rounds=20)
    teaching.follower.join()
    status = teaching.status()
    assert status["state"] == SCORED, (run / "log.txt").read_text(encoding="utf-8")[-2000:]
    score = status["score"]
    assert score["better"] and teaching.use(run) == "taught_001"
    with capsys.disabled():
        print(f"\n32 lines read in {(read - began) / 60:.1f} minutes; 24 learnt in {status['steps']} steps", end=" ")
        print(f"and 8 scored in {(time.monotonic() - read) / 60:.1f}; CER {100 * score['before']:.1f} %", end=" ")
        print(f"before, {100 * score['after']:.1f} % after")
    project.close()


def test_a_workbench_that_starts_again_finds_out_what_became_of_the_training(project, run):
    teaching = Teaching(project)
    teaching.change(run, state=TRAINING, process=2**22 + 1, process_started=0.0)
    shutil.rmtree(run / "run")
    again = Teaching(project)
    again.follower.join()
    assert again.status()["state"] == INTERRUPTED and again.status()["can_go_on"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Teaching a project's model from its corrected lines: train_hf.py with recipes/finetune.yaml, in a process of its own.

Each time has a folder in `teaching/`: `data/` is what it learns from, `run/` what train_hf.py writes, `log.txt` what
it says, and `state.json` how far it is. A thread cuts the lines out and starts the process, which goes on if the
workbench ends, and is found again.
"""

import ast
import contextlib
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from ..hub_upload.release import release
from ..images_htr_convtext import load_image, to_grey
from ..pipeline_htr_convtext import HTRConvTextPipeline
from ..training.checkpoints import checkpoints
from ..training.evaluation import ReadLine, cer_of, score_line
from .card import write_card
from .dataset import KEPT, LINES, TRAIN, corrected_lines, write_lines
from .project import Project, ProjectError
from .reading import PACKAGE, load_recognizer, path_of_model
from .records import read_json, write_json

SCRIPT, RECIPE = PACKAGE / "train_hf.py", PACKAGE / "recipes" / "finetune.yaml"
DATA = "data"
ROUNDS = 20  # As often as the recipe learns each line.
# Checks on the kept pages, each with a checkpoint to go on from: at most so many, of at least so many steps. Points of
# the loss.
CHECKS, FEWEST_STEPS = 8, 20
POINTS = 40
BATCH_SIZE = 8
SHOWN_EXAMPLES = 12
# How far a run is: its lines are being cut out; training; ended before its end, by whatever; failed; trained; and
# compared with the model before.
PREPARING, TRAINING, INTERRUPTED, FAILED = "preparing", "training", "interrupted", "failed"
TRAINED, SCORED = "trained", "scored"
BUSY = (PREPARING, TRAINING, TRAINED)
STOP_SECONDS = 10


class Stopped(Exception):
    """The user has stopped teaching while lines were cut out."""


class Teaching:
    """
    The runs of a project, of which one at most is training.

    Args:
        project: The project.
        extra: Further options of train_hf.py, for example `("--use_cpu",)`.
    """

    def __init__(self, project: Project, extra: Sequence[str] = ()):
        self.project = project
        self.extra = list(extra)
        self.lock = threading.RLock()
        self.process: subprocess.Popen | None = None
        self.follower: threading.Thread | None = None
        self.stopping = threading.Event()
        self.cut = 0
        if (run := self.last()) is not None and self.state(run)["state"] in BUSY:
            self.follow(run)

    @property
    def folder(self) -> Path:
        return self.project.folder / "teaching"

    def runs(self) -> list[Path]:
        found = (path for path in self.folder.glob("run_*") if (path / "state.json").is_file())
        return sorted(found, key=lambda path: (number_of(path), path))

    def last(self) -> Path | None:
        return next(iter(self.runs()[-1:]), None)

    def state(self, run: Path) -> dict[str, Any]:
        return read_json(run / "state.json")

    def change(self, run: Path, **changes: Any) -> dict[str, Any]:
        with self.lock:
            state = self.state(run) | changes
            write_json(run / "state.json", state)
            return state

    def is_busy(self) -> bool:
        return self.follower is not None and self.follower.is_alive()

    # Starting, stopping, going on

    def start(self, kept: Sequence[str], rounds: int = ROUNDS) -> Path:
        """
        Begins to teach the project's model; cutting out its lines, too, is done in the background.

        Args:
            kept: Pages whose lines are not learnt but read before and after.
            rounds: How often each line is learnt.

        Raises:
            ProjectError: If it is being taught already, or there are no lines to learn or to score by.
        """
        with self.lock:
            if self.is_busy():
                raise ProjectError("The model is being taught already. Wait for it, or stop it first.")
            numbers = check_lines(self.project, kept)
            run = self.folder / f"run_{1 + max(map(number_of, self.folder.glob('run_*')), default=0):03d}"
            run.mkdir(parents=True)
            self.project.change_settings(kept=list(kept))
            steps = rounds * math.ceil(numbers["lines"] / BATCH_SIZE)
            steps, model = whole_checks(steps) * steps_of_check(steps), self.project.settings["model"]
            self.change(run, state=PREPARING, model=model, kept=list(kept), steps=steps, **numbers, used=False)
            self.follow(run)
            return run

    def go_on(self) -> Path:
        """
        Goes on with the last run from its last checkpoint, or from its beginning if it has none.

        Raises:
            ProjectError: If there is none that was interrupted.
        """
        with self.lock:
            run = self.last()
            if run is None or self.is_busy() or not self.can_go_on(run):
                raise ProjectError("There is no teaching that was interrupted. Start a new one.")
            self.change(run, state=PREPARING, stopped=False, score=None, used=False)
            self.follow(run)
            return run

    def can_go_on(self, run: Path) -> bool:
        state = self.state(run)
        return state["state"] in (INTERRUPTED, FAILED) or bool(state["state"] == SCORED and state.get("stopped"))

    def prepare(self, run: Path) -> None:
        """Cuts the lines out, unless a run that goes on has them already, and starts the training."""
        state = self.state(run)
        if not state.get("is_cut"):
            shutil.rmtree(run / DATA, ignore_errors=True)
            lists = write_lines(self.project, run / DATA, state["kept"], self.count_cut)
            self.change(run, is_cut=True, lines=len(lists[TRAIN]), kept_lines=len(lists[KEPT]))
        with self.lock:
            self.end_if_stopped()
            self.launch(run)

    def count_cut(self, number: int) -> None:
        self.cut = number
        self.end_if_stopped()

    def end_if_stopped(self) -> None:
        if self.stopping.is_set():
            raise Stopped

    def launch(self, run: Path) -> None:
        command = [sys.executable, str(SCRIPT), *self.options(run, self.state(run))]
        if checkpoints(run / "run"):
            command.append("--resume_from_checkpoint")
        else:
            shutil.rmtree(run / "run", ignore_errors=True)
        path = os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])
        environment = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        with (run / "log.txt").open("ab") as log:
            # A session of its own, so that what ends the workbench does not end it.
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True, cwd=run
            )
        identity = {"process": self.process.pid, "process_started": psutil.Process(self.process.pid).create_time()}
        self.change(run, state=TRAINING, started=time.time(), first_step=last_step(run), **identity)

    def options(self, run: Path, state: dict[str, Any]) -> list[str]:
        steps = state["steps"]
        check = steps_of_check(steps)
        options = {
            "data_dir": run / DATA,
            "output_dir": run / "run",
            "disable_tqdm": "true",
            "model_name_or_path": path_of_model(self.project, state["model"]),
            "report_to": "none",
            "max_steps": steps,
            "warmup_steps": max(1, steps // 10),
            "eval_steps": check,
            "save_steps": check,
            "logging_steps": steps_of_point(steps),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return [str(RECIPE), *words, *self.extra]

    def stop(self) -> None:
        """Ends the training; what it has learnt up to its last check is scored, and it can go on later."""
        with self.lock:
            run = self.last()
            state = self.state(run) if run is not None else {}
            if run is None or state["state"] not in (PREPARING, TRAINING):
                raise ProjectError("No teaching is going on. Press Teach to begin.")
            self.stopping.set()
            process = running_process(state) if state["state"] == TRAINING else None
            if process is not None:
                self.change(run, stopped=True)
        if process is not None:
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(STOP_SECONDS)
            if process.is_running():
                process.kill()

    # Following

    def follow(self, run: Path) -> None:
        self.stopping.clear()
        self.cut = 0
        self.follower = threading.Thread(target=self.see_through, args=(run,), name="teaching", daemon=True)
        self.follower.start()

    def see_through(self, run: Path) -> None:
        """Starts the process, waits for it, and compares what it learnt with the model of before."""
        try:
            if self.state(run)["state"] == PREPARING:
                self.prepare(run)
            while self.state(run)["state"] == TRAINING and self.is_training(run):
                time.sleep(0.5)
            state = self.state(run)
            if state["state"] == TRAINING:
                state = self.change(run, state=self.outcome(run), ended=time.time())
            if state["state"] == TRAINED:
                self.change(run, state=SCORED, score=score(run, self.with_model(state)))
        except Stopped:
            self.change(run, state=INTERRUPTED)
        except ProjectError as error:
            self.change(run, state=FAILED, error=str(error))
        except Exception as error:  # The browser must be told, whatever it is.
            self.change(run, state=FAILED, error=f"{type(error).__name__}: {error}. Press Go on to try again.")

    def is_training(self, run: Path) -> bool:
        if self.process is not None and self.process.pid == self.state(run).get("process"):
            return self.process.poll() is None
        return running_process(self.state(run)) is not None

    def outcome(self, run: Path) -> str:
        """What has become of a run whose process has ended."""
        ended = (run / "run" / "train_results.json").is_file()
        if (ended or self.state(run).get("stopped")) and (run / "run" / "best_cer").is_dir():
            return TRAINED
        code = self.process.poll() if self.process is not None else None
        return FAILED if code is not None and code > 0 and not self.state(run).get("stopped") else INTERRUPTED

    # Using

    def use(self, run: Path) -> str:
        """
        Makes the taught model the project's; its folder in `models/` is complete for the Hub.

        Returns:
            The folder's name.

        Raises:
            ProjectError: If the run has not ended, or did not make the model better.
        """
        with self.lock:
            state = self.state(run)
            if not (state.get("score") or {}).get("better"):
                raise ProjectError("The taught model does not read the kept pages better, so the one of before stays.")
            folder = self.project.folder / taught_model(run)
            release([run / "run" / "best_cer"], folder)
            write_card(folder, self.with_model(state))
            self.project.change_settings(model=taught_model(run))
            self.change(run, used=True)
            return folder.name

    def with_model(self, state: dict[str, Any]) -> dict[str, Any]:
        """A run's state with the folder that its model has now: the project may have been moved."""
        return state | {"model": path_of_model(self.project, state["model"])}

    def status(self) -> dict[str, Any]:
        """What to show of the last run; `state` is "idle" if there is none."""
        run = self.last()
        if run is None:
            return {"state": "idle"}
        state = self.state(run)
        losses, rates = curves(run, state)
        step = max([state.get("first_step", 0), *(each for each, _ in losses), *(each for each, _ in rates)])
        return state | {
            "run": run.name,
            # Another may have been chosen since, with --model.
            "used": state.get("used", False) and self.project.settings["model"] == taught_model(run),
            "cut": self.cut,
            "step": step,
            "losses": losses,
            "rates": rates,
            "minutes_left": minutes_left(state, step),
            "can_go_on": not self.is_busy() and self.can_go_on(run),
            "last_words": last_words(run) if state["state"] == FAILED else "",
        }


def number_of(run: Path) -> int:
    """Number of a run's folder, of which some may have been removed; 0 if it has none."""
    number = run.name.removeprefix("run_")
    return int(number) if number.isdecimal() else 0


def taught_model(run: Path) -> str:
    """The folder of what a run has learnt, once it is used, seen from the project's."""
    return f"models/taught_{run.name.removeprefix('run_')}"


def whole_checks(steps: int) -> int:
    """How often the kept pages are read while so many steps are made."""
    return max(1, min(CHECKS, steps // FEWEST_STEPS))


def steps_of_check(steps: int) -> int:
    return math.ceil(steps / whole_checks(steps))


def steps_of_point(steps: int) -> int:
    return max(1, steps // POINTS)


def check_lines(project: Project, kept: Sequence[str]) -> dict[str, int]:
    """How many lines there are to learn and to score by; an error if there are none of either."""
    of_page = corrected_lines(project).of_page
    to_score = sum(number for name, number in of_page.items() if name in kept)
    to_learn = sum(of_page.values()) - to_score
    if not to_score:
        raise ProjectError("Choose a page to keep for scoring, of which some lines are corrected.")
    if not to_learn:
        raise ProjectError(
            "All corrected lines are on the pages kept for scoring. Correct lines on another page, too."
        )
    return {"lines": to_learn, "kept_lines": to_score}


def running_process(state: dict[str, Any]) -> psutil.Process | None:
    """The process of a run if it lives; another one may have its number by now."""
    try:
        process = psutil.Process(state["process"])
        same = abs(process.create_time() - state["process_started"]) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (KeyError, psutil.Error):
        return None


def last_step(run: Path) -> int:
    found = checkpoints(run / "run")
    return int(found[-1].name.removeprefix("checkpoint-")) if found else 0


# What the process says: the dicts that transformers prints, whose epoch tells the step.
LOGGED = re.compile(r"^\{'.*\}$", re.MULTILINE)


def curves(run: Path, state: dict[str, Any]) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Steps with the losses, and steps with the character error rates on the kept pages."""
    losses: dict[int, float] = {}
    rates: dict[int, float] = {}
    log = run / "log.txt"
    entries = list(logged(log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""))
    # The first loss is that of the first so many steps.
    first = next((entry["epoch"] for entry in entries if "loss" in entry), 1.0)
    steps_an_epoch = steps_of_point(state["steps"]) / first
    for entry in entries:
        step = round(entry["epoch"] * steps_an_epoch)
        if "eval_cer" in entry:
            rates[step] = entry["eval_cer"]
        elif "loss" in entry:
            losses[step] = entry["loss"]
    return sorted(losses.items()), sorted(rates.items())


def logged(text: str) -> Iterator[dict[str, float]]:
    """The numbers that were printed; what is cut short, or none, is left out."""
    for found in LOGGED.findall(text):
        with contextlib.suppress(ValueError, SyntaxError, TypeError):
            entry = {name: float(value) for name, value in ast.literal_eval(found).items()}
            if "epoch" in entry:
                yield entry


def minutes_left(state: dict[str, Any], step: int) -> float | None:
    """From the pace since the process began; None before its first steps."""
    done = step - state.get("first_step", 0)
    if state["state"] != TRAINING or done <= 0:
        return None
    return (time.time() - state["started"]) / done * (state["steps"] - step) / 60


def last_words(run: Path) -> str:
    """The last line of the log: the script ends with a sentence where it knows what is wrong."""
    log = run / "log.txt"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else ""


# Before and after


def score(run: Path, state: dict[str, Any]) -> dict[str, Any]:
    """
    Reads the kept lines with the model of before and with the taught one, as pages are read.

    Returns:
        `before` and `after`, the character error rates; whether the taught one is `better`; and `examples`, the lines
        whose edits changed most, each with `line`, `written`, `before`, `after` and its edits before and after.
    """
    names = (run / DATA / KEPT).read_text(encoding="utf-8").split("\n")[:-1]
    before = read_kept(run, names, load_recognizer(state["model"]))
    after = read_kept(run, names, load_recognizer(str(run / "run" / "best_cer")))
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old.prediction != new.prediction]
    pairs.sort(key=lambda pair: pair[1].edits - pair[0].edits)
    # As many of those that got worse as there are, up to a third: an honest choice shows both.
    worse = [pair for pair in pairs[::-1] if pair[1].edits > pair[0].edits][: SHOWN_EXAMPLES // 3]
    shown = [pair for pair in pairs if pair not in worse][: SHOWN_EXAMPLES - len(worse)] + worse
    return {
        "before": cer_of(before),
        "after": cer_of(after),
        "better": cer_of(after) < cer_of(before),
        "changed": len(pairs),
        "examples": [example(old, new) for old, new in shown],
    }


def read_kept(run: Path, names: Sequence[str], recognizer: HTRConvTextPipeline) -> list[ReadLine]:
    images = [to_grey(load_image(run / DATA / LINES / name)) for name in names]
    readings = recognizer.read([recognizer.prepare(image, is_one_line=True) for image in images], BATCH_SIZE)
    texts = [
        (run / DATA / LINES / name).with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n") for name in names
    ]
    lines = zip(names, texts, readings, strict=True)
    return [score_line(name.removesuffix(".png"), text, reading["text"]) for name, text, reading in lines]


def example(before: ReadLine, after: ReadLine) -> dict[str, Any]:
    return {
        "line": before.line_id,
        "written": before.reference,
        "before": before.prediction,
        "after": after.prediction,
        "edits_before": before.edits,
        "edits_after": after.edits,
    }

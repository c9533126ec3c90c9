# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""How runs that cannot begin or go on end."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from htr_convtext.training import ending_with_a_sentence, taken
from htr_convtext.training.ending import ERROR_FILE_VARIABLE, LOCK_FILE


def options(output_dir="unused", **given) -> SimpleNamespace:
    return SimpleNamespace(**{"output_dir": str(output_dir), "do_train": True, "process_index": 0, **given})


@pytest.mark.parametrize("kind", [OSError, FileNotFoundError, ValueError, FloatingPointError, MemoryError])
def test_an_error_that_tells_what_to_do_is_a_sentence(kind):
    with pytest.raises(SystemExit) as ended, ending_with_a_sentence(options(log_level="passive")):
        raise kind("Do this.")
    assert ended.value.code == "train_hf.py: Do this."


@pytest.mark.parametrize(("kind", "level"), [(ValueError, "debug"), (RuntimeError, "passive"), (KeyError, "passive")])
def test_other_errors_and_those_to_be_looked_at_keep_their_traceback(kind, level):
    with pytest.raises(kind), ending_with_a_sentence(options(log_level=level)):
        raise kind("Do this.")


def test_torchs_launcher_ends_with_the_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv(ERROR_FILE_VARIABLE, str(tmp_path / "error.json"))
    with pytest.raises(SystemExit), ending_with_a_sentence(options(log_level="passive")):
        raise ValueError("Name the lines like \u201epage3_01\u201c.")
    failure = ProcessFailure(local_rank=1, pid=7, exitcode=1, error_file=str(tmp_path / "error.json"))
    shown = str(ChildFailedError("train_hf.py", {1: failure})).rstrip("= \n").splitlines()[-1]
    assert shown.endswith(": train_hf.py: Name the lines like \u201epage3_01\u201c.")


def test_two_trainings_do_not_write_to_one_folder(tmp_path):
    with taken(options(tmp_path / "run")):
        with pytest.raises(ValueError, match="Another training is writing to .*run. Choose another --output_dir"):
            with taken(options(tmp_path / "run")):
                pass
        for other in (options(tmp_path / "other"), options(tmp_path / "run", process_index=1),
                      options(tmp_path / "run", do_train=False)):  # fmt: skip
            with taken(other):
                pass
    with taken(options(tmp_path / "run")):
        pass


def test_the_folder_of_a_training_that_was_killed_is_free(tmp_path):
    lock = f"lock = filelock.FileLock({str(tmp_path / LOCK_FILE)!r}); lock.acquire()"
    hold = f"import filelock; {lock}; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(ValueError, match="Another training"), taken(options(tmp_path)):
            pass
        process.kill()
    with taken(options(tmp_path)):
        pass


def test_a_folder_that_cannot_be_written_to_is_named_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match="--output_dir .*run cannot be written to: "),
        taken(options(tmp_path / "file" / "run")),
    ):
        pass


def test_a_model_that_could_not_be_written_at_the_end_is_told(make_trainer, monkeypatch):
    trainer = make_trainer(max_steps=1, save_strategy="steps", save_steps=1)
    trainer.train()

    def fail(*args, **kwargs):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(trainer.recognizer, "save_pretrained", fail)
    with pytest.raises(OSError, match="not whole there: .*No space left.* Make room, .*--resume_from_checkpoint"):
        trainer.save_model()

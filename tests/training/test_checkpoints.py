# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are replaced whole, and damaged ones."""

import pytest
import torch

from htr_convtext.training import ExponentialMovingAverage, HTRConvTextTrainingArguments, check_output_dir
from htr_convtext.training.checkpoints import (
    MODEL_FILE,
    OWN_WEIGHTS_FILE,
    load_training_weights,
    save_file,
    save_training_weights,
    whole_folder,
)


def test_what_a_killed_process_left_does_not_stop_the_next_ones(tmp_path):
    for name in ("best_cer", "best_cer.old.incomplete", "best_cer.incomplete"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text(name)
    with whole_folder(tmp_path / "best_cer") as folder:
        (folder / "new").write_text("new")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["best_cer", "best_cer/new"]


@pytest.mark.parametrize("name", [MODEL_FILE, OWN_WEIGHTS_FILE])
def test_a_damaged_checkpoint_is_named(tmp_path, name):
    model = torch.nn.Linear(3, 2)
    ema = ExponentialMovingAverage(model, 0.999)
    save_file(model.state_dict(), tmp_path / MODEL_FILE)
    save_training_weights(tmp_path, model, None, ema)
    load_training_weights(tmp_path, model, None, ema)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"^{tmp_path} is damaged .*Resume from another checkpoint.$"):
        load_training_weights(tmp_path, model, None, ema)


@pytest.mark.parametrize("resume", [None, "last"])
def test_a_run_stopped_before_its_first_checkpoint_sends_nobody_in_a_circle(tmp_path, resume):
    """As the fine-tuning recipe leaves it, which evaluates before the first step."""
    (tmp_path / "best_cer").mkdir()
    args = HTRConvTextTrainingArguments(str(tmp_path), do_train=True, use_cpu=True, resume_from_checkpoint=resume)
    with pytest.raises(ValueError, match="another --output_dir.* or .*delet") as refused:
        check_output_dir(args)
    assert "give" not in str(refused.value) and ("holds another run (best_cer)" in str(refused.value)) == (not resume)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are replaced whole."""

from htr_convtext.training.checkpoints import whole_folder


def test_what_a_killed_process_left_does_not_stop_the_next_ones(tmp_path):
    for name in ("best_cer", "best_cer.old.incomplete", "best_cer.incomplete"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text(name)
    with whole_folder(tmp_path / "best_cer") as folder:
        (folder / "new").write_text("new")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["best_cer", "best_cer/new"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Models to start from that are not there."""

import pytest

from htr_convtext.training.starting_model import trained_processor


@pytest.mark.parametrize("name", ["runs/mine/best_cr", "./no_model", "/no/model"])
def test_a_mistyped_folder_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"^--model_name_or_path {name}: there is no such folder"):
        trained_processor(name)


def test_what_a_folder_lacks_is_not_called_a_missing_folder(tmp_path):
    with pytest.raises(OSError) as raised:
        trained_processor(str(tmp_path))
    assert "there is no such folder" not in str(raised.value)

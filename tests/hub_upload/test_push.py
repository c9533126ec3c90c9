# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What an upload to the Hub would contain."""

import json

import pytest

from htr_convtext.hub_upload.push import REQUIRED, upload_operations


@pytest.fixture
def folder(tmp_path):
    """A model folder by its files' names, with the code as a link."""
    model = tmp_path / "model"
    model.mkdir()
    for name in REQUIRED:
        (model / name).write_text("{}")
    config = {"auto_map": {"AutoModel": "modeling_htr_convtext.HTRConvTextForCTC"}}
    (model / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_htr_convtext.py").write_text("from .decoding_htr_convtext import code\n")
    (model / "decoding_htr_convtext.py").write_text("code = True\n")
    (model / "modeling_htr_convtext.py").symlink_to("../modeling_htr_convtext.py")
    return model


def test_links_are_uploaded_as_files(folder):
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "stale.pyc").touch()
    (folder / ".hidden").touch()
    operations = {operation.path_in_repo: operation for operation in upload_operations(folder)}
    assert set(operations) == {*REQUIRED, "modeling_htr_convtext.py", "decoding_htr_convtext.py"}
    with operations["modeling_htr_convtext.py"].as_file() as file:
        assert file.read() == b"from .decoding_htr_convtext import code\n"


def test_what_a_training_keeps_beside_its_model_stays_here(folder):
    ours = {operation.path_in_repo for operation in upload_operations(folder)}
    for name in (
        "checkpoint-20/config.json",
        "checkpoint-20/optimizer.pt",
        "best_cer/language_model/decoder_config.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    for name in ("best_cer/config.json", "validation_report.html", "test_predictions.json"):
        (folder / name).write_text("{}")
    for name in ("language_model/decoder_config.json", "examples/line.jpg", "test_results.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
        ours.add(name)
    assert {operation.path_in_repo for operation in upload_operations(folder)} == ours


@pytest.mark.parametrize("name", [*REQUIRED, "modeling_htr_convtext.py", "decoding_htr_convtext.py"])
def test_an_incomplete_folder_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"lacks .*{name}"):
        upload_operations(folder)

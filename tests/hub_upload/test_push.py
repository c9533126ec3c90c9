# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What an upload to the Hub would contain."""

import json
from types import SimpleNamespace

import pytest

from htr_convtext.hub_upload import push
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


def test_of_a_training_only_the_last_model_is_uploaded(folder):
    """Neither its other models nor the lines that it read."""
    model = {operation.path_in_repo for operation in upload_operations(folder)}
    for name in ("checkpoint-60/optimizer.pt", "best_cer/model.safetensors", "left-checkpoint-80/model.safetensors",
                 "validation_report.html", "test_predictions.json", "trainer_state.json", "language_model/words.bin",
                 "validation_results.json", "test/test_predictions.json", "test/test_report.html"):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    uploaded = {operation.path_in_repo for operation in upload_operations(folder)}
    assert uploaded - model == {"language_model/words.bin", "validation_results.json"}


@pytest.mark.parametrize("name", [*REQUIRED, "modeling_htr_convtext.py", "decoding_htr_convtext.py"])
def test_an_incomplete_folder_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"lacks .*{name}"):
        upload_operations(folder)


def test_files_of_an_earlier_upload_are_named(folder, monkeypatch, capsys):
    files = {".gitattributes", "gone_htr_convtext.py", "language_model/decoder_config.json"}

    def create_commit(repository, operations, commit_message):
        files.update(operation.path_in_repo for operation in operations)
        return SimpleNamespace(commit_url="URL", oid="1")

    hub = SimpleNamespace(
        create_repo=lambda *args, **options: None,
        create_commit=create_commit,
        list_repo_files=lambda repository: list(files),
    )
    monkeypatch.setattr(push, "HfApi", lambda: hub)
    push.main([str(folder), "me/letters"])
    told = "gone_htr_convtext.py, language_model/decoder_config.json. What"
    assert f"On the Hub, but not in {folder}: {told}" in capsys.readouterr().out
    files -= {"gone_htr_convtext.py", "language_model/decoder_config.json"}
    push.main([str(folder), "me/letters"])
    assert "On the Hub" not in capsys.readouterr().out

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Models to start from that are not there, and lines."""

from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset, DatasetDict

from htr_convtext import ALPHABETS
from htr_convtext.training import DataArguments, ModelArguments
from htr_convtext.training.starting_model import load_model, trained_model, trained_processor


@pytest.mark.parametrize("name", ["runs/mine/best_cr", "./no_model", "/no/model"])
def test_a_mistyped_folder_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"^--model_name_or_path {name}: there is no such folder"):
        trained_processor(name)


@pytest.mark.parametrize("name", ["folder", "file.jpg"])
def test_what_holds_no_model_is_not_called_a_missing_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(
        FileNotFoundError, match=f"{name} is no folder of a model: there is no config.json in it. Name"
    ):
        trained_processor(str(tmp_path / name))


def test_data_without_training_lines_say_what_they_have():
    lines = DatasetDict(test=Dataset.from_dict({"line_id": ["a"], "text": ["one"]}))
    with pytest.raises(ValueError, match="^The dataset has no split 'train'; it has test.$"):
        load_model(ModelArguments(), DataArguments(), SimpleNamespace(do_train=True), lines)


@pytest.mark.parametrize("dataset", ["lines", "iam"])
def test_nothing_is_read_with_a_network_that_has_learnt_nothing(dataset):
    lines = DatasetDict(test=Dataset.from_dict({"line_id": ["a"], "text": ["one"]}))
    with pytest.raises(ValueError, match="Name the folder of the model that is to read, --model_name_or_path"):
        load_model(ModelArguments(size="lite"), DataArguments(dataset), SimpleNamespace(do_train=False), lines)


def test_lines_of_a_paper_in_another_normal_form_have_an_alphabet_of_their_own():
    """Such a training stopped at the first line, at a mark that the paper's alphabet does not have."""
    lines = DatasetDict(train=Dataset.from_dict({"line_id": ["a"], "text": ["Tie\u0302\u0301ng"]}))
    for option, alphabet in (([], ALPHABETS["vnondb"]), (["normal_form=NFD"], "Tegin\u0301\u0302")):
        data = DataArguments(dataset="vnondb", dataset_option=option)
        processor, *_ = load_model(ModelArguments(size="tiny"), data, SimpleNamespace(do_train=True), lines)
        assert processor.tokenizer.alphabet == alphabet


def test_a_model_of_half_precision_is_trained_in_single(make_model, processor, tmp_path):
    make_model().to(torch.bfloat16).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    options = SimpleNamespace(do_train=False)
    _, model, _ = trained_model(ModelArguments(str(tmp_path), hidden_dropout_prob=0.2), options, None)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.config.hidden_dropout_prob == 0.2

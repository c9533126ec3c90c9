# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The comparison with other networks: they learn, they are timed, and none is trained twice."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file

from htr_convtext import SIZES, HTRConvTextConfig, train_hf
from htr_convtext.benchmarks import peers
from htr_convtext.benchmarks.peers import peer
from htr_convtext.training import parse_arguments


@pytest.mark.parametrize(("name", "height"), [("crnn", 64), ("crnn", 48), ("resnet-vit", 64)])
def test_a_peer_reads_frames_of_four_pixels_and_learns_a_line(name, height):
    torch.manual_seed(0)
    model = peer(name, HTRConvTextConfig(vocab_size=5, image_height=height, **SIZES["tiny"]))
    assert 3e6 < model.num_parameters() < 5e6
    pixel_values, labels = torch.rand(2, 1, height, 128), torch.tensor([[1, 2, 3], [4, 4, -100]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        outputs = model(pixel_values, labels=labels)
        optimizer.zero_grad()
        outputs.loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        losses.append(outputs.loss.item())
    assert outputs.logits.shape == (2, 32, 5)
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", peers.PEERS)
@pytest.mark.parametrize("width_strides", [(1, 1, 2, 2), (2, 1, 2, 1)])
def test_a_peer_says_how_many_frames_it_gives(name, width_strides):
    model = peer(name, HTRConvTextConfig(backbone_width_strides=width_strides, **SIZES["tiny"]), 320)
    for width in (320, 100, 480):  # Augmentation stretches lines.
        assert model(torch.rand(1, 1, 64, width)).logits.shape[1] == model.config.frames(width)


def test_a_peer_trains_and_reads_as_train_hf_does(line_folders, tmp_path, monkeypatch):
    """Lines wider than the usual ones too; and what it learnt is read with again."""
    options = [
        "--data_dir",
        line_folders[0],
        "--size",
        "lite",
        "--use_cpu",
        "--max_steps",
        1,
        "--output_dir",
        tmp_path,
    ]
    options += ["--image_width", 1024, "--keep_aspect_ratio", "true", "--sam_rho", 0, "--do_train", "--do_eval"]
    options += ["--eval_strategy", "no", "--save_strategy", "no", "--report_to", "none"]
    monkeypatch.setattr(sys, "argv", ["peers", "resnet-vit", *map(str, options)])
    monkeypatch.setattr(train_hf, "load_model", train_hf.load_model)
    peers.main()
    assert json.loads((tmp_path / "validation_results.json").read_text(encoding="utf-8"))["validation_cer"] > 0
    saved = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("htr_convtext.positions") for name in saved)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "python -m htr_convtext.benchmarks.peers resnet-vit --data_dir" in card
    model_args, *others = parse_arguments(["--model_name_or_path", str(tmp_path), "--do_eval", "--use_cpu"])
    weights = peers.load_peer("resnet-vit", model_args, *others, {})[1].state_dict()
    assert all(torch.equal(weights[name], saved[name]) for name in saved)


def test_what_was_not_trained_is_not_evaluated(tmp_path):
    """Drawn weights were read with, and their error rate told as the model's."""
    arguments = parse_arguments(["--model_name_or_path", str(tmp_path), "--do_eval", "--use_cpu"])
    with pytest.raises(ValueError, match=f"--model_name_or_path {tmp_path} is no crnn that was"):
        peers.load_peer("crnn", *arguments, {})


def test_an_unknown_peer_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peers", "vgg", "--size", "lite"])
    with pytest.raises(SystemExit):
        peers.main()
    assert "invalid choice: 'vgg'" in capsys.readouterr().err

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The comparison with other networks: they learn, they are timed, and none is trained twice."""

import json
import sys

import pytest
import torch

from htr_convtext import SIZES, HTRConvTextConfig
from htr_convtext.benchmarks import peers
from htr_convtext.benchmarks.peer_networks import peer


@pytest.mark.parametrize("name", ["crnn", "resnet-vit"])
def test_a_peer_reads_frames_of_four_pixels_and_learns_a_line(name):
    torch.manual_seed(0)
    model = peer(name, HTRConvTextConfig(vocab_size=5, **SIZES["tiny"]))
    assert 3e6 < model.num_parameters() < 5e6
    pixel_values, labels = torch.rand(2, 1, 64, 128), torch.tensor([[1, 2, 3], [4, 4, -100]])
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


def run(monkeypatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["peers", *map(str, options)])
    peers.main()


def test_every_network_is_trained_once_and_read_in_every_folder(line_folders, tmp_path, monkeypatch):
    options = ["--data_dir", *line_folders, "--minutes", 0.01, "--rounds", 2, "--output_dir", tmp_path / "runs"]
    train = ["--", "--size", "tiny", "--use_cpu", "--sam_rho", "0", "--per_device_train_batch_size", "2"]
    run(monkeypatch, *options, "--table", tmp_path / "table.md", "--networks", "crnn", *train)
    result = json.loads((tmp_path / "runs" / "crnn" / "result.json").read_text(encoding="utf-8"))
    assert result["steps"] >= 1 and set(result["rates"]) == {"first", "second"}
    result["rates"]["first"]["cer"] = 0.125
    (tmp_path / "runs" / "crnn" / "result.json").write_text(json.dumps(result), encoding="utf-8")
    run(monkeypatch, *options, "--table", tmp_path / "table.md", "--networks", "htr-convtext", "crnn", *train)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    rows = [row for row in table.splitlines() if row.startswith("| ")]
    assert rows[0].startswith("| network | parameters | steps | lines | CER first | WER first | CER second")
    assert rows[1].startswith("| htr-convtext | 4.") and rows[2].startswith("| crnn | 3.") and "| 12.50 |" in rows[2]
    assert "resnet-vit" not in table


def test_peers_have_no_context_module_and_the_same_options(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["peers", "--data_dir", "a", "--output_dir", "o", "--table", "t", "--", "--size", "tiny"]
    )
    options = peers.parse_options()
    ours, other = (peers.train_arguments(name, options) for name in ("htr-convtext", "crnn"))
    assert other[-4:] == ["--tcm_weight", "0", "--size", "tiny"] and "--tcm_weight" not in ours
    assert ours[-2:] == ["--size", "tiny"]

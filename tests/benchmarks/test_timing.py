# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The commands that time run as printed, and compare networks that say the same."""

import sys

import pytest
import torch

from htr_convtext import SIZES, HTRConvTextConfig
from htr_convtext.benchmarks import inference, peers, speed, training
from htr_convtext.benchmarks.timing import count_flops, measure, new_network


def run(monkeypatch, capsys, command, *options: object) -> list[str]:
    monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, options)])
    command.main()
    return capsys.readouterr().out.splitlines()


def test_contenders_take_turns():
    turns = []
    seconds = measure({name: lambda name=name: turns.append(name) for name in "ab"}, rounds=3)
    assert turns == ["a", "b"] * (len(turns) // 2) and len(turns) > 6
    assert all(len(seconds[name]) == 3 for name in "ab")


def test_operations_are_those_of_a_hand_count():
    model = new_network("tiny")
    flops = count_flops(model, torch.rand(2, 1, 64, 64))
    frames, hidden, classes = 16, model.config.hidden_size, model.config.vocab_size
    assert flops["ctc_head"] == 2 * 2 * frames * hidden * classes
    assert flops[""] > flops["htr_convtext"] > flops["ctc_head"]


def test_inference_times_every_contender_at_every_shape(monkeypatch, capsys):
    options = ["--size", "tiny", "--batch_size", 1, 2, "--width", 64, "--rounds", 2]
    printed = run(monkeypatch, capsys, inference, *options, "--only", "as loaded", "inference mode")
    rows = [line for line in printed if line.startswith(("baseline", "as loaded", "inference mode"))]
    assert [row.split("  ")[0] for row in rows] == ["baseline", "as loaded", "inference mode"] * 2
    assert all("1.00 (1.00 to 1.00)" in row for row in rows[::3])
    assert sum("GFLOP a line" in line for line in printed) == 2


def test_contenders_that_say_something_else_are_not_compared(monkeypatch, capsys):
    def another(name, options):
        return new_network("tiny" if name == "baseline" else "lite")

    monkeypatch.setattr(inference, "make_contender", another)
    with pytest.raises(SystemExit, match="as loaded and the baseline disagree"):
        run(monkeypatch, capsys, inference, "--width", 64, "--only", "as loaded")


def test_exports_are_kept_by_their_size(monkeypatch, capsys, tmp_path):
    """int8 is meant to differ, so that nothing else would tell a network of another size."""
    read = []

    def another(name, options):
        read.append(options.exports / "openvino-int8")
        return new_network("lite")

    monkeypatch.setattr(inference, "make_contender", another)
    monkeypatch.setattr(inference, "make_exports", lambda folder, size: read.append((folder, size)))
    options = ["--size", "lite", "--width", 64, "--rounds", 2, "--exports", tmp_path]
    run(monkeypatch, capsys, inference, *options, "--only", "OpenVINO int8")
    assert read[:2] == [(tmp_path / "lite", "lite"), tmp_path / "lite" / "openvino-int8"]


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        (inference, "OpenVINO int8", "'OpenVINO int8' needs --exports"),
        (inference, "inference", "invalid choice: 'inference'"),
        (speed, "CRNN", "'CRNN': there are HTR-ConvText base"),
    ],
)
def test_a_contender_that_cannot_be_is_named(command, name, said, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, capsys, command, "--only", name)
    assert said in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="--device cpu"):
        run(monkeypatch, capsys, inference, "--device", "cuda")


def test_recognisers_are_compared_with_the_first(monkeypatch, capsys):
    names = ("HTR-ConvText lite", "HTR-ConvText tiny", "crnn", "resnet-vit")
    printed = run(monkeypatch, capsys, speed, "--width", 64, "--rounds", 2, "--batch_size", 1, "--only", *names)
    rows = dict(zip(names, printed[-4:], strict=True))
    assert all(rows[name].startswith(name) for name in names) and "1.00 (1.00 to 1.00)" in printed[-4]
    assert "3.6 M" in rows[names[0]] and "4.1 M" in rows[names[1]] and "3.4 M" in rows[names[2]]


@pytest.mark.parametrize("name", peers.PEERS)
def test_peers_are_timed_in_inference_mode_too(name):
    """No batch norm runs, as none does in HTR-ConvText beside them, and what is read stays the same."""
    torch.manual_seed(0)
    model = peers.peer(name, HTRConvTextConfig(**SIZES["tiny"])).train()
    pixel_values = torch.rand(2, 1, 64, 64)
    model(pixel_values)  # so that there are statistics to fuse
    with torch.no_grad():
        as_trained = model.eval()(pixel_values).logits
        peers.optimized_for_inference(model)
        for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.register_forward_hook(lambda *_: pytest.fail("a batch norm of its own"))
        torch.testing.assert_close(model(pixel_values).logits, as_trained, atol=1e-5, rtol=1e-5)


def test_trocr_is_as_large_as_its_published_weights():
    _, parameters = speed.trocr("TrOCR-small", batch_size=1, tokens=1)
    assert round(parameters / 1e6, 1) == 61.6


def test_every_way_to_train_makes_a_step():
    config = HTRConvTextConfig(**SIZES["lite"])
    batch = {"pixel_values": torch.rand(1, 1, 64, 64), "labels": torch.randint(1, config.vocab_size, (1, 5))}
    for variant in training.variants(bf16=False).values():
        training.make_step(variant, config, batch, "cpu")()


def test_ways_to_train_are_compared_in_the_same_rounds(monkeypatch, capsys):
    """The second takes twice as long in a quiet round and in a loud one."""
    monkeypatch.setattr(
        training, "measure_variants", lambda rows, _: dict(zip(rows, ([1.0, 8.0], [2.0, 16.0]), strict=False))
    )
    printed = run(monkeypatch, capsys, training, "--batch_size", 16)
    assert printed[2].startswith("baseline: plain loop") and "1.00 (1.00 to 1.00)" in printed[2]
    assert printed[3].startswith("+ SDPA") and "0.50 (0.50 to 0.50)" in printed[3]
    assert len(printed) == 4

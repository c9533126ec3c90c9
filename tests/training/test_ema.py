# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The moving average of the weights."""

import json

import torch

from htr_convtext.training import ExponentialMovingAverage, ema_decay


def test_published_decays(golden):
    protocol = json.loads((golden / "protocol.json").read_text(encoding="utf-8"))
    for iteration, decay in protocol["ema_decay_by_iteration"].items():
        assert ema_decay(int(iteration), 0.9999) == decay


def test_average_follows_parameters_and_buffers_with_warmup():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    ema = ExponentialMovingAverage(model, 0.9999)
    expected = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for update in range(1, 5):
        with torch.no_grad():
            model[0].weight.add_(torch.randn(3, 3))
        model(torch.randn(4, 3))
        ema.update_parameters(model)
        decay = (1 + update / 2) / (10 + update / 2)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * tensor
            else:
                expected[name] = tensor.clone()
    assert ema.updates == 4
    torch.testing.assert_close(dict(ema.module.state_dict()), expected)


def test_without_warmup_a_short_training_keeps_part_of_its_start():
    model = torch.nn.BatchNorm1d(3)
    ema = ExponentialMovingAverage(model, 0.9, warmup=False)
    with torch.no_grad():
        model.weight.fill_(2)
    for _ in range(5):
        ema.update_parameters(model)
    torch.testing.assert_close(ema.module.weight, torch.full((3,), 0.9**5 + 2 * (1 - 0.9**5)))


def test_applied_average_is_taken_back_exactly():
    model = torch.nn.BatchNorm1d(3)
    ema = ExponentialMovingAverage(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(0.1 + 0.2)
    pointer = model.weight.data_ptr()
    with ema.applied_to(model):
        assert torch.equal(model.weight, torch.ones(3))
        assert model.weight.data_ptr() == pointer
    assert torch.equal(model.weight, torch.full((3,), 0.1 + 0.2))

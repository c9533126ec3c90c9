# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Muon: orthogonal steps for matrices, AdamW's for the rest."""

import pytest
import torch

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC
from htr_convtext.training.muon import ADAMW_RMS, MuonAdamW, orthogonal_step, shared_out

OPTIONS = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.1}


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (16, 144)])
def test_a_step_has_the_gradients_directions_all_alike(shape):
    torch.manual_seed(0)
    gradient = torch.randn(shape) * torch.logspace(-0.3, 0.3, shape[1])
    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    alike = left.T @ (orthogonal_step(gradient) / (ADAMW_RMS * max(shape) ** 0.5)) @ right.T
    assert 0.6 < alike.diagonal().min() and alike.diagonal().max() < 1.3
    torch.testing.assert_close(alike - alike.diagonal().diag(), torch.zeros_like(alike), atol=1e-4, rtol=0)
    torch.testing.assert_close(orthogonal_step(1000 * gradient), orthogonal_step(gradient), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_a_step_in_bfloat16_is_one_of_the_weights_type(shape):
    torch.manual_seed(0)
    gradient = torch.randn(shape)
    step = orthogonal_step(gradient, torch.bfloat16)
    assert step.dtype == torch.float32
    values = torch.linalg.svdvals(step / (ADAMW_RMS * max(shape) ** 0.5))
    assert 0.5 < values.min() and values.max() < 1.3
    assert not torch.equal(step, orthogonal_step(gradient))  # The products were rounded.


@pytest.fixture(params=[40, 32])
def model(request) -> HTRConvTextForCTC:
    """With more classes than channels, and with as many: 31 characters and the blank."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "backbone_head_dim": 4, "num_hidden_layers": 3}
    return HTRConvTextForCTC(HTRConvTextConfig(vocab_size=request.param, **sizes))


def test_it_takes_what_mixes_channels_and_is_no_classifier(model):
    optimizer = MuonAdamW(model, model.ctc_head.weight, **OPTIONS)
    names = {weight: name for name, weight in model.named_parameters()}
    others, matrices = ({names[weight] for weight in group["params"]} for group in optimizer.param_groups)
    assert others | matrices == set(names.values()) and not others & matrices
    assert "ctc_head.weight" in others and any("encoder.layers.0" in name for name in matrices)
    assert any("backbone" in name and model.get_parameter(name).dim() == 4 for name in matrices)
    assert not [name for name in matrices if "depthwise" in name or "norm" in name or name.endswith("bias")]
    assert sum(model.get_parameter(name).numel() for name in matrices) > 0.8 * model.num_parameters()


def test_steps_of_both_kinds(model):
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    optimizer = MuonAdamW(model, model.ctc_head.weight, **OPTIONS)
    optimizer.step()
    # The first step's momentum is 0.05 of the gradient, and Nesterov's has 0.05 + 0.95 * 0.05: a scale, which goes.
    matrices = set(optimizer.param_groups[1]["params"])
    name = next(name for name, weight in model.named_parameters() if weight.dim() == 4 and weight in matrices)
    step = orthogonal_step(gradients[name].flatten(1)).view_as(before[name])
    expected = before[name] * (1 - 1e-2 * 0.1) - 1e-2 * step
    torch.testing.assert_close(model.get_parameter(name).detach(), expected, atol=1e-5, rtol=1e-4)
    assert all(torch.equal(weight.grad, gradients[name]) for name, weight in model.named_parameters())

    after = model.ctc_head.weight.detach().clone()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(before[name])
    torch.optim.AdamW(model.parameters(), **OPTIONS).step()
    torch.testing.assert_close(model.ctc_head.weight.detach(), after)


def test_products_in_bfloat16_and_the_rest_in_float32(model):
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = MuonAdamW(model, model.ctc_head.weight, dtype=torch.bfloat16, **OPTIONS)
    optimizer.step()
    matrices = set(optimizer.param_groups[1]["params"])
    name, weight = next(pair for pair in model.named_parameters() if pair[1].dim() == 4 and pair[1] in matrices)
    momentum = optimizer.state[weight]["momentum_buffer"]
    torch.testing.assert_close(momentum, 0.05 * weight.grad)
    smoothed = weight.grad.lerp(momentum, 0.95).flatten(1)
    in_bfloat16, in_float32 = (orthogonal_step(smoothed, dtype) for dtype in (torch.bfloat16, torch.float32))
    made = (before[name] * (1 - 1e-2 * 0.1) - weight.detach()).flatten(1) / 1e-2
    torch.testing.assert_close(made, in_bfloat16, atol=1e-4, rtol=0)
    assert (made - in_float32).abs().max() > 1e-3


def test_processes_have_alike_much_to_do():
    matrices = [torch.empty(size) for size in [(64, 64), (64, 256), (256, 64), (128, 128), (32, 32), (64, 576)]]
    shares = shared_out(matrices, 2)
    loads = [
        sum(min(m.shape) ** 2 * max(m.shape) for m, share in zip(matrices, shares, strict=True) if share == number)
        for number in (0, 1)
    ]
    assert set(shares) == {0, 1} and max(loads) < 1.3 * min(loads)

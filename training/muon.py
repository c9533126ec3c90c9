# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Muon (K. Jordan et al., 2024): steps of matrices made orthogonal, with AdamW for all that is no matrix."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# Of the Newton-Schulz iteration: a polynomial whose slope at 0 is as steep as five rounds allow.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
MOMENTUM = 0.95
# Steps have the root mean square that AdamW's usually have, so that its learning rates fit (arXiv 2502.16982, eq. 4).
ADAMW_RMS = 0.2
# Smaller sides have too few directions to be made alike.
SMALLEST_SIDE = 16


class MuonAdamW(torch.optim.AdamW):
    """
    AdamW, but for the matrices among a network's weights Muon, at the same learning rate and weight decay.

    torch.optim.Muon takes matrices only and computes in bfloat16, which many CPUs are slow at. Here convolutions count
    as matrices of shape (output channels, the rest), and bfloat16 is for trainings that have chosen it. Several
    processes share out the matrices, and each makes its own orthogonal: a step takes all of them together as long as
    one process alone.

    Args:
        model: The network.
        classifier: The weights of the network's classifier, which are AdamW's.
        dtype: In which matrices are made orthogonal; their weights and momenta stay as they are.
        options: AdamW's.
    """

    def __init__(self, model: nn.Module, classifier: Tensor, dtype: torch.dtype = torch.float32, **options):
        matrices = [weight for weight in matrices_of(model) if weight is not classifier]
        chosen = set(matrices)
        others = [weight for weight in model.parameters() if weight.requires_grad and weight not in chosen]
        groups: list[dict[str, Any]] = [{"params": others}, {"params": matrices, "momentum": MOMENTUM}]
        super().__init__(groups, **options)
        self.dtype = dtype

    def __setstate__(self, state):
        for each in state["state"].values():
            each.setdefault("step", torch.tensor(0.0))  # AdamW looks for it with every weight.
        super().__setstate__(state)

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[1]
        matrices = [weight for weight in group["params"] if weight.grad is not None]
        gradients = [weight.grad for weight in matrices]
        for weight in matrices:
            weight.grad = None  # AdamW passes over them.
        loss = super().step(closure)
        pairs = list(zip(matrices, gradients, strict=True))
        smoothed = [self._smoothed(weight, grad, group["momentum"]) for weight, grad in pairs]
        for (weight, grad), step in zip(pairs, orthogonal_steps(smoothed, self.dtype), strict=True):
            step = step.view_as(weight)
            weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step, alpha=group["lr"])
            weight.grad = grad
        return loss

    def _smoothed(self, weight: Tensor, grad: Tensor, momentum: float) -> Tensor:
        """Nesterov's momentum of a gradient, as a matrix."""
        average = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
        average.lerp_(grad, 1 - momentum)
        return grad.lerp(average, momentum).flatten(1)


def matrices_of(model: nn.Module) -> Iterator[Tensor]:
    """Weights of linear layers and convolutions that mix all channels, with both sides long enough."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)) and getattr(module, "groups", 1) == 1:
            weight = module.weight
            if weight.requires_grad and min(len(weight), weight[0].numel()) >= SMALLEST_SIDE:
                yield weight


def orthogonal_steps(gradients: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Steps of unit learning rate for gradients of shape (rows, columns); every process makes its share of them."""
    number = dist.get_world_size() if dist.is_initialized() else 1
    if number == 1:
        return [orthogonal_step(gradient, dtype) for gradient in gradients]
    mine = dist.get_rank()
    shares = shared_out(gradients, number)
    steps = [
        orthogonal_step(gradient, dtype) if share == mine else torch.zeros_like(gradient)
        for gradient, share in zip(gradients, shares, strict=True)
    ]
    together = torch.cat([step.flatten() for step in steps])
    dist.all_reduce(together)
    parts = together.split([step.numel() for step in steps])
    return [part.view_as(step) for part, step in zip(parts, steps, strict=True)]


def shared_out(matrices: list[Tensor], number: int) -> list[int]:
    """The process of each matrix: the largest first, each to the one with the least to do."""
    loads, share = [0] * number, [0] * len(matrices)
    products = [min(matrix.shape) ** 2 * max(matrix.shape) for matrix in matrices]
    for place in sorted(range(len(matrices)), key=lambda place: -products[place]):
        share[place] = loads.index(min(loads))
        loads[share[place]] += products[place]
    return share


def orthogonal_step(gradient: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """
    The gradient with singular values of about 1 (0.7 to 1.2, the smallest less) instead of its own, scaled as AdamW's
    steps are.

    Args:
        gradient: Shape (rows, columns).
        dtype: Of the products.

    Returns:
        Of the gradient's shape and type.
    """
    a, b, c = COEFFICIENTS
    wide = gradient if gradient.shape[0] <= gradient.shape[1] else gradient.T
    wide = (wide / (wide.norm() + 1e-7)).to(dtype)
    for _ in range(ROUNDS):
        product = wide @ wide.T
        wide = a * wide + (b * product + c * product @ product) @ wide
    made = wide if gradient.shape[0] <= gradient.shape[1] else wide.T
    return made.to(gradient.dtype) * (ADAMW_RMS * max(gradient.shape) ** 0.5)

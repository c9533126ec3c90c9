# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sharpness-aware minimisation (Foret et al., arXiv 2010.01412) as a step of its own, without an optimiser wrapper."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def perturbed(parameters: Iterable[torch.nn.Parameter], rho: float) -> Iterator[bool]:
    """
    Moves the parameters to `w + rho * g / ||g||` (one global norm, equation 2) and exactly back to `w` on leaving.

    A scaled gradient (fp16) gives the same point, as the scale cancels. Gradients that are not finite move nothing.

    Args:
        parameters: The parameters; those without a gradient stay where they are.
        rho: Length of the step.

    Yields:
        Whether the parameters were moved.
    """
    moved: list[Tensor] = [parameter for parameter in parameters if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not torch.isfinite(norm):
        yield False
        return
    weights = [parameter.detach().clone() for parameter in moved]
    steps = list(torch._foreach_mul(gradients, rho / (norm + 1e-12)))
    try:
        with torch.no_grad():
            torch._foreach_add_(moved, steps)
        del steps
        yield True
    finally:
        with torch.no_grad():
            torch._foreach_copy_(moved, weights)

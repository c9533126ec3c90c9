# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What makes training fast on a CPU, and is no part of the paper's network: the first convolution as a matrix product,
dropout from a quarter of the random words.

`made_fast` puts modules of this file in the place of the network's while it trains. They share all that those have,
weights, names, hooks and mode, so that checkpoints, averages and adapters see no difference.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..modeling_htr_convtext import HTRConvTextStem

# Random bits for each value of a dropout.
DROPOUT_BITS = 16


@contextmanager
def made_fast(network: nn.Module) -> Iterator[None]:
    """
    Context in which a network on a CPU trains with the modules of this file; afterwards it has its own again.

    Args:
        network: The network, or a module that has it; not for torch.compile, which makes its own code.
    """
    give_strides_of_gradients(network)
    put_in_fast_modules(network)
    try:
        yield
    finally:
        take_out_fast_modules(network)


def put_in_fast_modules(network: nn.Module) -> None:
    """Puts a module of this file in the place of every one that trains faster as such."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout and not child.inplace:
                parent._modules[name] = with_all_of(child, FastDropout)
            elif type(child) is nn.Conv2d and isinstance(parent, HTRConvTextStem):
                parent._modules[name] = with_all_of(child, ProductConv2d)


def take_out_fast_modules(network: nn.Module) -> None:
    """Puts torch's modules back in their places."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FastDropout):
                parent._modules[name] = with_all_of(child, nn.Dropout)
            elif isinstance(child, ProductConv2d):
                parent._modules[name] = with_all_of(child, nn.Conv2d)


def give_strides_of_gradients(network: nn.Module) -> None:
    """
    Gives the weights of depthwise convolutions the strides that their gradients have in channels last, which DDP
    compares. They differ in the dimension of size 1 alone, so that the values stay where they are.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.shape[1] == 1 < module.groups:
            weight = module.weight.detach()
            module.weight.data = torch.empty_like(weight, memory_format=torch.channels_last).copy_(weight)


def with_all_of(module: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """A module of that kind whose state is the other's: what changes in one changes in both."""
    other = kind.__new__(kind)
    other.__dict__ = module.__dict__
    return other


class FastDropout(nn.Dropout):
    """
    Dropout that draws a quarter of the random words: a CPU draws one after the other on one core, each of 64 bits. Its
    probability is the multiple of 1 / 65,536 next to `p`, and what is kept is enlarged by the inverse of exactly what
    that leaves.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        values = 2**DROPOUT_BITS
        dropped = round(self.p * values)
        if not self.training or dropped in (0, values):
            return super().forward(input)
        words = torch.empty(-(-input.numel() * DROPOUT_BITS // 64), dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(torch.int16)[: input.numel()].view(input.shape)
        kept = numbers >= dropped - values // 2
        return input * kept.to(input.dtype).mul_(values / (values - dropped))


class ProductConv2d(nn.Conv2d):
    """Convolution as a matrix product over pieces of the image: one of one channel has no layout to keep."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        (rows, columns), (height, width) = self.stride, self.kernel_size
        assert not isinstance(self.padding, str)
        above, beside = self.padding
        padded = nn.functional.pad(input, (beside, beside, above, above))
        pieces = padded.unfold(2, height, rows).unfold(3, width, columns)
        pieces = pieces.permute(0, 2, 3, 1, 4, 5).flatten(3)  # (batch, rows, columns, channels * height * width)
        return nn.functional.linear(pieces, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)

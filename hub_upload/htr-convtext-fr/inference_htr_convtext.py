# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What makes reading fast, and is no part of the paper's network: batch norms fused into convolutions, pointwise
convolutions as the matrix products they are, position tables kept between batches, batches cut to a CPU's cache.

`optimize_for_inference` puts modules of this file in the place of the network's. They have the very children, weights
and names of those, so that state dict, training and adapters see no difference.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_weights
from transformers.utils import logging

from .modeling_htr_convtext import (
    HTRConvTextBackbone,
    HTRConvTextConvLayer,
    HTRConvTextRelativePositionBias,
    HTRConvTextShortcut,
    HTRConvTextStem,
)

if TYPE_CHECKING:
    from .modeling_htr_convtext import HTRConvTextForCTC

logger = logging.get_logger(__name__)

# Values of the first convolution's output, 8 MiB in float32, that inference mode computes at once on a CPU: one line
# of the base size at 64x512 pixels, eight of the tiny size.
STEM_VALUES_AT_ONCE = 2**21
# One thread at a time changes a model; those that read with it never wait.
CHANGING = threading.Lock()


def optimize_for_inference(
    model: "HTRConvTextForCTC", dtype: torch.dtype | Literal["auto"] | None = None, compile: bool | str = False
) -> "HTRConvTextForCTC":
    """
    Inference mode, in place: the same readings, faster. Batch norms are fused into the convolutions, attention is
    computed without its matrix, the relative position bias is kept between batches, and a CPU takes large batches in
    parts. Weights and state dict stay as they are: `save_pretrained` writes what was loaded, `train()` and loading
    weights end the mode, and wherever gradients are on, the weights themselves are used. Any number of threads may
    read. Call it again after changing weights in place.

    Weights that are offloaded are where accelerate's hooks bring them, and cannot be fused: such a model only gets
    evaluation mode and attention without its matrix.

    Args:
        model: The network.
        dtype: Type to compute in: `torch.bfloat16`, for example, or `"auto"`, which is bfloat16 where the device has
            units for its matrix products (CUDA from compute capability 8.0, CPUs with AMX) and the present type
            elsewhere. `None` keeps the present type. Another type than the weights' rounds the weights, after fusing
            them in float32, and the model can no longer be saved.
        compile: Whether to compile with `torch.compile`, or its mode: `"reduce-overhead"` uses CUDA graphs. Worth it
            on a GPU for many batches of few shapes.

    Returns:
        The model itself, in evaluation mode.

    Raises:
        ValueError: If offloaded weights would have to change their type.
    """
    with CHANGING:
        model.eval()
        if model.config._attn_implementation != "sdpa":
            model.set_attn_implementation("sdpa")
        dtype = best_dtype(model.device, model.dtype) if dtype == "auto" else dtype or model.dtype
        if is_offloaded(model):
            if dtype != model.dtype:
                raise ValueError(f"The weights are offloaded: load the model with dtype={dtype} to compute in it.")
            logger.warning_once("The weights are offloaded: the model reads as it is, without fused batch norms.")
            return model
        rounds = dtype != model.dtype
        # Fused anew after rounding, the weights would be rounded twice.
        if rounds or model._rounded_from is None or not is_optimized_for_inference(model):
            put_in_reading_modules(model, dtype)
        if rounds:
            model._rounded_from = model.dtype
            model.to(dtype)
        if compile:
            model.compile(mode=None if compile is True else compile)
    return model


def is_optimized_for_inference(model: "HTRConvTextForCTC") -> bool:
    """Whether a model is in inference mode."""
    return getattr(model.htr_convtext.backbone, "prepared", None) is not None


def is_offloaded(model: nn.Module) -> bool:
    """Whether accelerate moves weights about."""
    return any(parameter.is_meta for parameter in model.parameters()) or any(
        hasattr(module, "_hf_hook") for module in model.modules()
    )


def best_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """
    bfloat16 where reading is faster in it, for its device has matrix units for it, or else `dtype`. Training asks for
    less, and htr_convtext.training.precision says why.
    """
    if device.type == "cuda":
        # Not is_bf16_supported(): it counts emulation.
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else dtype
    # A CPU's AVX512 instructions for bfloat16 do not count: without AMX, float32 was faster.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if device.type == "cpu" and capabilities.get("amx_bf16") else dtype


def put_in_reading_modules(model: nn.Module, dtype: torch.dtype) -> None:
    """Prepares a module of this file for every one that has one; weights that are fused become of that type."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ReadingModule):
                child.prepare(dtype)
            elif (reading := reading_class(parent, child)) is not None:
                adopted = reading.adopt(child)
                adopted.prepare(dtype)
                parent._modules[name] = adopted  # At once: another thread reads with the one or the other.


def reading_class(parent: nn.Module, child: nn.Module) -> "type[ReadingModule] | None":
    """The class of this file that reads in a module's place, if there is one."""
    if isinstance(child, nn.Conv1d | nn.Conv2d) and type(child) in (nn.Conv1d, nn.Conv2d):
        pointwise = set(child.kernel_size) == set(child.stride) == {1} and child.groups == 1
        return READING_CLASSES[type(child)] if pointwise and not isinstance(parent, HTRConvTextConvLayer) else None
    return READING_CLASSES.get(type(child))


class ReadingModule(nn.Module):
    """
    A module that reads in another's place. `prepared` is what it reads with: a tuple that any thread takes whole. It
    never reaches a state dict, is passed over wherever gradients are asked for, and goes when the weights may change:
    in training mode and when weights are loaded. Without it, the module is the one that it stands for.
    """

    prepared: tuple | None = None

    @classmethod
    def adopt(cls, module: nn.Module) -> "ReadingModule":
        """One with that module's children, weights and hooks."""
        adopted = cls.__new__(cls)
        adopted.__dict__.update(module.__dict__)
        return adopted

    def prepare(self, dtype: torch.dtype) -> None:
        """Makes what to read with from the weights."""
        self.prepared = ()

    def reads(self) -> tuple | None:
        """What to read with, if the module is to."""
        return None if torch.is_grad_enabled() else self.prepared

    def train(self, mode: bool = True) -> "ReadingModule":
        if mode:
            self.prepared = None
        return super().train(mode)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], *args: Any, **kwargs: Any) -> "ReadingModule":
        if self.prepared is not None:
            self.prepared = tuple(fn(part) if isinstance(part, torch.Tensor) else part for part in self.prepared)
        return super()._apply(fn, *args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.prepared = None
        super()._load_from_state_dict(*args, **kwargs)


class FusedConvLayer(ReadingModule, HTRConvTextConvLayer):
    """Convolution and batch norm in one."""

    @torch.no_grad()
    def prepare(self, dtype: torch.dtype) -> None:
        """Fuses in float32 at least, whatever the weights' type; not what an adapter has changed."""
        convolution, norm = self.convolution, self.normalization
        if type(convolution) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d:
            self.prepared = None
            return
        exact = torch.promote_types(convolution.weight.dtype, torch.float32)
        kernel, mean, variance, scale, shift = (
            tensor.to(exact)  # type: ignore[union-attr]
            for tensor in (convolution.weight, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        fused, bias = fuse_conv_bn_weights(kernel, None, mean, variance, norm.eps, scale, shift)
        weight = fused.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self.prepared = (weight, bias.detach().to(dtype), convolution, norm)

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        if (prepared := self.reads()) is None:
            return super().forward(hidden_state)
        weight, bias, *sources = prepared
        # An adapter has come in between, or accelerate moves the map about.
        if sources != [self.convolution, self.normalization] or weight.device != hidden_state.device:
            return super().forward(hidden_state)
        hidden_state = self.convolve(hidden_state, weight, bias)
        return hidden_state.relu_() if isinstance(self.activation, nn.ReLU) else self.activation(hidden_state)

    def convolve(self, hidden_state: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        if weight.shape[-1] == 1:
            return pointwise_convolution(hidden_state, weight, bias)
        return nn.functional.conv2d(hidden_state, weight, bias, self.convolution.stride, self.convolution.padding)


class FusedStem(FusedConvLayer, HTRConvTextStem):
    """On a CPU a matrix product over pieces of the image: one of one channel has no layout to keep."""

    def convolve(self, hidden_state: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        if hidden_state.device.type != "cpu" or torch.compiler.is_compiling():
            return super().convolve(hidden_state, weight, bias)
        rows, columns = self.convolution.stride
        pieces = nn.functional.pad(hidden_state, (1, 1, 1, 1)).unfold(2, 3, rows).unfold(3, 3, columns)
        pieces = pieces.permute(0, 2, 3, 1, 4, 5).flatten(3)  # (batch, rows, columns, channels * 3 * 3)
        return nn.functional.linear(pieces, weight.flatten(1), bias).permute(0, 3, 1, 2)


class FusedShortcut(FusedConvLayer, HTRConvTextShortcut):
    """The shortcut's stride, then a matrix product."""

    def convolve(self, hidden_state: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        rows, columns = self.stride
        return super().convolve(hidden_state[:, :, ::rows, ::columns], weight, bias)


def pointwise_convolution(hidden_state: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """1x1 convolution of a map in channels last as the matrix product it is: one thread's convolution is slower."""
    return nn.functional.linear(hidden_state.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


class ReadingPointwiseConv2d(ReadingModule, nn.Conv2d):
    """1x1 convolution as a matrix product."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self.reads() is None:
            return super().forward(input)
        return pointwise_convolution(input, self.weight, self.bias)


class ReadingPointwiseConv1d(ReadingModule, nn.Conv1d):
    """Convolution with kernel 1 as a matrix product over (batch, length, channels), as the encoder lays sequences."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if self.reads() is None:
            return super().forward(input)
        return nn.functional.linear(input.transpose(1, 2), self.weight.flatten(1), self.bias).transpose(1, 2)


class ReadingPositionBias(ReadingModule, HTRConvTextRelativePositionBias):
    """Keeps the last length's table: tables grow with its square, and batches come in few lengths."""

    def forward(self, length: int, device: torch.device) -> torch.Tensor:  # type: ignore[override]
        if (prepared := self.reads()) is None or torch.compiler.is_compiling():
            return super().forward(length, device)
        # A thread takes a table together with its length, or makes its own: another may store one at any moment.
        if prepared[:1] != (length,) or prepared[1].device != device:
            prepared = (length, super().forward(length, device).contiguous())
            if self.prepared is not None:
                self.prepared = prepared
        return prepared[1]


class ReadingBackbone(ReadingModule, HTRConvTextBackbone):
    """
    Takes a few lines at a time on a CPU: maps that fit the cache, and stay below the size (32 MiB) from which the C
    library asks the system for fresh pages at every allocation, cost a CPU less than the smaller products.
    """

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        forward = super().forward
        if self.reads() is None or pixel_values.device.type != "cpu" or torch.compiler.is_compiling():
            return forward(pixel_values)
        height, width = pixel_values.shape[-2:]
        stem_values = self.stem.convolution.weight.shape[0] * -(-height // 2) * width
        parts = pixel_values.split(max(1, STEM_VALUES_AT_ONCE // stem_values))
        return torch.cat([forward(part) for part in parts]) if len(parts) > 1 else forward(pixel_values)


READING_CLASSES: dict[type[nn.Module], type[ReadingModule]] = {
    HTRConvTextBackbone: ReadingBackbone,
    HTRConvTextConvLayer: FusedConvLayer,
    HTRConvTextRelativePositionBias: ReadingPositionBias,
    HTRConvTextShortcut: FusedShortcut,
    HTRConvTextStem: FusedStem,
    nn.Conv1d: ReadingPointwiseConv1d,
    nn.Conv2d: ReadingPointwiseConv2d,
}

__all__ = ["best_dtype", "is_optimized_for_inference", "optimize_for_inference"]

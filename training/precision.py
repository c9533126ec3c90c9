# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Where bfloat16 pays in training.

Reading with `dtype="auto"` (`best_dtype`) asks a CPU for matrix units (AMX): it rounds the weights as well, and with
vector instructions alone float32 was faster. Training only warns, and is content with vector instructions: autocast
keeps the weights in float32, and what it must not meet is a processor that emulates each product.
"""

import torch

BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16", "bf16")


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers itself; `True` where torch does not tell."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in BFLOAT16_UNITS)

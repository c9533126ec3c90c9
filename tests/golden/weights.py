# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Deterministic weights for the golden vectors.

Every tensor of the original checkpoint layout is drawn from its own name, so that a
converter can be checked without shipping 260 MB of weights.

    draw(name, shape, salt=0) -> numpy float32 array
"""

import zlib

import numpy as np


def draw(name, shape, salt=0):
    """One tensor of the original layout.

    Args:
        name: key in the original state dict, e.g. "blocks.3.attn.qkv.weight".
        shape: its shape.
        salt: changes every tensor at once (the golden files here use 0).
    """
    rng = np.random.default_rng(zlib.crc32(f"{salt}:{name}".encode()))
    x = rng.standard_normal(tuple(shape), dtype=np.float32)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(tuple(shape), dtype=np.int64)
    if leaf == "running_mean":
        return 0.1 * x
    if leaf == "running_var":
        return 1.0 + 0.2 * np.abs(x)
    if leaf == "gamma":  # layer scale
        return 0.3 + 0.1 * x
    if "rel_pos_bias" in name:
        return 0.5 * x
    if leaf == "weight" and len(shape) == 1:  # normalisation gains
        return 1.0 + 0.1 * x
    if leaf == "bias":
        return 0.05 * x
    if len(shape) >= 2:
        fan_in = int(np.prod(shape[1:]))
        return x / np.float32(np.sqrt(fan_in))
    return x

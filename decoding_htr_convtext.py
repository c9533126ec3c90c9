# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""CTC frames to token ids."""

import torch


def collapse_frames(token_ids: torch.Tensor, blank_id: int = 0) -> torch.Tensor:
    """
    Greedy decoding of CTC: repeats become one, then blanks go.

    Args:
        token_ids: The best class of every frame, of shape `(batch_size, frames)`.
        blank_id: Class of the blank.

    Returns:
        Token ids of shape `(batch_size, longest)`, padded on the right with the blank.
    """
    emitted = token_ids != blank_id
    emitted[:, 1:] &= token_ids[:, 1:] != token_ids[:, :-1]
    lengths = emitted.sum(dim=-1)
    longest = int(lengths.max()) if len(lengths) else 0
    collapsed = token_ids.new_full((token_ids.shape[0], longest), blank_id)
    collapsed[torch.arange(longest, device=token_ids.device) < lengths[:, None]] = token_ids[emitted]
    return collapsed


__all__ = ["collapse_frames"]

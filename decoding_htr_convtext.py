# Copyright 2026 The HTR-ConvText for transformers authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""CTC frames to token ids."""

import torch


def collapse_frames(token_ids: torch.Tensor, blank_id: int = 0) -> torch.Tensor:
    """
    Greedy decoding: frames without repeats and blanks.

    Args:
        token_ids: Best token id of each frame, of shape `(batch_size, frames)`.
        blank_id: Id of CTC's blank.

    Returns:
        Token ids of shape `(batch_size, longest_text)`, padded on the right with the blank.
    """
    emitted = token_ids != blank_id
    emitted[:, 1:] &= token_ids[:, 1:] != token_ids[:, :-1]
    lengths = emitted.sum(dim=-1)
    sequences = token_ids.new_full((len(token_ids), int(lengths.max())), blank_id)
    positions = torch.arange(sequences.shape[1], device=token_ids.device)
    sequences[positions < lengths[:, None]] = token_ids[emitted]
    return sequences

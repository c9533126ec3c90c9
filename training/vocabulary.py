# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""More characters for a trained model."""

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..configuration_htr_convtext import TCM_FILE, HTRConvTextConfig
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from ..processing_htr_convtext import HTRConvTextProcessor, HTRConvTextTokenizer


def extend_vocabulary(
    processor: HTRConvTextProcessor, model: HTRConvTextForCTC, texts: Iterable[str]
) -> tuple[HTRConvTextProcessor, HTRConvTextForCTC]:
    """
    Gives the characters of `texts` that a model does not know classes behind its own; what it has learnt stays.

    Args:
        processor: The model's processor.
        model: The model, whose classifier is replaced.
        texts: Transcriptions.

    Returns:
        A processor with the longer alphabet, and the model.
    """
    alphabet = processor.tokenizer.alphabet
    new = sorted(set().union(*map(set, texts)) - set(alphabet))
    tokenizer = HTRConvTextTokenizer.from_alphabet(alphabet + "".join(new))
    old_head = model.ctc_head
    model.config.vocab_size = len(tokenizer)
    model.ctc_head = torch.nn.Linear(old_head.in_features, len(tokenizer)).to(old_head.weight)
    model._init_weights(model.ctc_head)
    with torch.no_grad():
        model.ctc_head.weight[: old_head.out_features] = old_head.weight
        model.ctc_head.bias[: old_head.out_features] = old_head.bias
    return HTRConvTextProcessor(processor.image_processor, tokenizer), model


def load_tcm(model_dir: str, config: HTRConvTextConfig) -> HTRConvTextTCM | None:
    """
    The Textual Context Module in a model's folder, or `None` if there is none.

    Args:
        model_dir: The model's folder; a name on the Hub has none.
        config: The model's configuration, by [`extend_vocabulary`] perhaps with more characters than the module
            knows: those get rows of their own, and the others keep theirs.
    """
    path = Path(model_dir) / TCM_FILE
    if not path.is_file():
        return None
    tcm = HTRConvTextTCM(config)
    state_dict = load_file(path)
    for name in ("embed_characters.weight", "classifier.weight", "classifier.bias"):
        state_dict[name] = with_new_rows(state_dict[name], tcm.get_parameter(name).detach())
    tcm.load_state_dict(state_dict)
    return tcm


def with_new_rows(rows: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """Rows of characters with those of new ones behind them; the last row stands for no character in both."""
    known = len(rows) - 1
    return torch.cat([rows[:known], initial[known:-1], rows[known:]])

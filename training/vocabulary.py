# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""More characters for a trained model."""

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..configuration_htr_convtext import HTRConvTextConfig
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from ..processing_htr_convtext import HTRConvTextProcessor, HTRConvTextTokenizer
from .checkpoints import TCM_FILE


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
    The Textual Context Module that lies beside a model, or `None` if there is none or it knows another vocabulary.

    Args:
        model_dir: The model's folder; a name on the Hub has none.
        config: The model's configuration.
    """
    path = Path(model_dir) / TCM_FILE
    if not path.is_file():
        return None
    state_dict = load_file(path)
    tcm = HTRConvTextTCM(config)
    if any(tensor.shape != state_dict[name].shape for name, tensor in tcm.state_dict().items()):
        return None
    tcm.load_state_dict(state_dict)
    return tcm

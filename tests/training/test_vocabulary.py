# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""More characters for a trained model."""

import torch
from safetensors.torch import save_file

from htr_convtext import HTRConvTextTCM
from htr_convtext.training import extend_vocabulary, load_tcm


def test_known_characters_keep_their_rows(processor, make_model):
    model = make_model()
    alphabet = processor.tokenizer.alphabet
    weight, bias = model.ctc_head.weight.detach().clone(), model.ctc_head.bias.detach().clone()
    longer, extended = extend_vocabulary(processor, model, ["llama", "\u00e9t\u00e9", "\u2019"])
    assert longer.tokenizer.alphabet == alphabet + "\u00e9\u2019"
    assert extended.config.vocab_size == len(longer.tokenizer) == len(alphabet) + 3
    assert torch.equal(extended.ctc_head.weight[: len(weight)], weight)
    assert torch.equal(extended.ctc_head.bias[: len(bias)], bias)
    assert extended.ctc_head.weight[len(weight) :].abs().sum() > 0
    labels = torch.tensor([longer.tokenizer.encode("\u00e9t\u00e9")])
    assert extended(torch.rand(1, 1, 64, 64), labels=labels).loss.isfinite()


def test_tcm_beside_a_model_keeps_what_it_knows_of_a_longer_alphabet(make_model, tmp_path):
    config = make_model().config
    assert load_tcm(str(tmp_path), config) is None
    tcm = HTRConvTextTCM(config).eval()
    save_file(tcm.state_dict(), tmp_path / "tcm.safetensors")
    torch.testing.assert_close(dict(load_tcm(str(tmp_path), config).state_dict()), dict(tcm.state_dict()))

    features, labels = torch.rand(1, 8, config.hidden_size), torch.tensor([[1, 4, 2]])
    expected = tcm(features, labels)
    config.vocab_size += 2
    longer = load_tcm(str(tmp_path), config).eval()
    found = longer(features, labels)
    known = [*range(config.vocab_size - 2), -1]
    torch.testing.assert_close(found.left_logits[..., known], expected.left_logits)
    torch.testing.assert_close(found.right_logits[..., known], expected.right_logits)
    assert longer(features, torch.tensor([[config.vocab_size - 1]])).loss.isfinite()

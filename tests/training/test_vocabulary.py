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


def test_tcm_beside_a_model_is_taken_if_it_knows_the_vocabulary(make_model, tmp_path):
    config = make_model().config
    assert load_tcm(str(tmp_path), config) is None
    tcm = HTRConvTextTCM(config)
    save_file(tcm.state_dict(), tmp_path / "tcm.safetensors")
    torch.testing.assert_close(dict(load_tcm(str(tmp_path), config).state_dict()), dict(tcm.state_dict()))
    config.vocab_size += 1
    assert load_tcm(str(tmp_path), config) is None

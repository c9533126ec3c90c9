# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Modules that train faster on a CPU: the same losses, gradients, names and files; dropout's statistics."""

import copy
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import Trainer, TrainerCallback

from htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from htr_convtext.inference_htr_convtext import FusedStem
from htr_convtext.training import HTRConvTextWithTCM, made_fast, put_in_fast_modules
from htr_convtext.training.fast_modules import FastDropout, ProductConv2d

from .conftest import DETERMINISTIC


def fast_ones(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, FastDropout | ProductConv2d)]


def with_tcm(model: HTRConvTextForCTC) -> HTRConvTextWithTCM:
    torch.manual_seed(1)
    return HTRConvTextWithTCM(model, HTRConvTextTCM(model.config).to(model.dtype)).train()


def loss_and_gradients(network: HTRConvTextWithTCM, pixel_values: torch.Tensor) -> list[torch.Tensor]:
    labels = torch.tensor([[1, 2, 3, 3], [4, 5, -100, -100]])
    network.zero_grad()
    losses = network(pixel_values, labels)
    loss = losses["ctc"] + losses["tcm"]
    loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in network.parameters())]


@pytest.mark.parametrize(
    "width, options",
    [
        (128, {}),
        (131, {}),
        (77, {"num_channels": 3}),
        (130, {"backbone_width_strides": (2, 1, 2, 1)}),
        (67, {"backbone_hidden_sizes": (16, 48, 64), "backbone_mobilevit": (False, False, False)}),
    ],
)
def test_loss_and_every_gradient_are_the_networks_own(make_model, width, options):
    network = with_tcm(make_model(**DETERMINISTIC, **options).double())
    pixel_values = torch.rand(2, network.config.num_channels, 64, width, dtype=torch.float64)
    expected = loss_and_gradients(copy.deepcopy(network), pixel_values)
    with made_fast(network):
        found = loss_and_gradients(network, pixel_values)
    assert all(tensor.abs().max() > 0 for tensor in expected[:2])
    # Gradients that are 0 up to rounding, as before a batch norm, are compared on the scale of the others.
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


def test_autocast_reaches_the_first_convolution(make_model):
    convolution = make_model().htr_convtext.backbone.stem.convolution
    pixel_values = torch.rand(2, 1, 64, 77)
    product = nn.Sequential(ProductConv2d(1, 64, 3, stride=(2, 1), padding=1, bias=False))
    product[0].weight = convolution.weight
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = product(pixel_values), convolution(pixel_values)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-2)


def test_names_weights_hooks_and_mode_are_the_networks_own(make_model):
    network = with_tcm(make_model())
    before = {name: type(module) for name, module in network.named_modules()}
    parameters = dict(network.named_parameters())
    dropout, stem = network.tcm.dropout, network.model.htr_convtext.backbone.stem
    seen = []
    dropout.register_forward_hook(lambda module, *_: seen.append(type(module)))
    stem.convolution.register_forward_hook(lambda module, *_: seen.append(type(module)))
    network.eval()
    with made_fast(network):
        assert len(fast_ones(network)) == 4 * network.config.num_hidden_layers + 2
        assert list(network.state_dict()) == list(with_tcm(make_model()).state_dict())
        assert all(parameters[name] is parameter for name, parameter in network.named_parameters())
        network.train()
        loss_and_gradients(network, torch.rand(2, 1, 64, 96))
    assert seen == [ProductConv2d, FastDropout, FastDropout]
    assert {name: type(module) for name, module in network.named_modules()} == before
    assert all(parameters[name] is parameter for name, parameter in network.named_parameters())
    assert network.tcm.dropout.training and stem.convolution.training and dropout.training


def test_the_network_has_its_own_modules_again_after_an_error(make_model):
    network = with_tcm(make_model())
    with pytest.raises(KeyboardInterrupt), made_fast(network):
        raise KeyboardInterrupt
    assert not fast_ones(network)


def test_what_an_adapter_has_put_in_stays(make_model):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    model = make_model(**DETERMINISTIC)
    targets = ["stem.convolution", "qkv_proj"]
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=targets, r=2, init_lora_weights=False)).train()
    pixel_values, labels = torch.rand(2, 1, 64, 96), torch.tensor([[1, 2], [3, 4]])
    results = []
    for network in (copy.deepcopy(adapted), adapted):
        if network is adapted:
            put_in_fast_modules(network)
        network(pixel_values=pixel_values, labels=labels).loss.backward()
        results.append({name: weight.grad for name, weight in network.named_parameters() if weight.requires_grad})
    assert any("stem.convolution.lora_A" in name and grad.abs().max() > 0 for name, grad in results[0].items())
    torch.testing.assert_close(results[1], results[0])


def test_recomputed_activations_draw_the_same(make_model):
    torch.manual_seed(0)
    network = with_tcm(make_model())
    pixel_values = torch.rand(2, 1, 64, 96)
    results = []
    put_in_fast_modules(network)
    for again in (network, copy.deepcopy(network)):
        if again is not network:
            again.activation_checkpointing_enable()
        torch.manual_seed(7)
        results.append(loss_and_gradients(again, pixel_values))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "p, dropped",
    [(0.1, 6554 / 65536), (0.15, 9830 / 65536), (0.5, 0.5), (1e-4, 7 / 65536), (0.9999, 65529 / 65536)],
)
def test_dropout_drops_its_share_and_keeps_the_mean(p, dropped):
    torch.manual_seed(0)
    ones = torch.ones(1000, 101, 9, dtype=torch.float64)
    found = FastDropout(p)(ones)
    share = (found == 0).double().mean().item()
    assert abs(dropped - p) <= 0.5 / 65536
    assert abs(share - dropped) < 5 * (dropped * (1 - dropped) / ones.numel()) ** 0.5
    assert found[found != 0].unique().tolist() == pytest.approx([1 / (1 - dropped)], rel=1e-12)


def test_neighbours_are_dropped_independently():
    """Four values share a word."""
    torch.manual_seed(0)
    kept = FastDropout(0.1)(torch.ones(2**19)).ne(0).double().view(-1, 8)
    shared = torch.corrcoef(kept.T) - torch.eye(8)
    assert shared.abs().max() < 5 / len(kept) ** 0.5


def test_dropout_repeats_its_seed_and_masks_its_gradient():
    dropout = FastDropout(0.3)
    for shape in ((7,), (2, 3, 5), (0, 4), ()):
        values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        torch.manual_seed(3)
        found = dropout(values)
        torch.manual_seed(3)
        assert torch.equal(dropout(values), found)
        found.sum().backward()
        torch.testing.assert_close(values.grad * values, found)
    assert dropout(torch.ones(50, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("p", [0.0, 1e-6, 1.0])
def test_dropout_of_nothing_and_of_all(p):
    values = torch.randn(100)
    torch.testing.assert_close(FastDropout(p)(values), nn.Dropout(round(p, 3))(values))
    assert torch.equal(FastDropout(p).eval()(values), values)


class Looks(TrainerCallback):
    """Counts the fast modules of the network at every step."""

    def __init__(self):
        self.counts = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.counts.append(len(fast_ones(model)))


def test_a_trained_network_is_plain_and_reads_in_inference_mode(make_trainer, make_model):
    looks, model = Looks(), make_model()
    trainer = make_trainer(model=model, trainer_options={"callbacks": [looks]}, eval_strategy="steps", eval_steps=2)
    trainer.train()
    assert looks.counts == [4 * model.config.num_hidden_layers + 2] * 4
    assert not fast_ones(trainer.model) and not fast_ones(trainer.ema.module)

    trainer.save_model()
    folder = Path(trainer.args.output_dir)
    names = make_model().state_dict()
    assert set(load_file(folder / "model.safetensors")) == set(load_file(folder / "best_cer" / "model.safetensors"))
    assert set(load_file(folder / "model.safetensors")) == set(names)
    again = HTRConvTextForCTC.from_pretrained(folder).eval()
    pixel_values = torch.rand(2, 1, 64, 99)
    with torch.no_grad(), trainer.averaged_weights():
        assert torch.equal(model.eval()(pixel_values).logits, again(pixel_values).logits)
        model.optimize_for_inference()
        assert isinstance(model.htr_convtext.backbone.stem, FusedStem)
        assert model.htr_convtext.backbone.stem.reads() is not None
        torch.testing.assert_close(model(pixel_values).logits, again(pixel_values).logits, rtol=1e-3, atol=1e-4)


def test_a_network_in_inference_mode_trains_and_reads_what_it_learned(make_trainer, make_model):
    model = make_model().optimize_for_inference()
    trainer = make_trainer(model=model, ema_decay=0.0, learning_rate=1e-2)
    pixel_values = torch.rand(2, 1, 64, 99)
    with torch.no_grad():
        before = model(pixel_values).logits
    trainer.train()
    plain = make_model().eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        found = model.eval()(pixel_values).logits
        torch.testing.assert_close(found, plain(pixel_values).logits, rtol=1e-3, atol=1e-4)
    assert (found - before).abs().max() > 0.01


@pytest.mark.parametrize(
    "device, compiled, fast", [("cpu", False, True), ("cpu", True, False), ("cuda", False, False)]
)
def test_only_where_they_are_faster(make_trainer, monkeypatch, device, compiled, fast):
    trainer = make_trainer()
    trainer.args.torch_compile = compiled
    monkeypatch.setattr(type(trainer.args), "device", torch.device(device))
    monkeypatch.setattr(Trainer, "train", lambda self, **kwargs: len(fast_ones(self.model)))
    assert bool(trainer.train()) is fast


@contextmanager
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def test_gradients_have_the_strides_of_their_weights(make_model):
    """DDP warns of others, and copies them; on more threads than one it does, for convolutions of one pixel."""
    network = with_tcm(make_model())
    saved = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with made_fast(network), one_thread():
        torch.testing.assert_close(dict(network.state_dict()), saved, rtol=0, atol=0)
        loss_and_gradients(network, torch.rand(2, 1, 64, 96))
    for name, parameter in network.named_parameters():
        assert parameter.grad.stride() == parameter.stride(), name
        assert parameter.is_contiguous(), name

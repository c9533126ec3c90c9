# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Inference mode reads the same in any number of threads, leaves the weights, and ends where they may change."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC, inference_htr_convtext
from htr_convtext.inference_htr_convtext import FusedStem, ReadingModule, ReadingPositionBias, optimize_for_inference

CLOSE = {"atol": 1e-4, "rtol": 0}


def small_config(**options):
    sizes = {"vocab_size": 12, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    return HTRConvTextConfig(**{**sizes, "backbone_head_dim": 8, **options})


def lived_in_model(**options):
    """As if trained: batch norms are not what they start as, and the encoder is heard."""
    torch.manual_seed(0)
    model = HTRConvTextForCTC(small_config(**options)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "normalization" in name and tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
            if name.endswith("scale"):
                tensor.fill_(0.5)
            if name.endswith("relative_position_bias.weight"):
                tensor.normal_()
    return model


@pytest.fixture(scope="module")
def lived_in():
    return lived_in_model()


@pytest.fixture
def optimized(lived_in):
    return copy.deepcopy(lived_in).optimize_for_inference()


@pytest.fixture
def pixel_values():
    return torch.rand(2, 1, 64, 128, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("width", [128, 77])
def test_reads_the_same(lived_in, optimized, width, monkeypatch):
    lines = torch.rand(3, 1, 64, width)
    expected = lived_in(lines)
    torch.testing.assert_close(optimized(lines).logits, expected.logits, **CLOSE)
    assert not torch.equal(optimized(lines).last_hidden_state, expected.last_hidden_state)  # by another way
    monkeypatch.setattr(inference_htr_convtext, "STEM_VALUES_AT_ONCE", 1)
    torch.testing.assert_close(optimized(lines).logits, expected.logits, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("options", [{"num_channels": 3}, {"backbone_mobilevit": [False] * 3}, {"image_height": 48}])
def test_other_networks_read_the_same(options):
    model = lived_in_model(**options)
    lines = torch.rand(2, model.config.num_channels, model.config.image_height, 96)
    expected = model(lines).logits
    torch.testing.assert_close(model.optimize_for_inference()(lines).logits, expected, **CLOSE)


def test_it_replaces_every_convolution_and_table(optimized):
    reading = [type(module).__name__ for module in optimized.modules() if isinstance(module, ReadingModule)]
    assert {name: reading.count(name) for name in set(reading)} == {
        "ReadingBackbone": 1,
        "FusedStem": 1,
        "FusedShortcut": 3,
        "FusedConvLayer": 12 + 2 * 3,
        "ReadingPointwiseConv2d": 3,
        "ReadingPointwiseConv1d": 2 * 4 + 2,
        "ReadingPositionBias": 4,
    }
    assert optimized.config._attn_implementation == "sdpa"


def test_it_leaves_the_weights(lived_in, optimized, pixel_values, tmp_path):
    optimized.save_pretrained(tmp_path)
    saved = HTRConvTextForCTC.from_pretrained(tmp_path).state_dict()
    assert saved.keys() == lived_in.state_dict().keys() == optimized.state_dict().keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in lived_in.state_dict().items())
    with torch.enable_grad():
        expected, logits = lived_in(pixel_values).logits, optimized(pixel_values).logits
        assert torch.equal(logits, expected)
        logits.sum().backward()
    assert all(parameter.grad is not None for parameter in optimized.parameters())


@torch.no_grad()
@pytest.mark.parametrize("end", [lambda model: model.train().eval(), lambda model: model])
def test_training_and_loading_end_it(lived_in, optimized, pixel_values, end):
    other = HTRConvTextForCTC(small_config()).eval()
    optimized(pixel_values)
    end(optimized).load_state_dict(other.state_dict())
    assert not optimized.is_optimized_for_inference
    assert torch.equal(optimized(pixel_values).logits, other(pixel_values).logits)
    optimized.optimize_for_inference()
    assert optimized.is_optimized_for_inference
    torch.testing.assert_close(optimized(pixel_values).logits, other(pixel_values).logits, **CLOSE)


@torch.no_grad()
def test_bfloat16_is_fused_before_it_is_rounded(lived_in, pixel_values, tmp_path):
    stem = lived_in.htr_convtext.backbone.stem
    norm = stem.normalization
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    expected = (stem.convolution.weight * scale[:, None, None, None]).bfloat16()
    optimized = copy.deepcopy(lived_in).optimize_for_inference(dtype=torch.bfloat16)
    for _ in range(2):  # Once more changes nothing: it would round what is rounded.
        torch.testing.assert_close(optimized.htr_convtext.backbone.stem.prepared[0], expected)
        optimized.optimize_for_inference(dtype=torch.bfloat16)
    logits = optimized(pixel_values).logits
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), lived_in(pixel_values).logits, atol=0.3, rtol=0.1)
    with pytest.raises(ValueError, match="rounded the weights from torch.float32 to torch.bfloat16"):
        optimized.save_pretrained(tmp_path)


@torch.no_grad()
def test_copies_and_pickles_read(optimized, pixel_values):
    expected = optimized(pixel_values).logits
    for other in (copy.deepcopy(optimized), pickle.loads(pickle.dumps(optimized))):
        assert other.is_optimized_for_inference
        assert torch.equal(other(pixel_values).logits, expected)
    assert optimized.double()(pixel_values.double()).logits.dtype == torch.float64


@torch.no_grad()
def test_it_compiles(lived_in, optimized, pixel_values):
    compiled = torch.compile(optimized, backend="eager")
    torch.testing.assert_close(compiled(pixel_values).logits, lived_in(pixel_values).logits, **CLOSE)


def test_any_number_of_threads_read(lived_in):
    """Each puts the model into inference mode itself, and reads lines of a width of its own in between others'."""
    model = copy.deepcopy(lived_in)
    lines = [torch.rand(1, 1, 64, 32 * number) for number in range(1, 9)]
    with torch.no_grad():
        expected = [lived_in(line).logits for line in lines]
    barrier = threading.Barrier(8)

    def read(number):
        barrier.wait()
        model.optimize_for_inference()
        with torch.no_grad():
            return [model(lines[(number + turn) % 8]).logits for turn in range(16)]

    with ThreadPoolExecutor(8) as threads:
        for number, found in enumerate(threads.map(read, range(8))):
            for turn, logits in enumerate(found):
                torch.testing.assert_close(logits, expected[(number + turn) % 8], **CLOSE)


@torch.no_grad()
def test_a_position_table_is_its_lengths_whatever_another_thread_stores():
    config = small_config()
    stored, other_done, found = threading.Event(), threading.Event(), {}

    class Interrupted(ReadingPositionBias):
        """Lets the other thread store its table right after this one has."""

        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == "prepared" and value and value[0] == 16:
                stored.set()
                other_done.wait(5)

    bias = Interrupted(config).eval()
    bias.prepare(torch.float32)

    def read(length):
        with torch.no_grad():
            found[length] = bias(length, torch.device("cpu")).shape[-1]

    def read_between():
        stored.wait(5)
        read(32)
        other_done.set()

    threads = [threading.Thread(target=read, args=(16,)), threading.Thread(target=read_between)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {16: 16, 32: 32}


@torch.no_grad()
def test_what_an_adapter_has_put_in_is_read_with(lived_in, optimized, pixel_values):
    """As peft does: modules are replaced in the tree, before or after inference mode began."""

    class Adapter(torch.nn.Module):
        def __init__(self, base_layer):
            super().__init__()
            self.base_layer = base_layer
            self.weight = base_layer.weight

        def forward(self, hidden_state):
            return 2 * self.base_layer(hidden_state)

    def adapt(model):
        stem, conv = model.htr_convtext.backbone.stem, model.htr_convtext.encoder.layers[0].conv
        stem.convolution, conv.pointwise_conv1 = Adapter(stem.convolution), Adapter(conv.pointwise_conv1)
        return model

    expected = adapt(copy.deepcopy(lived_in))(pixel_values).logits
    assert (expected - lived_in(pixel_values).logits).abs().max() > 0.01
    torch.testing.assert_close(adapt(optimized)(pixel_values).logits, expected, **CLOSE)
    torch.testing.assert_close(optimized.optimize_for_inference()(pixel_values).logits, expected, **CLOSE)
    assert isinstance(optimized.htr_convtext.backbone.stem, FusedStem)


@torch.no_grad()
@pytest.mark.parametrize("offloaded", ["htr_convtext.backbone", "htr_convtext.encoder", "ctc_head"])
def test_weights_on_disk_are_read(lived_in, pixel_values, tmp_path, offloaded):
    pytest.importorskip("accelerate")
    lived_in.save_pretrained(tmp_path / "model")
    parts = dict.fromkeys(("htr_convtext.backbone", "htr_convtext.encoder", "ctc_head"), "cpu")
    model = HTRConvTextForCTC.from_pretrained(
        tmp_path / "model", device_map={**parts, offloaded: "disk"}, offload_folder=tmp_path / "offloaded"
    )
    expected = lived_in(pixel_values).logits
    assert torch.equal(model(pixel_values).logits, expected)
    torch.testing.assert_close(model.optimize_for_inference()(pixel_values).logits, expected, **CLOSE)
    with pytest.raises(ValueError, match="offloaded: load the model with dtype=torch.bfloat16"):
        optimize_for_inference(model, torch.bfloat16)


@torch.no_grad()
@pytest.mark.parametrize("optimize", [False, True])
def test_accelerate_may_offload_it(lived_in, pixel_values, optimize):
    accelerate = pytest.importorskip("accelerate")
    model = copy.deepcopy(lived_in)
    if optimize:
        model.optimize_for_inference()
    accelerate.cpu_offload(model, execution_device="cpu")
    torch.testing.assert_close(model(pixel_values).logits, lived_in(pixel_values).logits, **CLOSE)

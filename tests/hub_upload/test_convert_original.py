# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The authors' network, rebuilt from its golden weights, converted, and held against its golden outputs."""

import csv
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC, HTRConvTextProcessor, HTRConvTextTCM
from htr_convtext.hub_upload import convert_original
from htr_convtext.hub_upload.push import upload_operations


@pytest.fixture(scope="module")
def state(golden, golden_weights):
    """The authors' state dicts, drawn name by name: the network's, and the TCM head's without its prefix."""
    network, tcm = {}, {}
    with open(golden / "original_state_dict.tsv", encoding="utf-8") as file:
        for name, size, _ in csv.reader(file, delimiter="\t"):
            shape = () if size == "scalar" else tuple(map(int, size.split("x")))
            tensor = torch.from_numpy(np.asarray(golden_weights.draw(name, shape)))
            if name.startswith("tcm_head."):
                tcm[name.removeprefix("tcm_head.")] = tensor
            else:
                network[name] = tensor
    tcm["emb.weight"][-1] = 0  # <pad>
    return SimpleNamespace(network=network, tcm=tcm)


def training_checkpoint(weights, **parts):
    """A checkpoint with everything that the authors' training writes beside the weights."""
    return {
        "model": {"raw": torch.zeros(1)},
        "state_dict_ema": weights,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}]},
        "nb_iter": 1000,
        "best_cer": np.float64(0.05),
        "best_wer": 0.2,
        "args": {"lr": 1e-3, "data": "iam"},
        "random_state": random.Random(0).getstate(),
        "numpy_state": np.random.RandomState(0).get_state(),
        "torch_state": torch.get_rng_state(),
        "torch_cuda_state": None,
        "train_loss": 1.5,
        "train_loss_count": 10,
        **parts,
    }


@pytest.fixture(scope="module")
def converted(state, tmp_path_factory):
    """The golden checkpoint converted by the command line; model, processor and TCM loaded from the folder."""
    folder = tmp_path_factory.mktemp("converted")
    checkpoint = folder / "best_CER.pth"
    parallel = {f"module.{name}": tensor for name, tensor in state.network.items()}
    parallel["module.mask_token"] = torch.zeros(1, 1, 512)
    torch.save(training_checkpoint(parallel, tcm_head=state.tcm), checkpoint)
    arguments = ["--checkpoint", str(checkpoint), "--dataset", "iam", "--output", str(folder / "model")]
    convert_original.main(arguments)
    checkpoint.unlink()
    model = AutoModel.from_pretrained(folder / "model", trust_remote_code=True).eval()
    tcm = HTRConvTextTCM(HTRConvTextConfig.from_pretrained(folder / "model")).eval()
    tcm.load_state_dict(load_file(folder / "model" / "tcm.safetensors"))
    return SimpleNamespace(folder=folder / "model", model=model, tcm=tcm)


@pytest.fixture(scope="module")
def forward(golden, converted):
    """The golden input's outputs, golden and ours."""
    expected = np.load(golden / "forward.npz")
    with torch.no_grad():
        outputs = converted.model(pixel_values=torch.from_numpy(expected["pixel_values"]), output_hidden_states=True)
    return SimpleNamespace(expected=expected, outputs=outputs)


def test_the_paper_s_number_of_parameters(converted):
    assert sum(parameter.numel() for parameter in converted.model.parameters()) == 65_920_016
    assert isinstance(converted.model, torch.nn.Module)
    assert type(converted.model).__name__ == HTRConvTextForCTC.__name__


def test_logits_and_features(forward):
    np.testing.assert_allclose(forward.outputs.logits, forward.expected["logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(forward.outputs.last_hidden_state, forward.expected["features"], rtol=0, atol=1e-4)


def test_backbone(forward):
    expected = forward.expected["mvp"].squeeze(2).transpose(0, 2, 1)
    np.testing.assert_allclose(forward.outputs.hidden_states[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("block", range(1, 9))
def test_blocks(forward, block):
    actual, expected = forward.outputs.hidden_states[block], forward.expected[f"block_{block}"]
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("width", [128, 200, 333, 640, 1024])
def test_other_widths(golden, converted, width):
    pixel_values = np.random.default_rng(width).random((1, 1, 64, width), dtype=np.float32)
    expected = np.load(golden / "widths.npz")[f"logits_{width}"]
    with torch.no_grad():
        logits = converted.model(pixel_values=torch.from_numpy(pixel_values)).logits
    assert logits.shape == (1, converted.model.config.frames(width), 80)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def labels(golden, converted):
    processor = AutoProcessor.from_pretrained(converted.folder, trust_remote_code=True)
    losses = json.loads((golden / "losses.json").read_text(encoding="utf-8"))
    encoded = [torch.tensor(processor.tokenizer.encode(text)) for text in losses["texts"]]
    return torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True, padding_value=-100)


def test_losses(golden, converted, forward, labels):
    expected = json.loads((golden / "losses.json").read_text(encoding="utf-8"))
    with torch.no_grad():
        ctc = converted.model(pixel_values=torch.from_numpy(forward.expected["pixel_values"]), labels=labels).loss
        tcm = converted.tcm(forward.outputs.last_hidden_state, labels).loss
    assert float(ctc) == pytest.approx(expected["ctc"], rel=1e-4)
    assert float(tcm) == pytest.approx(expected["tcm"], rel=1e-4)
    assert 0.1 * float(ctc) + float(tcm) == pytest.approx(expected["total_0.1ctc_1.0tcm"], rel=1e-4)


@pytest.mark.parametrize("direction", ["left", "right"])
def test_tcm_logits(golden, converted, forward, labels, direction):
    expected = np.load(golden / "tcm.npz")[f"logits_{direction}"]
    with torch.no_grad():
        outputs = converted.tcm(forward.outputs.last_hidden_state, labels)
    mask = outputs.position_mask.numpy()
    actual = outputs[f"{direction}_logits"].numpy()[mask]
    scale = np.abs(expected[mask]).max()
    np.testing.assert_allclose(actual / scale, expected[mask] / scale, rtol=0, atol=1e-4)


def test_the_folder_is_complete(converted):
    card = ModelCard.load(converted.folder / "README.md").data
    assert (card.library_name, card.pipeline_tag, card.language) == ("transformers", "image-to-text", "en")
    assert {result.metric_type: result.metric_value for result in card.eval_results} == {"cer": 4.0, "wer": 12.9}
    processor = AutoProcessor.from_pretrained(converted.folder, trust_remote_code=True)
    assert processor.tokenizer.alphabet == HTRConvTextProcessor.for_dataset("iam").tokenizer.alphabet
    assert "modeling_htr_convtext.py" in {operation.path_in_repo for operation in upload_operations(converted.folder)}


REMOTE_CODE = """
import sys
sys.modules["htr_convtext"] = None  # An import of the package would fail.
import numpy as np, torch
from transformers import AutoModel, pipeline
folder, golden, output = sys.argv[1:]
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
with torch.no_grad():
    logits = model(torch.from_numpy(np.load(golden + "/forward.npz")["pixel_values"])).logits
np.save(output, logits)
read = pipeline("image-to-text", model=folder, trust_remote_code=True)
assert set(read(golden + "/images/line.jpg")[0]) >= {"generated_text", "score"}
"""


def test_the_folder_loads_without_the_package(run_without_package, converted, forward, golden, tmp_path):
    run_without_package(REMOTE_CODE, converted.folder, golden, "logits.npy", folder=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), forward.expected["logits"], rtol=0, atol=1e-4)


def test_raw_weights_where_there_is_no_average(state, tmp_path):
    torch.save({"model": state.network}, tmp_path / "raw.pth")
    convert_original.convert(tmp_path / "raw.pth", "iam", tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert torch.equal(weights["ctc_head.weight"], state.network["head.weight"])
    assert not (tmp_path / "model" / "tcm.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("blocks.3.conv.dw.weight"), r"missing: blocks\.3\.conv\.dw\.weight"),
        (lambda weights: weights.pop("head.bias"), r"missing: head\.bias"),
        (lambda weights: weights.update(stray=torch.zeros(2)), "unknown: stray"),
        (lambda weights: weights.update({"blocks.8.attn.qkv.bias": torch.zeros(2)}), r"unknown: blocks\.8\.attn\.qkv"),
        (
            lambda weights: weights.update({"patch_embed.layer2.0.bn1.weight": torch.zeros(7)}),
            r"misshapen: patch_embed\.layer2\.0\.bn1\.weight is \(7,\), not \(256,\)",
        ),
        (
            lambda weights: weights.update({"head.weight": torch.zeros(90, 512), "head.bias": torch.zeros(90)}),
            r"90 classes, but 'iam' has 80.*--dataset read2016",
        ),
        (lambda weights: weights.update({"head.bias": [1.0]}), "'state_dict_ema' is not a dictionary of tensors"),
        (lambda weights: weights.clear(), "is not a training checkpoint"),
    ],
)
def test_refused_weights_leave_nothing_behind(state, tmp_path, change, message):
    # What is refused are names and shapes: one number stands for all of a tensor's.
    weights = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.network.items()}
    change(weights)
    torch.save({"state_dict_ema": weights}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=message):
        convert_original.convert(tmp_path / "bad.pth", "iam", tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Stranger:
    """Not a type that a checkpoint of weights may hold."""


def test_unsafe_pickles_are_refused(tmp_path):
    torch.save({"model": Stranger()}, tmp_path / "unsafe.pth")
    with pytest.raises(ValueError, match=r"unsafe\.pth cannot be loaded.*Stranger"):
        convert_original.load_checkpoint(tmp_path / "unsafe.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_broken_files_are_refused(tmp_path, content):
    (tmp_path / "broken.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.pth cannot be loaded"):
        convert_original.load_checkpoint(tmp_path / "broken.pth")


def test_the_command_line_ends_with_the_error(tmp_path):
    command = ["--checkpoint", str(tmp_path / "none.pth"), "--dataset", "iam", "--output", str(tmp_path / "model")]
    with pytest.raises(SystemExit, match=f"No checkpoint at {tmp_path / 'none.pth'}."):
        convert_original.main(command)


def test_a_used_folder_is_not_overwritten(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "kept").touch()
    with pytest.raises(FileExistsError, match="not an empty folder"):
        convert_original.convert(tmp_path / "any.pth", "iam", tmp_path / "model")

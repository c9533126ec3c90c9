# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A released folder holds the mean of its runs, the card that it had, and the code as real files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel

from htr_convtext import (
    HTRConvTextConfig,
    HTRConvTextForCTC,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
)
from htr_convtext.decoding_htr_convtext import LEVELS
from htr_convtext.hub_upload.release import release

SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "backbone_head_dim": 8}


def write_run(folder: Path, alphabet: str = "abc", image_options=None, **options) -> HTRConvTextForCTC:
    tokenizer = HTRConvTextTokenizer.from_alphabet(alphabet)
    model = HTRConvTextForCTC(HTRConvTextConfig(vocab_size=tokenizer.vocab_size, **{**SIZES, **options}))
    model.save_pretrained(folder)
    HTRConvTextProcessor(HTRConvTextImageProcessor(**(image_options or {})), tokenizer).save_pretrained(folder)
    return model


def test_release_copies_the_code_and_loads(tmp_path, root):
    run, released = tmp_path / "run", tmp_path / "released"
    write_run(run)
    released.mkdir()
    (released / "README.md").write_text("the card")
    (tmp_path / "another.py").write_text("another checkout's")
    (released / "modeling_htr_convtext.py").symlink_to(tmp_path / "another.py")
    (released / "gone_htr_convtext.py").write_text("no longer travels")

    release([run], released)
    release([run], released)  # A better model takes the place of a released one.

    code = {path.name: path.read_bytes() for path in released.glob("*.py") if not path.is_symlink()}
    assert code == {path.name: path.read_bytes() for path in root.glob("*_htr_convtext.py")}
    assert (tmp_path / "another.py").read_text() == "another checkout's"
    assert AutoModel.from_pretrained(released, trust_remote_code=True).config.vocab_size == 4
    assert (released / "README.md").read_text() == "the card"


def test_several_runs_are_released_as_their_mean(tmp_path):
    models = [write_run(tmp_path / name) for name in ("first", "second")]
    release([tmp_path / "first", tmp_path / "second"], tmp_path / "released")
    first, second = (model.state_dict() for model in models)
    for name, weight in HTRConvTextForCTC.from_pretrained(tmp_path / "released").state_dict().items():
        torch.testing.assert_close(weight, (first[name] + second[name]).div(2).to(weight.dtype))


def test_batch_norms_take_their_statistics_from_training_lines(tmp_path):
    for name in ("first", "second"):
        write_run(tmp_path / name)
    folder = tmp_path / "lines"
    folder.mkdir()
    for number, shade in enumerate((20, 90, 160, 230)):
        pixels = np.random.default_rng(number).integers(0, shade, (64, 512), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "train.tsv").write_text("".join(f"{number}.png\ta\n" for number in range(4)))
    released = tmp_path / "released"
    release([tmp_path / "first", tmp_path / "second"], released, data_dirs=[str(folder)], lines=2)

    model, processor = (kind.from_pretrained(released) for kind in (HTRConvTextForCTC, HTRConvTextProcessor))
    images = [Image.open(folder / f"{number}.png") for number in (0, 2)]
    pixel_values = processor(images=images, return_tensors="pt").pixel_values
    stem = model.base_model.backbone.stem
    mapped = stem.convolution(pixel_values)
    torch.testing.assert_close(stem.normalization.running_mean, mapped.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(stem.normalization.running_var, mapped.var((0, 2, 3)), atol=1e-4, rtol=1e-3)


LOAD = """
import sys
from transformers import AutoModel
model = AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
print({str(parameter.dtype) for parameter in model.parameters()}, model.ctc_head.weight.abs().sum().item())
"""


def test_half_the_space_still_gives_float32_on_both_transformers(run_without_package, tmp_path):
    run, released = tmp_path / "run", tmp_path / "released"
    model = write_run(run)
    release([run], released, float16=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (run, released)]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = AutoModel.from_pretrained(released, trust_remote_code=True)
    for name, weight in loaded.state_dict().items():
        assert weight.dtype == model.state_dict()[name].dtype
        torch.testing.assert_close(weight, model.state_dict()[name].half().to(weight.dtype))
    printed = run_without_package(LOAD, released, folder=tmp_path, oldest=True)
    assert printed.startswith("{'torch.float32'}")
    assert float(printed.split()[-1]) == pytest.approx(loaded.ctc_head.weight.abs().sum().item())


def test_a_calibration_stays_with_the_weights_that_it_was_fitted_to(tmp_path, capsys):
    fitted = {level: [0.5, -0.1] for level in LEVELS}
    for name in ("first", "second"):
        write_run(tmp_path / name)
        HTRConvTextProcessor.from_pretrained(tmp_path / name, calibration=fitted).save_pretrained(tmp_path / name)
    released = tmp_path / "released"
    for runs, calibration in ((["first"], fitted), (["first", "second"], dict.fromkeys(LEVELS, [1.0, 0.0]))):
        release([tmp_path / name for name in runs], released)
        assert HTRConvTextProcessor.from_pretrained(released).calibration == calibration
        assert ("fitted to other weights" in capsys.readouterr().out) == (len(runs) > 1)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"alphabet": "acb"}, "vocabulary"),
        ({"conv_kernel_size": 5}, "configuration"),
        ({"image_options": {"autocontrast_cutoff": [1, 50]}}, "preprocessing"),
        ({"image_options": {"size": {"height": 64, "width": 256}}}, "preprocessing"),
    ],
)
def test_runs_of_different_kinds_have_no_mean(tmp_path, other, what):
    write_run(tmp_path / "first")
    write_run(tmp_path / "second", **other)
    with pytest.raises(ValueError, match=f"second and .*first differ in their {what}[.]$"):
        release([tmp_path / "first", tmp_path / "second"], tmp_path / "released")
    assert not (tmp_path / "released").exists()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Exported networks read as the model does, at batches and widths that they were not traced at."""

import copy
import itertools
import runpy
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
openvino = pytest.importorskip("openvino", reason="the extra [export] is not installed")
pytest.importorskip("nncf", reason="the extra [export] is not installed")

from transformers.exporters.base import EXPORT_MANIFEST_FILE  # noqa: E402

from htr_convtext import (  # noqa: E402
    HTRConvTextDecoder,
    HTRConvTextForCTC,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
)
from htr_convtext.decoding.ngrams import estimate, write_arpa  # noqa: E402
from htr_convtext.export import ExportedHTRConvText, convert, export_model, verify  # noqa: E402
from htr_convtext.export.requirements import load_split_or_exit  # noqa: E402
from htr_convtext.export.verify import SHAPES  # noqa: E402

TOLERANCE = 1e-3  # of the logits


@pytest.fixture(scope="module", autouse=True)
def one_openvino():
    # Every Core gives its thread a signal stack. Of two, the first one freed takes away what the second goes back to,
    # and the next signal that Python handles, such as the end of a DataLoader's worker, is a segmentation fault.
    core = openvino.Core()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino, "Core", lambda: core)
        yield


@pytest.fixture(scope="module")
def model(shallow_folder):
    return HTRConvTextForCTC.from_pretrained(shallow_folder).eval()


@pytest.fixture(scope="module")
def processor(shallow_folder):
    return HTRConvTextProcessor.from_pretrained(shallow_folder)


@pytest.fixture(scope="module")
def lines(model, processor, line_images):
    """Lines whose frames all have a best class that the tolerance of the logits cannot change."""
    pixel_values = processor(images=line_images[:16], return_tensors="pt").pixel_values
    with torch.no_grad():
        best, second = model(pixel_values).logits.topk(2).values.unbind(-1)
    clear = ((best - second).amin(dim=-1) > 2 * TOLERANCE).tolist()
    return list(itertools.compress(line_images, clear))[:6]


@pytest.fixture(scope="module", params=["onnx", "openvino"])
def folder(request, exported_folder):
    return exported_folder(request.param)


@pytest.fixture(scope="module")
def exported(folder):
    return ExportedHTRConvText.from_pretrained(folder, num_threads=1)


@torch.no_grad()
@pytest.mark.parametrize(("batch_size", "width"), SHAPES)
def test_any_batch_and_width(model, exported, batch_size, width):
    pixel_values = torch.rand(batch_size, 1, 64, width)
    expected, outputs = model(pixel_values), exported(pixel_values)
    torch.testing.assert_close(outputs.logits, expected.logits, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(outputs.last_hidden_state, expected.last_hidden_state, atol=TOLERANCE, rtol=0)


def test_threads_read_their_own_lines(model, exported):
    lines = [torch.rand(1, 1, 64, 64 * number) for number in range(1, 5)]
    with torch.no_grad():
        expected = [model(line).logits for line in lines]
    with ThreadPoolExecutor(4) as threads:
        for turn in range(8):
            for logits, found in zip(expected, threads.map(exported, lines), strict=True):
                torch.testing.assert_close(found.logits, logits, atol=TOLERANCE, rtol=0, msg=f"turn {turn}")


def test_other_widths_are_refused(exported):
    with pytest.raises(ValueError, match="multiples of 8 pixels. Got 77"):
        exported(torch.rand(1, 1, 64, 77))


def test_the_pipeline_takes_it_for_the_model(model, exported, folder, processor, lines):
    expected = model.as_pipeline(processor, batch_size=2)(lines)
    assert len({line[0]["generated_text"] for line in expected}) == len(lines) >= 4
    readings = exported.as_pipeline(HTRConvTextProcessor.from_pretrained(folder), batch_size=2)(lines)
    assert [line[0]["generated_text"] for line in readings] == [line[0]["generated_text"] for line in expected]
    pixel_values = processor(images=lines, return_tensors="pt").pixel_values
    assert torch.equal(exported.generate(pixel_values), model.generate(pixel_values))


def test_transcribe_py_runs_it_and_writes_the_same(root, folder, shallow_folder, lines, tmp_path, monkeypatch):
    def texts(model, *options):
        out = tmp_path / f"out {model.name} {len(options)}"
        words = [*lines, "--images", "lines", "--model", model, "--output", out, "--format", "txt", *options]
        monkeypatch.setattr(sys, "argv", ["transcribe.py", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            runpy.run_path(str(root / "transcribe.py"), run_name="__main__")
        return exit_.value.code or [path.read_text(encoding="utf-8") for path in sorted(out.rglob("*.txt"))]

    assert texts(folder) == texts(shallow_folder) and len(set(texts(folder, "--overwrite"))) == len(lines)
    if "openvino" in folder.name:
        assert len(texts(folder, "--backend", "openvino", "--dtype", "bfloat16")) == len(lines)
    else:
        assert texts(folder, "--dtype", "float16").startswith("transcribe.py: ONNX Runtime computes in torch.float32")


def test_types(exported, folder):
    if "openvino" in folder.name:
        half = ExportedHTRConvText.from_pretrained(folder, dtype=torch.bfloat16)
        pixel_values = torch.rand(2, 1, 64, 128)
        difference = (half(pixel_values).logits - exported(pixel_values).logits).abs().mean()
        assert difference / exported(pixel_values).logits.std() < 0.1
        # Elsewhere OpenVINO computes in float32 whatever it is asked for.
        rounds = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        assert (difference > 0) == rounds
    else:
        with pytest.raises(ValueError, match="ONNX Runtime computes in torch.float32"):
            ExportedHTRConvText.from_pretrained(folder, dtype=torch.bfloat16)


@pytest.mark.slow
@torch.no_grad()
def test_sizes_stay_whole_in_bfloat16(model, tmp_path):
    # Without MobileViT layers, the graph itself computes the number of frames from the width.
    config = copy.deepcopy(model.config)
    config.backbone_mobilevit = (False, False, False)
    export_model(HTRConvTextForCTC(config).eval(), "openvino").save_pretrained(tmp_path)
    exact, half = (ExportedHTRConvText.from_pretrained(tmp_path, dtype) for dtype in (torch.float32, torch.bfloat16))
    for batch_size, width in SHAPES:
        pixel_values = torch.rand(batch_size, 1, 64, width)
        expected, logits = exact(pixel_values).logits, half(pixel_values).logits
        assert logits.shape == expected.shape == (batch_size, config.frames(width), config.vocab_size)
        assert (logits - expected).abs().mean() / expected.std() < 0.1


@pytest.mark.parametrize(("number", "widths"), [(2, [8, 24]), (3, [8, 16, 32]), (9, [8, 16, 24, 32, 40])])
def test_lines_that_calibrate_are_spread_over_the_split(tmp_path, number, widths):
    for width in range(8, 48, 8):
        Image.new("L", (width, 64), 255).save(tmp_path / f"{width:02}.png")
    (tmp_path / "train.tsv").write_text("".join(f"{width:02}.png\ta\n" for width in range(8, 48, 8)))
    processor = HTRConvTextProcessor.for_dataset("iam")
    processor.image_processor = HTRConvTextImageProcessor(keep_aspect_ratio=True, pad_to_multiple_of=8)
    split = load_split_or_exit("lines", str(tmp_path), "train")
    lines = convert.calibration_lines(split, processor, number)
    assert [line.shape[-1] for line in lines] == widths


def test_lines_are_read_with_the_options_of_a_training(tmp_path, monkeypatch, capsys):
    Image.new("L", (80, 64), 255).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("e\u0301", encoding="utf-8")
    options = Namespace(dataset="lines", data_dir=[str(tmp_path)], split="train", max_lines=None)
    options.dataset_option = ["normal_form=NFD"]
    assert verify.load_first_lines(options)["text"] == ["e\u0301"]
    with pytest.raises(SystemExit, match="--dataset lines: lines: unknown options normal_from"):
        load_split_or_exit("lines", str(tmp_path), "train", ["normal_from=NFD"])
    for command, needed in ((verify, ()), (convert, ("--format", "onnx", "--output", "out"))):
        for option in (("--dataset_option", "normal_form=NFD"), ("--dataset", "iam")):
            assert run(monkeypatch, command, "--model", "m", *needed, *option) == "2"
            assert f"{option[0]} says how the lines of --data_dir are read" in capsys.readouterr().err


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("export_format", ["onnx", "openvino"])
def test_int8(model, processor, export_format, line_images, tmp_path):
    # As initialised: the fixture's drawn weights make rounding errors as large as the signal.
    torch.manual_seed(0)
    model = HTRConvTextForCTC(model.config).eval()
    pixel_values = processor(images=line_images[:8], return_tensors="pt").pixel_values
    export_model(model, export_format, list(pixel_values.split(1))).save_pretrained(tmp_path)
    outputs = ExportedHTRConvText.from_pretrained(tmp_path)(pixel_values)
    expected = model(pixel_values)
    difference = (outputs.logits - expected.logits).abs().mean()
    # Of the order of rounding to 8 bits, and neither nothing (then it is no int8) nor noise.
    assert 0 < difference / expected.logits.std() < 0.3


def run(monkeypatch, command, *arguments) -> str:
    """What a command that ends with an error says."""
    monkeypatch.setattr("sys.argv", ["command", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return str(ended.value)


def test_what_is_not_there_is_named_in_one_sentence(monkeypatch, model_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    said = run(monkeypatch, verify, "--model", model_folder, "--exported", tmp_path / "missing")
    assert said == (
        f"--exported {tmp_path / 'missing'}: no such folder, and no repository of the Hub that can be reached. "
        "Name a folder that python -m htr_convtext.export.convert --output wrote."
    )
    said = run(monkeypatch, verify, "--model", tmp_path / "empty")
    assert (
        said.startswith(f"--model {tmp_path / 'empty'}: nothing that can be loaded is there (")
        and "--output_dir" in said
    )
    for command, options in ((verify, ()), (convert, ("--format", "onnx", "--output", tmp_path / "out"))):
        said = run(monkeypatch, command, "--model", "hub_uplaod/htr-convtext-fr", *options)
        assert said.startswith("--model hub_uplaod/htr-convtext-fr: no such folder") and "Traceback" not in said
    said = run(monkeypatch, verify, "--model", model_folder, "--data_dir", tmp_path / "lines")
    assert said.startswith(f"--data_dir No such folder: {tmp_path / 'lines'}")


def test_a_type_that_a_runtime_lacks_is_a_sentence(monkeypatch, model_folder, tmp_path):
    (tmp_path / EXPORT_MANIFEST_FILE).write_text('{"export_format": "onnx"}', encoding="utf-8")
    options = ("--exported", tmp_path, "--dtype", "bfloat16", "--data_dir", tmp_path)
    said = run(monkeypatch, verify, "--model", model_folder, *options)
    assert said.startswith(f"--exported {tmp_path}: ONNX Runtime computes in torch.float32. Got torch.bfloat16")


@pytest.mark.parametrize("options", [("--int8",), ("--data_dir", "lines")])
def test_int8_and_its_lines_are_asked_for_together(options, monkeypatch, capsys):
    assert run(monkeypatch, convert, "--model", "m", "--format", "onnx", "--output", "out", *options) == "2"
    assert "--data_dir" in capsys.readouterr().err


def test_a_file_is_no_folder_to_export_to(tmp_path, monkeypatch, capsys):
    (tmp_path / "out").touch()
    options = ("--model", "m", "--format", "onnx", "--output", str(tmp_path / "out"))
    assert run(monkeypatch, convert, *options) == "2"
    assert f"--output: {tmp_path / 'out'} is a file. Name a folder." in capsys.readouterr().err


def test_int8_is_not_calibrated_on_no_line(monkeypatch, capsys):
    """Without one, the network stayed in float32 and was called int8."""
    options = ("--int8", "--data_dir", "lines", "--calibration_lines", "0")
    assert run(monkeypatch, convert, "--model", "m", "--format", "onnx", "--output", "out", *options) == "2"
    assert "--calibration_lines: must be at least 1. Got 0." in capsys.readouterr().err


def test_unknown_formats_are_refused(model):
    with pytest.raises(ValueError, match="onnx.*openvino.*Got 'torchscript'"):
        export_model(model, "torchscript")


def test_a_beam_search_reads_the_same_and_is_as_sure(model, exported, processor, lines):
    pytest.importorskip("flashlight.lib.text", reason="the extra [lm] is not installed")
    alphabet = processor.tokenizer.alphabet
    decoder = HTRConvTextDecoder(alphabet, write_arpa(estimate(["the old mill", "a river"], alphabet, 3)))
    expected, found = (
        network.as_pipeline(processor)(lines[:4], decoder=decoder, return_segments=True)
        for network in (model, exported)
    )
    for (one,), (other,) in zip(expected, found, strict=True):
        assert one["generated_text"] == other["generated_text"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-3)
        assert [word["score"] for word in one["words"]] == pytest.approx(
            [word["score"] for word in other["words"]], abs=1e-3
        )


def test_logits_that_are_no_numbers_pass_no_check():
    expected = SimpleNamespace(logits=torch.zeros(1, 2, 3))
    broken = SimpleNamespace(logits=torch.tensor([[[0.0, float("nan"), 0.0]] * 2]))
    assert verify.largest_difference(expected, broken) == float("inf")

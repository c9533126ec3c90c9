# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The scripts of docs/coming_from_trocr.md run as printed, and read and learn what they should."""

import ast
import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def scripts(root) -> dict[str, str]:
    """The page's blocks of Python by the heading that they stand under."""
    page = (root / "docs" / "coming_from_trocr.md").read_text(encoding="utf-8")
    block = r"^## ([^\n]*)\n\n(?:This needs [^\n]*\n\n)?```python\n(.*?)```"
    return dict(re.findall(block, page, flags=re.DOTALL | re.MULTILINE))


@pytest.fixture
def workplace(root, tmp_path) -> Path:
    """A folder with what the scripts name, and where they may write."""
    for name in ("examples", "hub_upload"):
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


def run(script: str, workplace: Path) -> str:
    # Without the package, as its users have it: the classes come from the folder's own files.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HF_MODULES_CACHE"] = str(workplace / "modules")
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=workplace, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def read_with_the_pipeline(root: Path, names: list[str]) -> list[str]:
    from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor

    folder = root / "hub_upload" / "htr-convtext-fr"
    processor = HTRConvTextProcessor.from_pretrained(folder)
    read = HTRConvTextForCTC.from_pretrained(folder).as_pipeline(processor)
    return [read(str(root / "examples" / f"{name}.jpg"))[0]["generated_text"] for name in names]


def test_every_block_is_tested(scripts):
    assert list(scripts) == ["Reading", "Fine-tuning"]


def test_reading(root, scripts, workplace, run_without_package):
    lines = run_without_package(scripts["Reading"], folder=workplace).splitlines()
    assert len(lines) == 4
    # The first line is alone, as wide as it is: what the pipeline reads. The padded ones may differ in single letters.
    expected = read_with_the_pipeline(root, ["carnet_1", "adresse", "carnet_2", "lettre_1"])
    assert lines[0] == expected[0]
    for line, text in zip(lines[1:], expected[1:], strict=True):
        assert difflib.SequenceMatcher(None, line, text).ratio() > 0.8, (line, text)


@pytest.mark.slow
def test_fine_tuning(scripts, workplace):
    output = run(scripts["Fine-tuning"], workplace)
    metrics = ast.literal_eval(output.strip().splitlines()[-1])
    assert 0 < metrics["eval_cer"] < 1 and metrics["eval_loss"] > 0
    again = scripts["Reading"].replace("hub_upload/htr-convtext-fr", "runs/from_trocr")
    assert len(run(again, workplace).splitlines()) == 4


# What such scripts have otherwise than the page.
VARIANTS = {
    "the head's class": [("AutoModel", "AutoModelForCTC")],
    "grey images": [('.convert("RGB")', '.convert("L")')],
    "the metric without the padding between batches": [
        ("    predicted_ids[predicted_ids == -100] = processor.tokenizer.pad_token_id\n", "")
    ],
    "no channel axis": [(".squeeze(0)", ".squeeze()")],
    "plain Trainer": [
        ("Seq2Seq", ""),
        ("    predict_with_generate=True,\n", ""),
        ("    compute_metrics=compute_metrics,\n", ""),
    ],
    "fewer options": [("    data_collator=default_data_collator,\n", ""), ("    default_data_collator,\n", "")],
    "generation options": [
        ("    predict_with_generate=True,", "    predict_with_generate=True, generation_max_length=64,"),
        ("    predict_with_generate=True,", "    predict_with_generate=True, generation_num_beams=4,"),
    ],
    "TrOCR's settings": [
        (
            "\n\nclass Lines",
            "\nmodel.config.pad_token_id = processor.tokenizer.pad_token_id\nmodel.config.max_length = 64\n"
            "model.config.early_stopping = True\nmodel.config.no_repeat_ngram_size = 3\n"
            "model.config.length_penalty = 2.0\nmodel.config.num_beams = 4\n\n\nclass Lines",
        )
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_fine_tuning_otherwise(scripts, workplace, variant):
    script = scripts["Fine-tuning"]
    for old, new in VARIANTS[variant]:
        assert old in script
        script = script.replace(old, new)
    metrics = ast.literal_eval(run(script, workplace).strip().splitlines()[-1])
    assert metrics["eval_loss"] > 0
    shutil.rmtree(workplace / "runs")

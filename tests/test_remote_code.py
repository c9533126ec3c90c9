# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Saved folders read without the package: in processes that have torch, transformers, numpy and Pillow only."""

import importlib.metadata
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi
from transformers import AutoProcessor, Trainer, TrainingArguments, pipeline

from htr_convtext import HTRConvTextDecoder, HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor

# What the package's other parts would need, and the package itself.
ABSENT = ("htr_convtext", "accelerate", "datasets", "evaluate", "jiwer", "torchvision")
HUB_NAME = "someone/htr.convtext"
HUB_COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["", "aab", " edges  kept ", "<blank>", "a|b", "e\u0301e\u0301", 'Mr. O\'Neill (1916): "&c."']
AUTO_MAP = {
    "AutoConfig": "configuration_htr_convtext.HTRConvTextConfig",
    "AutoModel": "modeling_htr_convtext.HTRConvTextForCTC",
    "AutoModelForCTC": "modeling_htr_convtext.HTRConvTextForCTC",
}
CUSTOM_PIPELINES = {
    "image-to-text": {
        "impl": "pipeline_htr_convtext.HTRConvTextPipeline",
        "pt": ["AutoModel"],
        "type": "multimodal",
    }
}
CODE = {path.name for path in Path(__file__).parents[1].glob("*_htr_convtext.py")}


@pytest.fixture(scope="module")
def lines(line_images) -> list[str]:
    return line_images[::8]


@pytest.fixture(scope="module")
def model(model_folder) -> HTRConvTextForCTC:
    return HTRConvTextForCTC.from_pretrained(model_folder, dtype=torch.float64)


@pytest.fixture(scope="module")
def folders(root, model_folder, tmp_path_factory) -> dict[str, str]:
    """One folder for each way in which a user comes by one."""
    parent = tmp_path_factory.mktemp("folders")
    model = HTRConvTextForCTC.from_pretrained(model_folder)
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    model.save_pretrained(parent / "model_only")
    HTRConvTextPipeline(model=model, processor=processor).save_pretrained(parent / "from_pipeline")
    arguments = TrainingArguments(parent / "trainer", use_cpu=True)
    Trainer(model, arguments, processing_class=processor).save_model()
    shutil.copytree(model_folder, parent / "a name. with 1.5 dots")
    processor.image_processor.keep_aspect_ratio = True
    processor.image_processor.size["width"] = 1024
    model.save_pretrained(parent / "aspect")
    processor.save_pretrained(parent / "aspect")
    link_code(root, model_folder, parent / "linked")
    return {"saved": str(model_folder), **{folder.name: str(folder) for folder in parent.iterdir()}}


def link_code(root: Path, source: Path, target: Path) -> None:
    """A folder with weights and settings of its own, and relative links to the checkout's code."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.py"))
    for name in CODE:
        (target / name).symlink_to(os.path.relpath(root / name, target))


@pytest.fixture(scope="module")
def read_remotely(run_without_package, lines, folders, tmp_path_factory):
    """Runs remote_reader.py with a cache of its own."""

    def run(oldest: bool = False, **request):
        workplace = tmp_path_factory.mktemp("elsewhere")
        empty: dict[str, dict] = {"model_only": {}, "pipelines": {}, "save_again": {}, "save_pipeline_again": {}}
        constant = {"lines": lines, "texts": TEXTS, "absent": ABSENT, "processor": folders["saved"]}
        (workplace / "request.json").write_text(json.dumps({**empty, **constant, **request}))
        hub_cache(Path(folders["saved"]), workplace / "home" / "hub")
        script = Path(__file__).with_name("remote_reader.py")
        run_without_package(script, "request.json", "answer.json", folder=workplace, oldest=oldest)
        return json.loads((workplace / "answer.json").read_text())

    return run


def hub_cache(folder: Path, cache: Path) -> None:
    """The folder as the Hub client keeps it after a download."""
    repository = cache / f"models--{HUB_NAME.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / HUB_COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(HUB_COMMIT)


COMPLETE = ("saved", "linked", "from_pipeline", "trainer", "a name. with 1.5 dots", HUB_NAME)
SAVED_AGAIN = {"saved": "saved_again", HUB_NAME: "hub_saved_again"}


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("again")


@pytest.fixture(scope="module")
def answer(read_remotely, folders, again):
    """What a process without the package reads, having all folders; it also saves some of them again."""
    return read_remotely(
        complete={name: folders.get(name, name) for name in COMPLETE},
        model_only={"model_only": folders["model_only"]},
        pipelines={"aspect": folders["aspect"]},
        save_again={folders.get(source, source): str(again / target) for source, target in SAVED_AGAIN.items()},
        save_pipeline_again={HUB_NAME: str(again / "pipeline_saved_again")},
    )


@pytest.fixture(scope="module")
def answer_again(answer, read_remotely, again):
    """What another process reads with folders that were saved by remote code."""
    return read_remotely(complete={folder.name: str(folder) for folder in again.iterdir()})


@pytest.fixture(scope="module")
def answer_oldest(read_remotely, folders):
    return read_remotely(
        oldest=True,
        complete={name: folders[name] for name in ("saved", "linked")},
        pipelines={"aspect": folders["aspect"]},
    )


@pytest.fixture(scope="module")
def expected(model, folders, lines):
    """What the package itself reads in each of the two modes."""
    readings = {}
    for name in ("saved", "aspect"):
        processor = HTRConvTextProcessor.from_pretrained(folders[name])
        readings[name] = HTRConvTextPipeline(model=model, processor=processor)(lines)
    return readings


def assert_same_readings(readings, expected):
    assert [[line["generated_text"] for line in reading] for reading in readings] == [
        [line["generated_text"] for line in reading] for reading in expected
    ]
    scores = [line["score"] for reading in readings for line in reading]
    assert scores == pytest.approx([line["score"] for reading in expected for line in reading], abs=1e-6)


def assert_reads_like_the_package(answer, expected, model, folders, lines):
    assert answer["classes"] == [
        "HTRConvTextConfig",
        "HTRConvTextForCTC",
        "HTRConvTextForCTC",
        "HTRConvTextProcessor",
        "HTRConvTextImageProcessor",
        "HTRConvTextTokenizer",
    ]
    assert answer["remote"] and answer["same_logits"] and answer["same_pixels"]
    assert answer["round_trips"] == TEXTS
    assert answer["generated_text"] == expected["saved"][0][0]["generated_text"]
    assert_same_readings(answer["readings"], expected["saved"])
    processor = HTRConvTextProcessor.from_pretrained(folders["saved"])
    with torch.no_grad():
        logits = model(processor(images=lines[0], return_tensors="pt").pixel_values).logits
    torch.testing.assert_close(torch.tensor(answer["logits"], dtype=torch.float64), logits[0, ::16, ::8])


def test_the_process_has_nothing_but_what_it_needs(answer, answer_oldest):
    assert answer["importable"] == answer_oldest["importable"] == []
    assert answer["transformers"] == importlib.metadata.version("transformers")
    assert answer_oldest["transformers"].startswith("4.57.")


def test_the_readings_differ_from_line_to_line(expected):
    for readings in expected.values():
        assert len({reading[0]["generated_text"] for reading in readings}) == len(readings) == 4


@pytest.mark.parametrize("name", [*COMPLETE, "model_only"])
def test_every_folder_reads_remotely(answer, expected, model, folders, lines, name):
    assert_reads_like_the_package(answer[name], expected, model, folders, lines)


@pytest.mark.parametrize("name", [*SAVED_AGAIN.values(), "pipeline_saved_again"])
def test_a_folder_saved_by_remote_code_reads_remotely(answer_again, expected, model, folders, lines, name):
    assert_reads_like_the_package(answer_again[name], expected, model, folders, lines)


def test_lines_of_their_own_width_read_remotely(answer, expected):
    assert_same_readings(answer["aspect"]["readings"], expected["aspect"])


@pytest.mark.parametrize("name", ["saved", "linked"])
def test_oldest_transformers_reads_what_the_newest_saved(answer_oldest, expected, model, folders, lines, name):
    assert_reads_like_the_package(answer_oldest[name], expected, model, folders, lines)


def test_oldest_transformers_reads_lines_of_their_own_width(answer_oldest, expected):
    assert_same_readings(answer_oldest["aspect"]["readings"], expected["aspect"])


def assert_names_its_own_code(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["HTRConvTextForCTC"]
    assert config["auto_map"] == AUTO_MAP
    assert config["custom_pipelines"] == CUSTOM_PIPELINES
    assert CODE <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["saved", "model_only", "from_pipeline", "trainer"])
def test_folders_name_their_own_code(folders, name):
    assert_names_its_own_code(Path(folders[name]))


@pytest.mark.parametrize("name", [*SAVED_AGAIN.values(), "pipeline_saved_again"])
def test_folders_saved_by_remote_code_name_their_own_code(answer, again, name):
    assert_names_its_own_code(again / name)
    for file in ("processor_config.json", "tokenizer_config.json"):
        assert "--" not in (again / name / file).read_text(), f"{file} sends to another repository's code"


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Path:
    """What would have been uploaded: commits go into a folder instead of to the Hub."""

    def create_repo(self, repo_id, **kwargs):
        return type("Repository", (), {"repo_id": repo_id, "url": repo_id})

    def create_commit(self, repo_id, operations, **kwargs):
        for operation in operations:
            path = tmp_path / repo_id / operation.path_in_repo
            path.parent.mkdir(parents=True, exist_ok=True)
            with operation.as_file() as file:
                path.write_bytes(file.read())

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "create_commit", create_commit)
    return tmp_path


def test_push_to_hub_uploads_a_complete_folder(hub, model_folder):
    read = pipeline("image-to-text", model=str(model_folder), trust_remote_code=True)
    read.model.push_to_hub(HUB_NAME)
    read.processor.push_to_hub(HUB_NAME)
    assert_names_its_own_code(hub / HUB_NAME)
    uploaded = {path.name for path in (hub / HUB_NAME).iterdir()}
    assert {"model.safetensors", "processor_config.json", "tokenizer_config.json", "vocab.json"} <= uploaded
    processor = AutoProcessor.from_pretrained(hub / HUB_NAME, trust_remote_code=True)
    assert processor.tokenizer.alphabet == read.processor.tokenizer.alphabet


@pytest.mark.parametrize("part", ["pipeline", "processor"])
def test_saving_to_the_hub_uploads_the_processor_and_its_decoder(hub, model_folder, tmp_path, part):
    model, processor = (kind.from_pretrained(model_folder) for kind in (HTRConvTextForCTC, HTRConvTextProcessor))
    processor.decoder = HTRConvTextDecoder(processor.tokenizer.alphabet)
    saved = processor if part == "processor" else model.as_pipeline(processor)
    saved.save_pretrained(str(tmp_path / "saved"), push_to_hub=True, repo_id=HUB_NAME)
    uploaded = {path.relative_to(hub / HUB_NAME).as_posix() for path in (hub / HUB_NAME).rglob("*")}
    assert {"processor_config.json", "language_model/decoder_config.json"} <= uploaded

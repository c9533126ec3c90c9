# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The released folder's remote code in the ways that transformers, accelerate and peft load, move, save and train."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = [
    "pickles",  # these two first, as they try the class of the process's first load
    "loads_the_same_each_time",
    "loads_on_disk",
    "loads_what_does_not_fit_on_disk",
    "reads_from_disk_in_the_pipeline",
    "offloads_to_the_cpu",
    "offloads_to_disk",
    "loads_into_empty_weights",
    "replicates_for_data_parallel",
    "loads_without_batch_counters",
    "keeps_the_rest_with_a_new_head",
    "copies_deeply",
    "loads_from_a_subfolder",
    "saves_a_subclass",
    "saves_in_shards",
    "loads_in_bfloat16",
    "checkpoints_gradients",
    "reads_as_an_object_in_the_pipeline",
]
SLOW = ["crosses_processes", "trains_lora", "loads_quantized_by_torchao"]


@pytest.fixture(scope="module")
def released(root) -> Path:
    return root / "hub_upload" / "htr-convtext-fr"


@pytest.fixture(scope="module")
def try_ways(root, released, tmp_path_factory):
    def run(names: list[str], python_path: str = "") -> dict[str, str]:
        workplace = tmp_path_factory.mktemp("ways")
        script = Path(__file__).with_name("ways_of_loading.py")
        line = root / "examples" / "lettre_3.jpg"
        # torchao slows and litters every import of transformers, so it may be kept in a folder of its own.
        extra = python_path or os.environ.get("HTR_EXTRA_PACKAGES", "")
        command = [sys.executable, "-P", str(script), str(released), str(line), "answer.json", *names]
        # With a module cache of its own, and without the package, whose classes would win over the folder's.
        environment = {**os.environ, "HF_MODULES_CACHE": str(workplace / "modules"), "PYTHONPATH": extra}
        ended = subprocess.run(command, cwd=workplace, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr[-3000:]
        return json.loads((workplace / "answer.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture(scope="module")
def answers(try_ways):
    """What became of each way, tried in one process."""
    return try_ways(QUICK)


@pytest.mark.parametrize("way", QUICK)
def test_ways_of_loading(answers, way):
    assert answers[way] == "right", answers[way]


@pytest.mark.slow
@pytest.mark.parametrize("way", SLOW)
def test_slow_ways_of_loading(try_ways, way):
    answer = try_ways([way])[way]
    if answer.startswith("missing "):
        pytest.skip(f"{way}: {answer}")
    assert answer == "right", answer


@pytest.mark.slow
def test_loading_on_disk_with_the_oldest_transformers(try_ways, oldest_transformers):
    ways = ["loads_on_disk", "loads_what_does_not_fit_on_disk"]
    assert try_ways(ways, str(oldest_transformers)) == dict.fromkeys(ways, "right")


FIRST = {
    "AutoConfig": "AutoConfig.from_pretrained(folder, trust_remote_code=True)",
    "AutoModel": "AutoModel.from_pretrained(folder, trust_remote_code=True)",
    "AutoModelForCTC": "AutoModelForCTC.from_pretrained(folder, trust_remote_code=True)",
    "AutoProcessor": "AutoProcessor.from_pretrained(folder, trust_remote_code=True)",
    "AutoImageProcessor": "AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)",
    "AutoTokenizer": "AutoTokenizer.from_pretrained(folder, trust_remote_code=True)",
    "pipeline": "pipeline('image-to-text', model=folder, trust_remote_code=True)",
}


@pytest.fixture
def load_first(run_without_package, released, tmp_path):
    """Loads this first, with an empty module cache, and all the rest after it."""

    def load(first: str, oldest: bool) -> None:
        order = [FIRST[first], *FIRST.values()]
        script = f"from transformers import {', '.join(FIRST)}\nfolder = {str(released)!r}\n" + "\n".join(order)
        run_without_package(script, folder=tmp_path, oldest=oldest)

    return load


def test_the_model_loads_first_on_the_oldest_transformers(load_first):
    load_first("AutoModel", oldest=True)


@pytest.mark.slow
@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("first", FIRST)
def test_anything_loads_first(load_first, first, oldest):
    load_first(first, oldest)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""kraken beside the peers: its lines, its time, its best checkpoint. kraken itself is played by two short programs."""

import json
import sys
from pathlib import Path

import pytest

from htr_convtext.benchmarks import kraken_training

# Writes two checkpoints and goes on until it is ended; `convert` copies the one that it is given.
KETOS = """#!{python}
import sys
from pathlib import Path
if "convert" in sys.argv:
    Path(sys.argv[-2]).write_text(Path(sys.argv[-1]).read_text())
else:
    folder = Path(sys.argv[sys.argv.index("-o") + 1])
    folder.mkdir()
    for name in {checkpoints}:
        (folder / name).write_text(name)
    while {endless}:
        pass
"""
# Reads every line as the text beside it, but for the model's name in front.
PYTHON = """#!{python}
import json, sys
from pathlib import Path
model, readings, *images = sys.argv[2:]
texts = {{image: "x" + Path(image).with_suffix(".gt.txt").read_text() for image in images}}
Path(readings).write_text(json.dumps({{"parameters": 7, "readings": texts}}))
"""


@pytest.fixture
def kraken(tmp_path):
    """What writes a `bin` folder with a `ketos` that leaves these checkpoints."""

    def write(checkpoints: list[str], endless: bool = True) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, program in (("ketos", KETOS), ("python", PYTHON)):
            text = program.format(python=sys.executable, checkpoints=checkpoints, endless=endless)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        return folder

    return write


def run(monkeypatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["kraken_training", *map(str, options)])
    kraken_training.main()


def test_the_best_checkpoint_reads_when_the_time_is_used_up(line_folders, tmp_path, monkeypatch, kraken):
    programs = kraken(["checkpoint_00-0.1000.ckpt", "checkpoint_01-0.5000.ckpt", "checkpoint_02-0.4000.ckpt"])
    options = ["--kraken", programs, "--data_dir", *line_folders, "--minutes", 0.02, "--output_dir", tmp_path / "runs"]
    run(monkeypatch, *options)
    folder = tmp_path / "runs" / "kraken"
    assert (folder / "best.safetensors").read_text() == "checkpoint_01-0.5000.ckpt"
    result = json.loads((folder / "result.json").read_text())
    assert result["lines"] == 2 * 8 and result["parameters"] == 7
    assert result["rates"]["first"]["cer"] == pytest.approx(2 / len("one" + "two words"))
    images = (folder / "train.txt").read_text().splitlines()
    assert len(images) == 8 and Path(images[2]).with_suffix(".gt.txt").read_text() == "a third line"


def test_a_training_that_ends_early_or_finishes_no_epoch_is_no_result(line_folders, tmp_path, monkeypatch, kraken):
    programs = kraken([], endless=False)
    options = ["--kraken", programs, "--data_dir", *line_folders, "--output_dir", tmp_path / "runs"]
    with pytest.raises(SystemExit, match="ended by itself, with status 0"):
        run(monkeypatch, *options)
    with pytest.raises(SystemExit, match="no epoch was finished"):
        run(monkeypatch, *options)

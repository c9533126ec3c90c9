# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning to one hand: which lines teach, which are read, and that both happen."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from datasets import Dataset

from htr_convtext.benchmarks import finetuning
from htr_convtext.line_datasets import load_lines

HANDS = [*(f"will_A-{page}_{line:03}.jpg" for page in range(3) for line in range(4)), "will_B-0_000.jpg"]


@pytest.fixture
def poilus(line_images, tmp_path):
    """A hand of three pages of four real lines, and a line of another; the transcriptions are made up."""
    folder = tmp_path / "poilus"
    (folder / "lines").mkdir(parents=True)
    for name, image in zip(HANDS, line_images, strict=False):
        shutil.copy(image, folder / "lines" / name)
        (folder / "lines" / name).with_suffix(".txt").write_text("two words", encoding="utf-8")
    (folder / "test.ln").write_text("\n".join(reversed(HANDS)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def run(monkeypatch, poilus, tmp_path):
    """Runs the command with options; the table that it wrote."""

    def run_with(*options: object) -> str:
        arguments = ["--data_dir", poilus, "--output_dir", tmp_path / "runs", "--table", tmp_path / "table.md"]
        monkeypatch.setattr(sys, "argv", ["finetuning", *map(str, [*arguments, *options])])
        finetuning.main()
        return (tmp_path / "table.md").read_text(encoding="utf-8")

    return run_with


def listed(folder: Path, split: str) -> list[str]:
    lines = load_lines("lines", data_dir=folder / "lines")
    return [f"{name}.jpg" for name in lines[split]["line_id"]] if split in lines else []


def test_first_pages_teach_and_the_last_is_read(run, monkeypatch, tmp_path):
    commands = []

    def start(command, log):
        commands.append(command)
        folder = log.parent
        (folder / "run").mkdir()
        rate = 0.5 / len(commands)
        (folder / "run" / "test_results.json").write_text(json.dumps({"test_cer": rate, "test_wer": 2 * rate}))
        if len(commands) > 1:
            (folder / "run" / "train_results.json").write_text(json.dumps({"train_runtime": 90}))

    monkeypatch.setattr(finetuning, "start", start)
    table = run("--hands", "will_A", "--lines", 3, "all")
    runs = tmp_path / "runs"
    assert listed(runs / "will_A-3", "train") == HANDS[:3]
    assert listed(runs / "will_A-all", "train") == HANDS[:8]
    assert all(listed(runs / f"will_A-{number}", "test") == HANDS[8:12] for number in ("0", "3", "all"))
    assert not listed(runs / "will_A-0", "train")
    assert ["finetune.yaml" in command for command in commands] == [False, True, True]
    assert "| will_A | 0 | 4 | 50.00 | 100.00 | 0.0 |" in table
    assert "| will_A | 8 | 4 | 16.67 | 33.33 | 1.5 |" in table
    assert run("--hands", "will_A", "--lines", 3, "all") and len(commands) == 3
    for other in (("--held_out", 2), ("--", "--seed", 7)):
        with pytest.raises(SystemExit, match="will_A-0 is a run with other options or lines"):
            run("--hands", "will_A", "--lines", 3, "all", *other)


@pytest.mark.parametrize(
    ("ids", "told", "taught", "held"),
    [
        (["h_f7_1", "h_f57_1", "h_f342_10", "h_f342_9"], [None] * 4, [0, 1], [3, 2]),
        (["f342_eSc_b", "f342_eSc_a", "f7_eSc_c"], ["f342", "f342", "f7"], [2], [0, 1]),
    ],
)
def test_pages_are_those_of_the_data_or_of_the_names_in_the_order_of_their_numbers(ids, told, taught, held):
    lines = Dataset.from_dict({"line_id": ids, "page": told, "writer": ["h"] * len(ids)})
    assert finetuning.split_pages(lines, "h", 1) == (taught, held)


def test_lines_of_another_writer_are_not_a_hand_s_because_of_their_numbers():
    lines = Dataset.from_dict({"line_id": ["p1_1", "p2_1", "p3_1"], "page": [None] * 3, "writer": ["1", "1", "2"]})
    assert finetuning.split_pages(lines, "1", 1) == ([0], [1])


def test_one_page_leaves_nothing_to_train_on(run):
    with pytest.raises(SystemExit, match="'will_B' has 1 pages, of which 1 are held out"):
        run("--hands", "will_B")


@pytest.mark.slow
def test_a_released_model_is_fine_tuned(run, root, tmp_path):
    table = run("--hands", "will_A", "--lines", 4, "--", "--use_cpu", "--max_steps", 2)
    assert table.count("| will_A |") == 2
    predictions = tmp_path / "runs" / "will_A-4" / "run" / "test_predictions.json"
    assert len(json.loads(predictions.read_text(encoding="utf-8"))["lines"]) == 4

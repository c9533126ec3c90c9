# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trainings beside each other: what is run, that it goes on where it was cut, and the table."""

import json
import sys

import pytest

from htr_convtext.benchmarks import trainings

OPTIONS = ["--data_dir", "a", "b", "--size", "lite"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command with options; the table that it wrote."""

    def run_with(*options: object, training: list = OPTIONS) -> str:
        arguments = ["--output_dir", tmp_path / "runs", "--table", tmp_path / "table.md", *options, "--", *training]
        monkeypatch.setattr(sys, "argv", ["trainings", *map(str, arguments)])
        trainings.main()
        return (tmp_path / "table.md").read_text(encoding="utf-8")

    return run_with


@pytest.fixture
def commands(monkeypatch):
    """Commands that were started; each trains in no time, and reads better than the one before it."""
    commands = []

    def start(command, log):
        commands.append(command)
        rates = {"cer": 0.5 / len(commands), "wer": 0.6, "cer_writers": 0.7, "cer_source_a": 0.8, "cer_lower": 0.1}
        write(log.parent / "validation_results.json", {f"validation_{rate}": rates[rate] for rate in rates})
        write(log.parent / "train_results.json", {"epoch": 2.5, "train_samples": 8})
        write(log.parent / "trainer_state.json", {"global_step": 5})

    monkeypatch.setattr(trainings, "start", start)
    return commands


def write(file, content):
    file.write_text(json.dumps(content), encoding="utf-8")


def test_table_ranks_finished_runs_and_prints_their_commands(run, commands):
    table = run("--variant", "base", "", "--variant", "no-tcm", "--tcm_weight 0", "--minutes", 7).splitlines()
    assert table[2:6] == [
        "| run | seed | steps | lines | cer | wer | cer writers | cer source a |",
        "|---|---|---|---|---|---|---|---|",
        "| no-tcm | 123 | 5 | 20 | 25.00 | 60.00 | 70.00 | 80.00 |",
        "| base | 123 | 5 | 20 | 50.00 | 60.00 | 70.00 | 80.00 |",
    ]
    assert "train_hf.py --data_dir a b --size lite --tcm_weight 0 --do_train" in table[7]
    assert "--max_train_minutes 7 --seed 123 --output_dir" in table[7]


def test_peers_are_trained_with_the_same_options(run, commands):
    run("--variant", "ours", "", "--peers", "crnn", "resnet-vit", "--seeds", 1, 2)
    assert [command[:3] for command in commands[:3]] == [
        ["train_hf.py", "--data_dir", "a"],
        ["-m", "htr_convtext.benchmarks.peers", "crnn"],
        ["-m", "htr_convtext.benchmarks.peers", "resnet-vit"],
    ]
    assert all(command[-3] == "1" for command in commands[:3]) and commands[0][1:-3] == commands[1][3:-3]
    assert len(commands) == 6


def test_finished_runs_are_not_run_again_and_others_join_the_table(run, commands):
    run("--variant", "base", "")
    table = run("--variant", "base", "", "--variant", "no-ema", "--ema_decay 0")
    assert len(commands) == 2 and "| base |" in table and "| no-ema |" in table


def test_folder_of_other_options_is_not_taken_for_this_run(run, commands):
    run("--variant", "base", "")
    with pytest.raises(SystemExit, match="base-123 is a run with other options"):
        run("--variant", "base", "--sam_rho 0")


@pytest.mark.slow
def test_variants_and_peers_train_and_read(run, line_folders):
    training = ["--data_dir", *line_folders, "--size", "lite", "--use_cpu", "--per_device_train_batch_size", 2]
    training += ["--warmup_steps", 1]
    table = run("--variant", "no-tcm", "--tcm_weight 0", "--peers", "crnn", "--minutes", 0.05, training=training)
    assert table.count("| no-tcm | 123 |") == table.count("| crnn | 123 |") == 1
    assert "| cer source first | cer source second |" in table

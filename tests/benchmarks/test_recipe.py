# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The comparison of the recipe's variants: what it runs, that it goes on where it was cut, and its table."""

import json
import sys

import pytest

from htr_convtext.benchmarks import recipe


def write_run(folder, sources, command, predictions):
    folder.mkdir(parents=True)
    (folder / "command.txt").write_text(command + "\n", encoding="utf-8")
    (folder / "train_results.json").write_text(json.dumps({"epoch": 2.5, "train_samples": 8}), encoding="utf-8")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 5}), encoding="utf-8")
    for source in sources:
        (folder / source).mkdir()
        lines = [{"reference": "abcd", "prediction": text} for text in predictions[source]]
        content = json.dumps({"metrics": {}, "lines": lines})
        (folder / source / "validation_predictions.json").write_text(content, encoding="utf-8")


def run(monkeypatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["recipe", *map(str, options)])
    recipe.main()


def test_table_ranks_finished_runs_over_all_lines_and_gives_each_folder(tmp_path, monkeypatch):
    for variant, first, second in (("base", ["abcd"], ["abcx", "abcd"]), ("no-tcm", ["axxd"], ["abcd", "abcd"])):
        options = ["--data_dir", "a", "b", "--minutes", 20, "--output_dir", tmp_path / "runs", "--table", "unused"]
        monkeypatch.setattr(sys, "argv", ["recipe", *map(str, options)])
        folder = tmp_path / "runs" / f"{variant}-123"
        command = recipe.train_command(recipe.parse_options(), variant, 123, folder)
        text = "python train_hf.py " + " ".join(command)
        write_run(folder, ["a", "b"], text, {"a": first, "b": second})
    (tmp_path / "runs" / "no-ema-123").mkdir()  # One that was cut short is no row.
    options = ["--data_dir", "a", "b", "--output_dir", tmp_path / "runs", "--table", tmp_path / "table.md"]
    run(monkeypatch, *options, "--variants", "base", "no-tcm")
    table = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()
    assert table[3:7] == [
        "| variant | seed | steps | lines | CER | WER | CER a | CER b |",
        "|---|---|---|---|---|---|---|---|",
        "| base | 123 | 5 | 20 | 8.33 | 33.33 | 0.00 | 12.50 |",
        "| no-tcm | 123 | 5 | 20 | 16.67 | 33.33 | 50.00 | 0.00 |",
    ]
    assert "--tcm_weight 0" in table[-1] and "--max_train_minutes 20" in table[-1]


def test_folder_of_other_options_is_not_taken_for_this_run(tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "base-123", ["a"], "python train_hf.py --size base", {"a": ["abcd"]})
    options = ["--data_dir", "a", "--output_dir", tmp_path / "runs", "--table", tmp_path / "table.md"]
    with pytest.raises(SystemExit, match="base-123 is a run with other options"):
        run(monkeypatch, *options, "--variants", "base")


def test_folders_of_one_name_are_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--data_dir", "a/x", "b/x", "--output_dir", tmp_path, "--table", tmp_path / "t.md")
    assert "names must differ" in capsys.readouterr().err


@pytest.mark.slow
def test_variants_train_and_read_and_are_not_run_twice(line_folders, tmp_path, monkeypatch):
    options = ["--data_dir", *line_folders, "--minutes", 0.05, "--output_dir", tmp_path / "runs"]
    options += ["--table", tmp_path / "table.md", "--variants", "no-tcm", "first-folder"]
    options += ["--", "--size", "tiny", "--use_cpu", "--per_device_train_batch_size", 2, "--warmup_steps", 1]
    run(monkeypatch, *options)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table.count("| no-tcm | 123 |") == table.count("| first-folder | 123 |") == 1

    def twice(command, log):
        raise AssertionError(f"started again: {command}")

    monkeypatch.setattr(recipe, "start", twice)
    run(monkeypatch, *options)

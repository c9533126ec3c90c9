# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The cards that a training leaves."""

import json

from huggingface_hub import ModelCard

from htr_convtext.hub_upload.draft_card import DRAFT_MARK, write_draft_cards

RUN = {
    "base_model": "somebody/htr-convtext-fr",
    "data": ["/home/me/my lines"],
    "lines": {"train": 1200, "validation": 40},
    "command": ["train_hf.py", "--data_dir", "/home/me/my lines"],
    "measured": ["validation"],
}
RATES = {"validation_cer": 0.0712, "validation_wer": 0.25, "validation_wer_whitespace": 0.2, "validation_loss": 1.0}


def test_a_draft_tells_base_data_rates_and_command(tmp_path):
    run = tmp_path / "taught"
    (run / "best_cer").mkdir(parents=True)
    (run / "validation_results.json").write_text(json.dumps(RATES))
    (run / "test_results.json").write_text('{"test_cer": 0.5}')  # Of another run, as the test split was not read.
    best = {name.replace("validation", "eval"): rate / 2 for name, rate in RATES.items()}
    (run / "best_cer" / "scores.json").write_text(json.dumps(best))
    assert write_draft_cards(run, **RUN) == [run / "README.md", run / "best_cer" / "README.md"]
    for path, cer in ((run / "README.md", 7.12), (run / "best_cer" / "README.md", 3.56)):
        card = ModelCard.load(path)
        assert card.data.base_model == "somebody/htr-convtext-fr" and card.data.model_name == "taught"
        assert [(rate.metric_type, rate.dataset_split, rate.metric_value) for rate in card.data.eval_results] == [
            ("cer", "validation", cer),
            ("wer", "validation", 25.0 * cer / 7.12),
            ("wer", "validation", 20.0 * cer / 7.12),
        ]
        for text in (
            "1,200 train, 40 validation",
            "accelerate launch train_hf.py --data_dir 'my lines'",
            f"| validation | CER (percent) | {cer:.2f} |",
            f"| validation | WER (percent, punctuation marks are words) | {25 * cer / 7.12:.2f} |",
            f"| validation | WER (percent, words as white space parts them) | {20 * cer / 7.12:.2f} |",
            "draft",
        ):
            assert text in card.text


def test_folders_given_as_dots_have_their_names(tmp_path, monkeypatch):
    (tmp_path / "my lines").mkdir()
    monkeypatch.chdir(tmp_path / "my lines")
    (path,) = write_draft_cards(tmp_path, **{**RUN, "data": [".", "hf://datasets/me/letters"], "base_model": ".."})
    assert "Lines of my lines, letters: 1,200 train" in path.read_text()
    assert f"fine-tuned from `{tmp_path.name}`" in path.read_text()


def test_a_card_that_somebody_completed_stays(tmp_path):
    write_draft_cards(tmp_path, **RUN)
    card = tmp_path / "README.md"
    assert "Not measured yet." in card.read_text() and write_draft_cards(tmp_path, **RUN) == [card]
    card.write_text(card.read_text().replace(DRAFT_MARK, ""))
    assert write_draft_cards(tmp_path, **{**RUN, "data": ["others"]}) == [] and "others" not in card.read_text()


def test_a_folder_is_no_base_that_the_hub_knows(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (path,) = write_draft_cards(tmp_path, **{**RUN, "base_model": str(base)})
    assert ModelCard.load(path).data.base_model is None and "fine-tuned from `base`" in path.read_text()
    (path,) = write_draft_cards(tmp_path, **{**RUN, "base_model": None})
    assert "trained on 1,200 lines" in path.read_text()


def test_the_installed_package_s_command_is_told_as_it_is_typed(tmp_path):
    (path,) = write_draft_cards(tmp_path, **{**RUN, "command": ["htr-convtext train", "finetune.yaml"]})
    assert "```sh\nhtr-convtext train finetune.yaml\n```" in path.read_text()


def test_a_command_does_not_tell_where_its_owner_keeps_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["/home/me/train_hf.py", "/home/me/mine.yaml", f"--output_dir={tmp_path}/runs/new", "--seed=3"]
    command += ["--dataset_option", "x=/home/me/y", "--data_dir", str(tmp_path / "lines"), "../others", "hf://a/b"]
    (path,) = write_draft_cards(tmp_path, **{**RUN, "command": command})
    told = (
        "```sh\naccelerate launch train_hf.py mine.yaml --output_dir=runs/new --seed=3 --dataset_option x=y "
        "--data_dir lines ../others hf://a/b\n```"
    )
    assert told in path.read_text()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Preparing lines, batching them, and their order."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, Image, Value

from htr_convtext.training import (
    DataArguments,
    HTRConvTextTrainingArguments,
    LineCollator,
    prepare_lines,
    prepare_splits,
)
from htr_convtext.training.sampler import LineSampler, line_weights

from .conftest import TEXTS, draw_line


def dataset_of(image, text: str) -> Dataset:
    features = Features({"image": Image(), "text": Value("string"), "line_id": Value("string")})
    return Dataset.from_dict({"image": [image], "text": [text], "line_id": ["page-7"]}, features=features)


def test_prepared_lines_hold_the_processor_s_pixels(lines, raw_lines, processor):
    batch = LineCollator(processor, identify_lines=True)([lines[i] for i in range(4)])
    for row, (pixel_values, width) in enumerate(zip(batch["pixel_values"], batch["widths"], strict=True)):
        expected = processor(images=[raw_lines[row]["image"]], return_tensors="pt")["pixel_values"][0]
        assert width == expected.shape[-1]
        torch.testing.assert_close(pixel_values[..., :width], expected)
        assert (pixel_values[..., width:] == 1).all()
    assert len(set(batch["widths"].tolist())) > 1


def test_collator_takes_images_and_texts_as_well(lines, raw_lines, processor):
    collate = LineCollator(processor, identify_lines=True)
    prepared, raw = collate([lines[i] for i in range(3)]), collate([raw_lines[i] for i in range(3)])
    for name in ("pixel_values", "labels", "widths"):
        torch.testing.assert_close(prepared[name], raw[name])
    assert (prepared["labels"][2] == -100).sum() == len(TEXTS[1]) - len(TEXTS[2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "page-7: the transcription is empty"),
        ("a" * 40, "page-7: its transcription of 40 characters needs 79 frames"),
        ("a\u2019b", r"page-7: Character '\u2019' \(U\+2019"),
    ],
)
def test_labels_that_cannot_be_trained_are_refused_by_line(processor, make_model, text, message):
    with pytest.raises(ValueError, match=message):
        prepare_lines(dataset_of(draw_line("word"), text), processor, make_model().config)


@pytest.mark.parametrize("do_train", [True, False])
def test_images_that_are_learnt_and_measured_on_are_named(
    raw_lines, processor, make_model, tmp_path, caplog, do_train
):
    copies = raw_lines.select(range(5, 10)).remove_columns("line_id")
    lines = DatasetDict(
        train=raw_lines.select(range(6)), validation=copies.add_column("line_id", [f"copy-{i}" for i in range(5, 10)])
    )
    args = HTRConvTextTrainingArguments(str(tmp_path), do_train=do_train, do_eval=True, use_cpu=True)
    prepared = prepare_splits(lines, processor, make_model().config, DataArguments(), args)
    assert len(prepared["validation"]) == 5
    said = "1 images lie in train and validation: line-5 (train) is copy-5 (validation). Error rates on them look"
    assert (said in caplog.text) == do_train


def test_equal_neighbours_need_a_frame_between_them(processor, make_model):
    image = draw_line("a")  # 64 pixels wide after preprocessing, so 16 frames.
    config = make_model().config
    assert len(prepare_lines(dataset_of(image, "ab" * 8), processor, config)) == 1
    with pytest.raises(ValueError, match="needs 17 frames .* gives 16"):
        prepare_lines(dataset_of(image, "ab" * 7 + "aa"), processor, config)


@pytest.mark.parametrize("too_long", [1, 2, 3])
def test_a_few_lines_too_long_for_ctc_are_left_out_and_named(processor, make_model, caplog, too_long):
    """Up to one in twenty; more are refused, because then it is the images or the texts that are wrong."""
    rows = {7: "aa" * 8, 20: "ab" * 9, 30: "ba" * 9}
    texts = ["ab" * 8] * 40
    for row in list(rows)[:too_long]:
        texts[row] = rows[row]
    images = [draw_line("a")] * len(texts)  # of 16 frames
    lines = Dataset.from_dict({"image": images, "text": texts, "line_id": [f"line-{row}" for row in range(40)]})
    config = make_model().config
    if too_long == 3:
        with pytest.raises(ValueError, match="line-7: .* needs 31 frames .* gives 16.*3 of 40 lines"):
            prepare_lines(lines, processor, config)
        return
    prepared = prepare_lines(lines, processor, config)
    left_out = list(rows)[:too_long]
    assert prepared["index"] == [row for row in range(40) if row not in left_out]
    assert set(prepared["text"]) == {"ab" * 8} and prepared[7]["line_id"] == "line-8"
    assert "line-7: its transcription of 16 characters needs 31 frames" in caplog.text
    assert ("2 of 40 lines, such as line-20" in caplog.text) == (too_long == 2)
    assert len(prepare_lines(lines, processor, config, training=False)) == 40


def test_evaluation_keeps_lines_with_unknown_characters(processor, make_model):
    prepared = prepare_lines(dataset_of(draw_line("a"), "a\u2019b"), processor, make_model().config, training=False)
    assert prepared[0]["text"] == "a\u2019b"
    assert prepared[0]["labels"] == []


def test_unreadable_images_and_empty_splits_are_refused(processor, make_model, raw_lines, tmp_path):
    config = make_model().config
    damaged = tmp_path / "damaged.jpg"
    draw_line("some text").save(damaged)
    damaged.write_bytes(damaged.read_bytes()[:400])
    with pytest.raises(ValueError, match="page-7: .*damaged.jpg"):
        prepare_lines(dataset_of(str(damaged), "some text"), processor, config)
    with pytest.raises(ValueError, match="no lines"):
        prepare_lines(raw_lines.select([]), processor, config)
    with pytest.raises(ValueError, match="no column .*line_id"):
        prepare_lines(raw_lines.remove_columns("line_id"), processor, config)


@pytest.mark.parametrize("widths", [None, [64 * (1 + i % 5) for i in range(103)]])
def test_an_epoch_has_every_line_once_in_an_order_of_its_own(widths):
    sampler = LineSampler(103, seed=1, widths=widths, batch_size=8)
    first = list(sampler)
    assert sorted(first) == list(range(103))
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_batches_hold_lines_of_similar_width():
    widths = np.random.default_rng(0).integers(64, 1024, 800).tolist()
    spreads = [
        np.mean([np.ptp([widths[i] for i in order[start : start + 8]]) for start in range(0, 800, 8)])
        for order in (list(LineSampler(800, 0, widths, 8)), list(LineSampler(800, 0)))
    ]
    assert spreads[0] < spreads[1] / 5


# A register in two hands, and a letter in one.
SOURCES = ["register"] * 80 + ["letter"] * 20
WRITERS = ["clerk"] * 64 + ["apprentice"] * 16 + [None] * 20


@pytest.mark.parametrize(
    ("temperature", "clerk", "apprentice", "letter"),
    [(1.0, 64, 16, 20), (0.5, 100 * 2 / 3 * 2 / 3, 100 * 2 / 3 / 3, 100 / 3), (0.0, 25, 25, 50)],
)
def test_weights_temper_sources_and_the_writers_in_them(temperature, clerk, apprentice, letter):
    weights = np.array(line_weights(SOURCES, WRITERS, temperature))
    assert weights.mean() == pytest.approx(1)
    assert weights[:64].sum() == pytest.approx(clerk)
    assert weights[64:80].sum() == pytest.approx(apprentice)
    assert weights[80:].sum() == pytest.approx(letter)
    assert len(set(weights[:64])) == 1


@pytest.mark.parametrize("widths", [None, [64 * (1 + i % 5) for i in range(100)]])
def test_lines_come_as_often_as_their_weights_say(widths):
    weights = line_weights(SOURCES, WRITERS, 0.5)
    sampler = LineSampler(100, seed=1, widths=widths, batch_size=8, weights=weights)
    counts = []
    for epoch in range(200):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert len(drawn) == len(sampler) == 100
        counts.append(np.bincount(drawn, minlength=100))
    # In every epoch as often as the weight, rounded up or down; over many of them as often as it says.
    assert (np.abs(np.array(counts) - weights) < 1).all()
    assert np.mean(counts, axis=0) == pytest.approx(weights, abs=0.15)


def test_a_weighted_epoch_is_the_same_again():
    sampler = LineSampler(100, seed=1, weights=line_weights(SOURCES, WRITERS, 0.5))
    sampler.set_epoch(3)
    again = LineSampler(100, seed=1, weights=line_weights(SOURCES, WRITERS, 0.5))
    again.set_epoch(3)
    assert list(sampler) == list(again)
    again.set_epoch(4)
    assert list(sampler) != list(again)


def test_equal_weights_draw_every_line_once():
    assert sorted(LineSampler(1000, seed=0, weights=[1.0] * 1000)) == list(range(1000))

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""transformers' own trainers with our model, as scripts for other recognisers write them."""

import jiwer
import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from transformers import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from htr_convtext import HTRConvTextForCTC, HTRConvTextImageProcessor, HTRConvTextProcessor
from htr_convtext.training import LineCollator

from .conftest import TEXTS


@pytest.fixture
def padded(processor) -> HTRConvTextProcessor:
    """Every line is 128 pixels wide."""
    return HTRConvTextProcessor(HTRConvTextImageProcessor({"height": 64, "width": 128}), processor.tokenizer)


@pytest.fixture
def settings(tmp_path):
    return {
        "output_dir": str(tmp_path / "run"),
        "use_cpu": True,
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "max_steps": 3,
        "learning_rate": 1e-3,
        "eval_strategy": "steps",
        "eval_steps": 3,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


class LineDataset(Dataset):
    """Lines as the scripts for TrOCR make them: labels padded to one length with the tokenizer, then with -100."""

    def __init__(self, lines, processor):
        self.lines = lines
        self.processor = processor

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        line = self.lines[index]
        pixel_values = self.processor(images=line["image"], return_tensors="pt").pixel_values
        labels = self.processor.tokenizer(line["text"], padding="max_length", max_length=24).input_ids
        pad = self.processor.tokenizer.pad_token_id
        return {
            "pixel_values": pixel_values[0],
            "labels": torch.tensor([label if label != pad else -100 for label in labels]),
        }


def character_error_rate(processor):
    """`compute_metrics` of such a script, from generated ids."""

    def compute(prediction):
        ids, labels = prediction.predictions, prediction.label_ids
        pad = processor.tokenizer.pad_token_id
        read = processor.batch_decode(np.where(ids == -100, pad, ids), skip_special_tokens=True)
        wanted = processor.batch_decode(np.where(labels == -100, pad, labels), skip_special_tokens=True)
        assert wanted == TEXTS
        return {"cer": jiwer.cer(wanted, read)}

    return compute


def losses(trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_a_plain_trainer_with_the_collator(make_model, lines, processor, settings):
    """Prepared lines of several widths."""
    trainer = Trainer(
        model=make_model(),
        args=TrainingArguments(**settings, remove_unused_columns=False),
        data_collator=LineCollator(processor),
        train_dataset=lines,
        eval_dataset=lines,
        processing_class=processor,
    )
    trainer.train()
    assert len(losses(trainer)) == 3
    assert trainer.evaluate()["eval_loss"] > 0
    trainer.save_model()
    HTRConvTextForCTC.from_pretrained(settings["output_dir"])
    assert (
        HTRConvTextProcessor.from_pretrained(settings["output_dir"]).tokenizer.alphabet == processor.tokenizer.alphabet
    )


def test_a_plain_trainer_with_the_collator_and_images(make_model, raw_lines, processor, settings):
    trainer = Trainer(
        model=make_model(),
        args=TrainingArguments(**{**settings, "eval_strategy": "no"}, remove_unused_columns=False),
        data_collator=LineCollator(processor),
        train_dataset=raw_lines,
    )
    trainer.train()
    assert len(losses(trainer)) == 3


@pytest.mark.parametrize("collator", [None, default_data_collator])
def test_a_plain_trainer_with_the_default_collator(make_model, raw_lines, padded, settings, collator):
    lines = LineDataset(raw_lines, padded)
    trainer = Trainer(
        model=make_model(),
        args=TrainingArguments(**settings),
        data_collator=collator,
        train_dataset=lines,
        eval_dataset=lines,
    )
    trainer.train()
    assert len(losses(trainer)) == 3
    prediction = trainer.predict(lines)
    assert prediction.predictions.shape == (len(TEXTS), 32, len(padded.tokenizer))


def test_accumulated_batches_are_a_mean_in_a_plain_trainer(make_model, raw_lines, padded, settings):
    """Without it, four batches would have four times the loss, as Trainer expects a loss over tokens."""
    found = []
    for batch, accumulation in ((8, 1), (2, 4)):
        settings |= {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulation, "max_steps": 1}
        model = make_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, drop_path_rate=0.0)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train = lambda mode=True, module=module: module
                module.training = False
        trainer = Trainer(model=model, args=TrainingArguments(**{**settings, "eval_strategy": "no"}),
                          train_dataset=LineDataset(raw_lines, padded))  # fmt: skip
        trainer.train()
        found.append(losses(trainer)[0])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def collate(lines):
    """What a user writes."""
    return {name: torch.stack([line[name] for line in lines]) for name in ("pixel_values", "labels")}


@pytest.mark.parametrize("options", [{}, {"generation_max_length": 32, "generation_num_beams": 1}], ids=str)
@pytest.mark.parametrize("collator", ["line", "user", "default"])
def test_seq2seq_trainer_predicts_with_generate(make_model, raw_lines, padded, settings, collator, options):
    lines = raw_lines if collator == "line" else LineDataset(raw_lines, padded)
    collators = {"line": LineCollator(padded), "user": collate, "default": default_data_collator}
    trainer = Seq2SeqTrainer(
        model=make_model(),
        args=Seq2SeqTrainingArguments(
            **settings, **options, predict_with_generate=True, remove_unused_columns=collator == "default"
        ),
        data_collator=collators[collator],
        compute_metrics=character_error_rate(padded),
        train_dataset=lines,
        eval_dataset=lines,
        processing_class=padded,
    )
    trainer.train()
    evaluated = [entry for entry in trainer.state.log_history if "eval_cer" in entry]
    assert [entry["step"] for entry in evaluated] == [3]
    with torch.no_grad():
        ids = trainer.model.eval().generate(LineCollator(padded)([raw_lines[i] for i in range(10)])["pixel_values"])
    read = padded.batch_decode(ids, skip_special_tokens=True)
    assert trainer.evaluate()["eval_cer"] == pytest.approx(jiwer.cer(TEXTS, read))

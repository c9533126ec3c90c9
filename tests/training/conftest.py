# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Miniature networks and lines for the tests of training."""

import pytest
import torch
from datasets import Dataset, Image
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from htr_convtext import (
    HTRConvTextConfig,
    HTRConvTextForCTC,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
)
from htr_convtext.training import HTRConvTextTrainer, HTRConvTextTrainingArguments, prepare_lines

TEXTS = ["a line", "of written", "text, and", "llama!", "be", "a bee bit", "no end", "title in", "nine men", "two"]
DETERMINISTIC = {
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "drop_path_rate": 0.0,
    "tcm_dropout_prob": 0.0,
}


def draw_line(text: str, height: int = 40) -> PILImage.Image:
    """A text as a grey picture of a line, as wide as the text."""
    font = ImageFont.load_default(size=height * 0.6)
    image = PILImage.new("L", (int(font.getlength(text)) + 12, height), 255)
    ImageDraw.Draw(image).text((6, height * 0.1), text, font=font, fill=20)
    return image


@pytest.fixture
def processor() -> HTRConvTextProcessor:
    """Lines keep their width, up to 256 pixels."""
    image_processor = HTRConvTextImageProcessor({"height": 64, "width": 256}, keep_aspect_ratio=True)
    return HTRConvTextProcessor(image_processor, HTRConvTextTokenizer.from_texts(TEXTS))


@pytest.fixture
def make_model(processor):
    """Builds a network small enough to train in seconds, the same every time; options go to its configuration."""

    def make(**options) -> HTRConvTextForCTC:
        torch.manual_seed(0)
        sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "backbone_head_dim": 16}
        sizes["backbone_depths"] = (1, 1, 1)
        return HTRConvTextForCTC(HTRConvTextConfig(vocab_size=len(processor.tokenizer), **{**sizes, **options}))

    return make


@pytest.fixture
def raw_lines() -> Dataset:
    """Ten drawn lines as a dataset gives them."""
    lines = {
        "image": [draw_line(text) for text in TEXTS],
        "text": TEXTS,
        "line_id": [f"line-{i}" for i in range(len(TEXTS))],
        "writer": ["Ada", "Bob"] * (len(TEXTS) // 2),
    }
    return Dataset.from_dict(lines).cast_column("image", Image())


@pytest.fixture
def lines(raw_lines, processor, make_model) -> Dataset:
    """The drawn lines, prepared."""
    return prepare_lines(raw_lines, processor, make_model().config)


@pytest.fixture
def equally_wide_lines(raw_lines, processor, make_model) -> Dataset:
    """The drawn lines, all padded to 128 pixels, so that a batch's padding does not depend on its lines."""
    image_processor = HTRConvTextImageProcessor({"height": 64, "width": 128})
    return prepare_lines(raw_lines, HTRConvTextProcessor(image_processor, processor.tokenizer), make_model().config)


@pytest.fixture
def make_trainer(tmp_path, processor, make_model, lines):
    """Builds a trainer of the miniature network on the drawn lines; options go to its arguments."""

    def make(output="run", model=None, trainer_options=None, **options) -> HTRConvTextTrainer:
        settings = {
            "output_dir": str(tmp_path / output),
            "use_cpu": True,
            "max_steps": 4,
            "warmup_steps": 0,
            "per_device_train_batch_size": 4,
            "eval_strategy": "no",
            "save_strategy": "no",
            "logging_steps": 1,
            "disable_tqdm": True,
            "report_to": "none",
        }
        args = HTRConvTextTrainingArguments(**{**settings, **options})
        torch.manual_seed(0)
        return HTRConvTextTrainer(
            model=model or make_model(),
            args=args,
            processing_class=processor,
            **{"train_dataset": lines, "eval_dataset": lines, **(trainer_options or {})},
        )

    return make

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A line is drawn with its characters at their places and what came second."""

import pytest
import torch
from PIL import Image

from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor
from htr_convtext.decoding import draw


def test_runners_up_are_those_of_the_frames(model_folder, line_images):
    model = HTRConvTextForCTC.from_pretrained(model_folder).eval()
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    image = Image.open(line_images[0]).convert("L")
    reading = draw.read_with_runners_up(model, processor, image)
    with torch.no_grad():
        outputs = model(processor(images=image, return_tensors="pt").pixel_values)
    (expected,) = processor.post_process_text_recognition(outputs, [(image.height, image.width)])
    assert reading["text"] == expected["text"] and reading["characters"]
    probs = outputs.logits[0].softmax(-1)
    for character in reading["characters"]:
        own = probs[:, processor.tokenizer.get_vocab()[character["character"]]]
        other = probs[:, processor.tokenizer.get_vocab()[character["runner_up"]]]
        assert character["runner_up"] != character["character"]
        assert 0 < character["runner_up_score"] <= float(other.max())
        assert character["score"] <= float(own.max()) + 1e-6
    figure = draw.draw_reading(image, reading)
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {draw.visible(character["character"]) for character in reading["characters"]} <= texts


def test_the_command_writes_a_picture(model_folder, line_images, tmp_path, capsys):
    for name in ("line.png", "line.svg"):
        draw.main([line_images[0], "--model", str(model_folder), "--output", str(tmp_path / name)])
        assert (tmp_path / name).stat().st_size > 5000
    assert "Wrote" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="none.png"):
        draw.main(["none.png", "--model", str(model_folder), "--output", str(tmp_path / "x.png")])
    with pytest.raises(SystemExit, match="nosuch"):
        draw.main([line_images[0], "--model", str(model_folder), "--output", str(tmp_path / "nosuch" / "x.png")])
    with pytest.raises(SystemExit):
        draw.main([line_images[0], "--model", str(model_folder), "--output", str(tmp_path / "x.xyz")])
    assert "x.xyz must end with one of" in capsys.readouterr().err


def test_signs_that_would_not_be_seen():
    assert draw.visible(" ") == "\u2423" and draw.visible("a") == "a"


def test_dollars_are_dollars():
    """Between two of them, matplotlib sees a formula, and here one that it cannot draw."""
    place = {"score": 0.9, "runner_up_score": 0.1, "start": 0, "end": 4}
    characters = [place | {"character": "$", "runner_up": "S"}, place | {"character": "S", "runner_up": "$"}]
    reading = {"text": "$5_ and $6", "score": 0.9, "characters": characters}
    figure = draw.draw_reading(Image.new("L", (400, 64)), reading)
    figure.canvas.draw()
    shown = [text for axes in figure.axes for text in axes.texts]
    assert " 0.90  $5_ and $6" in [text.get_text() for text in shown]
    assert not any(text.get_parse_math() for text in shown)

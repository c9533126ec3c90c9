# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A card's examples: the image lies in the model's folder, and the table says what the model reads in it."""

import shutil

import pytest
from PIL import Image
from transformers import pipeline

from htr_convtext.hub_upload.reading_examples import main


def test_the_table_shows_what_is_read_and_what_is_written(model_folder, line_images, tmp_path, capsys):
    model, image = tmp_path / "model", tmp_path / "line.png"
    shutil.copytree(model_folder, model)
    Image.open(line_images[0]).save(image)
    image.with_suffix(".txt").write_text("one | two\n", encoding="utf-8")
    reading = pipeline("image-to-text", model=str(model), trust_remote_code=True)(str(image))[0]["generated_text"]

    main(["--model", str(model), str(image)])

    assert reading
    row = "| ![line](examples/line.png) | " + reading.replace("|", "\\|") + " | one \\| two |"
    assert capsys.readouterr().out.splitlines()[2:] == [row]
    assert (model / "examples" / "line.png").read_bytes() == image.read_bytes()


def test_an_image_without_its_text_is_named(model_folder, line_images, capsys):
    with pytest.raises(SystemExit):
        main(["--model", str(model_folder), line_images[0].replace("lines", "nowhere")])
    assert "no text beside" in capsys.readouterr().err

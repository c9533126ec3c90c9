# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reads line images with a kraken model; run by the Python that kraken is installed in, which need not know this package.

    KRAKEN_PYTHON benchmarks/kraken_reader.py MODEL PREDICTIONS.json IMAGE ...

Beside each image is its text in a .gt.txt, as kraken trains on it. What is written has the form of train_hf.py's
predictions, so that `python -m htr_convtext.training.intervals PREDICTIONS.json` gives the error rates.
"""

import json
import sys
from pathlib import Path

from kraken.configs import RecognitionInferenceConfig
from kraken.containers import BBoxLine, Segmentation
from kraken.tasks import RecognitionTaskModel
from PIL import Image


def main(model_file: str, predictions_file: str, *images: str) -> None:
    model, config = RecognitionTaskModel.load_model(model_file), RecognitionInferenceConfig()
    print(f"{sum(parameter.numel() for parameter in model.net.parameters())} parameters")
    lines = [
        {
            "line_id": Path(image).stem,
            "prediction": read(model, config, image),
            "reference": Path(image).with_suffix(".gt.txt").read_text(encoding="utf-8").rstrip("\n"),
        }
        for image in images
    ]
    Path(predictions_file).write_text(json.dumps({"lines": lines}, ensure_ascii=False), encoding="utf-8")


def read(model: RecognitionTaskModel, config: RecognitionInferenceConfig, path: str) -> str:
    """The text of an image that holds one line."""
    image = Image.open(path)
    line = BBoxLine(id="line", bbox=(0, 0, *image.size))
    page = Segmentation("bbox", path, "horizontal-lr", script_detection=False, lines=[line])
    return "".join(record.prediction for record in model.predict(image, page, config))


if __name__ == "__main__":
    main(*sys.argv[1:])

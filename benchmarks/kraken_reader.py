# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reads line images with a kraken model; run by the Python that kraken is installed in, which need not know this package.

    KRAKEN_PYTHON kraken_reader.py MODEL READINGS.json IMAGE ...
"""

import json
import sys

from kraken.configs import RecognitionInferenceConfig
from kraken.containers import BBoxLine, Segmentation
from kraken.tasks import RecognitionTaskModel
from PIL import Image


def main(model_file: str, readings_file: str, *images: str) -> None:
    model, config = RecognitionTaskModel.load_model(model_file), RecognitionInferenceConfig()
    readings = {image: read(model, config, image) for image in images}
    parameters = sum(parameter.numel() for parameter in model.net.parameters())
    with open(readings_file, "w", encoding="utf-8") as file:
        json.dump({"parameters": parameters, "readings": readings}, file, ensure_ascii=False)


def read(model: RecognitionTaskModel, config: RecognitionInferenceConfig, path: str) -> str:
    """The text of an image that holds one line."""
    image = Image.open(path)
    line = BBoxLine(id="line", bbox=(0, 0, *image.size))
    page = Segmentation("bbox", path, "horizontal-lr", script_detection=False, lines=[line])
    return "".join(record.prediction for record in model.predict(image, page, config))


if __name__ == "__main__":
    main(*sys.argv[1:])

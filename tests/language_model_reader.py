# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reads lines with a folder's own language model, as a user does who never installed the package.

python language_model_reader.py FOLDER ANSWER.json LINE..., run by test_language_model_htr_convtext.py
"""

import json
import sys

import torch
import transformers
from transformers import AutoModel, AutoProcessor, pipeline


def main(folder: str, answer_path: str, *lines: str) -> None:
    remote = {"trust_remote_code": True, "dtype": torch.float64}
    read = pipeline("image-to-text", model=folder, **remote)
    options = {"decoder": True, "alternatives": 2, "threshold": 0.5, "return_segments": True}
    answer = {
        "transformers": transformers.__version__,
        "greedy": read(list(lines), batch_size=4),
        "read": read(list(lines), batch_size=4, **options),
        "from_the_start": pipeline("image-to-text", model=folder, decoder=True, **remote)(list(lines)),
    }
    copied = f"{answer_path}.model"
    AutoModel.from_pretrained(folder, trust_remote_code=True).save_pretrained(copied)
    AutoProcessor.from_pretrained(folder, trust_remote_code=True).save_pretrained(copied)
    answer["copied"] = pipeline("image-to-text", model=copied, **remote)(list(lines), **options)
    with open(answer_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

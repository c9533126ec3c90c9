# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reads lines as a user does who never installed the package: Auto classes, pipeline and a TrOCR user's five lines.

python remote_reader.py REQUEST.json ANSWER.json, run by test_remote_code.py in processes of their own
"""

import importlib.util
import json
import sys

import torch
import transformers
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCTC,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

# In float64 no reading hangs on the order of a sum, which differs from one release of PyTorch to the next.
REMOTE = {"trust_remote_code": True}
REMOTE_MODEL = {"trust_remote_code": True, "dtype": torch.float64}


def main(request_path: str, answer_path: str) -> None:
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    answer = {
        "transformers": transformers.__version__,
        "importable": [name for name in request["absent"] if importlib.util.find_spec(name)],
    }
    for name, folder in request["complete"].items():
        answer[name] = {**read_by_classes(folder, folder, request), "readings": read_by_pipeline(folder, request)}
    for name, folder in request["model_only"].items():
        processor = AutoProcessor.from_pretrained(request["processor"], **REMOTE)
        readings = read_by_pipeline(folder, request, processor=processor)
        answer[name] = {**read_by_classes(folder, request["processor"], request), "readings": readings}
    for name, folder in request["pipelines"].items():
        answer[name] = {"readings": read_by_pipeline(folder, request)}
    for source, target in request["save_again"].items():
        AutoModel.from_pretrained(source, **REMOTE).save_pretrained(target)
        AutoProcessor.from_pretrained(source, **REMOTE).save_pretrained(target)
    for source, target in request["save_pipeline_again"].items():
        pipeline("image-to-text", model=source, **REMOTE).save_pretrained(target)
    with open(answer_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


def read_by_classes(folder: str, processor_folder: str, request: dict) -> dict[str, object]:
    """What each Auto class gives for the first lines; where two classes must agree, whether they do."""
    processor = AutoProcessor.from_pretrained(processor_folder, **REMOTE)
    model = AutoModel.from_pretrained(folder, **REMOTE_MODEL)
    model_for_ctc = AutoModelForCTC.from_pretrained(folder, **REMOTE_MODEL)
    image_processor = AutoImageProcessor.from_pretrained(processor_folder, **REMOTE)
    tokenizer = AutoTokenizer.from_pretrained(processor_folder, **REMOTE)
    objects = [
        AutoConfig.from_pretrained(folder, **REMOTE),
        model,
        model_for_ctc,
        processor,
        image_processor,
        tokenizer,
    ]

    image = Image.open(request["lines"][0]).convert("RGB")
    pixel_values = processor(images=image, return_tensors="pt").pixel_values
    generated_ids = model.generate(pixel_values)
    generated_text = processor.batch_decode(generated_ids, skip_special_tokens=True)[0]

    with torch.no_grad():
        logits = model(pixel_values).logits
        same_logits = torch.equal(model_for_ctc(pixel_values).logits, logits)
    return {
        "classes": [type(item).__name__ for item in objects],
        "remote": all(type(item).__module__.startswith("transformers_modules.") for item in objects),
        "generated_text": generated_text,
        "logits": logits[0, ::16, ::8].tolist(),
        "same_logits": same_logits,
        "same_pixels": torch.equal(image_processor(image, return_tensors="pt").pixel_values, pixel_values),
        "round_trips": tokenizer.batch_decode([tokenizer.encode(text) for text in request["texts"]]),
    }


def read_by_pipeline(folder: str, request: dict, **kwargs) -> list:
    read = pipeline("image-to-text", model=folder, **REMOTE_MODEL, **kwargs)
    return read(request["lines"], batch_size=4)


if __name__ == "__main__":
    main(*sys.argv[1:])

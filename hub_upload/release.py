# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes a released model folder in this repository from a trained one: its weights, its settings and the code.

python -m htr_convtext.hub_upload.release --model RUN_FOLDER --output hub_upload/NAME

Several run folders give the mean of their weights (model soups, arXiv 2203.05482): for runs that began from the same
weights and differ in their seeds or options. With `--data_dir` the batch norms' statistics are estimated anew on
unchanged training lines, for one run as well: those of training are of augmented lines, and an average of weights
makes other maps than the averaged statistics describe (stochastic weight averaging, arXiv 1803.05407). `--float16`
halves the file: the weights are stored in float16, and `from_pretrained` still gives a model in float32, the type that
its configuration names.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import update_bn
from transformers.utils import SAFE_WEIGHTS_NAME

from .. import HTRConvTextForCTC, HTRConvTextProcessor
from ..console import at_least_one, errors_as_sentences, folder_to_write, print_any_character
from .copy_code import CODE, copy_code

BATCH_SIZE = 16


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model",
        type=Path,
        nargs="+",
        required=True,
        help="folders of trained models and their processors",
    )
    parser.add_argument("--output", type=folder_to_write, required=True, help="model folder to write")
    parser.add_argument(
        "--data_dir",
        nargs="+",
        default=[],
        help="folders of lines, whose training splits give the batch norms their statistics",
    )
    parser.add_argument("--lines", type=at_least_one, default=100, help="lines of each folder, at most")
    parser.add_argument("--float16", action="store_true", help="store the weights in half the space")
    options = parser.parse_args(arguments)
    with errors_as_sentences(parser.prog, OSError, ValueError):
        release(options.model, options.output, options.float16, options.data_dir, options.lines)
    print(f"Wrote {options.output}; its README.md, the model card, is yours to write.")


def release(
    models: list[Path], output: Path, float16: bool = False, data_dirs: Sequence[str] = (), lines: int = 100
) -> None:
    """
    Args:
        models: Folders of trained models and their processors; the mean of their weights is released.
        output: Folder to write; a README.md in it stays.
        float16: Whether the weights are stored in float16.
        data_dirs: Folders of lines that give the batch norms their statistics; without them the models' are averaged.
        lines: How many lines of each folder's training split, at most; at least 1.

    Raises:
        ValueError: If the models are not of one configuration, vocabulary and preprocessing.
        SystemExit: If a folder has no training lines.
    """
    processor = HTRConvTextProcessor.from_pretrained(models[0])
    network = mean_of_models(models)
    if data_dirs:
        # Only here: a release without new statistics needs nothing of the extra [train].
        from ..decoding.reading import load_split

        images = [image for folder in data_dirs for image in load_split("lines", [folder], "train", lines)["image"]]
        update_bn(batches_of_lines(images, processor), network)
    if data_dirs or len(models) > 1:
        calibration = processor.calibration
        processor = without_calibration(processor)
        if processor.calibration != calibration:
            print("The calibration was fitted to other weights and is gone: python -m htr_convtext.decoding.calibrate")
    for old in output.glob(CODE):  # saving would write through links
        old.unlink()
    network.save_pretrained(output)
    if float16:
        store_in_float16(output / SAFE_WEIGHTS_NAME)
    processor.save_pretrained(output)
    copy_code(output)


def store_in_float16(file: Path) -> None:
    weights = load_file(file)
    halves = {name: weight.half() if weight.dtype == torch.float32 else weight for name, weight in weights.items()}
    save_file(halves, file, metadata={"format": "pt"})  # which transformers asks for


def without_calibration(processor: HTRConvTextProcessor) -> HTRConvTextProcessor:
    return HTRConvTextProcessor(processor.image_processor, processor.tokenizer)


def mean_of_models(models: list[Path]) -> HTRConvTextForCTC:
    first, *others = (HTRConvTextForCTC.from_pretrained(model) for model in models)
    kind = kind_of_model(first, models[0])
    states = [first.state_dict()]
    for path, other in zip(models[1:], others, strict=True):
        if differing := [name for name, own in kind_of_model(other, path).items() if own != kind[name]]:
            raise ValueError(f"{path} and {models[0]} differ in their {' and '.join(differing)}.")
        states.append(other.state_dict())
    with torch.no_grad():
        for name, weight in states[0].items():
            weight.copy_(torch.stack([state[name].double() for state in states]).mean(0))
    return first


def batches_of_lines(images: list[Image.Image], processor: HTRConvTextProcessor) -> Iterator[torch.Tensor]:
    """Lines of similar shape together, as in training: (batch, channels, height, width), padded to the widest."""
    images = sorted(images, key=lambda image: image.width / image.height)
    for first in range(0, len(images), BATCH_SIZE):
        batch = images[first : first + BATCH_SIZE]
        yield processor(images=batch, padding=True, return_tensors="pt").pixel_values


def kind_of_model(model: HTRConvTextForCTC, path: Path) -> dict[str, dict]:
    """What models have in common that have a mean, by what errors call it."""
    processor = HTRConvTextProcessor.from_pretrained(path)
    image_processor = processor.image_processor
    return {
        "configuration": model.config.to_diff_dict(),
        "vocabulary": processor.tokenizer.get_vocab(),
        "preprocessing": {name: getattr(image_processor, name) for name in image_processor.options},
    }


if __name__ == "__main__":
    main()

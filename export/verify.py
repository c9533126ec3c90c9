# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Compares an exported network, or the inference mode in another type, with the PyTorch network in float32.

    python -m htr_convtext.export.verify --model hub_upload/htr-convtext-fr --exported tiny-openvino
    python -m htr_convtext.export.verify --model hub_upload/htr-convtext-fr --exported tiny-openvino \\
        --data_dir LINES --split train --max_lines 500
    python -m htr_convtext.export.verify --model hub_upload/htr-convtext-fr --dtype bfloat16 --data_dir LINES

First the logits at batches and widths that the export was not traced at; then, with `--data_dir`, logits, texts and
character error rates on real lines. Fails where float32 differs by more than `--tolerance` or reads another text; what
is meant to be approximate (`--dtype`, `--approximate` for int8) fails where the error rate rises by more than
`--cer_tolerance`.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from .. import HTRConvTextForCTC, HTRConvTextProcessor
from ..console import add_dataset_options, at_least_one, print_any_character
from ..extras import needing
from .requirements import check_dataset_options, load_or_exit, load_split_or_exit
from .runner import ExportedHTRConvText

with needing("Verifying", "train,export"):
    from datasets import Dataset, concatenate_datasets

    from ..training import error_rates

SHAPES = ((1, 512), (3, 448), (5, 328), (2, 64), (1, 8), (4, 1000))


@dataclass
class Comparison:
    """What two networks read in the same lines."""

    difference: float
    expected: list[str]
    texts: list[str]
    references: list[str]


def main() -> None:
    print_any_character()
    options = parse_options()
    approximate = options.approximate or options.dtype != "float32"
    model = load_or_exit("--model", options.model, load_model).eval()
    contender = load_contender(options)
    passed = compare_shapes(model, contender, options.tolerance) or approximate
    if options.data_dir:
        processor = load_or_exit("--model", options.model, HTRConvTextProcessor.from_pretrained)
        comparison = compare_lines(model, contender, processor, load_first_lines(options), options.batch_size)
        passed &= report(comparison, approximate, options.tolerance, options.cer_tolerance)
    print("within the tolerance" if passed else "NOT within the tolerance")
    sys.exit(0 if passed else 1)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder, or a name on the Hub")
    parser.add_argument("--exported", help="folder from htr_convtext.export.convert; default: inference mode")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--approximate", action="store_true", help="judge by the error rate, as for int8")
    parser.add_argument("--data_dir", action="extend", nargs="+", default=[], help="line folders")
    add_dataset_options(parser)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--max_lines", type=at_least_one, help="of each folder")
    parser.add_argument("--batch_size", type=at_least_one, default=8)
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest difference of logits")
    parser.add_argument("--cer_tolerance", type=float, default=0.1, help="largest rise of the CER, percentage points")
    options = parser.parse_args()
    if (options.approximate or options.dtype != "float32") and not options.data_dir:
        parser.error("What is approximate is judged by its error rate, which needs --data_dir.")
    check_dataset_options(parser, options)
    return options


def load_model(name: str) -> HTRConvTextForCTC:
    return HTRConvTextForCTC.from_pretrained(name, dtype=torch.float32)


def load_contender(options: argparse.Namespace) -> Callable:
    """What is compared: the exported network, or the model in inference mode and another type."""
    dtype = getattr(torch, options.dtype)
    if options.exported:
        return load_or_exit("--exported", options.exported, partial(ExportedHTRConvText.from_pretrained, dtype=dtype))
    return load_model(options.model).optimize_for_inference(dtype=dtype)


def load_first_lines(options: argparse.Namespace) -> Dataset:
    splits = [
        load_split_or_exit(options.dataset, folder, options.split, options.dataset_option)
        for folder in options.data_dir
    ]
    return concatenate_datasets([split.take(min(options.max_lines or len(split), len(split))) for split in splits])


@torch.no_grad()
def compare_shapes(model: HTRConvTextForCTC, contender: Callable, tolerance: float) -> bool:
    """Prints the largest difference of the logits for noise of each of `SHAPES`; whether all are within tolerance."""
    torch.manual_seed(0)
    print(f"{'batch':>6}{'width':>7}  largest difference of logits")
    differences = []
    for batch_size, width in SHAPES:
        pixel_values = torch.rand(batch_size, model.config.num_channels, model.config.image_height, width)
        differences.append(largest_difference(model(pixel_values), contender(pixel_values)))
        print(f"{batch_size:6}{width:7}  {differences[-1]:.1e}")
    return max(differences) <= tolerance


@torch.no_grad()
def compare_lines(
    model: HTRConvTextForCTC,
    contender: Callable,
    processor: HTRConvTextProcessor,
    lines: Dataset,
    size: int,
) -> Comparison:
    """Both networks on lines, `size` at once where the processor's widths allow it."""
    size = 1 if processor.image_processor.keep_aspect_ratio else size
    comparison = Comparison(0.0, [], [], list(lines["text"]))
    for start in range(0, len(lines), size):
        pixel_values = processor(images=lines[start : start + size]["image"], return_tensors="pt").pixel_values
        expected, outputs = model(pixel_values), contender(pixel_values)
        comparison.difference = max(comparison.difference, largest_difference(expected, outputs))
        comparison.expected += [line["text"] for line in processor.post_process_text_recognition(expected)]
        comparison.texts += [line["text"] for line in processor.post_process_text_recognition(outputs)]
    return comparison


def largest_difference(expected, outputs) -> float:
    """Infinite where a logit is not a number, which Python's max would pass over."""
    difference = (outputs.logits.float() - expected.logits).abs().max().item()
    return math.inf if math.isnan(difference) else difference


def report(comparison: Comparison, approximate: bool, tolerance: float, cer_tolerance: float) -> bool:
    """Prints what the lines showed; whether it is within the tolerances."""
    same = sum(text == expected for text, expected in zip(comparison.texts, comparison.expected, strict=True))
    before = 100 * error_rates(comparison.expected, comparison.references)["cer"]
    after = 100 * error_rates(comparison.texts, comparison.references)["cer"]
    print(
        f"{len(comparison.texts)} lines: logits differ by at most {comparison.difference:.1e}, {same} texts are equal"
    )
    print(f"CER {before:.2f} % before, {after:.2f} % after ({after - before:+.2f} points)")
    if approximate:
        return after - before <= cer_tolerance
    return comparison.difference <= tolerance and same == len(comparison.texts)


if __name__ == "__main__":
    main()

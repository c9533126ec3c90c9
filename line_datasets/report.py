# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What to know about lines before a week of training on them, printed and as an HTML page.

    python -m htr_convtext.line_datasets.report lines --data_dir my_lines --output report.html

Ends with status 1 if anything makes lines unusable: missing or unreadable files, empty images or transcriptions,
labels that the CTC cannot fit into the frames, characters missing from the vocabulary. Images or pages that lie in two
splits are warnings.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from ..configuration_htr_convtext import HTRConvTextConfig
from ..console import at_least_one, errors_as_sentences, print_any_character
from ..processing_htr_convtext import HTRConvTextImageProcessor, HTRConvTextProcessor
from .command_line import add_source_arguments, source_arguments
from .examination import Findings, Network, examine, shown
from .labels import PAPERS_FORM, published_alphabet
from .loading import load_lines, oddities
from .problems import LineDataError
from .report_html import as_html

SHOWN_FINDINGS = 20
# Options of [`load_lines`] that say nothing about what is odd.
MAKING = ("num_proc", "streaming")
# What a trained model has decided already.
OF_NEW_MODEL = ("alphabet", "image_width", "keep_aspect_ratio", "pad_to_multiple_of")


def main(arguments: list[str] | None = None) -> int:
    """Prints the report and writes the page; status 1 if there are errors."""
    print_any_character()
    options = parse(arguments)
    try:
        splits, errors = load_what_can_be(options)
        read = {key: value for key, value in wanted(options).items() if key not in MAKING}
        findings = examine(splits, network(options), errors, oddities(options.name, **read))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    text = as_text(findings)
    print(text)
    with errors_as_sentences("The page was not written", OSError):
        options.output.write_text(as_html(text, findings, splits, options.seed), encoding="utf-8")
    print(f"Page: {options.output}")
    return 1 if findings.errors else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m htr_convtext.line_datasets.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_arguments(parser)
    parser.add_argument("--output", type=Path, default=Path("line_report.html"), help="the page")
    parser.add_argument("--model", help="folder or name of a model to train further: its vocabulary and input size")
    parser.add_argument(
        "--alphabet",
        help="characters that the model knows; default: the paper's for its datasets, else those of the train split",
    )
    parser.add_argument("--image_width", type=at_least_one, default=512, help="width of the network's input, pixels")
    parser.add_argument("--keep_aspect_ratio", action="store_true", help="lines keep their own width, up to that")
    parser.add_argument("--pad_to_multiple_of", type=at_least_one, default=64, help="with --keep_aspect_ratio, pixels")
    parser.add_argument("--seed", type=int, default=0, help="for the choice of lines to show")
    options = parser.parse_args(arguments)
    given = [name for name in OF_NEW_MODEL if getattr(options, name) != parser.get_default(name)]
    if options.model and given:
        parser.error(f"--{given[0]} is for a new model, and --model {options.model} has its own. Leave one out.")
    return options


def wanted(options: argparse.Namespace) -> dict[str, Any]:
    """Arguments of [`load_lines`], which names here what is wrong even where training is to leave it out."""
    return {key: value for key, value in source_arguments(options).items() if key != "on_error"}


def load_what_can_be(options: argparse.Namespace) -> tuple[DatasetDict, list[str]]:
    """The lines that are whole, and what is wrong with the others; LineDataError if none is whole."""
    arguments = wanted(options)
    try:
        return load_lines(options.name, **arguments), []
    except LineDataError as error:
        return load_lines(options.name, **arguments, on_error="skip"), error.problems


def network(options: argparse.Namespace) -> Network:
    """What the model of `--model`, or a new one of the other options, can read."""
    if options.model:
        processor = HTRConvTextProcessor.from_pretrained(options.model)
        frames = HTRConvTextConfig.from_pretrained(options.model).frames
        return Network(processor.tokenizer.alphabet, processor.image_processor.padded_width, frames)
    scaling = HTRConvTextImageProcessor(
        size={"height": 64, "width": options.image_width},
        keep_aspect_ratio=options.keep_aspect_ratio,
        pad_to_multiple_of=options.pad_to_multiple_of,
    )
    form = source_arguments(options).get("normal_form", PAPERS_FORM)
    alphabet = options.alphabet or published_alphabet(options.name, form)
    return Network(alphabet, scaling.padded_width, HTRConvTextConfig().frames)


def as_text(findings: Findings) -> str:
    """The report without pictures."""
    rows = [f"{name}: {number} lines" for name, number in findings.lines.items()]
    rows.append(f"{len(findings.characters.alphabet)} characters in train: {findings.characters.alphabet}")
    for name, unseen in findings.characters.unseen.items():
        if unseen:
            rows.append(f"only in {name}: " + ", ".join(f"{shown(key)} x {number}" for key, number in unseen.items()))
    for kind, sentences in (("warning", findings.warnings), ("error", findings.errors)):
        rows.extend(f"{kind}: {sentence}" for sentence in sentences[:SHOWN_FINDINGS])
        if len(sentences) > SHOWN_FINDINGS:
            rows.append(f"{kind}: and {len(sentences) - SHOWN_FINDINGS} more")
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main())

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a network gives for the lines of a dataset, kept to be decoded many times."""

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset

from ..console import add_dataset_options, at_least_one
from ..language_model_htr_convtext import DECODER_CONFIG, DECODER_FOLDER
from ..line_datasets import load_lines
from ..line_datasets.command_line import named_options
from ..line_datasets.loading import evenly_spread
from ..modeling_htr_convtext import HTRConvTextForCTC
from ..processing_htr_convtext import HTRConvTextProcessor
from ..training.evaluation import ReadLine, cer_of, grouped, score_line, with_text
from ..training.metrics import align_words


@dataclass
class NetworkLine:
    """
    A line as the network sees it.

    Args:
        logits: Of shape `(frames, vocab_size)`.
        text: Its transcription.
        line_id: Its name in the dataset.
        source: Dataset that it is from.
        writer: Who wrote it, where the dataset knows.
    """

    logits: torch.Tensor
    text: str
    line_id: str = ""
    source: str | None = None
    writer: str | None = None

    def read_as(self, prediction: str) -> ReadLine:
        return score_line(self.line_id, self.text, prediction, self.writer, self.source)


def add_line_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="model folder, or a name on the Hub")
    add_data_options(parser, "folders of lines")
    parser.add_argument("--split", default="validation", help="of hands that the model was not trained on")
    parser.add_argument("--max_lines", type=at_least_one, help="at most, spread evenly over the split")
    parser.add_argument("--batch_size", type=at_least_one, default=16)


def add_data_options(parser: argparse.ArgumentParser, data_dir: str) -> None:
    """Adds the options that say which lines; `data_dir` is the help of one of them."""
    parser.add_argument("--data_dir", action="extend", nargs="+", help=data_dir)
    add_dataset_options(parser)


def load_split(
    dataset: str,
    data_dir: Sequence[str] | None,
    split: str,
    max_lines: int | None = None,
    options: Sequence[str] = (),
) -> Dataset:
    """
    Lines of a split, evenly spread if not all, with the "NAME=VALUE" options of a training's `--dataset_option`.

    Raises:
        SystemExit: If the dataset has no such split.
    """
    splits = load_lines(dataset, data_dir, **named_options(list(options)))
    if split not in splits:
        raise SystemExit(f"--split {split}: {' '.join(data_dir or [dataset])} has {', '.join(splits)}.")
    return splits[split] if max_lines is None else evenly_spread(splits[split], max_lines)


def decoder_folder(folder: Path) -> Path:
    """Where [`HTRConvTextDecoder.from_pretrained`] finds the decoder's files in a folder, which may be a model's."""
    return folder if (folder / DECODER_CONFIG).is_file() else folder / DECODER_FOLDER


def check_folder(name: str) -> None:
    """
    Raises:
        ValueError: If what a model or decoder is named by is not a folder that can be written into.
    """
    if not Path(name).is_dir():
        raise ValueError(f"{name}: to be written into, it must be a folder of this machine.")


@torch.no_grad()
def read_logits(
    model: HTRConvTextForCTC, processor: HTRConvTextProcessor, lines: Dataset, batch_size: int = 16
) -> tuple[list[NetworkLine], float]:
    """The network's logits of lines, and its milliseconds of processor time a line, on all threads together."""
    pipe = model.as_pipeline(processor)
    pipe.enter_inference_mode()
    read, seconds = [], 0.0
    for batch in lines.iter(8 * batch_size):
        parts = [pipe.prepare(image, check_lines=False).parts[0] for image in batch["image"]]
        begin = time.process_time()
        logits = pipe.logits_of(parts, batch_size)
        seconds += time.process_time() - begin
        columns = zip(batch["text"], batch["line_id"], batch["source"], batch["writer"], strict=True)
        read += [NetworkLine(own.float().cpu(), *column) for own, column in zip(logits, columns, strict=True)]
    return read, 1000 * seconds / max(len(read), 1)


def read_texts(lines: Sequence[NetworkLine], processor: HTRConvTextProcessor, **options: Any) -> list[ReadLine]:
    """Lines as the processor reads them, with options of its `post_process_text_recognition`."""
    read = processor.post_process_text_recognition
    return [line.read_as(read(SimpleNamespace(logits=line.logits[None]), **options)[0]["text"]) for line in lines]


def mean_over_hands(lines: Iterable[ReadLine]) -> dict[str, float]:
    """`{"cer", "wer"}`, each the mean over the writers, who count alike however much they wrote."""
    hands = with_text(grouped(lines, lambda line: line.hand)).values()
    return {name: sum(map(rate, hands)) / len(hands) for name, rate in (("cer", cer_of), ("wer", wer_of))}


def wer_of(lines: Sequence[ReadLine]) -> float:
    return float(align_words([line.prediction for line in lines], [line.reference for line in lines]).wer)


__all__ = [
    "NetworkLine",
    "add_data_options",
    "add_line_options",
    "check_folder",
    "decoder_folder",
    "load_split",
    "mean_over_hands",
    "read_logits",
    "read_texts",
]

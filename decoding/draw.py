# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Draws a line with what was read in it: each character at its place, the less sure the redder, and under it the one
that was second in its frames, the darker the nearer it came.

    python -m htr_convtext.decoding.draw examples/carnet_1.jpg --model hub_upload/htr-convtext-fr --output line.png
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..console import errors_as_sentences, print_any_character
from ..extras import needing
from ..images_htr_convtext import load_image, to_grey
from ..modeling_htr_convtext import HTRConvTextForCTC
from ..processing_htr_convtext import HTRConvTextProcessor

with needing("Drawing a reading", "train"):
    import matplotlib.figure

WIDTH = 14  # inches
# Of what was read as it stands there: to matplotlib, what is between two dollars is a formula.
PLAIN: dict[str, Any] = {"family": "DejaVu Sans", "parse_math": False}


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", help="line image")
    parser.add_argument("--model", required=True, help="model folder, or a name on the Hub")
    parser.add_argument("--decoder", help="folder of a decoder; default: greedy")
    parser.add_argument("--output", type=picture_file, required=True, help="picture to write: line.png or line.svg")
    options = parser.parse_args(arguments)
    with errors_as_sentences("draw", OSError, ValueError, ImportError):
        processor = HTRConvTextProcessor.from_pretrained(options.model)
        model = HTRConvTextForCTC.from_pretrained(options.model).eval()
        image = to_grey(load_image(options.image))
        reading = read_with_runners_up(model, processor, image, options.decoder)
        draw_reading(image, reading).savefig(options.output, dpi=150)
    print(f"Wrote {options.output}: {reading['score']:.2f} {reading['text']}")


def picture_file(name: str) -> Path:
    """
    What an option of a command names, known to be of a kind that can be drawn before the work is done.

    Raises:
        argparse.ArgumentTypeError: If it is of none.
    """
    known = matplotlib.figure.Figure().canvas.get_supported_filetypes()
    if Path(name).suffix[1:].lower() not in known:
        raise argparse.ArgumentTypeError(f"{name} must end with one of .{', .'.join(sorted(known))}")
    return Path(name)


@torch.no_grad()
def read_with_runners_up(
    model: HTRConvTextForCTC, processor: HTRConvTextProcessor, image: Image.Image, decoder: Any = None
) -> dict[str, Any]:
    """
    A line's reading as `post_process_text_recognition` gives it, where each character also has `runner_up`, the other
    character that is most probable in its frames, and `runner_up_score`, its probability there.
    """
    outputs = model(pixel_values=processor(images=image, return_tensors="pt").pixel_values)
    options = {"frame_stride": model.config.frame_stride, "decoder": decoder}
    (reading,) = processor.post_process_text_recognition(outputs, [(image.height, image.width)], **options)
    (in_frames,) = processor.post_process_text_recognition(outputs, **options)
    probs = outputs.logits[0].float().softmax(-1)
    for shown, place in zip(reading["characters"], in_frames["characters"], strict=True):
        first, last = (round(place[edge] / model.config.frame_stride) for edge in ("start", "end"))
        best = probs[first:last].amax(0)
        best[[processor.tokenizer.pad_token_id, processor.tokenizer.get_vocab()[place["character"]]]] = 0
        shown["runner_up"] = processor.tokenizer.convert_ids_to_tokens(int(best.argmax()))
        shown["runner_up_score"] = float(best.max())
    return reading


def draw_reading(image: Image.Image, reading: Mapping[str, Any]) -> matplotlib.figure.Figure:
    """
    Args:
        image: The line.
        reading: What [`read_with_runners_up`] gives for it.
    """
    height = WIDTH * image.height / image.width
    figure = matplotlib.figure.Figure(figsize=(WIDTH, height + 1.2))
    line = figure.add_axes((0, 1.2 / (height + 1.2), 1, height / (height + 1.2)))
    line.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255, aspect="auto", extent=(0, image.width, 0, 1))
    line.axis("off")
    below = figure.add_axes((0, 0, 1, 1.2 / (height + 1.2)))
    below.set(xlim=(0, image.width), ylim=(0, 1))
    below.axis("off")
    for character in reading["characters"]:
        draw_character(below, character)
    below.text(0, 0.02, f" {reading['score']:.2f}  {reading['text']}", fontsize=9, color="0.3", **PLAIN)
    return figure


def draw_character(axes: Any, character: Mapping[str, Any]) -> None:
    start, end = character["start"], character["end"]
    axes.axvspan(start, end, 0.62, 0.98, color="red", alpha=0.7 * (1 - character["score"]), linewidth=0)
    where = {"x": (start + end) / 2, "ha": "center", "va": "center", **PLAIN}
    axes.text(y=0.8, s=visible(character["character"]), fontsize=13, **where)
    axes.text(y=0.42, s=visible(character["runner_up"]), fontsize=10, alpha=shade(character), **where)


def shade(character: Mapping[str, Any]) -> float:
    """How dark a runner-up is: as dark as the character where it is as probable."""
    sure: Sequence[float] = (character["score"], character["runner_up_score"])
    return min(1.0, sure[1] / max(sure[0], 1e-6))


def visible(character: str) -> str:
    return "\u2423" if character.isspace() else character


if __name__ == "__main__":
    main()

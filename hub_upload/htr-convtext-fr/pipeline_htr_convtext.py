# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The "image-to-text" pipeline: line images in, transcriptions out."""

import contextlib
import copy
import os
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import Pipeline
from transformers.pipelines.pt_utils import PipelineDataset, PipelineIterator

from .decoding_htr_convtext import flag
from .generation_htr_convtext import check_greedy, check_names
from .images_htr_convtext import SOURCE_KEY, load_image, source_of, to_grey
from .processing_htr_convtext import check_reading

if TYPE_CHECKING:  # What the files above import: transformers 4.57 copies only what this file names.
    from .configuration_htr_convtext import HTRConvTextConfig  # noqa: F401
    from .inference_htr_convtext import optimize_for_inference  # noqa: F401
    from .language_model_htr_convtext import HTRConvTextDecoder  # noqa: F401
    from .modeling_htr_convtext import HTRConvTextForCTC  # noqa: F401

# Batches that are loaded together where lines have widths of their own, to fill batches of one width.
BATCHES_TO_SORT = 8
# What has a length or can be iterated over, and still is one line.
SINGLE_LINES = (dict, str, bytes, bytearray, np.ndarray, torch.Tensor)
# Lines whose scores are computed together.
LINES_DESCRIBED_AT_ONCE = 16
# Threads that share a model put it into its inference mode one after the other.
OPTIMIZING = threading.Lock()
ON_ERROR = ("raise", "skip")
# Options of a call. A timeout, which pipelines for images take, changes no reading.
OPTIONS = (
    *("batch_size", "num_workers", "return_segments", "on_error", "check_lines", "generate_kwargs", "timeout"),
    *("decoder", "alternatives", "threshold"),
)

# Parts of a processor that a pipeline may be given besides.
PARTS = ("image_processor", "tokenizer")

# How lines are looked at. The numbers were chosen on whole pages and on lines of some 250 hands. Of 18,254 of them
# none is turned or taken for blank, 9 are refused as several and 66 noted; a test counts those of two of the hands.
# Looked at is a small copy of the image: 1024 pixels wide, but no less than 64 and no more than 512 high.
SMALL_WIDTH, SMALL_HEIGHTS = 1024, (64, 512)
STROKE_WIDTH = 9  # pixels of the small copy; ink is what a closing of this size fills
# The ground is dark where the median grey lies this near to the darkest: 0 is the darkest percent, 1 the lightest.
DARK_GROUND = 0.35
# Paper painted black around a line's outline is no ground: its share of the image lies between these.
BLACK_SURROUNDINGS = (0.2, 0.75)
# Mean darkness against their surroundings of the darkest twentieth of the pixels; faint pencil has 19, paper 10.
FAINTEST_INK = 12
STRIPS = 8  # upright ones, in each of which lines of text are counted
STRIP_WIDTH = 64
# A strip with less of the fullest strip's ink is empty.
EMPTY_STRIP = 0.3
# A line of text is a band of rows with ink: its height of ink against the fullest row's, the depth of the valley that
# ends it, and how much ink there may be in the image's first or last row before it counts as cut from a neighbour.
BAND, VALLEY, CUT = 0.3, 0.4, 0.35
# Bands in the median strip, or in the fullest of an image that is not long, that make several lines.
SEVERAL_LINES, SEVERAL_LINES_OF_A_PAGE, PAGE_ASPECT = 3, 4, 3
# Two lines: at least so many strips, of which at least this share has two bands, the second at least half as high as
# the first. What loops, underlines and neighbours leave is no band so high along the line. Where fewer strips say so,
# the line is read, and noted: some three lines in a thousand. Tests count how many of two lines are.
TWO_LINES, PERHAPS_TWO_LINES, SECOND_BAND = (5, 0.75), (3, 0.5), 0.5
# Few words fill an image that is not long. Seen as large as they are, letters have bands of ink within them, as lines
# on a page have; at the height in pixels that lines usually have, they have not, and strokes wider than a closing
# fills are there at least so many times as dark. Chosen on 404 squat lines of 13 hands, made 400 pixels high, and on
# 80 pieces of pages, of two to fifteen lines: 392 lines are recognised, and no piece is taken for one.
SQUAT_LINE_HEIGHT, SQUAT_LINE_DARKER = 96, 1.5
# Higher images that are not long are pages, whatever is seen on them.
PAGE_HEIGHT = 1500
TALLEST = 2  # times the width
# Bands for each time that a tall image is taller than wide: a page has more lines than a line has letters.
TALL_PAGE_BANDS = 4
# How often the network's widest line must fit into a line for it to be read in parts instead of squeezed: where lines
# keep their aspect ratio, and where every line is squeezed, so that the network learnt to read such.
LONGEST, LONGEST_OF_SQUEEZED = 1.5, 4


@dataclass
class PreparedLine:
    """
    A line on its way to the network.

    Args:
        parts: Pixels of shape `(1, height, width)`, one array for each part that is read by itself, from left to
            right; none for a line without ink.
        starts: Column of each part's first pixel in the whole line at the network's height.
        target_size: Height and width of its image in pixels.
        source: What warnings call it.
        notes: What was done to it that its reader should know.
        error: Why it cannot be read.
    """

    parts: list[np.ndarray] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    target_size: tuple[int, int] = (0, 0)
    source: str = ""
    notes: list[str] = field(default_factory=list)
    error: str | None = None


class HTRConvTextPipeline(Pipeline):
    """
    Reads handwritten lines: `pipeline("image-to-text", model=..., trust_remote_code=True)("line.png")`.

    Batches never change a reading: lines are run with others of exactly their padded width. The network is put into
    its inference mode (`optimize_for_inference`), in the type that it has. Any number of threads may share one
    pipeline.

    Each image is looked at first, unless `check_lines=False`. Light ink on dark ground is turned to dark on light; a
    line too long for the network is read in parts that overlap, and joined; an image without ink is read as "" with a
    score of 0. The result then has `notes` that say so. An image that cannot be one line is refused: several lines or
    a whole page, or a line that stands upright.

    With a model that is loaded already, write `model.as_pipeline(processor)`, or `pipeline("image-to-text",
    model=model, processor=processor, pipeline_class=HTRConvTextPipeline)`: without the class, transformers finds
    custom pipelines by a model's name only, and takes one of its own, which does not look at lines (4.57, with
    `tokenizer` and `image_processor`) or asks for prompts (5.23).

    Args:
        model ([`HTRConvTextForCTC`] or [`ExportedHTRConvText`]): The network.
        processor ([`HTRConvTextProcessor`]): Its processor.
        kwargs: What every transformers pipeline takes: `device`, `batch_size`, `num_workers`; `image_processor` and
            `tokenizer`, objects or folders, take the place of those of the processor.
    """

    _load_processor = True
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = False

    def __init__(self, model, *args, **kwargs):
        kwargs |= chosen_parts(kwargs)
        with computing_device_first(model):
            super().__init__(model, *args, **kwargs)

    def __call__(self, inputs, **kwargs):
        """
        Args:
            inputs: One line image (path, URL, base64, bytes, open file, PIL image, array, tensor) or many: a list, a
                generator, a dataset, or rows of one whose `image` column holds the image.
            batch_size: Lines that go through the network together. Where the processor keeps lines' aspect ratios,
                eight times as many are loaded at once and sorted by width.
            num_workers: Processes that load images.
            return_segments: Whether to add `words` and `characters` with their positions in the image's pixels.
            on_error: What a line that cannot be read does: `"raise"` ends the call, `"skip"` gives
                `[{"error": message}]` in the place of its result.
            check_lines: Whether to look whether each image is one line of dark ink on light ground. `False` for a
                network that was trained on others.
            decoder: Beam search with a language model: `True` for the model's own, the folder of one, or an
                [`HTRConvTextDecoder`]. Greedy decoding without.
            alternatives: Most further readings of each line to add as `alternatives`, which only a beam search has.
            threshold: Score from 0 to 1; adds `check` to lines and words, whether their score is below it.
            generate_kwargs: Options of transformers' `generate`, also by their own names, for scripts written for
                autoregressive recognisers: those that mean nothing to CTC, such as `max_new_tokens`, are ignored.

        Returns:
            For one line `[{"generated_text": ..., "score": ...}]`, for many one such list each: a list for lists, a
            generator for generators and datasets.

        Raises:
            TypeError: If there is no such option.
            ValueError: If an image cannot be read or is no line; the message names it.
        """
        if isinstance(inputs, list) and not inputs:
            return []
        is_list = isinstance(inputs, list)
        if is_list or is_collection(inputs):
            inputs = Lines(inputs)
        elif is_stream(inputs):
            inputs = (line for line in inputs)
        batch_size = kwargs.pop("batch_size", None) or self._batch_size or 1
        if self.processor.image_processor.keep_aspect_ratio and batch_size > 1:
            kwargs["lines_at_once"] = batch_size
            batch_size *= BATCHES_TO_SORT
        results = super().__call__(inputs, batch_size=batch_size, **kwargs)
        return list(results) if is_list else results

    def get_iterator(self, inputs, num_workers, batch_size, preprocess_params, forward_params, postprocess_params):
        # The base class's collate function is a local one, which workers that are spawned cannot take along.
        total = len(inputs) if hasattr(inputs, "__len__") else None
        if total is None:
            num_workers = min(num_workers, 1)
        kind = PipelineIterator if total is None else PipelineDataset
        loading = copy.copy(self)
        loading.model = None  # Workers need no network; it has more tensors than a fork server passes on.
        loader = torch.utils.data.DataLoader(
            kind(inputs, loading.preprocess, preprocess_params),
            num_workers=num_workers,
            batch_size=batch_size,
            collate_fn=only_line if batch_size == 1 else collate_lines,
        )
        outputs = PipelineIterator(loader, self.forward, forward_params, loader_batch_size=batch_size)
        return Readings(PipelineIterator(outputs, self.postprocess, postprocess_params), total)

    def save_pretrained(self, save_directory, **kwargs):
        """Saves model and processor as a folder that loads as it lies; the base class leaves the processor out."""
        super().save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)

    def _sanitize_parameters(
        self,
        return_segments: bool | None = None,
        lines_at_once: int | None = None,
        on_error: str | None = None,
        check_lines: bool | None = None,
        decoder: Any = None,
        alternatives: int | None = None,
        threshold: float | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        options = {**kwargs, **(generate_kwargs or {})}
        check_names(options, type(self).__name__, OPTIONS)
        check_greedy(options)
        if on_error not in (None, *ON_ERROR):
            raise ValueError(f"on_error must be one of {', '.join(ON_ERROR)}. Got {on_error!r}.")
        preprocess = {"on_error": on_error, "check_lines": check_lines}
        # Found out before the first line is read: a language model that is missing or of another alphabet.
        decoder = None if decoder is None else self.processor.resolve_decoder(decoder) or False
        reading = {"decoder": decoder, "alternatives": alternatives, "threshold": threshold}
        given = {**getattr(self, "_forward_params", {}), **without_none(reading)}
        check_reading(given.get("decoder"), given.get("alternatives", 0), given.get("threshold"))
        forward = {"lines_at_once": lines_at_once, **reading}
        postprocess = {"return_segments": return_segments}
        return without_none(preprocess), without_none(forward), without_none(postprocess)

    def preprocess(self, inputs, on_error: str = "raise", check_lines: bool = True):
        try:
            return {"line": self.prepare(inputs, check_lines)}
        except (ValueError, OSError) as error:
            if on_error == "raise":
                raise
            return {"line": PreparedLine(error=str(error))}

    def prepare(self, inputs, check_lines: bool = True, is_one_line: bool = False) -> PreparedLine:
        """
        One line image of any kind to what the network is given.

        Args:
            inputs: The image, in any of the kinds that the pipeline takes.
            check_lines: Whether to look at it at all: for ink, whether it is light on dark, and how many lines it has.
            is_one_line: Whether it is known to be one line, which is not looked for then.
        """
        if isinstance(inputs, UnreadableRow):
            raise inputs.error
        if isinstance(inputs, dict) and "image" in inputs:
            inputs = inputs["image"]
        image = load_image(inputs)
        line = PreparedLine(target_size=(image.height, image.width), source=source_of(image))
        processor = self.processor.image_processor
        if check_lines:
            checked = check_line(as_grey(image, processor), line, is_one_line)
            if checked is None:
                return line
            image = checked
        width = -(-image.width * processor.size["height"] // image.height)
        longest = LONGEST if processor.keep_aspect_ratio else LONGEST_OF_SQUEEZED
        if not check_lines or width <= longest * processor.size["width"]:
            line.parts, line.starts = [processor.preprocess_line(image)], [0]
            return line
        line.parts, line.starts = self.cut(image, width)
        line.notes.append(f"The line is long: it was read in {len(line.parts)} parts that overlap, and joined.")
        return line

    def cut(self, image: Image.Image, width: int) -> tuple[list[np.ndarray], list[int]]:
        """A line `width` pixels long at the network's height to parts of the network's width that overlap."""
        processor = self.processor.image_processor
        part_width = processor.size["width"]
        step = processor.pad_to_multiple_of
        overlap = part_width // 4 // step * step
        padded = max(-(-width // step) * step, part_width)
        whole = processor.with_options(size={**processor.size, "width": padded}, keep_aspect_ratio=False)
        pixels = whole.preprocess_line(image)
        starts = [*range(0, padded - part_width, part_width - overlap), padded - part_width]
        return [pixels[..., start : start + part_width] for start in starts], starts

    def _forward(self, model_inputs, lines_at_once: int | None = None, **reading):
        lines = model_inputs["line"]
        if isinstance(lines, PreparedLine):  # batch_size=1 comes uncollated
            return {"reading": self.read([lines], **reading)[0]}
        return {"reading": self.read(lines, lines_at_once, **reading)}

    def read(self, lines: Sequence[PreparedLine], lines_at_once: int | None = None, **reading) -> list[dict[str, Any]]:
        """
        Args:
            lines: Prepared lines, whose widths may differ.
            lines_at_once: Most parts in one batch of the network; `None` is no limit.
            reading: `decoder`, `alternatives` and `threshold` of the processor's `post_process_text_recognition`.

        Returns:
            Each line's reading, as the processor's `post_process_text_recognition` gives it, and its line as `line`.
        """
        self.enter_inference_mode()
        parts = [part for line in lines for part in line.parts]
        logits = self.logits_of(parts, lines_at_once)
        of_lines = [[logits.pop(0) for _ in line.parts] for line in lines]
        readings: list[dict[str, Any]] = [{}] * len(lines)
        frames = [len(own[0]) if len(own) == 1 else 0 for own in of_lines]
        for members in batches_of_one_width(frames, LINES_DESCRIBED_AT_ONCE):
            if frames[members[0]]:
                alike = [(lines[i], of_lines[i][0]) for i in members]
                described = self.describe_alike(alike, **reading)
            else:
                described = [self.describe(lines[i], of_lines[i], **reading) for i in members]
            for i, line_reading in zip(members, described, strict=True):
                readings[i] = {**line_reading, "line": lines[i]}
        return readings

    def enter_inference_mode(self) -> None:
        with OPTIMIZING:
            if has_weights_elsewhere(self.model):
                self.model.eval()
            elif not self.model.is_optimized_for_inference:
                self.model.optimize_for_inference()

    def logits_of(self, parts: Sequence[np.ndarray], parts_at_once: int | None = None) -> list[torch.Tensor]:
        """Logits of shape `(frames, vocab_size)` of pixels of shape `(1, height, width)`, in batches of one width."""
        logits: list[torch.Tensor] = [torch.empty(0)] * len(parts)
        for members in batches_of_one_width([part.shape[-1] for part in parts], parts_at_once):
            pixel_values = torch.from_numpy(np.stack([parts[i] for i in members])).to(self.device)
            for i, line_logits in zip(members, self.model(pixel_values=pixel_values).logits, strict=True):
                logits[i] = line_logits
        return logits

    def describe_alike(self, lines: Sequence[tuple[PreparedLine, torch.Tensor]], **reading) -> list[dict[str, Any]]:
        """Lines of one part with logits of equal shape to their readings, with positions in pixels of their images."""
        outputs = SimpleNamespace(logits=torch.stack([logits for _, logits in lines]))
        sizes = [line.target_size for line, _ in lines]
        stride = self.model.config.frame_stride
        return self.processor.post_process_text_recognition(outputs, sizes, frame_stride=stride, **reading)

    def describe(self, line: PreparedLine, logits: Sequence[torch.Tensor], **reading) -> dict[str, Any]:
        """Logits of a line's parts, several or none, to its reading, with positions in the pixels of its image."""
        if not logits:
            return self.describe_nothing(**reading)
        stride = self.model.config.frame_stride
        read = self.processor.post_process_text_recognition
        joined = join_parts(logits, [start // stride for start in line.starts], self.processor.tokenizer.pad_token_id)
        (described,) = read(SimpleNamespace(logits=joined[None]), frame_stride=stride, **reading)
        height, width = line.target_size
        for text in (described, *described.get("alternatives", ())):
            for item in (*text["words"], *text["characters"]):
                for edge in ("start", "end"):
                    item[edge] = min(item[edge] * height / self.processor.image_processor.size["height"], float(width))
        return described

    def describe_nothing(
        self, decoder: Any = None, alternatives: int = 0, threshold: float | None = None
    ) -> dict[str, Any]:
        """The reading of a line without ink."""
        described: dict[str, Any] = {"text": "", "score": 0.0, "words": [], "characters": []}
        if alternatives:
            described["alternatives"] = []
        if threshold is not None:
            flag(described, threshold)
        return described

    def postprocess(self, model_outputs, return_segments: bool = False):
        reading = model_outputs["reading"]
        line = reading["line"]
        if line.error is not None:
            return [{"error": line.error}]
        result = in_pipelines_words(reading, return_segments)
        if "alternatives" in reading:
            result["alternatives"] = [in_pipelines_words(other, return_segments) for other in reading["alternatives"]]
        if line.notes:
            result["notes"] = line.notes
            warnings.warn(f"{line.source}: {' '.join(line.notes)}", stacklevel=2)
        return [result]


def in_pipelines_words(reading: Mapping[str, Any], return_segments: bool) -> dict[str, Any]:
    """The processor's reading as pipelines name its parts."""
    result = {"generated_text": reading["text"], "score": reading["score"]}
    segments = ("words", "characters") if return_segments else ()
    return {**result, **{name: reading[name] for name in ("check", *segments) if name in reading}}


# Looking at lines


def as_grey(image: Image.Image, image_processor) -> Image.Image:
    try:
        grey = to_grey(image)
        image_processor.resized_width(grey.height, grey.width)
    except ValueError as error:
        raise ValueError(f"{source_of(image)}: {error}") from error
    grey.info = {SOURCE_KEY: source_of(image)}  # Its transparency is paper by now; heeded twice, it would erase ink.
    return grey


def check_line(grey: Image.Image, line: PreparedLine, is_one_line: bool = False) -> Image.Image | None:
    """
    Looks whether a grey image is one line of dark ink on light ground.

    Args:
        grey: The image, in mode L.
        line: Where to note what was done.
        is_one_line: Whether it is known to be one line.

    Returns:
        The image, turned to dark on light where its ink is light; `None` if it has no ink.

    Raises:
        ValueError: If it is a page, several lines, or a line that stands upright; the message names it.
    """
    small = make_small(grey)
    is_dark = has_dark_ground(small)
    ink = strokes(small, is_dark)
    is_long = grey.width > PAGE_ASPECT * grey.height
    if darkness(ink) < FAINTEST_INK and (is_long or not is_squat_line(grey)):
        line.notes.append("There is no ink in the image.")
        return None
    if not is_one_line:
        refuse_what_is_no_line(grey, ink, is_long, line)
    if not is_dark:
        return grey
    line.notes.append("Light ink on dark ground: the image was turned to dark on light.")
    turned = ImageOps.invert(grey)
    turned.info.update(grey.info)
    return turned


def refuse_what_is_no_line(grey: Image.Image, ink: np.ndarray, is_long: bool, line: PreparedLine) -> None:
    is_squat = not is_long and is_squat_line(grey)
    bands = find_bands(ink)
    number = 1 if is_squat else count_lines(bands, is_long)
    refuse_upright_lines(grey, number, line.source)
    refuse_pages(grey, number, line.source)
    if not is_squat and are_two_lines(bands, *PERHAPS_TWO_LINES):
        line.notes.append("The image looks like two lines of text, and was read as one: if it is two, cut them out.")


def make_small(grey: Image.Image) -> Image.Image:
    least, most = SMALL_HEIGHTS
    height = min(grey.height, max(least, min(most, round(SMALL_WIDTH * grey.height / grey.width))))
    width = max(1, round(grey.width * height / grey.height))
    return grey.resize((width, height), Image.Resampling.BOX)


def has_dark_ground(small: Image.Image) -> bool:
    counts = np.array(small.histogram())
    least, most = BLACK_SURROUNDINGS
    if least < counts[0] / counts.sum() < most:
        counts[0] = 0
    darkest, median, lightest = percentiles(counts, (1, 50, 99))
    return bool(median - darkest < DARK_GROUND * (lightest - darkest))


def percentiles(counts: np.ndarray, percents: Sequence[float]) -> list[float]:
    """Percentiles of the values 0, 1, ... of which there are so many; see [`percentile`]."""
    number = counts.cumsum()
    return [percentile(lambda place: np.searchsorted(number, place, side="right"), number[-1], p) for p in percents]


def percentile(value_at: Callable[[int], Any], number: int, percent: float) -> float:
    """`np.percentile`, to the last digit, of so many values in ascending order; it sorts anew, and is slow for few."""
    place = percent / 100 * (number - 1)
    below, share = int(place), place % 1
    lower, upper = float(value_at(below)), float(value_at(min(below + 1, number - 1)))
    return upper - (upper - lower) * (1 - share) if share >= 0.5 else lower + (upper - lower) * share


def mean_of_largest(values: np.ndarray, number: int) -> float:
    """Mean of the largest of an array's values of 8 bits."""
    counts = np.array(Image.fromarray(values).histogram()[::-1])
    taken = np.diff(np.minimum(counts.cumsum(), number), prepend=0)
    return float(taken @ np.arange(255, -1, -1)) / number


def darkness(ink: np.ndarray) -> float:
    """Mean of the darkest twentieth."""
    return mean_of_largest(ink, max(1, ink.size // 20))


def strokes(small: Image.Image, is_dark: bool) -> np.ndarray:
    """Strokes of a small copy, dark or light; see [`darkness_of_strokes`]."""
    return darkness_of_strokes(ImageOps.invert(small) if is_dark else small)


def darkness_of_strokes(grey: Image.Image) -> np.ndarray:
    """How much darker each pixel is than what a closing, which fills strokes, makes of it; shape (height, width)."""
    pixels = np.asarray(grey)
    return ~widest(~widest(pixels)) - pixels


def widest(pixels: np.ndarray) -> np.ndarray:
    """The largest value within a stroke's width of each pixel of 8 bits, of shape (height, width)."""
    around = STROKE_WIDTH // 2
    for _ in range(2):  # Down, then across.
        padded = np.zeros((len(pixels) + 2 * around, pixels.shape[1]), dtype=np.uint8)
        padded[around:-around] = pixels
        pixels, width = padded, 1
        while width < STROKE_WIDTH:  # The largest of twice as many is that of two that are known.
            step = min(width, STROKE_WIDTH - width)
            pixels = np.maximum(pixels[:-step], pixels[step:])
            width += step
        pixels = np.ascontiguousarray(pixels.T)
    return pixels


def refuse_upright_lines(grey: Image.Image, number: int, source: str) -> None:
    aspect = grey.height / grey.width
    if aspect > TALLEST and number < TALL_PAGE_BANDS * aspect:
        raise ValueError(
            f"{source}: the image is taller than wide, {grey.width}x{grey.height} pixels, as a line is that stands "
            "upright. Turn it, image.rotate(90, expand=True) or image.rotate(-90, expand=True); if it is a column, "
            "cut its lines out; or pass check_lines=False to read it as it is."
        )


def refuse_pages(grey: Image.Image, number: int, source: str) -> None:
    if number < 2 and not (grey.height > PAGE_HEIGHT and grey.width < TALLEST * grey.height):
        return
    found = f"about {number} lines of text" if number > 1 else "more pixels than a line has"
    raise ValueError(
        f"{source}: the image of {grey.width}x{grey.height} pixels holds {found}, and this pipeline reads one line. "
        "Cut its lines out and read those: transcribe.py in the checkout of htr-convtext finds them, too, after "
        'pip install -e ".[pages]" -c constraints.txt there. Or pass check_lines=False to read it as one line.'
    )


def find_bands(ink: np.ndarray) -> list[list[float]]:
    """Heights of the bands in each strip that is not empty, of an image's strokes of shape (height, width)."""
    strips = np.array_split(ink, max(1, min(STRIPS, ink.shape[1] // STRIP_WIDTH)), axis=1)
    profiles = [strip.mean(axis=1, dtype=np.float32) for strip in strips]
    most = max(profile.sum() for profile in profiles)
    return [bands_of_strip(profile) for profile in profiles if profile.sum() > EMPTY_STRIP * most]


def count_lines(bands: Sequence[Sequence[float]], is_long: bool) -> int:
    """Lines of text in an image: in its median strip, or in a page's fullest; 1 if two are uncertain."""
    counts = [len(heights) for heights in bands]
    if max(counts) >= SEVERAL_LINES_OF_A_PAGE and not is_long:
        return max(counts)
    median = int(np.median(list(map(count_high_bands, bands))))
    return median if median >= SEVERAL_LINES else 1 + are_two_lines(bands, *TWO_LINES)


def are_two_lines(bands: Sequence[Sequence[float]], strips: int, share: float) -> bool:
    """Whether the strips have two bands alike along the image; see `TWO_LINES`."""
    alike = [count_high_bands(heights) >= 2 for heights in bands]
    return len(bands) >= strips and bool(np.mean(alike) >= share)


def count_high_bands(heights: Sequence[float]) -> int:
    """Bands of a strip without the low ones: rules of squared paper and underlines are bands, too."""
    return sum(height >= SECOND_BAND * max(heights) for height in heights)


def is_squat_line(grey: Image.Image) -> bool:
    """
    Whether an image that is not long is one line for certain, by its ink alone; see `SQUAT_LINE_HEIGHT`.

    Args:
        grey: The image, in mode L.
    """
    if grey.height > min(PAGE_HEIGHT, TALLEST * grey.width):
        return False
    width = max(1, round(grey.width * SQUAT_LINE_HEIGHT / grey.height))
    as_line, as_it_is = (
        strokes(small, has_dark_ground(small))
        for small in map(make_small, (grey.resize((width, SQUAT_LINE_HEIGHT), Image.Resampling.BOX), grey))
    )
    if darkness(as_line) < max(FAINTEST_INK, SQUAT_LINE_DARKER * darkness(as_it_is)):
        return False
    bands = find_bands(as_line)
    return any(bands) and count_lines(bands, is_long=False) == 1 and not are_two_lines(bands, 1, TWO_LINES[1])


def bands_of_strip(profile: np.ndarray) -> list[float]:
    """Height of each band of rows in a strip, in any unit, without those that the image's upper or lower edge cuts."""
    profile = smooth(profile)
    ordered = np.sort(profile)
    ground = percentile(ordered.__getitem__, len(ordered), 2)
    profile, ordered = profile - ground, ordered - ground
    least = BAND * percentile(ordered.__getitem__, len(ordered), 99)
    peaks, valleys = peaks_and_valleys(profile.tolist(), least)
    begins = [0, *valleys][: len(peaks)]
    is_whole = [bool(profile[begin] <= CUT * peak) for begin, peak in zip(begins, peaks, strict=True)]
    if len(valleys) < len(peaks):  # The image ends before the last band does.
        is_whole[-1] &= bool(peaks[-1] > 0 and peaks[-1] >= least and profile[-1] <= CUT * peaks[-1])
    heights = np.add.reduceat(np.minimum(np.maximum(profile, 0), least), begins)
    return [float(height) for height, whole in zip(heights, is_whole, strict=True) if whole]


def peaks_and_valleys(profile: Sequence[float], least: float) -> tuple[list[float], list[int]]:
    """Heights of the peaks, and the row of the valley behind each; the last may lack one, or be less than `least`."""
    peaks: list[float] = [0.0]
    valleys: list[int] = []
    is_rising = True
    for row, value in enumerate(profile):
        if is_rising:
            peaks[-1] = max(peaks[-1], value)
            if peaks[-1] >= least and value < VALLEY * peaks[-1]:
                valleys.append(row)
                is_rising = False
        elif value < profile[valleys[-1]]:
            valleys[-1] = row
        elif value > max(profile[valleys[-1]] / VALLEY, least):
            peaks.append(value)
            is_rising = True
    return peaks, valleys


def smooth(profile: np.ndarray, sigma: float = 2.0, reach: int = 6) -> np.ndarray:
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.concatenate([profile[:1].repeat(reach), profile, profile[-1:].repeat(reach)], dtype=float)
    return np.convolve(padded, weights / weights.sum(), "valid")


# Reading in parts


def join_parts(logits: Sequence[torch.Tensor], starts: Sequence[int], blank_id: int) -> torch.Tensor:
    """
    Frames of parts that overlap to those of the whole line.

    Args:
        logits: Each part's, of shape `(frames, vocab_size)`.
        starts: Each part's first frame in the line.
        blank_id: The blank's id.
    """
    joined = logits[0]
    for part, start in zip(logits[1:], starts[1:], strict=True):
        seam = seam_of(joined[start:].argmax(-1), part[: len(joined) - start].argmax(-1), blank_id)
        joined = torch.cat([joined[: start + seam], part[seam:]])
    return joined


def seam_of(left: torch.Tensor, right: torch.Tensor, blank_id: int) -> int:
    """
    Frame at which to pass from one part to the next: in the middle of the longest run of blanks on which both agree.
    The outer quarters of the overlap are left out, where one of the two sees little of what stands around.
    """
    quarter = len(left) // 4
    agreed = ((left == right) & (left == blank_id)).cpu().numpy()[quarter : len(left) - quarter]
    edges = np.flatnonzero(np.diff(agreed.astype(int), prepend=0, append=0))
    if len(edges) == 0:
        return len(left) // 2
    runs = edges.reshape(-1, 2)
    begin, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return quarter + int(begin + end) // 2


def batches_of_one_width(widths: Sequence[int], lines_at_once: int | None = None) -> Iterator[list[int]]:
    """Indices of lines in batches of equal width, at most `lines_at_once` in each."""
    for width in sorted(set(widths)):
        members = [i for i, other in enumerate(widths) if other == width]
        size = lines_at_once or len(members)
        yield from (members[start : start + size] for start in range(0, len(members), size))


# Inputs, options and models


@dataclass
class UnreadableRow:
    """A row of a dataset that could not be decoded, in the place of the row."""

    error: Exception


class Lines(torch.utils.data.Dataset):
    """A sized collection of line images that transformers' pipelines do not take for one, such as a dataset column."""

    def __init__(self, lines):
        self.lines = lines
        self.rows = getattr(lines, "iloc", lines)  # A column of pandas takes the number in [] for a label.

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        try:
            return self.rows[index]
        except MemoryError:
            raise
        except Exception as error:  # datasets decodes a row's image as it is asked for, and Pillow says what it meets.
            return UnreadableRow(ValueError(f"Row {index}: {error}"))


def only_line(items):
    return items[0]


def collate_lines(items):
    return {"line": [item["line"] for item in items]}


def same_error(error: ValueError | OSError, message: str) -> ValueError | OSError:
    """An error of the same type with another message, or of its base where the type is made of several parts."""
    try:
        return type(error)(message)
    except TypeError:  # Such as UnicodeDecodeError, JSONDecodeError and HTTPError.
        return OSError(message) if isinstance(error, OSError) else ValueError(message)


class Readings:
    """Results one after the other; an error says how many there were before it."""

    def __init__(self, results, total: int | None):
        self.results = iter(results)
        self.total = total
        self.number = 0

    def __iter__(self):
        return self

    def __len__(self):
        if self.total is None:
            raise TypeError("A stream has no length.")
        return self.total

    def __next__(self):
        try:
            result = next(self.results)
        except (ValueError, OSError) as error:
            # A worker's error refers to itself through torch's frame (`ExceptionWrapper.reraise`, 2.13). Workers of a
            # loader in such a cycle are not told to end, and each is waited for five seconds.
            traceback.clear_frames(error.__traceback__)
            of = "" if self.total is None else f" of {self.total}"
            raise same_error(
                error,
                f"{error}\n{self.number}{of} results came before that of this image's batch. Mend or leave out the "
                "image; or pass on_error='skip' to go on, with the message in the place of its result.",
            ) from error
        self.number += 1
        return result


def chosen_parts(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a processor among a pipeline's options, and a copy of the processor that has them."""
    processor = options.get("processor")
    chosen = {name: options[name] for name in PARTS if options.get(name) is not None}
    if processor is None or not chosen:
        return {}
    for name, part in chosen.items():
        if isinstance(part, (str, os.PathLike)):
            chosen[name] = type(getattr(processor, name)).from_pretrained(part)
    processor = copy.copy(processor)
    vars(processor).update(chosen)
    return {**chosen, "processor": processor}


def is_collection(inputs) -> bool:
    """Whether inputs are many lines, and no list; a torch dataset that is a stream is none."""
    if isinstance(inputs, (list, *SINGLE_LINES, torch.utils.data.IterableDataset)) or hasattr(inputs, "read"):
        return False
    return hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__")


def is_stream(inputs) -> bool:
    """Whether inputs are lines one after the other, such as a streamed dataset, which pipelines take for one line."""
    if isinstance(inputs, (list, *SINGLE_LINES, torch.utils.data.Dataset)) or hasattr(inputs, "read"):
        return False
    return hasattr(inputs, "__iter__")


def without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def has_weights_elsewhere(model) -> bool:
    """Whether accelerate keeps weights of the model elsewhere until they are needed, where they cannot be fused."""
    return any(parameter.is_meta for parameter in getattr(model, "parameters", tuple)())


@contextlib.contextmanager
def computing_device_first(model) -> Iterator[None]:
    """
    Puts the device that computes first in the map of a dispatched model, for as long as a pipeline is made:
    transformers takes the first, which may be the disk, and moves a model that accelerate offloaded without a map
    (`Pipeline.__init__`, 4.57 to 5.24).
    """
    device_map = getattr(model, "hf_device_map", None)
    if not device_map and not has_weights_elsewhere(model):
        yield
        return
    computing = [item for item in (device_map or {}).items() if item[1] not in ("disk", "meta")]
    model.hf_device_map = {**dict(computing), **(device_map or {})} if computing else {"": "cpu"}
    try:
        yield
    finally:
        if device_map is None:
            del model.hf_device_map
        else:
            model.hf_device_map = device_map


__all__ = ["HTRConvTextPipeline"]

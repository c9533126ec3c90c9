# Copyright 2026 The HTR-ConvText for transformers authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Image processor, tokenizer and processor of HTR-ConvText: line images to pixels, characters to classes and back."""

import base64
import binascii
import io
import json
import os
import re
import unicodedata
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
import transformers
from PIL import Image, ImageOps
from transformers import PreTrainedTokenizer, ProcessorMixin
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.utils import TensorType

BLANK_TOKEN = "<blank>"
LABEL_PADDING = -100
IMAGE_CHANNELS = (1, 3, 4)
DOWNLOAD_TIMEOUT_SECONDS = 30
SOURCE_KEY = "htr_convtext_source"

# The characters of the paper's four datasets in the order of their classes 1, 2, ...; class 0 is the CTC blank.
# READ2016 counts the combining macron (U+0304) and diaeresis (U+0308) as characters of their own.
ALPHABETS = {
    "iam": " !\"#&'()*+,-./0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "lam": " !\"#%&'()+,-./0123456789:;=?ABCDEFGHIJKLMNOPQRSTUVWXZabcdefghijlmnopqrstuvwxyz|°·ÈÉàèéìòù–",
    "read2016": (
        " ()+,-./0123456789:<>ABCDEFGHIJKLMNOPQRSTUVWYZ[]abcdefghijklmnopqrstuvwxyz¾Ößäöüÿāēōūȳ\u0304\u0308—"
    ),
    "vnondb": (
        ' !"%&()*,-./0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYabcdefghijklmnopqrstuvxyzÀÁÂÔÚÝàáâãèéêìíòóô'
        "õùúýĂăĐđĩũƠơƯưạẢảẤấẦầẩẫậắằẳẵặẹẻẽếỀềỂểễỆệỉịọỏỐốỒồổỗộớờỞởỡợụỦủứừửữựỳỷỹ"
    ),
}


def load_image(image) -> Image.Image:
    """
    Opens whatever users call an image.

    Args:
        image: A path, an http(s) URL, a base64 string or data URI, bytes, a PIL image, an array or tensor of shape
            (height, width), (height, width, channels) or (channels, height, width), or the dictionary that `datasets`
            gives for an image that it has not decoded.

    Returns:
        The PIL image in its own mode, its EXIF rotation applied.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If a URL cannot be downloaded.
        ValueError: If it is empty, damaged, too large to be a line, or no image; the message names it.
    """
    if isinstance(image, dict) and {"bytes", "path"} & set(image):
        image = image["bytes"] if image.get("bytes") is not None else image.get("path")
    if isinstance(image, (np.ndarray, torch.Tensor)):
        return image_from_array(image)
    if isinstance(image, Image.Image):
        return decode(image, source_of(image))
    if isinstance(image, (bytes, bytearray)):
        return open_image(io.BytesIO(image), f"{len(image)} bytes")
    if isinstance(image, (str, os.PathLike)):
        return load_image_from_name(os.fspath(image))
    raise ValueError(
        f"Expected a path, URL, PIL image, array or tensor as image. Got {type(image).__name__}: {str(image)[:80]!r}."
    )


def load_image_from_name(name: str) -> Image.Image:
    if name.startswith(("http://", "https://")):
        return open_image(io.BytesIO(download(name)), name)
    if os.path.isfile(name):
        return open_image(name, name)
    is_data_uri = name.startswith("data:image/")
    try:
        encoded = base64.b64decode("".join((name.split(",", 1)[-1] if is_data_uri else name).split()), validate=True)
        return open_image(io.BytesIO(encoded), f"base64 string {name[:40]!r}")
    except (binascii.Error, ValueError) as error:
        if is_data_uri:
            raise ValueError(f"Damaged data URI {name[:40]!r}: {error}") from error
        raise FileNotFoundError(f"No such image file: {name[:200]!r}.") from None


def download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:
            return response.read()
    except OSError as error:
        raise OSError(f"{url}: the image cannot be downloaded ({error}).") from error


def open_image(file, name: str) -> Image.Image:
    if isinstance(file, str) and os.path.getsize(file) == 0:
        raise ValueError(f"{name}: the file is empty (0 bytes).")
    try:
        image = Image.open(file)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name}: the image is too large to be a line of text. {error}") from error
    except (Image.UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{name}: not an image that Pillow can read.") from error
    return decode(image, name)


def decode(image: Image.Image, name: str) -> Image.Image:
    if 0 in image.size:
        raise ValueError(f"{name}: the image has no pixels; its size is {image.width}x{image.height}.")
    try:
        upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{name}: the image is truncated or damaged ({error}).") from error
    upright.info[SOURCE_KEY] = name
    return upright


def source_of(image: Image.Image) -> str:
    """What errors call an image: the file that it was read from, where that is known."""
    return image.info.get(SOURCE_KEY) or getattr(image, "filename", "") or "PIL image"


def image_from_array(array: np.ndarray | torch.Tensor) -> Image.Image:
    """Grey or colour array with values 0 to 255, 0 to 65535 (16-bit) or 0 to 1 (floats) to an 8-bit PIL image."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
    pixels = array.float().numpy() if is_float_tensor(array) else np.asarray(array)
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"An image array must hold real numbers. Got dtype {pixels.dtype}.")
    if pixels.ndim == 3:
        if pixels.shape[-1] not in IMAGE_CHANNELS:
            pixels = np.moveaxis(pixels, 0, -1)
        if pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in IMAGE_CHANNELS):
        raise ValueError(
            "An image array must have shape (height, width), (height, width, channels) or (channels, height, width) "
            f"with 1, 3 or 4 channels. Got shape {tuple(array.shape)}."
        )
    if pixels.size == 0:
        raise ValueError(f"The image array has no pixels; its shape is {tuple(array.shape)}.")
    return Image.fromarray(to_eight_bits(pixels))


def is_float_tensor(array: np.ndarray | torch.Tensor) -> TypeGuard[torch.Tensor]:
    return isinstance(array, torch.Tensor) and array.is_floating_point()


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels of any numeric type to uint8: 16-bit values are scaled by 1/257, floats up to 1 by 255."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if not np.isfinite(pixels).all() or pixels.min() < 0:
        raise ValueError("An image array must not contain negative numbers, NaN or infinity.")
    if (pixels.dtype.kind, pixels.dtype.itemsize) == ("u", 2) or pixels.max() > 255:
        pixels = pixels / 257
    elif np.issubdtype(pixels.dtype, np.floating) and pixels.max() <= 1:
        pixels = pixels * 255
    if pixels.max() > 255:
        raise ValueError(f"An image array must not contain numbers above 65535. Got {pixels.max() * 257:.0f}.")
    return np.rint(pixels).astype(np.uint8)


def to_grey(image: Image.Image) -> Image.Image:
    """Any PIL image in 8-bit grey (mode L); what is transparent becomes white paper."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(to_eight_bits(np.asarray(image)))
    if image.mode == "La":
        image = image.convert("LA")
    if "A" in image.mode.upper()[1:] or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("1", "L", "P", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert("L")


def flatten_images(images) -> list:
    """One image, a batch array (batch, ...) or nested lists of either, as a flat list of images."""
    if isinstance(images, (list, tuple)):
        return [image for item in images for image in flatten_images(item)]
    if isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim == 4:
        return list(images)
    return [images]


class HTRConvTextImageProcessor(BaseImageProcessor):
    """
    Line image to the network's input: grey, 64 pixels high, 0 ink to 1 paper, padded with paper on the right.

    By default exactly the paper's preprocessing: every line becomes `size["height"] x size["width"]`; longer lines are
    squeezed. With `keep_aspect_ratio` a line is padded only to the next multiple of `pad_to_multiple_of`, up to
    `size["width"]`, and its pixels never depend on the other lines of its batch.

    Args:
        size: Height and largest width in pixels.
        resample: Pillow's number for the resize filter; 3 is bicubic.
        rescale_factor: What 8-bit grey values are multiplied with.
        padding_value: Value of the padding; 1.0 is white paper.
        keep_aspect_ratio: Whether lines keep a width of their own.
        pad_to_multiple_of: Multiple of pixels that widths are padded to with `keep_aspect_ratio`.
        frame_stride: Pixels of the input for each CTC frame, for character positions.
        autocontrast_cutoff: Percent of a line's darkest and lightest pixels that become 0 and 1, the others between;
            makes paper white and faint pencil dark. `None` leaves the greys as they are.
    """

    model_input_names = ["pixel_values"]

    def __init__(
        self,
        size: dict[str, int] | None = None,
        resample: int = Image.Resampling.BICUBIC,
        rescale_factor: float = 1 / 255,
        padding_value: float = 1.0,
        keep_aspect_ratio: bool = False,
        pad_to_multiple_of: int = 64,
        frame_stride: int = 4,
        autocontrast_cutoff: Sequence[float] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        size = {"height": 64, "width": 512} if size is None else dict(size)
        if set(size) != {"height", "width"} or min(size.values()) < 1:
            raise ValueError(f'size must be {{"height": pixels, "width": pixels}}, both at least 1. Got {size}.')
        if pad_to_multiple_of < 1:
            raise ValueError(f"pad_to_multiple_of must be at least 1. Got {pad_to_multiple_of}.")
        cutoff = None if autocontrast_cutoff is None else list(autocontrast_cutoff)
        if cutoff is not None and (len(cutoff) != 2 or min(cutoff) < 0 or sum(cutoff) >= 100):
            raise ValueError(
                "autocontrast_cutoff must be two percentages, of dark and of light pixels, below 100 together. "
                f"Got {cutoff}."
            )
        self.size = size
        self.resample = int(resample)
        self.rescale_factor = rescale_factor
        self.padding_value = padding_value
        self.keep_aspect_ratio = keep_aspect_ratio
        self.pad_to_multiple_of = pad_to_multiple_of
        self.frame_stride = frame_stride
        self.autocontrast_cutoff = cutoff

    def resized_width(self, height: int, width: int) -> int:
        """
        Width in pixels that a line of `height x width` pixels is resized to, before padding.

        Raises:
            ValueError: If nothing of it would be left.
        """
        resized = min(width * self.size["height"] // height, self.size["width"])
        if resized == 0:
            raise ValueError(
                f"An image of {width}x{height} pixels has no width left at height {self.size['height']}: it is no "
                "line of text. Was a page or a margin cut instead of a line?"
            )
        return resized

    def padded_width(self, height: int, width: int) -> int:
        """Width in pixels of the network's input for a line of `height x width` pixels."""
        if not self.keep_aspect_ratio:
            return self.size["width"]
        multiple = self.pad_to_multiple_of
        return -(-self.resized_width(height, width) // multiple) * multiple

    def preprocess(self, images, return_tensors: str | TensorType | None = None) -> BatchFeature:
        """
        Args:
            images: One line image or a list of them, each of any kind that [`load_image`] opens; a batch array too.
            return_tensors: `"pt"` or `"np"` for one array of shape `(batch_size, 1, height, width)`; `None` for a
                list of `(1, height, width)` arrays.

        Returns:
            `pixel_values`, float32 in 0 to 1.

        Raises:
            ValueError: If an image cannot be read, or lines of several widths are asked for as one array.
        """
        pixel_values = [self.preprocess_line(image) for image in flatten_images(images)]
        widths = sorted({line.shape[-1] for line in pixel_values})
        if return_tensors is not None and len(widths) > 1:
            raise ValueError(
                f"With keep_aspect_ratio these lines have several widths, {widths}, and do not fit into one array. "
                "Batch lines of equal padded_width, or leave return_tensors away."
            )
        return BatchFeature({"pixel_values": pixel_values}, tensor_type=return_tensors)

    def preprocess_line(self, image) -> np.ndarray:
        """One image of any kind that [`load_image`] opens to float32 pixels of shape `(1, height, padded_width)`."""
        return self.resize_line(image)[None].astype(np.float32) * np.float32(self.rescale_factor)

    def resize_line(self, image) -> np.ndarray:
        """One image of any kind that [`load_image`] opens to grey bytes of shape `(height, padded_width)`."""
        loaded = load_image(image)
        try:
            grey = to_grey(loaded)
            width = self.resized_width(grey.height, grey.width)
        except ValueError as error:
            raise ValueError(f"{source_of(loaded)}: {error}") from error
        if self.autocontrast_cutoff is not None:
            dark, light = self.autocontrast_cutoff
            grey = ImageOps.autocontrast(grey, cutoff=(dark, light))
        height = self.size["height"]
        paper = round(self.padding_value / self.rescale_factor)
        line = np.full((height, self.padded_width(grey.height, grey.width)), paper, dtype=np.uint8)
        line[:, :width] = np.asarray(grey.resize((width, height), self.resample))
        return line


class HTRConvTextTokenizer(PreTrainedTokenizer):
    """
    One class for each character (Unicode code point), class 0 for the CTC blank. Encoding and decoding map characters
    and classes one to one: doubled letters, spaces at the edges and combining marks come back as they went in.

    Args:
        vocab_file: JSON file that maps the blank and every character to its class.

    Raises:
        ValueError: If the vocabulary's classes are not 0 (the blank), 1, 2, ... or an entry is no single character.
    """

    vocab_files_names = {"vocab_file": "vocab.json"}
    model_input_names = ["input_ids"]

    def __init__(self, vocab_file=None, alphabet: str | None = None, **kwargs):
        if vocab_file is not None:
            with open(vocab_file, encoding="utf-8") as file:
                alphabet = alphabet_of_vocabulary(json.load(file), vocab_file)
        if not alphabet:
            raise ValueError("A tokenizer needs a vocabulary: pass vocab_file, or use from_alphabet or from_texts.")
        self.alphabet = check_alphabet(alphabet)
        self._ids = {BLANK_TOKEN: 0, **{character: i for i, character in enumerate(alphabet, start=1)}}
        self._tokens = [BLANK_TOKEN, *alphabet]
        kwargs["pad_token"] = BLANK_TOKEN
        kwargs["clean_up_tokenization_spaces"] = False
        super().__init__(**kwargs)

    @classmethod
    def from_alphabet(cls, alphabet: str) -> "HTRConvTextTokenizer":
        """
        Args:
            alphabet: Every character once, in the order of the classes 1, 2, ...
        """
        return cls(alphabet=alphabet)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "HTRConvTextTokenizer":
        """
        Args:
            texts: Transcriptions; every character that occurs gets a class, in code point order.
        """
        characters: set[str] = set()
        for text in texts:
            characters.update(text)
        return cls(alphabet="".join(sorted(characters)))

    @property
    def vocab_size(self) -> int:
        return len(self._tokens)

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def tokenize(self, text: str, **kwargs) -> list[str]:
        """
        Args:
            text: A transcription. Nothing in it is special: "<blank>" is seven characters.

        Raises:
            ValueError: If a character has no class; the message names it, its code point and the text.
        """
        for position, character in enumerate(text):
            if character not in self._ids:
                raise ValueError(
                    f"Character {character!r} ({code_point(character)}) at position {position} of {text!r} is not in "
                    "the vocabulary. Correct the transcription, or train with a vocabulary that has it "
                    "(HTRConvTextTokenizer.from_texts)."
                )
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids[token]

    def _convert_id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self._tokens):
            raise ValueError(f"Class {index} is not in the vocabulary of {len(self._tokens)} classes.")
        return self._tokens[index]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    def _decode(self, token_ids, skip_special_tokens: bool = False, **kwargs) -> str:
        # The base class would join around special tokens and tidy spaces, which a transcription must keep.
        ids = [token_ids] if isinstance(token_ids, int) else token_ids
        return "".join(self._convert_id_to_token(i) for i in ids if i != 0 or not skip_special_tokens)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        name = self.vocab_files_names["vocab_file"]
        path = os.path.join(save_directory, f"{filename_prefix}-{name}" if filename_prefix else name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._ids, file, ensure_ascii=False, indent=0)
        return (path,)


def alphabet_of_vocabulary(vocabulary: dict[str, int], vocab_file: str) -> str:
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[token] for token in tokens] != list(range(len(tokens))) or tokens[:1] != [BLANK_TOKEN]:
        raise ValueError(f"{vocab_file}: classes must be {BLANK_TOKEN!r} 0 and characters 1, 2, ... without a gap.")
    for token in tokens[1:]:
        if len(token) != 1:
            raise ValueError(f"{vocab_file}: {token!r} is not a single character.")
    return "".join(tokens[1:])


def check_alphabet(alphabet: str) -> str:
    for position, character in enumerate(alphabet):
        if character in alphabet[:position]:
            raise ValueError(
                f"Character {character!r} ({code_point(character)}) is twice in the alphabet {alphabet!r}."
            )
    return alphabet


def code_point(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"


class HTRConvTextProcessor(ProcessorMixin):
    """
    Image processor and tokenizer of a line recogniser in one.

    Args:
        image_processor ([`HTRConvTextImageProcessor`]): Turns line images into `pixel_values`.
        tokenizer ([`HTRConvTextTokenizer`]): Turns transcriptions into `labels` and classes into text.
    """

    if transformers.__version__.startswith("4."):  # Later versions look at __init__, and warn of the classes.
        attributes = ["image_processor", "tokenizer"]
        image_processor_class = "AutoImageProcessor"
        tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor, tokenizer):
        super().__init__(image_processor, tokenizer)

    @classmethod
    def for_dataset(cls, name: str) -> "HTRConvTextProcessor":
        """
        The paper's preprocessing with the alphabet of one of its datasets.

        Args:
            name: "iam", "lam", "read2016" or "vnondb".
        """
        if name not in ALPHABETS:
            raise ValueError(f"No alphabet is known for dataset {name!r}. Known: {', '.join(ALPHABETS)}.")
        return cls(HTRConvTextImageProcessor(), HTRConvTextTokenizer.from_alphabet(ALPHABETS[name]))

    def __call__(
        self,
        images=None,
        text: str | Sequence[str] | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """
        Args:
            images: One line image or a list of them, each of any kind that [`load_image`] opens.
            text: One transcription or a list of them.
            return_tensors: `"pt"`, `"np"` or `None` for lists.

        Returns:
            `pixel_values` of shape `(batch_size, 1, height, width)` if images are given, `labels` of shape
            `(batch_size, longest_label)`, padded with -100 if tensors are asked for, if text is given.
        """
        if images is None and text is None:
            raise ValueError("Pass images, text or both.")
        inputs = BatchFeature()
        if images is not None:
            inputs.update(self.image_processor(images, return_tensors=return_tensors))
        if text is not None:
            labels = [self.tokenizer.encode(line) for line in ([text] if isinstance(text, str) else text)]
            if return_tensors is not None:
                labels = BatchFeature({"labels": pad_labels(labels)}, tensor_type=return_tensors)["labels"]
            inputs["labels"] = labels
        return inputs

    def batch_decode(self, *args, **kwargs) -> list[str]:
        """Classes to texts, one to one; see [`HTRConvTextTokenizer`]. Frames go to `post_process_text_recognition`."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def decode(self, *args, **kwargs) -> str:
        """Classes of one line to its text."""
        return self.tokenizer.decode(*args, **kwargs)

    def post_process_text_recognition(
        self, outputs, target_sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[dict[str, Any]]:
        """
        Reads the CTC frames of lines greedily: the best class of each frame, without repeats and blanks.

        Args:
            outputs: The model's output with `logits` of shape `(batch_size, frames, vocab_size)`.
            target_sizes: Height and width in pixels of each line's original image. With them, positions are pixels
                of that image; without, of the network's input.

        Returns:
            For each line a dictionary: `text`; `score`, the mean of its characters' scores, or that of the blanks if
            nothing was read; `characters`, each with `character`, `score` (its highest probability) and the
            horizontal span `start` to `end` of the frames that show it; `words`, the same of the words with `word`.
        """
        logits = outputs.logits.detach().float()
        best = logits.max(-1)
        scores, classes = (best.values - logits.logsumexp(-1)).exp().cpu().numpy(), best.indices.cpu().numpy()
        if target_sizes is not None and len(target_sizes) != len(classes):
            raise ValueError(f"target_sizes has {len(target_sizes)} sizes for {len(classes)} lines.")
        return [
            self._read_line(classes[i], scores[i], None if target_sizes is None else target_sizes[i])
            for i in range(len(classes))
        ]

    def _read_line(self, classes: np.ndarray, scores: np.ndarray, target_size) -> dict[str, Any]:
        """Frames of one line, classes and their probabilities of shape (frames,), to its reading."""
        starts = np.flatnonzero(np.diff(classes, prepend=-1))
        ends = np.append(starts[1:], len(classes))
        run_scores = np.maximum.reduceat(scores, starts)
        shown = classes[starts] != 0
        scale, limit = self._frames_to_pixels(len(classes), target_size)
        text = self.tokenizer.convert_ids_to_tokens(classes[starts[shown]].tolist())
        spans = np.minimum(np.stack([starts[shown], ends[shown]], axis=1) * scale, limit).tolist()
        characters = [
            {"character": character, "score": score, "start": start, "end": end}
            for character, score, (start, end) in zip(text, run_scores[shown].tolist(), spans, strict=True)
        ]
        return {
            "text": "".join(text),
            "score": float(run_scores[shown].mean() if shown.any() else scores.mean()),
            "words": words_of(characters),
            "characters": characters,
        }

    def _frames_to_pixels(self, frames: int, target_size) -> tuple[float, float]:
        """Pixels for each frame and the last pixel, of the original image or else of the network's input."""
        stride = self.image_processor.frame_stride
        if target_size is None:
            return stride, float(frames * stride)
        height, width = target_size
        return stride * width / self.image_processor.resized_width(height, width), float(width)


def pad_labels(labels: Sequence[Sequence[int]]) -> np.ndarray:
    """Labels of any length as one int64 array of shape `(batch_size, longest_label)`, padded with -100."""
    padded = np.full((len(labels), max(map(len, labels), default=0)), LABEL_PADDING, dtype=np.int64)
    for row, label in zip(padded, labels, strict=True):
        row[: len(label)] = label
    return padded


def words_of(characters: Sequence[dict]) -> list[dict[str, object]]:
    """Characters with positions to words with positions; the mean of the characters' scores is a word's."""
    text = "".join(character["character"] for character in characters)
    words = []
    for match in re.finditer(r"[^ ]+", text):
        members = characters[match.start() : match.end()]
        words.append(
            {
                "word": match.group(),
                "score": sum(member["score"] for member in members) / len(members),
                "start": members[0]["start"],
                "end": members[-1]["end"],
            }
        )
    return words


HTRConvTextImageProcessor.register_for_auto_class()
HTRConvTextTokenizer.register_for_auto_class()
HTRConvTextProcessor.register_for_auto_class()

__all__ = ["ALPHABETS", "HTRConvTextImageProcessor", "HTRConvTextProcessor", "HTRConvTextTokenizer", "load_image"]

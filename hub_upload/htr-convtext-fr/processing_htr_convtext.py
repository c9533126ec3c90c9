# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Image processor, tokenizer and processor of HTR-ConvText: line images to pixels, characters to classes and back."""

import json
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image, ImageOps
from transformers import PreTrainedTokenizer, ProcessorMixin
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.utils import TensorType, to_py_obj

from .configuration_htr_convtext import check_types, naming_damaged_files, same_kind
from .decoding_htr_convtext import check_calibration, collapse_frames, decode_greedily, describe_hypothesis, flag
from .images_htr_convtext import load_image, source_of, to_grey
from .language_model_htr_convtext import DECODER_CONFIG, DECODER_FOLDER, HTRConvTextDecoder, or_unreachable

BLANK_TOKEN = "<blank>"
LABEL_PADDING = -100

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


# What an image processor of transformers may be told, the values that are true of this one, and why no others are.
FIXED_IMAGE_OPTIONS: dict[str, tuple[tuple, str]] = {
    "do_resize": ((True,), "every line is resized to the height that the network reads; see size"),
    "do_rescale": ((True,), "the network reads 0 to 1; arrays of 0 to 1, 255 or 65535 are told apart by their values"),
    "do_normalize": ((False,), "the network reads greys as they are, without mean and standard deviation"),
    "do_convert_rgb": ((True, False), ""),
    "do_convert_grayscale": ((True,), "the network reads grey"),
    "do_grayscale": ((True,), "the network reads grey"),
    "do_pad": ((True,), "a line is always padded; keep_aspect_ratio=True, pad_to_multiple_of=1 pads it least"),
    "do_center_crop": ((False,), "a line is read from its beginning to its end"),
    "image_mean": ((), "the network reads greys as they are, without mean and standard deviation"),
    "image_std": ((), "the network reads greys as they are, without mean and standard deviation"),
    "crop_size": ((), "a line is read from its beginning to its end"),
    "pad_size": ((), "padding='max_length' pads to size['width']"),
    "data_format": (("channels_first",), "pixel_values have the shape (batch_size, 1, height, width)"),
    "default_to_square": ((False,), "size has a height and a width"),
    "device": (("cpu",), "lines are prepared on the CPU; move the result with .to(device)"),
    "disable_grouping": ((True, False), ""),
}
# What stands in saved files or is passed on by the Auto classes, and says nothing about images.
NO_IMAGE_OPTIONS = (
    *("image_processor_type", "feature_extractor_type", "processor_class", "auto_map", "use_fast", "backend"),
    *("padding_side", "truncation_side", "model_max_length", "clean_up_tokenization_spaces", "pad_token"),
    *("trust_remote_code", "code_revision", "tokenizer_file", "vocab_file", "return_unused_kwargs"),
)
# Options of loading, which `pipeline(...)` and transformers' processors hand to every part: of finding files, of the
# model, of a tokenizer, and parts that are there already.
LOADING_OPTIONS = (
    *("cache_dir", "force_download", "local_files_only", "revision", "token", "use_auth_token", "proxies"),
    *("resume_download", "subfolder", "user_agent", "image_processor_filename", "chat_template"),
    *("image_processor", "tokenizer", "padding", "max_length", "truncation"),
    *("config", "dtype", "torch_dtype", "device_map", "max_memory", "low_cpu_mem_usage", "attn_implementation"),
    *("quantization_config", "load_in_8bit", "load_in_4bit", "use_safetensors", "variant", "weights_only"),
    *("offload_folder", "offload_state_dict", "offload_buffers", "ignore_mismatched_sizes", "key_mapping"),
    *("tp_plan", "tp_size", "device_mesh", "distributed_config", "use_kernels", "output_loading_info"),
    "adapter_kwargs",
)
# Those of finding a file, which a decoder beside the processor is found by too.
FINDING_OPTIONS = ("cache_dir", "local_files_only", "revision", "token", "proxies", "subfolder")
PADDINGS = {
    None: None,
    False: None,
    "do_not_pad": None,
    True: "longest",
    "longest": "longest",
    "max_length": "max_length",
}
# What a tokenizer of transformers may be told about labels.
FIXED_TEXT_OPTIONS: dict[str, tuple[tuple, str]] = {
    "add_special_tokens": ((True, False), ""),
    "is_split_into_words": ((False,), "a transcription is one string"),
    "padding_side": (("right",), "labels are padded on the right with -100"),
    "return_attention_mask": ((False,), "labels are padded with -100, which the loss leaves out"),
    "return_token_type_ids": ((False,), "there is one sequence"),
    "return_overflowing_tokens": ((False,), "labels are never cut"),
    "return_special_tokens_mask": ((False,), "labels have no special tokens"),
    "return_offsets_mapping": ((False,), "each character is one token"),
    "return_length": ((False,), "labels are lists"),
    "return_mm_token_type_ids": ((False,), "labels are text only"),
    "stride": ((0,), "labels are never cut"),
    "split_special_tokens": ((True, False), ""),
    "text_pair": ((), "a line has one transcription"),
    "text_target": ((), "transcriptions are text"),
    "text_pair_target": ((), "a line has one transcription"),
    "verbose": ((True, False), ""),
}


# Options that may be None, each with a value of the type that it has otherwise.
OPTIONAL_IMAGE_OPTIONS = {"size": {"height": 1, "width": 1}, "autocontrast_cutoff": (1.0,)}
# Means and deviations that change nothing.
NEUTRAL = {"image_mean": 0, "image_std": 1}


def is_all(values: Any, neutral: float) -> bool:
    return isinstance(values, (int, float, list, tuple)) and bool(np.all(np.asarray(values) == neutral))


def check_fixed_options(options: Mapping[str, Any], fixed: Mapping[str, tuple[tuple, str]]) -> None:
    """Refuses values that would have to change what is done."""
    for name in sorted(set(options) & set(fixed)):
        accepted, reason = fixed[name]
        value = str(options[name]) if isinstance(options[name], torch.device) else options[name]
        if value is not None and value not in accepted and not (name in NEUTRAL and is_all(value, NEUTRAL[name])):
            raise ValueError(f"{name}={value!r} cannot be followed: {reason}.")


def padding_of(padding: Any) -> str | None:
    """transformers' `padding` as "longest", "max_length" or None."""
    padding = getattr(padding, "value", padding)
    if not isinstance(padding, (str, bool, type(None))) or padding not in PADDINGS:
        raise ValueError(f"padding must be one of {list(PADDINGS)}. Got {padding!r}.")
    return PADDINGS[padding]


def channels_last(image, input_data_format):
    """An array whose channels are where `input_data_format` says, with the channels last; other images unchanged."""
    order = getattr(input_data_format, "value", input_data_format)
    if order not in (None, "channels_first", "channels_last"):
        raise ValueError(f'input_data_format must be "channels_first" or "channels_last". Got {order!r}.')
    if order == "channels_first" and isinstance(image, (np.ndarray, torch.Tensor)) and image.ndim == 3:
        return np.moveaxis(image, 0, -1) if isinstance(image, np.ndarray) else image.movedim(0, -1)
    return image


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
        frame_stride: Pixels of the input for each CTC frame, where the network's configuration, whose `frame_stride`
            it is, is not at hand.
        autocontrast_cutoff: Percent of a line's darkest and lightest pixels that become 0 and 1, the others between;
            makes paper white and faint pencil dark. `None` leaves the greys as they are.
        kwargs: Other options of transformers' image processors, `do_rescale=True` for example, where they are true of
            this one.

    Raises:
        TypeError: If there is no such option.
        ValueError: If an option cannot be followed; the message says why.
    """

    model_input_names = ["pixel_values"]
    options = (
        *("size", "resample", "rescale_factor", "padding_value", "keep_aspect_ratio", "pad_to_multiple_of"),
        *("frame_stride", "autocontrast_cutoff"),
    )

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
        check_types(HTRConvTextImageProcessor.__init__, locals(), OPTIONAL_IMAGE_OPTIONS)
        unknown = set(kwargs) - set(FIXED_IMAGE_OPTIONS) - set(NO_IMAGE_OPTIONS)
        if unknown:
            raise TypeError(f"HTRConvTextImageProcessor has no option {', '.join(sorted(unknown))}.")
        check_fixed_options(kwargs, FIXED_IMAGE_OPTIONS)
        # What is said about the steps becomes an attribute, as in transformers; that of one call only does not.
        fixed = {name for name in FIXED_IMAGE_OPTIONS if not name.startswith("do_")}
        super().__init__(**{name: value for name, value in kwargs.items() if name not in fixed})
        if pad_to_multiple_of < 1:
            raise ValueError(f"pad_to_multiple_of must be at least 1. Got {pad_to_multiple_of}.")
        self.size = {"height": 64, "width": 512} if size is None else checked_size(size)
        self.resample = int(resample)
        self.rescale_factor = rescale_factor
        self.padding_value = padding_value
        self.keep_aspect_ratio = keep_aspect_ratio
        self.pad_to_multiple_of = pad_to_multiple_of
        self.frame_stride = frame_stride
        self.autocontrast_cutoff = None if autocontrast_cutoff is None else checked_cutoff(autocontrast_cutoff)

    @classmethod
    def from_dict(cls, image_processor_dict: dict[str, Any], **kwargs):
        """
        Makes an image processor of what a file says, changed by what a caller says.

        The caller's options are checked as those of `__init__` are. What the file holds besides is kept as it is:
        each version of transformers writes keys of its own.
        """
        if not isinstance(image_processor_dict, Mapping):
            raise ValueError(
                f'The settings of the image processor must be an object {{"size": ...}}. Got {image_processor_dict!r}.'
            )
        return_unused = kwargs.pop("return_unused_kwargs", False)
        known = {*cls.options, *FIXED_IMAGE_OPTIONS, *NO_IMAGE_OPTIONS}
        unused = {name: kwargs.pop(name) for name in list(kwargs) if return_unused and name not in known}
        others = {name for name in kwargs if name.startswith("_") or name in LOADING_OPTIONS}
        kwargs = {name: value for name, value in kwargs.items() if name not in others}
        read = {name: value for name, value in image_processor_dict.items() if name in known}
        image_processor = cls(**{**read, **kwargs})
        for name in set(image_processor_dict) - known:
            setattr(image_processor, name, image_processor_dict[name])
        return (image_processor, unused) if return_unused else image_processor

    def save_pretrained(self, save_directory, *args, **kwargs):
        """
        As every transformers image processor, whose settings a processor's file in the folder takes over: transformers
        5 reads those there first.
        """
        path = os.path.join(save_directory, "processor_config.json")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                settings = json.load(file)
            if isinstance(settings.get("image_processor"), dict):
                settings["image_processor"].update({name: getattr(self, name) for name in self.options})
                with open(path, "w", encoding="utf-8") as file:
                    file.write(json.dumps(settings, indent=2, sort_keys=True) + "\n")
        return super().save_pretrained(save_directory, *args, **kwargs)

    def with_options(self, **options) -> "HTRConvTextImageProcessor":
        """A copy with some options changed, checked as those of `__init__` are."""
        return type(self)(**{**{name: getattr(self, name) for name in self.options}, **options})

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

    def preprocess(
        self,
        images,
        return_tensors: str | TensorType | None = None,
        padding: bool | str | None = None,
        input_data_format: str | None = None,
        **kwargs,
    ) -> BatchFeature:
        """
        Args:
            images: One line image or a list of them, each of any kind that [`load_image`] opens; a batch array too.
            return_tensors: `"pt"` or `"np"` for one array of shape `(batch_size, 1, height, width)`; `None` for a
                list of `(1, height, width)` arrays.
            padding: `True` or `"longest"` pads lines of several widths with paper to the widest, `"max_length"` to
                `size["width"]` and on to the multiple that lines so long are padded to. The network has no mask and
                sees the paper, so that a reading may then depend on the batch; the pipeline, which batches lines of
                equal width, gives readings that never do.
            input_data_format: `"channels_first"` or `"channels_last"`, where an array's shape leaves it open.
            kwargs: Options of the class for this call, and those of transformers' image processors.

        Returns:
            `pixel_values`, float32 in 0 to 1.

        Raises:
            TypeError: If there is no such option.
            ValueError: If an image cannot be read, an option cannot be followed, or lines of several widths are asked
                for as one array without padding.
        """
        if kwargs:
            return self.with_options(**kwargs).preprocess(images, return_tensors, padding, input_data_format)
        lines = [self.preprocess_line(channels_last(image, input_data_format)) for image in flatten_images(images)]
        widths = sorted({line.shape[-1] for line in lines})
        widest = self.padded_width(self.size["height"], self.size["width"])
        to_width = {"longest": max(widths, default=0), "max_length": widest}.get(padding_of(padding) or "")
        if to_width is None and return_tensors is not None and len(widths) > 1:
            raise ValueError(
                f"With keep_aspect_ratio these lines have several widths, {widths}, and do not fit into one array. "
                "Batch lines of equal padded_width, pass padding=True to pad them with paper to the widest, or leave "
                "out return_tensors."
            )
        if to_width is not None:
            lines = [self.pad(line, to_width) for line in lines]
        return BatchFeature({"pixel_values": lines}, tensor_type=return_tensors)

    def pad(self, line: np.ndarray, width: int) -> np.ndarray:
        """A line of shape `(1, height, width)` padded with paper on the right."""
        missing = [(0, 0), (0, 0), (0, width - line.shape[-1])]
        return np.pad(line, missing, constant_values=np.float32(self.padding_value))

    def preprocess_line(self, image) -> np.ndarray:
        """One image of any kind that [`load_image`] opens to float32 pixels of shape `(1, height, padded_width)`."""
        grey, padded_width = self.resize(image)
        line = np.full((1, grey.shape[0], padded_width), self.padding_value, dtype=np.float32)
        line[0, :, : grey.shape[1]] = grey.astype(np.float32) * np.float32(self.rescale_factor)
        return line

    def resize_line(self, image) -> np.ndarray:
        """
        One image of any kind that [`load_image`] opens to 8-bit grey, an array of shape `(height, padded_width)`.
        Multiplied with `rescale_factor` it is what the network reads, as far as padding is a whole number of greys.
        """
        grey, padded_width = self.resize(image)
        padding = np.clip(round(self.padding_value / self.rescale_factor), 0, 255)
        return np.pad(grey, [(0, 0), (0, padded_width - grey.shape[1])], constant_values=padding)

    def resize(self, image) -> tuple[np.ndarray, int]:
        """A line in 8-bit grey at the network's height, of shape `(height, width)`, and the width to pad it to."""
        loaded = load_image(image)
        try:
            grey = to_grey(loaded)
            width = self.resized_width(grey.height, grey.width)
        except ValueError as error:
            raise ValueError(f"{source_of(loaded)}: {error}") from error
        if self.autocontrast_cutoff is not None:
            dark, light = self.autocontrast_cutoff
            grey = ImageOps.autocontrast(grey, cutoff=(dark, light))
        resized = grey.resize((width, self.size["height"]), self.resample)
        return np.asarray(resized), self.padded_width(grey.height, grey.width)


def checked_size(size: Any) -> dict[str, int]:
    """
    Raises:
        ValueError: If it is not a height and a width in pixels.
    """
    if not isinstance(size, Mapping) or {"height", "width"} != {k for k in size if size[k] is not None}:
        raise ValueError(f'size must be {{"height": pixels, "width": pixels}}. Got {size!r}.')
    sides = {"height": size["height"], "width": size["width"]}
    if not all(same_kind(pixels, 1) for pixels in sides.values()) or min(sides.values()) < 1:
        raise ValueError(
            f'size must be {{"height": pixels, "width": pixels}}, both whole and at least 1. Got {sides}.'
        )
    return sides


def checked_cutoff(cutoff: Sequence[float]) -> list[float]:
    """
    Raises:
        ValueError: If it is not the percentages of dark and of light pixels.
    """
    if len(cutoff) != 2 or min(cutoff) < 0 or sum(cutoff) >= 100:
        raise ValueError(
            "autocontrast_cutoff must be two percentages, of dark and of light pixels, below 100 together. "
            f"Got {list(cutoff)}."
        )
    return list(cutoff)


class HTRConvTextTokenizer(PreTrainedTokenizer):
    """
    One token id for each character (Unicode code point), 0 for the CTC blank. Encoding and decoding map characters and
    ids one to one: doubled letters, spaces at the edges and combining marks come back as they went in. Text written
    from right to left is in logical order, the order of its code points, and so is what a network trained on it reads.

    Args:
        vocab_file: JSON file that maps the blank and every character to its class.
        alphabet: The characters of the classes 1, 2, ..., where there is no such file yet; or those of the file.

    Raises:
        ValueError: If the vocabulary's classes are not 0 (the blank), 1, 2, ... or an entry is no single character.
    """

    vocab_files_names = {"vocab_file": "vocab.json"}
    model_input_names = ["input_ids"]

    def __init__(self, vocab_file=None, alphabet: str | None = None, **kwargs):
        if vocab_file is not None:
            with open(vocab_file, encoding="utf-8") as file:
                saved = alphabet_of_vocabulary(json.load(file), vocab_file)
            if alphabet not in (None, saved):
                raise ValueError(
                    f"alphabet={alphabet!r} is not that of {vocab_file}: {saved!r}. For a vocabulary of your own use "
                    "HTRConvTextTokenizer.from_alphabet."
                )
            alphabet = saved
        if not alphabet:
            raise ValueError("A tokenizer needs a vocabulary: pass vocab_file, or use from_alphabet or from_texts.")
        check_alphabet(alphabet)
        self.alphabet = alphabet
        self._ids = {BLANK_TOKEN: 0, **{character: i for i, character in enumerate(alphabet, start=1)}}
        self._tokens = [BLANK_TOKEN, *alphabet]
        if str(kwargs.get("pad_token") or BLANK_TOKEN) != BLANK_TOKEN:
            raise ValueError(
                f"pad_token={str(kwargs['pad_token'])!r} cannot be followed: CTC pads with {BLANK_TOKEN!r}."
            )
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
        if token not in self._ids:
            raise ValueError(f"{token!r} is not in the vocabulary of {len(self._tokens)} classes.")
        return self._ids[token]

    def _convert_id_to_token(self, index: int) -> str:
        if not 0 <= index < len(self._tokens):
            raise ValueError(f"Class {index} is not in the vocabulary of {len(self._tokens)} classes.")
        return self._tokens[index]

    def _add_tokens(self, new_tokens, special_tokens: bool = False) -> int:
        unknown = [str(token) for token in new_tokens or () if str(token) and str(token) not in self._ids]
        if unknown:
            raise ValueError(
                f"{unknown} cannot be added: each class of the network is one character, and it has to learn what a "
                "new one looks like. Fine-tune on lines that have it, which extends vocabulary and network together, "
                "or make a tokenizer for a new network with HTRConvTextTokenizer.from_alphabet."
            )
        return super()._add_tokens(new_tokens, special_tokens=special_tokens)

    def _encode_plus(self, *args, **kwargs):
        refuse_words(kwargs)
        return super()._encode_plus(*args, **kwargs)

    def _batch_encode_plus(self, *args, **kwargs):  # transformers 4.57's way for a list
        refuse_words(kwargs)
        return super()._batch_encode_plus(*args, **kwargs)

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    def decode(self, token_ids, skip_special_tokens: bool = False, group_tokens: bool | None = None, **kwargs):
        """
        Token ids to text, one to one; or frames, as with Wav2Vec2.

        Args:
            token_ids: Ids of one line or of a batch: lists, arrays or a tensor.
            skip_special_tokens: Whether to leave out padding: blanks, with which `generate` pads on the right, and
                negative ids, with which a `Trainer` pads.
            group_tokens: Whether the ids are classes of frames (`logits.argmax(-1)`), in which repeats and blanks are
                dropped. `None` takes them for frames if a blank stands before a character, in any line of the batch:
                neither labels nor what `generate` gives have one there. Say `True` where frames may have none, such
                as a line of few frames.
            kwargs: Options of transformers' tokenizers that change nothing here.

        Returns:
            The text, or a list of texts for a batch.
        """
        unknown = set(kwargs) - {"clean_up_tokenization_spaces", "spaces_between_special_tokens"}
        if unknown:
            raise TypeError(
                f"decode has no option {', '.join(sorted(unknown))}. Scores and positions of characters and words are "
                "given by the processor's post_process_text_recognition."
            )
        ids = to_py_obj(token_ids)
        if isinstance(ids, int):
            ids = [ids]
        if not isinstance(ids, (list, tuple)) or not ids or not isinstance(ids[0], (list, tuple)):
            return self._texts([ids], skip_special_tokens, group_tokens)[0]
        return self._texts(ids, skip_special_tokens, group_tokens)

    def batch_decode(self, sequences, skip_special_tokens: bool = False, *args, **kwargs) -> list[str]:
        """Token ids or frames of a batch to texts; see `decode`."""
        if args:
            kwargs["clean_up_tokenization_spaces"] = args[0]
        sequences = to_py_obj(sequences)
        if len(sequences) == 0:
            return []
        texts = self.decode(sequences, skip_special_tokens, **kwargs)
        return [texts] if isinstance(texts, str) else texts

    def _texts(self, sequences, skip_special_tokens: bool, group_tokens: bool | None) -> list[str]:
        if not all(isinstance(index, int) for ids in sequences for index in ids):
            raise ValueError(
                "Token ids, or classes of frames, are whole numbers in one or two dimensions. Of logits, decode "
                "logits.argmax(-1), or use the processor's post_process_text_recognition."
            )
        if group_tokens is None:
            group_tokens = any(has_blank_before_text(ids) for ids in sequences)
        if group_tokens:
            sequences = [collapse_frames(torch.tensor([ids], dtype=torch.long))[0].tolist() for ids in sequences]
        return ["".join(self._shown(ids, skip_special_tokens or group_tokens)) for ids in sequences]

    def _shown(self, ids: Sequence[int], skip_special_tokens: bool) -> list[str]:
        return [self._convert_id_to_token(index) for index in ids if index > 0 or not skip_special_tokens]

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        name = self.vocab_files_names["vocab_file"]
        path = os.path.join(save_directory, f"{filename_prefix}-{name}" if filename_prefix else name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._ids, file, ensure_ascii=False, indent=0)
        return (path,)


def refuse_words(options: Mapping[str, Any]) -> None:
    if options.get("is_split_into_words"):
        raise ValueError(
            "is_split_into_words=True cannot be followed: spaces are characters of a transcription, and what stood "
            'between the words is not known. Pass the transcription as one string, " ".join(words).'
        )


def has_blank_before_text(ids: Sequence[int]) -> bool:
    """Whether a blank stands anywhere but in the padding on the right."""
    last = max((place for place, index in enumerate(ids) if index > 0), default=0)
    return 0 in ids[:last]


def alphabet_of_vocabulary(vocabulary: Any, vocab_file: str) -> str:
    if not isinstance(vocabulary, dict) or not all(same_kind(number, 1) for number in vocabulary.values()):
        raise ValueError(
            f'{vocab_file} must be an object that gives each character its class: {{"{BLANK_TOKEN}": 0, "a": 1, ...}}.'
        )
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[token] for token in tokens] != list(range(len(tokens))) or tokens[:1] != [BLANK_TOKEN]:
        raise ValueError(f"{vocab_file}: classes must be {BLANK_TOKEN!r} 0 and characters 1, 2, ... without a gap.")
    for token in tokens[1:]:
        if len(token) != 1:
            raise ValueError(f"{vocab_file}: {token!r} is not a single character.")
    return "".join(tokens[1:])


def check_alphabet(alphabet: str) -> None:
    for position, character in enumerate(alphabet):
        if character in alphabet[:position]:
            raise ValueError(
                f"Character {character!r} ({code_point(character)}) is twice in the alphabet {alphabet!r}."
            )


def code_point(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"


class HTRConvTextProcessor(ProcessorMixin):
    """
    Image processor and tokenizer of a line recogniser in one.

    Texts are in the order of the labels that a network was trained on. CTC emits from left to right, and so rise the
    positions of characters and words: those of right-to-left script are where they stand only if the labels were in
    the order in which the characters stand on the line (`text_order="visual"` of `load_lines`).

    Args:
        image_processor ([`HTRConvTextImageProcessor`]): Turns line images into `pixel_values`.
        tokenizer ([`HTRConvTextTokenizer`]): Turns transcriptions into `labels` and token ids into text.
        calibration: Slope and offset of the log odds of "character", "word" and "line" that make scores probabilities
            of being right, as `python -m htr_convtext.decoding.calibrate` fits them; 1 and 0, the network's own
            probabilities, for those left out.

    Attributes:
        decoder ([`HTRConvTextDecoder`] or `None`): The model's own beam search with a language model, from the folder
            `language_model` beside the processor's files. It is looked for when it is first asked for, and read only
            then: greedy decoding needs neither it nor its library.

    Raises:
        ValueError: If a calibration is not two numbers.
    """

    if transformers.__version__.startswith("4."):  # Later versions look at __init__, and warn of the classes.
        attributes = ["image_processor", "tokenizer"]
        image_processor_class = "AutoImageProcessor"
        tokenizer_class = "AutoTokenizer"

    # Where the processor was loaded from, with options of finding files, and decoders by the name they were asked by.
    _source: tuple[Any, dict[str, Any]] | None = None

    def __init__(self, image_processor, tokenizer, calibration: Mapping[str, Sequence[float]] | None = None):
        super().__init__(image_processor, tokenizer)
        self.calibration = check_calibration(calibration)
        self._decoders: dict[Any, HTRConvTextDecoder | None] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, calibration=None, **kwargs):
        """
        As every transformers processor, whose options those of [`HTRConvTextImageProcessor`] and `calibration` are
        too; remembers where it came from, to find a decoder there.
        """
        unknown = {name for name in kwargs if not is_option(name)}
        if unknown and not kwargs.get("return_unused_kwargs"):
            raise TypeError(f"{cls.__name__} has no option {', '.join(sorted(unknown))}.")
        with naming_damaged_files(pretrained_model_name_or_path, "processor_config.json or tokenizer_config.json"):
            processor = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        if calibration is not None:
            processor.calibration = check_calibration(calibration)
        processor._source = (
            pretrained_model_name_or_path,
            {name: kwargs[name] for name in FINDING_OPTIONS if kwargs.get(name) is not None},
        )
        return processor

    def save_pretrained(self, save_directory, *args, **kwargs):
        """Saves as every transformers processor does, and its decoder beside it."""
        if self.decoder is not None:
            self.decoder.save_pretrained(os.path.join(save_directory, DECODER_FOLDER))
        return super().save_pretrained(save_directory, *args, **kwargs)

    def _get_files_timestamps(self, working_dir):
        # What save_pretrained(push_to_hub=True) uploads is what has changed since: the decoder is saved by then.
        times = super()._get_files_timestamps(working_dir)
        return {name: time for name, time in times.items() if name != DECODER_FOLDER}

    @property
    def decoder(self) -> HTRConvTextDecoder | None:
        if None not in self._decoders:
            name, loading = self._source or (None, {})
            self._decoders[None] = None if name is None else HTRConvTextDecoder.find(name, **loading)
        return self._decoders[None]

    @decoder.setter
    def decoder(self, decoder: HTRConvTextDecoder | None) -> None:
        self._decoders[None] = decoder

    def resolve_decoder(self, decoder) -> HTRConvTextDecoder | None:
        """
        Args:
            decoder: A decoder; its folder or name on the Hub; `True` for the model's own; `None` or `False` for none.

        Raises:
            ValueError: If there is none, or it is for another alphabet than the tokenizer's.
            FileNotFoundError: If the folder has none.
            ImportError: If its library is not installed.
        """
        if decoder is None or decoder is False:
            return None
        if decoder is True:
            resolved = self._own_decoder()
        elif isinstance(decoder, (str, os.PathLike)):
            resolved = self._named_decoder(decoder)
        else:
            resolved = decoder
        if not hasattr(resolved, "check_alphabet"):
            raise ValueError(f"decoder must be an HTRConvTextDecoder, its folder, or True. Got {decoder!r}.")
        resolved.check_alphabet(self.tokenizer.alphabet, str(self._source[0]) if self._source else "the model")
        resolved.engine()  # What it lacks is found out now, and not at the first line.
        return resolved

    def _own_decoder(self) -> HTRConvTextDecoder:
        if self.decoder is not None:
            return self.decoder
        del self._decoders[None]  # It may be there the next time: the message says how.
        source = self._source[0] if self._source else None
        name, why = ("this processor", "") if source is None else (source, or_unreachable(source))
        raise ValueError(
            f"decoder=True takes the model's own language model, and {name} has none ({DECODER_FOLDER}/)"
            f"{why}. Pass the folder of one, or build one: python -m htr_convtext.decoding.build"
        )

    def _named_decoder(self, name: str | os.PathLike) -> HTRConvTextDecoder:
        """The decoder of a folder or of the Hub, loaded once; anew if it has been written again."""
        key = os.fspath(name), last_change(os.path.join(name, DECODER_CONFIG))
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = self._decoders[key] = HTRConvTextDecoder.from_pretrained(key[0])
        return decoder

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

    @property
    def model_input_names(self) -> list[str]:
        return [*self.image_processor.model_input_names, "labels"]

    def __call__(
        self,
        images=None,
        text: str | Sequence[str] | None = None,
        **kwargs,
    ) -> BatchFeature:
        """
        Args:
            images: One line image or a list of them, each of any kind that [`load_image`] opens.
            text: One transcription or a list of them.
            return_tensors: `"pt"`, `"np"` or `None` for lists.
            images_kwargs: Options for the images: see [`HTRConvTextImageProcessor.preprocess`].
            text_kwargs: Options for the texts: `padding`, `max_length` and `truncation`. A text is never cut: with
                `truncation` one that is longer than `max_length` is refused.
            common_kwargs: Options for both, such as `padding` and `return_tensors`.
            kwargs: Options of either, each for what has it.

        Returns:
            `pixel_values` of shape `(batch_size, 1, height, width)` if images are given, `labels` of shape
            `(batch_size, longest_label)`, padded with -100 if tensors or padding are asked for, if text is given.

        Raises:
            TypeError: If there is no such option.
            ValueError: If an option cannot be followed; the message says why.
        """
        for name in ("audio", "videos"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(f"{name} cannot be read: pass images, text or both.")
        if images is None and text is None:
            raise ValueError("Pass images, text or both.")
        nested = [kwargs.pop(f"{kind}_kwargs", None) or {} for kind in ("common", "images", "text")]
        image_options, text_options = split_options(kwargs, *nested)
        inputs = BatchFeature()
        if images is not None:
            inputs.update(self.image_processor(images, **image_options))
        if text is not None:
            texts = [text] if isinstance(text, str) else text
            inputs["labels"] = self.encode_labels(texts, **text_options)
        return inputs

    def to_dict(self, **kwargs) -> dict[str, Any]:
        """What is saved; its `auto_map`, which transformers drops when it loads one, is there at all times."""
        auto_map = {self._auto_class: f"{type(self).__module__.split('.')[-1]}.{type(self).__name__}"}
        return {**super().to_dict(**kwargs), **({"auto_map": auto_map} if self._auto_class else {})}

    def encode_labels(
        self,
        texts: Sequence[str],
        return_tensors: str | TensorType | None = None,
        padding: bool | str | None = None,
        max_length: int | None = None,
        truncation: bool | str | None = None,
        **kwargs,
    ):
        """Transcriptions to labels, as `__call__` describes them."""
        check_fixed_options(kwargs, FIXED_TEXT_OPTIONS)
        defaults = self.tokenizer.init_kwargs  # from_pretrained(padding=..., max_length=...) leaves them there
        padding = defaults.get("padding") if padding is None else padding
        max_length = defaults.get("max_length") if max_length is None else max_length
        labels = [self.tokenizer.encode(line) for line in texts]
        longest = max(map(len, labels), default=0)
        if truncation not in (None, False, "do_not_truncate") and max_length is not None and longest > max_length:
            line = next(line for line, label in zip(texts, labels, strict=True) if len(label) > max_length)
            raise ValueError(
                f"truncation would cut {line!r} to {max_length} characters, and teach the network to leave out a "
                "line's end. Raise max_length, or leave out truncation."
            )
        to_length = padding_of(padding)
        if to_length == "max_length" and max_length is None:
            raise ValueError("padding='max_length' needs max_length.")
        if return_tensors is None and to_length is None:
            return labels
        padded = pad_labels(labels, max_length if to_length == "max_length" and max_length else 0)
        if return_tensors is None:
            return padded.tolist()
        return BatchFeature({"labels": padded}, tensor_type=return_tensors)["labels"]

    def batch_decode(self, *args, **kwargs) -> list[str]:
        """Token ids of a batch, or classes of its frames, to texts; see [`HTRConvTextTokenizer.decode`]."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def decode(self, *args, **kwargs) -> str:
        """Token ids of one line to its text; see [`HTRConvTextTokenizer.decode`]."""
        return self.tokenizer.decode(*args, **kwargs)

    def post_process_text_recognition(
        self,
        outputs,
        target_sizes: Sequence[tuple[int, int]] | None = None,
        frame_stride: int | None = None,
        decoder: HTRConvTextDecoder | str | os.PathLike | bool | None = None,
        alternatives: int = 0,
        threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """
        Reads the CTC frames of lines: greedily, the best class of each frame without repeats and blanks, or with a
        language model.

        Args:
            outputs: The model's output with `logits` of shape `(batch_size, frames, vocab_size)`.
            target_sizes: Height and width in pixels of each line's original image, turned as its EXIF says. With them,
                positions are pixels of that image; without, of the network's input.
            frame_stride: Pixels of the network's input for each frame, `model.config.frame_stride`; the image
                processor's if `None`.
            decoder: Beam search with a language model instead of greedy decoding: see [`resolve_decoder`].
            alternatives: Most further readings of each line, which only a beam search has.
            threshold: Score from 0 to 1 below which lines and words are to be checked.

        Returns:
            For each line a dictionary: `text`; `score`, the probability that a character of the text is right, and 0
            if nothing was read; `characters`, each with `character`, `score` and the horizontal span `start` to `end`
            of the frames that show it; `words`, the same of the words with `word`. With `threshold` line and words
            have `check`, whether their score is below it; with `alternatives` the line has them as `alternatives`,
            the same dictionaries, the best first. Scores are probabilities of being right as far as the calibration
            was fitted.

        Raises:
            ValueError: If the logits have other classes than the tokenizer, or an option cannot be followed.
        """
        check_reading(decoder, alternatives, threshold)
        if (classes := outputs.logits.shape[-1]) != self.tokenizer.vocab_size:
            raise ValueError(
                f"The network has {classes} classes and the tokenizer {self.tokenizer.vocab_size}: they are of two "
                "models. Load the processor from the folder of the network."
            )
        blank_id = self.tokenizer.pad_token_id
        search = self.resolve_decoder(decoder)
        if search is None:
            space_id = self.tokenizer.get_vocab().get(" ")
            lines = decode_greedily(outputs.logits, blank_id, space_id, self.calibration)
            hypotheses = [[line] for line in lines]
        else:
            hypotheses = search.decode(outputs.logits, blank_id, 1 + alternatives)
        if target_sizes is not None and len(target_sizes) != len(hypotheses):
            raise ValueError(f"target_sizes has {len(target_sizes)} sizes for {len(hypotheses)} lines.")
        stride = frame_stride or self.image_processor.frame_stride
        readings = []
        for line, of_line in enumerate(hypotheses):
            scale, width = float(stride), float(of_line[0].frames * stride)
            if target_sizes is not None:
                scale, width = self._image_pixels(stride, *target_sizes[line])
            reading, *others = (self._describe(hypothesis, scale, width, threshold) for hypothesis in of_line)
            if alternatives:
                reading["alternatives"] = others
            readings.append(reading)
        return readings

    def _describe(self, hypothesis, scale: float, width: float, threshold: float | None) -> dict[str, Any]:
        characters = self.tokenizer.convert_ids_to_tokens(hypothesis.token_ids)
        reading = describe_hypothesis(hypothesis, characters, scale, width)
        if threshold is not None:
            flag(reading, threshold)
        return reading

    def _image_pixels(self, stride: int, height: int, width: int) -> tuple[float, float]:
        """Pixels of a line's image of `height x width` pixels for each frame, and its width."""
        return stride * width / self.image_processor.resized_width(height, width), float(width)


def is_option(name: str) -> bool:
    """Whether it is an option of the image processor, or of loading and of other parts, which are handed on."""
    own = {*HTRConvTextImageProcessor.options, *FIXED_IMAGE_OPTIONS}
    return name in own or name in NO_IMAGE_OPTIONS or name in LOADING_OPTIONS or name.startswith("_")


def last_change(path: str) -> float:
    """When a file was last written; 0 if it is none of this machine."""
    return os.path.getmtime(path) if os.path.isfile(path) else 0.0


def check_reading(decoder: Any, alternatives: int, threshold: float | None) -> None:
    if alternatives < 0 or (alternatives and not decoder):
        raise ValueError(f"alternatives={alternatives}: only a beam search has several readings. Pass decoder=...")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be from 0 to 1. Got {threshold}.")


def split_options(
    flat: Mapping[str, Any],
    common_kwargs: Mapping[str, Any],
    images_kwargs: Mapping[str, Any],
    text_kwargs: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options for images and those for texts, of what is said for either; what neither knows is refused by name."""
    own = {*HTRConvTextImageProcessor.options, *FIXED_IMAGE_OPTIONS}
    for_images = {"padding", "input_data_format", "return_tensors", *own}
    for_text = {"padding", "max_length", "truncation", "return_tensors", *FIXED_TEXT_OPTIONS}
    unknown = ({*flat, *common_kwargs} - for_images - for_text) | set(images_kwargs) - for_images
    unknown |= set(text_kwargs) - for_text
    if unknown:
        raise TypeError(f"HTRConvTextProcessor has no option {', '.join(sorted(unknown))}.")
    for nested in (images_kwargs, text_kwargs):
        for name in sorted(set(flat) & set(nested)):
            raise ValueError(f"{name} is given twice, by itself and among the options of one kind.")
    both = {**flat, **common_kwargs}
    return (
        {**{name: both[name] for name in both if name in for_images}, **images_kwargs},
        {**{name: both[name] for name in both if name in for_text}, **text_kwargs},
    )


def pad_labels(labels: Sequence[Sequence[int]], length: int = 0) -> np.ndarray:
    """
    Labels of any length as one int64 array of shape `(batch_size, longest_label)`, or `length` if that is more, padded
    with [`LABEL_PADDING`].
    """
    padded = np.full((len(labels), max([length, *map(len, labels)])), LABEL_PADDING, dtype=np.int64)
    for row, label in zip(padded, labels, strict=True):
        row[: len(label)] = label
    return padded


HTRConvTextImageProcessor.register_for_auto_class()
HTRConvTextTokenizer.register_for_auto_class()
HTRConvTextProcessor.register_for_auto_class()

__all__ = ["ALPHABETS", "HTRConvTextImageProcessor", "HTRConvTextProcessor", "HTRConvTextTokenizer"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""HTR-ConvText model configuration, and whether images and labels fit it."""

import contextlib
import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from numbers import Integral, Real
from typing import Any

import torch
from transformers import PretrainedConfig

CTC_LOSS_REDUCTIONS = ("batchmean", "mean", "sum")
# Options of the sizes that models are trained in, `base` being the paper's. The first stage of `tiny` is narrower than
# a quarter of its width: there a line has the most pixels, and the most of its time went. `lite` leaves the MobileViT
# layers out, which at this width cost about half of a training step and slow its learning (benchmarks/results).
SIZES: dict[str, dict] = {
    "tiny": {
        "hidden_size": 128,
        "num_attention_heads": 4,
        "backbone_hidden_sizes": (16, 64, 128),
        "backbone_head_dim": 16,
    },
    "lite": {
        "hidden_size": 128,
        "num_attention_heads": 4,
        "backbone_hidden_sizes": (16, 64, 128),
        "backbone_head_dim": 16,
        "backbone_mobilevit": (False, False, False),
    },
    "small": {"hidden_size": 256},
    "base": {},
}
# Above any image from 0 to 1, with noise and augmentation; below one from 0 to 255.
LARGEST_PIXEL_VALUE = 10
# The weights of the Textual Context Module, beside a model that was trained with it.
TCM_FILE = "tcm.safetensors"
# What `pipeline(..., trust_remote_code=True)` and the Auto classes look up in config.json.
AUTO_MAP = {
    "AutoConfig": "configuration_htr_convtext.HTRConvTextConfig",
    "AutoModel": "modeling_htr_convtext.HTRConvTextForCTC",
    "AutoModelForCTC": "modeling_htr_convtext.HTRConvTextForCTC",
}
CUSTOM_PIPELINES = {
    "image-to-text": {
        "impl": "pipeline_htr_convtext.HTRConvTextPipeline",
        "pt": ["AutoModel"],
        "type": "multimodal",
    }
}
# Options that may be None, each with a value of the type that it has otherwise.
OPTIONAL = {
    "backbone_hidden_sizes": (1,),
    "intermediate_size": 1,
    "downsample_after_layer": 1,
    "upsample_after_layer": 1,
}
# In this order: True is a number to Python.
KINDS: dict[type | tuple[type, ...], str] = {
    bool: "true or false",
    Integral: "a whole number",
    Real: "a number",
    str: "a name",
    (list, tuple): "a list",
    Mapping: "an object",
}


class HTRConvTextConfig(PretrainedConfig):
    """
    Configuration of HTR-ConvText (arXiv 2512.05021). The defaults are the paper's 65.9M-parameter network.

    Args:
        vocab_size: Number of CTC classes: the blank (class 0) and one class for each character.
        num_channels: Channels of the input image; 1 is grey.
        image_height: Height of the input in pixels, 1 to 64: six halvings must leave one row of features.
        backbone_hidden_sizes: Channels of the three backbone stages; `None` gives a quarter, half and all of
            `hidden_size`. The last one must equal `hidden_size`.
        backbone_depths: Residual blocks in each of the three stages.
        backbone_width_strides: Columns that the first convolution and each of the three stages move by, 1 or 2; all of
            them halve the height. The paper narrows its maps in the last two stages; earlier costs less.
        backbone_mobilevit: Whether a MobileViT layer ends each of the three stages, as in the paper. At small widths
            these layers take most of the backbone's time.
        backbone_mobilevit_residual: Whether a residual connection goes around each MobileViT layer. The paper's layers
            have none.
        backbone_head_dim: Size of an attention head in the MobileViT layers; each stage's channels must be a multiple.
        backbone_num_transformer_layers: Transformer layers in each MobileViT layer.
        backbone_mlp_ratio: Feed-forward width of those layers over their channels.
        backbone_hidden_act: Activation of those feed-forward layers.
        patch_size: Side of the patches that a MobileViT layer unfolds, in feature map pixels.
        batch_norm_eps: Epsilon of the batch norms.
        backbone_layer_norm_eps: Epsilon of the layer norms in the MobileViT layers.
        hidden_size: Width D of the encoder; a multiple of `num_attention_heads`.
        num_hidden_layers: ConvText encoder layers.
        num_attention_heads: Attention heads of an encoder layer.
        intermediate_size: Feed-forward width of an encoder layer; `None` gives four times `hidden_size`.
        hidden_act: Activation of the encoder's feed-forward and convolution modules.
        conv_kernel_size: Kernel of the depthwise convolution in an encoder layer, odd.
        group_norm_eps: Epsilon of the group norm in the convolution module.
        max_relative_position: Distance from which the relative position bias no longer changes.
        downsample_after_layer: Number of encoder layers before the sequence is halved; `None` gives three eighths of
            `num_hidden_layers`, at least 1.
        upsample_after_layer: Number of encoder layers before it is brought back and the skip connection added;
            `None` leaves one layer to follow where there are enough.
        layer_norm_eps: Epsilon of the encoder's layer norms.
        layer_scale_init_value: Initial value of the layer scale vectors.
        hidden_dropout_prob: Dropout after attention, feed-forward and convolution modules.
        attention_probs_dropout_prob: Dropout on attention weights.
        drop_path_rate: Stochastic depth of the last encoder layer; it rises linearly from 0 at the first.
        tcm_context_size: Characters of context on either side in the Textual Context Module.
        tcm_hidden_size: Width of the module's character embeddings.
        tcm_conv_kernel_size: Kernel of the module's convolution over a context, odd.
        tcm_dropout_prob: Dropout on what the module attends to.
        ctc_loss_reduction: `"batchmean"` (the paper's recipe: a line's negative log likelihood, averaged over
            lines), `"mean"` (each line's first divided by its label length) or `"sum"`.
        ctc_zero_infinity: Whether lines that CTC cannot align count as zero loss instead of infinity.
        pad_token_id: Class of the CTC blank; always 0.
        keys_to_ignore_at_inference: Output keys that `Trainer` drops when it gathers predictions.

    Raises:
        ValueError: If an option is of another type than its default, or sizes contradict each other; the message
            names them.
    """

    model_type = "htr_convtext"
    keys_to_ignore_at_inference = ["last_hidden_state", "hidden_states", "attentions"]

    def __init__(
        self,
        vocab_size=80,
        num_channels=1,
        image_height=64,
        backbone_hidden_sizes=None,
        backbone_depths=(2, 2, 2),
        backbone_width_strides=(1, 1, 2, 2),
        backbone_mobilevit=(True, True, True),
        backbone_mobilevit_residual=False,
        backbone_head_dim=64,
        backbone_num_transformer_layers=1,
        backbone_mlp_ratio=4,
        backbone_hidden_act="gelu",
        patch_size=2,
        batch_norm_eps=1e-5,
        backbone_layer_norm_eps=1e-5,
        hidden_size=512,
        num_hidden_layers=8,
        num_attention_heads=8,
        intermediate_size=None,
        hidden_act="silu",
        conv_kernel_size=7,
        group_norm_eps=1e-5,
        max_relative_position=127,
        downsample_after_layer=None,
        upsample_after_layer=None,
        layer_norm_eps=1e-6,
        layer_scale_init_value=1e-5,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        drop_path_rate=0.1,
        tcm_context_size=5,
        tcm_hidden_size=256,
        tcm_conv_kernel_size=3,
        tcm_dropout_prob=0.1,
        ctc_loss_reduction="batchmean",
        ctc_zero_infinity=True,
        pad_token_id=0,
        **kwargs,
    ):
        check_types(HTRConvTextConfig.__init__, locals(), OPTIONAL)
        self.vocab_size = vocab_size
        self.num_channels = num_channels
        self.image_height = image_height
        if backbone_hidden_sizes is None:
            backbone_hidden_sizes = (hidden_size // 4, hidden_size // 2, hidden_size)
        self.backbone_hidden_sizes = list(backbone_hidden_sizes)
        self.backbone_depths = list(backbone_depths)
        self.backbone_width_strides = list(backbone_width_strides)
        self.backbone_mobilevit = list(backbone_mobilevit)
        self.backbone_mobilevit_residual = backbone_mobilevit_residual
        self.backbone_head_dim = backbone_head_dim
        self.backbone_num_transformer_layers = backbone_num_transformer_layers
        self.backbone_mlp_ratio = backbone_mlp_ratio
        self.backbone_hidden_act = backbone_hidden_act
        self.patch_size = patch_size
        self.batch_norm_eps = batch_norm_eps
        self.backbone_layer_norm_eps = backbone_layer_norm_eps
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = 4 * hidden_size if intermediate_size is None else intermediate_size
        self.hidden_act = hidden_act
        self.conv_kernel_size = conv_kernel_size
        self.group_norm_eps = group_norm_eps
        self.max_relative_position = max_relative_position
        if downsample_after_layer is None:
            downsample_after_layer = max(1, num_hidden_layers * 3 // 8)
        if upsample_after_layer is None:
            upsample_after_layer = max(downsample_after_layer + 1, num_hidden_layers - 1)
        self.downsample_after_layer = downsample_after_layer
        self.upsample_after_layer = upsample_after_layer
        self.layer_norm_eps = layer_norm_eps
        self.layer_scale_init_value = layer_scale_init_value
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.drop_path_rate = drop_path_rate
        self.tcm_context_size = tcm_context_size
        self.tcm_hidden_size = tcm_hidden_size
        self.tcm_conv_kernel_size = tcm_conv_kernel_size
        self.tcm_dropout_prob = tcm_dropout_prob
        self.ctc_loss_reduction = ctc_loss_reduction
        self.ctc_zero_infinity = ctc_zero_infinity
        # Of folders written before: the width that lines are padded to is the processor's alone.
        kwargs.pop("image_width", None)
        # Set, not defaulted: a folder names its own code files, also one that was loaded from the Hub and saved again.
        kwargs.update(auto_map=dict(AUTO_MAP), custom_pipelines=deepcopy(CUSTOM_PIPELINES))
        kwargs.setdefault("architectures", ["HTRConvTextForCTC"])
        check_dtype(kwargs.get("dtype"))
        super().__init__(pad_token_id=pad_token_id, **kwargs)
        self._check_sizes()
        self._check_encoder()
        self._check_backbone()
        self._check_ctc()

    def to_dict(self):
        # pipeline() replaces the names in its config's custom_pipelines by classes, which no JSON file can hold.
        return {**super().to_dict(), "custom_pipelines": deepcopy(CUSTOM_PIPELINES)}

    def save_pretrained(self, save_directory, **kwargs):
        # Scripts for TrOCR put settings of generate here: they mean nothing to CTC, and transformers saves none here.
        for name in getattr(self, "_get_generation_parameters", dict)():
            setattr(self, name, None)
        super().save_pretrained(save_directory, **kwargs)

    def __getattr__(self, name: str):
        # transformers 5's own pipelines ask for it when they are made of a loaded model, and no pipeline of ours does:
        # without this, such a pipeline takes a path for a prompt and fails in its call (Pipeline.__init__, 5.23).
        if name == "prefix":
            raise TypeError(
                "transformers' own pipelines cannot read lines. Write model.as_pipeline(processor) instead."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def frames(self, width: int) -> int:
        """Number N of CTC frames that the network gives for an image `width` pixels wide."""
        return -(-width // self.frame_stride)

    @property
    def frame_stride(self) -> int:
        """Image pixels from one CTC frame to the next."""
        return math.prod(self.backbone_width_strides)

    def _check_sizes(self):
        for name in ("num_channels", "image_height", "hidden_size", "num_hidden_layers", "patch_size",
                     "num_attention_heads", "intermediate_size", "backbone_head_dim", "backbone_mlp_ratio",
                     "max_relative_position", "tcm_context_size", "tcm_hidden_size"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Got {getattr(self, name)}.")
        if self.vocab_size < 2:
            raise ValueError(f"vocab_size counts the blank and needs at least one character. Got {self.vocab_size}.")
        if self.image_height > 64:
            raise ValueError(
                f"image_height must be 1 to 64, which the backbone reduces to one row. Got {self.image_height}."
            )
        for name in ("conv_kernel_size", "tcm_conv_kernel_size"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd to keep the length. Got {getattr(self, name)}.")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "tcm_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1). Got {getattr(self, name)}.")

    def _check_backbone(self):
        for name in ("backbone_hidden_sizes", "backbone_depths", "backbone_mobilevit"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name} needs one value for each of the 3 stages. Got {getattr(self, name)}.")
        if len(self.backbone_width_strides) != 4 or not set(self.backbone_width_strides) <= {1, 2}:
            raise ValueError(
                "backbone_width_strides needs a 1 or 2 for the first convolution and for each of the 3 stages. Got "
                f"{self.backbone_width_strides}."
            )
        if min(self.backbone_depths) < 1:
            raise ValueError(f"backbone_depths must be at least 1 in each stage. Got {self.backbone_depths}.")
        for channels in self.backbone_hidden_sizes:
            if channels < self.backbone_head_dim or channels % self.backbone_head_dim:
                raise ValueError(
                    f"Each of backbone_hidden_sizes {self.backbone_hidden_sizes} must be a multiple of "
                    f"backbone_head_dim {self.backbone_head_dim}; {channels} is not."
                )
        if self.backbone_hidden_sizes[-1] != self.hidden_size:
            raise ValueError(
                f"The last of backbone_hidden_sizes must equal hidden_size {self.hidden_size}. Got "
                f"{self.backbone_hidden_sizes}."
            )

    def _check_encoder(self):
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size must be a multiple of num_attention_heads. Got {self.hidden_size} and "
                f"{self.num_attention_heads}."
            )
        if not 0 < self.downsample_after_layer < self.upsample_after_layer <= self.num_hidden_layers:
            raise ValueError(
                "Encoder layers must satisfy 0 < downsample_after_layer < upsample_after_layer <= num_hidden_layers. "
                f"Got {self.downsample_after_layer}, {self.upsample_after_layer} and {self.num_hidden_layers}."
            )

    def _check_ctc(self):
        if self.ctc_loss_reduction not in CTC_LOSS_REDUCTIONS:
            raise ValueError(
                f"ctc_loss_reduction must be one of {CTC_LOSS_REDUCTIONS}. Got {self.ctc_loss_reduction!r}."
            )
        if self.pad_token_id != 0:
            raise ValueError(f"The CTC blank is class 0, so pad_token_id must be 0. Got {self.pad_token_id}.")


def check_types(function: Callable, given: Mapping[str, Any], optional: Mapping[str, Any]) -> None:
    """
    Refuses options of another type than their defaults, as a damaged or hand-written JSON file has them.

    Args:
        function: Its signature has the defaults.
        given: The options, and maybe more.
        optional: Values of the types that options have whose default is `None`.

    Raises:
        ValueError: With the option's name, what it must be and what it is.
    """
    for name, parameter in inspect.signature(function).parameters.items():
        example: Any = optional.get(name, parameter.default)
        value: Any = given.get(name)
        if example is None or example is parameter.empty or (value is None and name in optional):
            continue
        if not same_kind(value, example):
            raise ValueError(f"{name} must be {kind_of(example)}. Got {value!r}.")
        if isinstance(example, tuple) and not all(same_kind(part, example[0]) for part in value):
            raise ValueError(f"{name} must be a list, and each part of it {kind_of(example[0])}. Got {value!r}.")


def check_dtype(dtype: Any) -> None:
    """
    Raises:
        ValueError: If the weights' type is none of torch's, nor the name of one.
    """
    named = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not isinstance(named, torch.dtype):
        raise ValueError(f'dtype must be the name of a type of torch\'s, such as "float32". Got {dtype!r}.')


@contextlib.contextmanager
def naming_damaged_files(name: str | os.PathLike, files: str) -> Iterator[None]:
    """What a value of the wrong kind makes transformers raise becomes an `OSError` that names the files."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError) as error:
        raise OSError(
            f"{name}: transformers cannot use a value in {files}. Save or download the folder again. It says "
            f"{type(error).__name__}: {error}"
        ) from error


def same_kind(value: Any, example: Any) -> bool:
    """Whether a value is of the kind of another; a whole number is a number."""
    kinds = kind_of(value), kind_of(example)
    return kinds[0] == kinds[1] or kinds == (KINDS[Integral], KINDS[Real])


def kind_of(value: Any) -> str | None:
    return next((words for kind, words in KINDS.items() if isinstance(value, kind)), None)


def checked_pixel_values(pixel_values: torch.Tensor, config: HTRConvTextConfig) -> torch.Tensor:
    """
    Args:
        pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`, 0 ink to 1 paper; of one
            channel also without that axis, as scripts that squeeze single images stack them.
        config: What they are to fit.

    Returns:
        The images with all four axes.

    Raises:
        ValueError: If they are not what the processor makes of images.
    """
    channels, height = config.num_channels, config.image_height
    if pixel_values.ndim == 3 and channels == 1:
        pixel_values = pixel_values.unsqueeze(1)
    shape = tuple(pixel_values.shape)
    if len(shape) != 4 or shape[1:3] != (channels, height):
        advice = f" Instead of {shape[1]} channels, the processor makes {channels}." if shape[2:3] == (height,) else ""
        raise ValueError(
            f"pixel_values must have shape (batch_size, {channels}, {height}, width). Got {shape}.{advice}"
        )
    if not pixel_values.is_floating_point():
        raise ValueError(
            f"pixel_values must be floats from 0, ink, to 1, paper. Got {pixel_values.dtype}: the processor divides "
            "by 255."
        )
    if not torch.compiler.is_compiling() and not pixel_values.is_meta and pixel_values.numel():
        if (highest := pixel_values.max().item()) > LARGEST_PIXEL_VALUE:
            raise ValueError(
                f"pixel_values must be floats from 0, ink, to 1, paper. Got {highest:g}: divide them by 255."
            )
    return pixel_values


def check_labels(labels: torch.Tensor, vocab_size: int) -> None:
    """Refuses label classes outside `1..vocab_size - 1`; negative ones are padding, and stand on the right."""
    if torch.compiler.is_compiling() or labels.numel() == 0:
        return
    if labels.max() >= vocab_size:
        raise ValueError(f"Label values must be below vocab_size {vocab_size}. Got {int(labels.max())}.")
    if (labels == 0).any():
        raise ValueError("Class 0 is the CTC blank and cannot be a label. Pad labels with -100.")
    if ((labels[..., :-1] < 0) & (labels[..., 1:] >= 0)).any():
        raise ValueError("Padding stands before characters of a label. Pad labels on the right, behind their ends.")


HTRConvTextConfig.register_for_auto_class()

__all__ = ["SIZES", "HTRConvTextConfig"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
HTR-ConvText (arXiv 2512.05021) in the order of the paper's figure: the MVP backbone, a ResNet with MobileViT layers;
the ConvText encoder; the CTC head; the Textual Context Module. What makes it fast is in inference_htr_convtext.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_htr_convtext import HTRConvTextConfig, check_labels, checked_pixel_values
from .generation_htr_convtext import HTRConvTextGenerationMixin, naming_damaged_weights

if TYPE_CHECKING:  # What the files above and below import: transformers 4.57 copies only what this file names.
    from .decoding_htr_convtext import collapse_frames  # noqa: F401
    from .images_htr_convtext import load_image  # noqa: F401
    from .inference_htr_convtext import optimize_for_inference  # noqa: F401
    from .language_model_htr_convtext import HTRConvTextDecoder  # noqa: F401
    from .pipeline_htr_convtext import HTRConvTextPipeline  # noqa: F401
    from .processing_htr_convtext import HTRConvTextProcessor  # noqa: F401


@dataclass
class HTRConvTextCTCOutput(ModelOutput):
    """
    Args:
        loss: CTC loss, unscaled, given with `labels`.
        logits: Class scores `(batch_size, frames, vocab_size)`; class 0 is the blank.
        last_hidden_state: Features after the last norm `(batch_size, frames, hidden_size)`.
        hidden_states: With `output_hidden_states=True`, the backbone's features, then each encoder layer's; the
            layers between down- and upsampling have half as many frames.
        attentions: With `output_attentions` and eager attention, each layer's `(batch, heads, frames, frames)`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class HTRConvTextTCMOutput(ModelOutput):
    """
    Args:
        loss: Mean of `position_losses` over the real positions of the batch.
        position_losses: Mean of both directions' cross entropies `(batch_size, label_length)`, 0 in the padding.
        position_mask: True at a label's real positions `(batch_size, label_length)`.
        left_logits: From the left context `(batch_size, label_length, vocab_size + 1)`.
        right_logits: From the right context, in the same shape.
    """

    loss: torch.Tensor | None = None
    position_losses: torch.Tensor | None = None
    position_mask: torch.Tensor | None = None
    left_logits: torch.Tensor | None = None
    right_logits: torch.Tensor | None = None


class HTRConvTextConvLayer(nn.Module):
    """Convolution without bias, batch norm, activation: (batch, channels, height, width) to the same by the stride."""

    def __init__(
        self, config: HTRConvTextConfig, in_channels: int, out_channels: int, kernel_size: int = 3,
        stride: tuple[int, int] = (1, 1), activation: str | None = "relu",
    ):  # fmt: skip
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.normalization = nn.BatchNorm2d(out_channels, eps=config.batch_norm_eps)
        self.activation = ACT2FN[activation] if activation is not None else nn.Identity()

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.activation(self.normalization(self.convolution(hidden_state)))


class HTRConvTextStem(HTRConvTextConvLayer):
    """First convolution: halves the height of the image."""

    def __init__(self, config: HTRConvTextConfig):
        stride = (2, config.backbone_width_strides[0])
        super().__init__(config, config.num_channels, config.backbone_hidden_sizes[0], stride=stride)


class HTRConvTextShortcut(HTRConvTextConvLayer):
    """1x1 convolution with the stride of the residual block that it goes around."""

    def __init__(self, config: HTRConvTextConfig, in_channels: int, out_channels: int, stride: tuple[int, int]):
        super().__init__(config, in_channels, out_channels, kernel_size=1, activation=None)
        self.stride = stride

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        rows, columns = self.stride
        # Not the convolution's own stride, whose gradient torch 2.13 writes past its memory on a CPU in channels last,
        # under 16 channels (no upstream report known). Sliced in that order in memory, so that the gradient has it.
        hidden_state = hidden_state.permute(0, 2, 3, 1)[:, ::rows, ::columns].permute(0, 3, 1, 2)
        return super().forward(hidden_state)


class HTRConvTextBasicLayer(nn.Module):
    """Residual block of two 3x3 convolutions, as in ResNet-18, with the shapes of [`HTRConvTextConvLayer`]."""

    def __init__(self, config: HTRConvTextConfig, in_channels: int, out_channels: int, stride: tuple[int, int]):
        super().__init__()
        self.layer = nn.Sequential(
            HTRConvTextConvLayer(config, in_channels, out_channels, stride=stride),
            HTRConvTextConvLayer(config, out_channels, out_channels, activation=None),
        )
        same = stride == (1, 1) and in_channels == out_channels
        self.shortcut = nn.Identity() if same else HTRConvTextShortcut(config, in_channels, out_channels, stride)
        self.activation = nn.ReLU()

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.activation(self.layer(hidden_state) + self.shortcut(hidden_state))


def eager_attention_forward(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
    attention_mask: torch.Tensor | None, scaling: float, dropout: float = 0.0, **kwargs,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Attention with its matrix: query, key, value (batch, heads, length, head_dim) to (batch, length, heads, ...)."""
    attn_weights = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        attn_weights = attn_weights + attention_mask
    attn_weights = nn.functional.softmax(attn_weights, dim=-1, dtype=torch.float32).to(query.dtype)
    attn_weights = nn.functional.dropout(attn_weights, p=dropout, training=module.training)
    attn_output = torch.matmul(attn_weights, value).transpose(1, 2).contiguous()
    return attn_output, attn_weights


class HTRConvTextAttention(nn.Module):
    """Multi-head self-attention with an optional additive bias, through transformers' attention interface."""

    def __init__(self, config: HTRConvTextConfig, hidden_size: int, num_heads: int, attention_dropout: float):
        super().__init__()
        self.config = config
        self.num_heads = num_heads
        self.scaling = (hidden_size // num_heads) ** -0.5
        self.attention_dropout = attention_dropout
        self.is_causal = False
        self.qkv_proj = nn.Linear(hidden_size, 3 * hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, hidden_states: torch.Tensor, position_bias: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(batch, length, hidden_size) to the same, and with eager attention the weights (batch, heads, ...)."""
        batch_size, length, hidden_size = hidden_states.shape
        qkv = self.qkv_proj(hidden_states).view(batch_size, length, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (batch, heads, length, head_dim)
        implementation = self.config._attn_implementation
        attention_interface = (
            eager_attention_forward if implementation == "eager" else ALL_ATTENTION_FUNCTIONS[implementation]
        )
        attn_output, attn_weights = attention_interface(
            self, query, key, value,
            attention_mask=None if position_bias is None else position_bias.to(query.dtype),
            dropout=self.attention_dropout if self.training else 0.0, scaling=self.scaling,
        )  # fmt: skip
        return self.out_proj(attn_output.reshape(batch_size, length, hidden_size)), attn_weights


class HTRConvTextMobileViTTransformerLayer(GradientCheckpointingLayer):
    """Pre-norm transformer layer of a MobileViT layer: (batch * p * p, patches, channels) to the same."""

    def __init__(self, config: HTRConvTextConfig, hidden_size: int):
        super().__init__()
        self.layernorm_before = nn.LayerNorm(hidden_size, eps=config.backbone_layer_norm_eps)
        self.attention = HTRConvTextAttention(config, hidden_size, hidden_size // config.backbone_head_dim, 0.0)
        self.layernorm_after = nn.LayerNorm(hidden_size, eps=config.backbone_layer_norm_eps)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, config.backbone_mlp_ratio * hidden_size),
            ACT2FN[config.backbone_hidden_act],
            nn.Linear(config.backbone_mlp_ratio * hidden_size, hidden_size),
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = hidden_states + self.attention(self.layernorm_before(hidden_states))[0]
        return hidden_states + self.mlp(self.layernorm_after(hidden_states))


class HTRConvTextMobileViTLayer(nn.Module):
    """
    MobileViT layer with conditional positional encoding: local convolutions, attention between the pixels at the same
    place of every patch, a projection. Unlike MobileViT's it has no fusion convolution, and in the paper no residual.
    Gradient checkpointing takes the transformer alone: recomputed, batch norms would count every batch twice.
    """

    def __init__(self, config: HTRConvTextConfig, hidden_size: int):
        super().__init__()
        self.patch_size = config.patch_size
        self.residual = config.backbone_mobilevit_residual
        self.conv_kxk = HTRConvTextConvLayer(config, hidden_size, hidden_size)
        self.conv_1x1 = nn.Conv2d(hidden_size, hidden_size, kernel_size=1, bias=False)
        layers = range(config.backbone_num_transformer_layers)
        self.transformer = nn.Sequential(*(HTRConvTextMobileViTTransformerLayer(config, hidden_size) for _ in layers))
        self.position_encoding = nn.Conv2d(hidden_size, hidden_size, 3, padding=1, groups=hidden_size)
        self.layernorm = nn.LayerNorm(hidden_size, eps=config.backbone_layer_norm_eps)
        self.conv_projection = HTRConvTextConvLayer(config, hidden_size, hidden_size, kernel_size=1)

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to the same."""
        residual = hidden_state
        hidden_state = self.conv_1x1(self.conv_kxk(hidden_state))
        height, width = hidden_state.shape[-2:]
        hidden_state = self.resize_to_whole_patches(hidden_state)
        batch_size, patch_rows = hidden_state.shape[0], hidden_state.shape[-2] // self.patch_size

        tokens = self.transformer(self.unfold(hidden_state))
        grid = tokens.unflatten(1, (patch_rows, -1)).permute(0, 3, 1, 2)  # (batch * p * p, channels, rows, columns)
        grid = grid + self.position_encoding(grid)
        tokens = self.layernorm(grid.permute(0, 2, 3, 1))

        hidden_state = self.fold(tokens, batch_size)
        if hidden_state.shape[-2:] != (height, width):
            hidden_state = nn.functional.interpolate(hidden_state, size=(height, width), mode="bilinear")
        hidden_state = self.conv_projection(hidden_state)
        return residual + hidden_state if self.residual else hidden_state

    def resize_to_whole_patches(self, hidden_state: torch.Tensor) -> torch.Tensor:
        """Enlarges (batch, channels, height, width) bilinearly until both sides are multiples of the patch size."""
        height, width = hidden_state.shape[-2:]
        if height % self.patch_size == 0 and width % self.patch_size == 0:
            return hidden_state
        size = (height + -height % self.patch_size, width + -width % self.patch_size)
        return nn.functional.interpolate(hidden_state, size=size, mode="bilinear")

    def unfold(self, hidden_state: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width) to (batch * p * p, patches, channels), patches row by row."""
        patch = self.patch_size
        channels = hidden_state.shape[1]
        hidden_state = hidden_state.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))
        hidden_state = hidden_state.permute(0, 3, 5, 2, 4, 1)  # (batch, p, p, rows, columns, channels)
        return hidden_state.reshape(hidden_state.shape[0] * patch**2, -1, channels)

    def fold(self, tokens: torch.Tensor, batch_size: int) -> torch.Tensor:
        """(batch * p * p, rows, columns, channels) back to (batch, channels, height, width)."""
        patch = self.patch_size
        tokens = tokens.unflatten(0, (batch_size, patch, patch))
        tokens = tokens.permute(0, 3, 1, 4, 2, 5)  # (batch, rows, p, columns, p, channels)
        return tokens.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class HTRConvTextBackboneStage(nn.Module):
    """Residual blocks, the first with the stride, then a MobileViT layer where the size has one."""

    def __init__(
        self, config: HTRConvTextConfig, in_channels: int, out_channels: int, depth: int, stride: tuple[int, int],
        mobilevit: bool,
    ):  # fmt: skip
        super().__init__()
        self.layers = nn.Sequential(
            HTRConvTextBasicLayer(config, in_channels, out_channels, stride),
            *[HTRConvTextBasicLayer(config, out_channels, out_channels, stride=(1, 1)) for _ in range(depth - 1)],
        )
        self.mobilevit = HTRConvTextMobileViTLayer(config, out_channels) if mobilevit else nn.Identity()

    def forward(self, hidden_state: torch.Tensor) -> torch.Tensor:
        return self.mobilevit(self.layers(hidden_state))


class HTRConvTextBackbone(nn.Module):
    """ResNet-18 with MobileViT layers (paper section on the MVP backbone): a line image to a feature sequence."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__()
        sizes = config.backbone_hidden_sizes
        self.stem = HTRConvTextStem(config)
        self.pooler = nn.MaxPool2d(kernel_size=3, stride=(2, 1), padding=1)
        strides = [(2, columns) for columns in config.backbone_width_strides[1:]]
        self.stages = nn.ModuleList(
            HTRConvTextBackboneStage(config, *stage)
            for stage in zip(
                [sizes[0], *sizes[:-1]], sizes, config.backbone_depths, strides, config.backbone_mobilevit, strict=True
            )
        )

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, num_channels, image_height, width) to (batch, frames, hidden_size)."""
        # Channels last from here on: the MobileViT layers' tokens lie as matrix products read them.
        hidden_state = self.stem(pixel_values).contiguous(memory_format=torch.channels_last)
        hidden_state = self.pooler(hidden_state)  # (batch, channels, height / 4, width)
        for stage in self.stages:
            hidden_state = stage(hidden_state)
        return self.pooler(hidden_state).flatten(2).transpose(1, 2)


class HTRConvTextRelativePositionBias(nn.Embedding):
    """One learned number for each clipped distance and head: a bias of shape (1, heads, length, length)."""

    def __init__(self, config: HTRConvTextConfig):
        self.max_distance = config.max_relative_position
        super().__init__(2 * self.max_distance + 1, config.num_attention_heads)

    def forward(self, length: int, device: torch.device) -> torch.Tensor:  # type: ignore[override]
        positions = torch.arange(length, device=device)
        distance = positions[:, None] - positions[None, :]
        rows = distance.clamp(-self.max_distance, self.max_distance) + self.max_distance
        return super().forward(rows).permute(2, 0, 1).unsqueeze(0)


class HTRConvTextFeedForward(nn.Module):
    """Two linear layers with an activation between them: (batch, length, hidden_size) to the same."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__()
        self.linear1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.linear2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.linear2(self.activation(self.linear1(hidden_states))))


class HTRConvTextConvolutionModule(nn.Module):
    """Pointwise, depthwise and pointwise convolution along the sequence (batch, length, hidden_size)."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__()
        channels, kernel_size = config.hidden_size, config.conv_kernel_size
        self.pointwise_conv1 = nn.Conv1d(channels, channels, kernel_size=1)
        self.depthwise_conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.GroupNorm(1, channels, eps=config.group_norm_eps)
        self.activation = ACT2FN[config.hidden_act]
        self.pointwise_conv2 = nn.Conv1d(channels, channels, kernel_size=1)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = self.activation(self.pointwise_conv1(hidden_states.transpose(1, 2)))
        hidden_states = self.activation(self.norm(self.depthwise_conv(hidden_states)))
        return self.dropout(self.pointwise_conv2(hidden_states).transpose(1, 2))


class HTRConvTextResidual(nn.Module):
    """`LN(x + scale * weight * drop_path(y))`: layer scale, stochastic depth and post-norm of one module."""

    def __init__(self, config: HTRConvTextConfig, drop_path_rate: float, weight: float = 1.0):
        super().__init__()
        self.weight = weight
        self.drop_path_rate = drop_path_rate
        self.scale = nn.Parameter(torch.full((config.hidden_size,), config.layer_scale_init_value))
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, residual: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
        """Both (batch, length, hidden_size), and so is their normed sum."""
        hidden_states = self.drop_path(hidden_states)
        return self.layer_norm(torch.addcmul(residual, self.scale, hidden_states, value=self.weight))

    def drop_path(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """In training, zeroes whole lines of the batch and enlarges the others to keep the mean."""
        if not self.training or self.drop_path_rate == 0.0:
            return hidden_states
        keep_prob = 1 - self.drop_path_rate
        mask = hidden_states.new_empty(hidden_states.shape[0], 1, 1).bernoulli_(keep_prob)
        return hidden_states * mask / keep_prob


class HTRConvTextEncoderLayer(GradientCheckpointingLayer):
    """ConvText block: attention, half feed-forward, convolution, half feed-forward (paper section on the encoder)."""

    def __init__(self, config: HTRConvTextConfig, layer_idx: int):
        super().__init__()
        drop_path_rate = config.drop_path_rate * layer_idx / max(config.num_hidden_layers - 1, 1)
        self.relative_position_bias = HTRConvTextRelativePositionBias(config)
        self.self_attn = HTRConvTextAttention(
            config, config.hidden_size, config.num_attention_heads, config.attention_probs_dropout_prob
        )
        self.attention_dropout = nn.Dropout(config.hidden_dropout_prob)
        self.feed_forward1 = HTRConvTextFeedForward(config)
        self.conv = HTRConvTextConvolutionModule(config)
        self.feed_forward2 = HTRConvTextFeedForward(config)
        self.residual_self_attn = HTRConvTextResidual(config, drop_path_rate)
        self.residual_feed_forward1 = HTRConvTextResidual(config, drop_path_rate, weight=0.5)
        self.residual_conv = HTRConvTextResidual(config, drop_path_rate)
        self.residual_feed_forward2 = HTRConvTextResidual(config, drop_path_rate, weight=0.5)

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(batch, length, hidden_size) to the same, and with eager attention the weights (batch, heads, ...)."""
        position_bias = self.relative_position_bias(hidden_states.shape[1], hidden_states.device)
        attn_output, attn_weights = self.self_attn(hidden_states, position_bias)
        hidden_states = self.residual_self_attn(hidden_states, self.attention_dropout(attn_output))
        hidden_states = self.residual_feed_forward1(hidden_states, self.feed_forward1(hidden_states))
        hidden_states = self.residual_conv(hidden_states, self.conv(hidden_states))
        hidden_states = self.residual_feed_forward2(hidden_states, self.feed_forward2(hidden_states))
        return hidden_states, attn_weights


class HTRConvTextDownsample(nn.Module):
    """Halves the sequence (batch, length, hidden_size), rounding up: a depthwise convolution, then a pointwise one."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__()
        channels = config.hidden_size
        # It starts as the mean of three neighbours.
        self.depthwise_conv = nn.Conv1d(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
        self.pointwise_conv = nn.Conv1d(channels, channels, kernel_size=1)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        if hidden_states.shape[1] % 2:
            hidden_states = torch.cat([hidden_states, hidden_states[:, -1:]], dim=1)
        return self.pointwise_conv(self.depthwise_conv(hidden_states.transpose(1, 2))).transpose(1, 2)


class HTRConvTextUpsample(nn.Module):
    """Doubles the sequence by nearest neighbour, then a pointwise convolution; the skip connection is added."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__()
        self.pointwise_conv = nn.Conv1d(config.hidden_size, config.hidden_size, kernel_size=1)

    def forward(self, hidden_states: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(batch, length / 2 rounded up, hidden_size) and the skip's (batch, length, hidden_size) to the latter."""
        # The convolution sees one position at a time, so it may as well run before the positions are doubled.
        hidden_states = self.pointwise_conv(hidden_states.transpose(1, 2)).transpose(1, 2)
        return skip + hidden_states.repeat_interleave(2, dim=1)[:, : skip.shape[1]]


class HTRConvTextEncoder(nn.Module):
    """Encoder layers in a U: the middle ones run on half the sequence, a skip connection goes around them."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__()
        self.downsample_after_layer = config.downsample_after_layer
        self.upsample_after_layer = config.upsample_after_layer
        self.layers = nn.ModuleList(HTRConvTextEncoderLayer(config, idx) for idx in range(config.num_hidden_layers))
        self.downsample = HTRConvTextDownsample(config)
        self.upsample = HTRConvTextUpsample(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self, hidden_states: torch.Tensor, output_attentions: bool = False, output_hidden_states: bool = False
    ) -> BaseModelOutput:
        """(batch, frames, hidden_size) to the same, with what was asked for."""
        all_hidden_states: tuple[torch.Tensor, ...] = (hidden_states,)
        all_attentions: tuple[torch.Tensor | None, ...] = ()
        for number, layer in enumerate(self.layers, start=1):
            hidden_states, attn_weights = layer(hidden_states)
            all_hidden_states += (hidden_states,)
            all_attentions += (attn_weights,)
            if number == self.downsample_after_layer:
                skip = hidden_states
                hidden_states = self.downsample(hidden_states)
            if number == self.upsample_after_layer:
                hidden_states = self.upsample(hidden_states, skip)
        return BaseModelOutput(
            last_hidden_state=self.layer_norm(hidden_states),
            hidden_states=all_hidden_states if output_hidden_states else None,
            attentions=all_attentions if output_attentions else None,
        )


class HTRConvTextPreTrainedModel(PreTrainedModel):
    config_class = HTRConvTextConfig
    base_model_prefix = "htr_convtext"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    # Trainer must divide the loss by the accumulation steps itself: CTC does not average over label tokens.
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_attention_backend = True
    _no_split_modules = ["HTRConvTextBasicLayer", "HTRConvTextMobileViTLayer", "HTRConvTextEncoderLayer"]

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        # Otherwise transformers 4 leaves the statistics of batch norms on disk at 0 and 1.
        kwargs |= {"offload_buffers": True} if kwargs.get("device_map") is not None else {}
        with naming_damaged_weights(*args[:1]):
            return super().from_pretrained(*args, **kwargs)

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        # transformers guesses it from words in the source, other words in each of its versions.
        return True

    def _init_weights(self, module: nn.Module) -> None:
        # nn.init's functions alone: transformers 5 guards them, so that they pass over what a checkpoint has.
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, HTRConvTextRelativePositionBias):
            nn.init.zeros_(module.weight)
        elif isinstance(module, nn.Conv1d) and module.stride == (2,):
            nn.init.constant_(module.weight, 1 / module.kernel_size[0])
        elif isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.ones_(tensor)  # type: ignore[arg-type]
            for tensor in (module.bias, module.running_mean, module.num_batches_tracked):
                nn.init.zeros_(tensor)  # type: ignore[arg-type]
        elif isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Embedding, nn.LayerNorm, nn.GroupNorm)):
            module.reset_parameters()
        elif isinstance(module, HTRConvTextResidual):
            nn.init.constant_(module.scale, self.config.layer_scale_init_value)


class HTRConvTextModel(HTRConvTextPreTrainedModel):
    """HTR-ConvText without a head: backbone and encoder."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__(config)
        self.backbone = HTRConvTextBackbone(config)
        self.encoder = HTRConvTextEncoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Conv2d:
        """The convolution by which the image enters."""
        return self.backbone.stem.convolution

    def set_input_embeddings(self, value: nn.Conv2d) -> None:
        self.backbone.stem.convolution = value

    @can_return_tuple
    def forward(
        self, pixel_values: torch.Tensor, output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> BaseModelOutput:  # fmt: skip
        """
        Args:
            pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`, 0 ink to 1 paper.
            output_attentions: Whether to return the encoder layers' attention weights; needs eager attention.
            output_hidden_states: Whether to return the backbone's and every encoder layer's features.

        Returns:
            `last_hidden_state` of shape `(batch_size, config.frames(width), hidden_size)` and what was asked for.

        Raises:
            ValueError: If the images do not fit the configuration, or attention keeps no weights to return.
        """
        config = self.config
        pixel_values = checked_pixel_values(pixel_values, config)
        if output_attentions is None:
            output_attentions = config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = config.output_hidden_states
        if output_attentions and config._attn_implementation != "eager":
            raise ValueError(
                "output_attentions=True needs attention weights, which only eager attention keeps. Load the model "
                f'with attn_implementation="eager"; it has {config._attn_implementation!r}.'
            )
        # Not self.dtype: a replica of nn.DataParallel lists no parameters.
        features = self.backbone(pixel_values.to(self.get_input_embeddings().weight.dtype))
        return self.encoder(features, output_attentions, output_hidden_states)


class HTRConvTextForCTC(HTRConvTextGenerationMixin, HTRConvTextPreTrainedModel):
    """HTR-ConvText with a linear CTC head: reads a line of handwriting."""

    def __init__(self, config: HTRConvTextConfig):
        super().__init__(config)
        self.htr_convtext = HTRConvTextModel(config)
        self.ctc_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    @can_return_tuple
    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None,
        output_attentions: bool | None = None, output_hidden_states: bool | None = None,
    ) -> HTRConvTextCTCOutput:  # fmt: skip
        """
        Args:
            pixel_values: See [`HTRConvTextModel.forward`], and so for the outputs to return.
            labels: Character classes of shape `(batch_size, label_length)`, padded on the right with -100.

        Returns:
            Logits of shape `(batch_size, config.frames(width), vocab_size)`, features, and the loss with `labels`.

        Raises:
            ValueError: If the images do not fit the configuration, or labels are not `1..vocab_size - 1`, so padded.
        """
        outputs = self.htr_convtext(
            pixel_values, output_attentions=output_attentions, output_hidden_states=output_hidden_states
        )
        logits = self.ctc_head(outputs.last_hidden_state)
        loss = self.ctc_loss(logits, labels) if labels is not None else None
        return HTRConvTextCTCOutput(loss=loss, logits=logits, **outputs)

    def ctc_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """CTC loss of logits (batch_size, frames, vocab_size) against labels (batch_size, label_length)."""
        check_labels(labels, self.config.vocab_size)
        mask = labels >= 0
        label_lengths = mask.sum(-1)
        # CTC runs in float32 at least: half precision loses the small probabilities that it multiplies.
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_probs = nn.functional.log_softmax(logits, dim=-1, dtype=dtype).transpose(0, 1)
        losses = nn.functional.ctc_loss(
            log_probs, labels.masked_fill(~mask, 0), torch.full_like(label_lengths, logits.shape[1]), label_lengths,
            blank=self.config.pad_token_id, reduction="none", zero_infinity=self.config.ctc_zero_infinity,
        )  # fmt: skip
        if self.config.ctc_loss_reduction == "sum":
            return losses.sum()
        if self.config.ctc_loss_reduction == "mean":
            losses = losses / label_lengths.clamp(min=1)
        return losses.mean()


def character_contexts(labels: torch.Tensor, size: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The `size` characters before and after every position of labels (batch, length), `pad` where there is none: left
    contexts, right aligned, and right contexts, left aligned, each (batch, length, size).
    """
    length = labels.shape[1]
    characters = labels.masked_fill(labels < 0, pad)
    windows = nn.functional.pad(characters, (size, size), value=pad).unfold(1, size, 1)
    return windows[:, :length], windows[:, size + 1 : size + 1 + length]


class HTRConvTextTCM(HTRConvTextPreTrainedModel):
    """
    Textual Context Module (paper section on the TCM): teaches the encoder's features the characters around each
    character, in training only. For every character of a label, the `tcm_context_size` before it and after it each
    make a query; it attends to the encoder's features, and what it finds there must tell the character.
    """

    base_model_prefix = "tcm"
    main_input_name = "features"
    supports_gradient_checkpointing = False

    def __init__(self, config: HTRConvTextConfig):
        super().__init__(config)
        self.context_pad = config.vocab_size
        width = config.tcm_hidden_size
        kernel_size = config.tcm_conv_kernel_size
        self.embed_characters = nn.Embedding(config.vocab_size + 1, width, padding_idx=self.context_pad)
        self.context_conv = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2)
        self.left_direction = nn.Parameter(torch.zeros(width))
        self.right_direction = nn.Parameter(torch.zeros(width))
        self.query_proj = nn.Linear(width, config.hidden_size)
        self.query_norm = nn.LayerNorm(config.hidden_size)
        self.key_value_norm = nn.LayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.tcm_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.vocab_size + 1)
        self.post_init()

    def _init_weights(self, module):
        super()._init_weights(module)
        if module is self:
            nn.init.normal_(self.left_direction, std=0.02)
            nn.init.normal_(self.right_direction, std=0.02)

    @can_return_tuple
    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> HTRConvTextTCMOutput:
        """
        Args:
            features: The encoder's `last_hidden_state` of shape `(batch_size, frames, hidden_size)`.
            labels: Character classes of shape `(batch_size, label_length)`, padded on the right with -100.
        """
        check_labels(labels, self.config.vocab_size)
        left_context, right_context = character_contexts(labels, self.config.tcm_context_size, self.context_pad)
        memory = self.key_value_norm(features)
        left_logits = self.classify(left_context, self.left_direction, memory)
        right_logits = self.classify(right_context, self.right_direction, memory)

        mask = labels >= 0
        targets = labels.masked_fill(~mask, -100)
        losses = (cross_entropies(left_logits, targets) + cross_entropies(right_logits, targets)) / 2
        return HTRConvTextTCMOutput(
            loss=losses.sum() / mask.sum().clamp(min=1),
            position_losses=losses,
            position_mask=mask,
            left_logits=left_logits,
            right_logits=right_logits,
        )

    def classify(self, context: torch.Tensor, direction: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """Contexts (batch, length, size), features (batch, frames, hidden_size): logits (batch, length, classes)."""
        batch_size, length, _ = context.shape
        hidden_states = self.embed_characters(context).flatten(0, 1).transpose(1, 2)  # (B * L, width, context)
        hidden_states = self.context_conv(hidden_states).mean(-1).view(batch_size, length, -1)
        query = self.query_norm(self.query_proj(hidden_states + direction)).unsqueeze(1)
        memory = memory.unsqueeze(1)
        found = nn.functional.scaled_dot_product_attention(query.to(memory.dtype), memory, memory).squeeze(1)
        return self.classifier(self.dropout(found))


def cross_entropies(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy at each position: logits (B, L, C) and labels (B, L) to (B, L), 0 where a label is -100."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)).transpose(1, 2)
    return nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="none")


HTRConvTextForCTC.register_for_auto_class("AutoModel")

__all__ = [
    "HTRConvTextForCTC",
    "HTRConvTextModel",
    "HTRConvTextPreTrainedModel",
    "HTRConvTextTCM",
]

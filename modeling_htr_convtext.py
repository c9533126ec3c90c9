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
"""PyTorch HTR-ConvText: a CNN + MobileViT backbone, a Conformer-like encoder, a CTC head (arXiv 2512.05021)."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from .configuration_htr_convtext import HTRConvTextConfig

# Values of the first convolution's output, 8 MiB in float32, that inference mode computes at once on a CPU: one line
# of the base size at 64x512 pixels, eight of the tiny size.
STEM_VALUES_AT_ONCE = 2**21


@dataclass
class HTRConvTextCTCOutput(ModelOutput):
    """
    Output of [`HTRConvTextForCTC`].

    Args:
        loss (`torch.Tensor` of shape `(1,)`, given with `labels`): CTC loss, unscaled.
        logits (`torch.Tensor` of shape `(batch_size, frames, vocab_size)`): Class scores; class 0 is the blank.
        last_hidden_state (`torch.Tensor` of shape `(batch_size, frames, hidden_size)`): Features after the last norm,
            which the Textual Context Module attends to in training.
        hidden_states (tuple, with `output_hidden_states=True`): The backbone's features, then each encoder layer's;
            the layers between down- and upsampling have half as many frames.
        attentions (tuple, with `output_attentions=True` and eager attention): Attention weights of each encoder layer,
            `(batch_size, heads, frames, frames)`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


@dataclass
class HTRConvTextTCMOutput(ModelOutput):
    """
    Output of [`HTRConvTextTCM`].

    Args:
        loss (`torch.Tensor` of shape `(1,)`): Mean of `position_losses` over the real positions of the batch.
        position_losses (`torch.Tensor` of shape `(batch_size, label_length)`): Mean of both directions' cross
            entropies; 0 where `position_mask` is false.
        position_mask (`torch.Tensor` of shape `(batch_size, label_length)`): True at a label's real positions.
        left_logits (`torch.Tensor` of shape `(batch_size, label_length, vocab_size + 1)`): From the left context.
        right_logits (`torch.Tensor` of shape `(batch_size, label_length, vocab_size + 1)`): From the right context.
    """

    loss: torch.Tensor | None = None
    position_losses: torch.Tensor | None = None
    position_mask: torch.Tensor | None = None
    left_logits: torch.Tensor | None = None
    right_logits: torch.Tensor | None = None


class HTRConvTextFoldable(nn.Module):
    """
    A module that reads with tensors computed from its weights. They never reach a state dict, are left aside wherever
    gradients are asked for, and go when the weights may change: in training mode and when weights are loaded.
    """

    folded: dict | None = None

    def train(self, mode=True):
        if mode:
            self.folded = None
        return super().train(mode)

    def _apply(self, fn, *args, **kwargs):
        if self.folded is not None:
            self.folded = {key: fn(tensor) for key, tensor in self.folded.items()}
        return super()._apply(fn, *args, **kwargs)

    def _load_from_state_dict(self, *args, **kwargs):
        self.folded = None
        super()._load_from_state_dict(*args, **kwargs)

    def fold(self):
        """Computes the tensors to read with from the weights."""
        raise NotImplementedError

    def reads_folded(self):
        return self.folded is not None and not torch.is_grad_enabled()


class HTRConvTextConvLayer(HTRConvTextFoldable):
    def __init__(self, config, in_channels, out_channels, kernel_size=3, stride=1, activation="relu"):
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
        )
        self.normalization = nn.BatchNorm2d(out_channels, eps=config.batch_norm_eps)
        self.activation = ACT2FN[activation] if activation is not None else nn.Identity()

    def forward(self, hidden_state):
        if self.reads_folded():
            return self.forward_folded(hidden_state)
        return self.activation(self.normalization(self.convolution(hidden_state)))

    @torch.no_grad()
    def fold(self):
        """Multiplies the batch norm into the convolution's weight, in float32 at least whatever the weights' type."""
        norm, weight = self.normalization, self.convolution.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        scale = norm.weight.to(dtype) * (norm.running_var.to(dtype) + norm.eps).rsqrt()
        bias = norm.bias.to(dtype) - norm.running_mean.to(dtype) * scale
        weight = (weight.to(dtype) * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
        self.folded = {"weight": weight, "bias": bias}

    def forward_folded(self, hidden_state):
        weight, bias = self.folded["weight"], self.folded["bias"]
        if weight.shape[-1] == 1:
            hidden_state = pointwise_convolution(hidden_state, weight, bias)
        else:
            hidden_state = nn.functional.conv2d(
                hidden_state, weight, bias, self.convolution.stride, self.convolution.padding
            )
        return hidden_state.relu_() if isinstance(self.activation, nn.ReLU) else self.activation(hidden_state)


def pointwise_convolution(hidden_state, weight, bias=None):
    """1x1 convolution of a map in channels last as the matrix product it is: one thread's convolution is slower."""
    return nn.functional.linear(hidden_state.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


class HTRConvTextStem(HTRConvTextConvLayer):
    """First convolution, whose map lies in channels last on a CPU: an image of one channel has no layout to keep."""

    def __init__(self, config):
        stride = (2, config.backbone_width_strides[0])
        super().__init__(config, config.num_channels, config.backbone_hidden_sizes[0], stride=stride)

    def forward(self, pixel_values):
        if pixel_values.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(pixel_values)
        if self.reads_folded():
            return self.convolve(pixel_values, self.folded["weight"], self.folded["bias"]).relu_()
        return self.activation(self.normalization(self.convolve(pixel_values, self.convolution.weight)))

    def convolve(self, pixel_values, weight, bias=None):
        """The convolution as a matrix product over 3x3 pieces of the image."""
        rows, columns = self.convolution.stride
        pieces = nn.functional.pad(pixel_values, (1, 1, 1, 1)).unfold(2, 3, rows).unfold(3, 3, columns)
        pieces = pieces.permute(0, 2, 3, 1, 4, 5).flatten(3)  # (batch, rows, columns, channels * 3 * 3)
        return nn.functional.linear(pieces, weight.flatten(1), bias).permute(0, 3, 1, 2)


class HTRConvTextShortcut(HTRConvTextConvLayer):
    """1x1 convolution with the stride of the residual block that it goes around."""

    def __init__(self, config, in_channels, out_channels, stride):
        super().__init__(config, in_channels, out_channels, kernel_size=1, activation=None)
        self.stride = stride

    def forward(self, hidden_state):
        # Not the convolution's own stride: on a CPU, torch 2.13's gradient of a 1x1 convolution with stride (2, 1) in
        # channels last writes past its memory where there are fewer than 16 channels.
        rows, columns = self.stride
        # Sliced in the order that channels last have in memory, so that the gradient has it, too.
        hidden_state = hidden_state.permute(0, 2, 3, 1)[:, ::rows, ::columns].permute(0, 3, 1, 2)
        return super().forward(hidden_state)


class HTRConvTextBasicLayer(nn.Module):
    """Residual block of two 3x3 convolutions, as in ResNet-18."""

    def __init__(self, config, in_channels, out_channels, stride):
        super().__init__()
        self.layer = nn.Sequential(
            HTRConvTextConvLayer(config, in_channels, out_channels, stride=stride),
            HTRConvTextConvLayer(config, out_channels, out_channels, activation=None),
        )
        if stride == (1, 1) and in_channels == out_channels:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = HTRConvTextShortcut(config, in_channels, out_channels, stride)
        self.activation = nn.ReLU()

    def forward(self, hidden_state):
        return self.activation(self.layer(hidden_state) + self.shortcut(hidden_state))


def eager_attention_forward(module, query, key, value, attention_mask, scaling, dropout=0.0, **kwargs):
    attn_weights = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        attn_weights = attn_weights + attention_mask
    attn_weights = nn.functional.softmax(attn_weights, dim=-1, dtype=torch.float32).to(query.dtype)
    attn_weights = nn.functional.dropout(attn_weights, p=dropout, training=module.training)
    attn_output = torch.matmul(attn_weights, value).transpose(1, 2).contiguous()
    return attn_output, attn_weights


class HTRConvTextAttention(nn.Module):
    """Multi-head self-attention with an optional additive bias, through transformers' attention interface."""

    def __init__(self, config, hidden_size, num_heads, attention_dropout):
        super().__init__()
        self.config = config
        self.num_heads = num_heads
        self.scaling = (hidden_size // num_heads) ** -0.5
        self.attention_dropout = attention_dropout
        self.is_causal = False
        self.qkv_proj = nn.Linear(hidden_size, 3 * hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden_states, position_bias=None):
        batch_size, length, hidden_size = hidden_states.shape
        qkv = self.qkv_proj(hidden_states).view(batch_size, length, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (batch, heads, length, head_dim)
        implementation = self.config._attn_implementation
        attention_interface = (
            eager_attention_forward if implementation == "eager" else ALL_ATTENTION_FUNCTIONS[implementation]
        )
        attn_output, attn_weights = attention_interface(
            self,
            query,
            key,
            value,
            attention_mask=None if position_bias is None else position_bias.to(query.dtype),
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
        )
        return self.out_proj(attn_output.reshape(batch_size, length, hidden_size)), attn_weights


class HTRConvTextMobileViTTransformerLayer(nn.Module):
    """Pre-norm transformer layer of a MobileViT layer."""

    def __init__(self, config, hidden_size):
        super().__init__()
        self.layernorm_before = nn.LayerNorm(hidden_size, eps=config.backbone_layer_norm_eps)
        self.attention = HTRConvTextAttention(
            config, hidden_size, hidden_size // config.backbone_head_dim, attention_dropout=0.0
        )
        self.layernorm_after = nn.LayerNorm(hidden_size, eps=config.backbone_layer_norm_eps)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, config.backbone_mlp_ratio * hidden_size),
            ACT2FN[config.backbone_hidden_act],
            nn.Linear(config.backbone_mlp_ratio * hidden_size, hidden_size),
        )

    def forward(self, hidden_states):
        hidden_states = hidden_states + self.attention(self.layernorm_before(hidden_states))[0]
        return hidden_states + self.mlp(self.layernorm_after(hidden_states))


class HTRConvTextMobileViTLayer(GradientCheckpointingLayer):
    """
    MobileViT layer with conditional positional encoding: local convolutions, attention between the pixels at the same
    place of every patch, a projection. Unlike MobileViT's it has neither fusion convolution nor residual around it.
    """

    def __init__(self, config, hidden_size):
        super().__init__()
        self.patch_size = config.patch_size
        self.conv_kxk = HTRConvTextConvLayer(config, hidden_size, hidden_size)
        self.conv_1x1 = nn.Conv2d(hidden_size, hidden_size, kernel_size=1, bias=False)
        self.transformer = nn.Sequential(
            *[
                HTRConvTextMobileViTTransformerLayer(config, hidden_size)
                for _ in range(config.backbone_num_transformer_layers)
            ]
        )
        self.position_encoding = nn.Conv2d(hidden_size, hidden_size, 3, padding=1, groups=hidden_size)
        self.layernorm = nn.LayerNorm(hidden_size, eps=config.backbone_layer_norm_eps)
        self.conv_projection = HTRConvTextConvLayer(config, hidden_size, hidden_size, kernel_size=1)

    def forward(self, hidden_state):
        hidden_state = self.conv_kxk(hidden_state)
        if self.conv_kxk.reads_folded():
            hidden_state = pointwise_convolution(hidden_state, self.conv_1x1.weight)
        else:
            hidden_state = self.conv_1x1(hidden_state)
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
        return self.conv_projection(hidden_state)

    def resize_to_whole_patches(self, hidden_state):
        """Enlarges (batch, channels, height, width) bilinearly until both sides are multiples of the patch size."""
        height, width = hidden_state.shape[-2:]
        if height % self.patch_size == 0 and width % self.patch_size == 0:
            return hidden_state
        size = (height + -height % self.patch_size, width + -width % self.patch_size)
        return nn.functional.interpolate(hidden_state, size=size, mode="bilinear")

    def unfold(self, hidden_state):
        """(batch, channels, height, width) to (batch * p * p, patches, channels), patches row by row."""
        patch = self.patch_size
        channels = hidden_state.shape[1]
        hidden_state = hidden_state.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))
        hidden_state = hidden_state.permute(0, 3, 5, 2, 4, 1)  # (batch, p, p, rows, columns, channels)
        return hidden_state.reshape(hidden_state.shape[0] * patch**2, -1, channels)

    def fold(self, tokens, batch_size):
        """(batch * p * p, rows, columns, channels) back to (batch, channels, height, width)."""
        patch = self.patch_size
        tokens = tokens.unflatten(0, (batch_size, patch, patch))
        tokens = tokens.permute(0, 3, 1, 4, 2, 5)  # (batch, rows, p, columns, p, channels)
        return tokens.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class HTRConvTextBackboneStage(nn.Module):
    """Residual blocks, the first with the stride, then a MobileViT layer where the size has one."""

    def __init__(self, config, in_channels, out_channels, depth, stride, mobilevit):
        super().__init__()
        self.layers = nn.Sequential(
            HTRConvTextBasicLayer(config, in_channels, out_channels, stride),
            *[HTRConvTextBasicLayer(config, out_channels, out_channels, stride=(1, 1)) for _ in range(depth - 1)],
        )
        self.mobilevit = HTRConvTextMobileViTLayer(config, out_channels) if mobilevit else nn.Identity()

    def forward(self, hidden_state):
        return self.mobilevit(self.layers(hidden_state))


class HTRConvTextBackbone(nn.Module):
    """ResNet-18 with MobileViT layers (paper section on the MVP backbone): a line image to a feature sequence."""

    def __init__(self, config):
        super().__init__()
        sizes = config.backbone_hidden_sizes
        self.stem = HTRConvTextStem(config)
        self.pooler = nn.MaxPool2d(kernel_size=3, stride=(2, 1), padding=1)
        strides = [(2, columns) for columns in config.backbone_width_strides[1:]]
        self.stages = nn.ModuleList(
            HTRConvTextBackboneStage(config, *stage)
            for stage in zip(
                [sizes[0], *sizes[:-1]],
                sizes,
                config.backbone_depths,
                strides,
                config.backbone_mobilevit,
                strict=True,
            )
        )

    def forward(self, pixel_values):
        if not self.stem.reads_folded() or pixel_values.device.type != "cpu" or torch.compiler.is_compiling():
            return self.features(pixel_values)
        # A few lines at a time: maps that fit the cache, and stay below the size (32 MiB) from which the C library
        # asks the system for fresh pages at every allocation, cost a CPU less than the smaller products.
        height, width = pixel_values.shape[-2:]
        rows, columns = self.stem.convolution.stride
        stem_values = self.stem.convolution.out_channels * -(-height // rows) * -(-width // columns)
        parts = pixel_values.split(max(1, STEM_VALUES_AT_ONCE // stem_values))
        return torch.cat([self.features(part) for part in parts]) if len(parts) > 1 else self.features(pixel_values)

    def features(self, pixel_values):
        # Channels last from here on: pooling is faster, and the MobileViT layers' tokens lie as matrix products read
        # them.
        hidden_state = self.pooler(self.stem(pixel_values).contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            hidden_state = stage(hidden_state)
        return self.pooler(hidden_state).flatten(2).transpose(1, 2)  # (batch, frames, hidden_size)


class HTRConvTextRelativePositionBias(HTRConvTextFoldable, nn.Embedding):
    """One learned number for each clipped distance between query and key, and each head."""

    def __init__(self, config):
        self.max_distance = config.max_relative_position
        super().__init__(2 * self.max_distance + 1, config.num_attention_heads)

    def forward(self, length, device):
        if not self.reads_folded() or torch.compiler.is_compiling():
            return self.gather(length, device)
        if length not in self.folded:  # One length at a time: tables grow with its square.
            self.folded = {length: self.gather(length, device).contiguous()}
        return self.folded[length]

    def fold(self):
        self.folded = {}

    def gather(self, length, device):
        positions = torch.arange(length, device=device)
        distance = positions[:, None] - positions[None, :]
        rows = distance.clamp(-self.max_distance, self.max_distance) + self.max_distance
        return super().forward(rows).permute(2, 0, 1).unsqueeze(0)  # (1, heads, length, length)


class HTRConvTextDropout(nn.Dropout):
    """Dropout that draws a quarter of the random words on a CPU, which draws one after the other on one core."""

    def forward(self, hidden_states):
        plain = not self.training or self.p in (0, 1) or hidden_states.device.type != "cpu"
        if plain or torch.compiler.is_compiling():
            return super().forward(hidden_states)
        words = torch.empty(-(-hidden_states.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(torch.int16)[: hidden_states.numel()].view(hidden_states.shape)
        kept = numbers >= round(self.p * 2**16) - 2**15
        return hidden_states * kept.to(hidden_states.dtype).div_(1 - self.p)


class HTRConvTextFeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.linear1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.linear2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = HTRConvTextDropout(config.hidden_dropout_prob)

    def forward(self, hidden_states):
        return self.dropout(self.linear2(self.activation(self.linear1(hidden_states))))


class HTRConvTextPointwiseConv1d(nn.Conv1d):
    """Convolution with kernel 1 over a sequence `(batch_size, length, channels)`, computed as the product it is."""

    def __init__(self, channels):
        super().__init__(channels, channels, kernel_size=1)

    def forward(self, hidden_states):
        return nn.functional.linear(hidden_states, self.weight.squeeze(-1), self.bias)


class HTRConvTextConvolutionModule(nn.Module):
    """Pointwise, depthwise and pointwise convolution along the sequence."""

    def __init__(self, config):
        super().__init__()
        channels, kernel_size = config.hidden_size, config.conv_kernel_size
        self.pointwise_conv1 = HTRConvTextPointwiseConv1d(channels)
        self.depthwise_conv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.GroupNorm(1, channels, eps=config.group_norm_eps)
        self.activation = ACT2FN[config.hidden_act]
        self.pointwise_conv2 = HTRConvTextPointwiseConv1d(channels)
        self.dropout = HTRConvTextDropout(config.hidden_dropout_prob)

    def forward(self, hidden_states):
        hidden_states = self.activation(self.pointwise_conv1(hidden_states)).transpose(1, 2)
        hidden_states = self.activation(self.norm(self.depthwise_conv(hidden_states))).transpose(1, 2)
        return self.dropout(self.pointwise_conv2(hidden_states))


class HTRConvTextResidual(nn.Module):
    """`LN(x + weight * scale * drop_path(y))`: layer scale, stochastic depth and post-norm of one module."""

    def __init__(self, config, drop_path_rate, weight=1.0):
        super().__init__()
        self.weight = weight
        self.drop_path_rate = drop_path_rate
        self.scale = nn.Parameter(torch.full((config.hidden_size,), config.layer_scale_init_value))
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, residual, hidden_states):
        if not self.training:
            return self.layer_norm(torch.addcmul(residual, self.scale, hidden_states, value=self.weight))
        hidden_states = self.drop_path(hidden_states)
        return self.layer_norm(residual + self.scale * (self.weight * hidden_states))

    def drop_path(self, hidden_states):
        if self.drop_path_rate == 0.0:
            return hidden_states
        keep_prob = 1 - self.drop_path_rate
        mask = hidden_states.new_empty(hidden_states.shape[0], 1, 1).bernoulli_(keep_prob)
        return hidden_states * mask / keep_prob


class HTRConvTextEncoderLayer(GradientCheckpointingLayer):
    """ConvText block: attention, half feed-forward, convolution, half feed-forward (paper section on the encoder)."""

    def __init__(self, config, layer_idx):
        super().__init__()
        drop_path_rate = config.drop_path_rate * layer_idx / max(config.num_hidden_layers - 1, 1)
        self.relative_position_bias = HTRConvTextRelativePositionBias(config)
        self.self_attn = HTRConvTextAttention(
            config, config.hidden_size, config.num_attention_heads, config.attention_probs_dropout_prob
        )
        self.attention_dropout = HTRConvTextDropout(config.hidden_dropout_prob)
        self.feed_forward1 = HTRConvTextFeedForward(config)
        self.conv = HTRConvTextConvolutionModule(config)
        self.feed_forward2 = HTRConvTextFeedForward(config)
        self.residual_self_attn = HTRConvTextResidual(config, drop_path_rate)
        self.residual_feed_forward1 = HTRConvTextResidual(config, drop_path_rate, weight=0.5)
        self.residual_conv = HTRConvTextResidual(config, drop_path_rate)
        self.residual_feed_forward2 = HTRConvTextResidual(config, drop_path_rate, weight=0.5)

    def forward(self, hidden_states):
        position_bias = self.relative_position_bias(hidden_states.shape[1], hidden_states.device)
        attn_output, attn_weights = self.self_attn(hidden_states, position_bias)
        hidden_states = self.residual_self_attn(hidden_states, self.attention_dropout(attn_output))
        hidden_states = self.residual_feed_forward1(hidden_states, self.feed_forward1(hidden_states))
        hidden_states = self.residual_conv(hidden_states, self.conv(hidden_states))
        hidden_states = self.residual_feed_forward2(hidden_states, self.feed_forward2(hidden_states))
        return hidden_states, attn_weights


class HTRConvTextMeanConv1d(nn.Conv1d):
    """Depthwise convolution with stride 2 that starts as the mean of three neighbours."""

    def __init__(self, channels):
        super().__init__(channels, channels, kernel_size=3, stride=2, padding=1, groups=channels, bias=False)


class HTRConvTextDownsample(nn.Module):
    """Halves the sequence: a depthwise convolution, then a pointwise one."""

    def __init__(self, config):
        super().__init__()
        channels = config.hidden_size
        self.depthwise_conv = HTRConvTextMeanConv1d(channels)
        self.pointwise_conv = HTRConvTextPointwiseConv1d(channels)

    def forward(self, hidden_states):
        if hidden_states.shape[1] % 2:
            hidden_states = torch.cat([hidden_states, hidden_states[:, -1:]], dim=1)
        return self.pointwise_conv(self.depthwise_conv(hidden_states.transpose(1, 2)).transpose(1, 2))


class HTRConvTextUpsample(nn.Module):
    """Doubles the sequence by nearest neighbour, cut to `length`, then a pointwise convolution."""

    def __init__(self, config):
        super().__init__()
        self.pointwise_conv = HTRConvTextPointwiseConv1d(config.hidden_size)

    def forward(self, hidden_states, length):
        # The convolution sees one position at a time, so it may as well run before the positions are doubled.
        hidden_states = self.pointwise_conv(hidden_states)
        return hidden_states.repeat_interleave(2, dim=1)[:, :length]


class HTRConvTextEncoder(nn.Module):
    """Encoder layers in a U: the middle ones run on half the sequence, a skip connection goes around them."""

    def __init__(self, config):
        super().__init__()
        self.downsample_after_layer = config.downsample_after_layer
        self.upsample_after_layer = config.upsample_after_layer
        self.layers = nn.ModuleList(HTRConvTextEncoderLayer(config, idx) for idx in range(config.num_hidden_layers))
        self.downsample = HTRConvTextDownsample(config)
        self.upsample = HTRConvTextUpsample(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden_states, output_attentions=False, output_hidden_states=False):
        all_hidden_states, all_attentions = (hidden_states,), ()
        for number, layer in enumerate(self.layers, start=1):
            hidden_states, attn_weights = layer(hidden_states)
            all_hidden_states += (hidden_states,)
            all_attentions += (attn_weights,)
            if number == self.downsample_after_layer:
                skip = hidden_states
                hidden_states = self.downsample(hidden_states)
            if number == self.upsample_after_layer:
                hidden_states = skip + self.upsample(hidden_states, skip.shape[1])
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
    _no_split_modules = ["HTRConvTextMobileViTLayer", "HTRConvTextEncoderLayer"]

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        # transformers guesses it from words in the source, other words in each of its versions.
        return True

    def _init_weights(self, module):
        # By the module that owns the weights: transformers leaves out modules that own none.
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, HTRConvTextRelativePositionBias):
            nn.init.zeros_(module.weight)
        elif isinstance(module, HTRConvTextMeanConv1d):
            nn.init.constant_(module.weight, 1 / module.kernel_size[0])
        elif isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Embedding, nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d)):
            module.reset_parameters()
        elif isinstance(module, HTRConvTextResidual):
            nn.init.constant_(module.scale, self.config.layer_scale_init_value)

    def _check_attention_outputs(self, output_attentions):
        if output_attentions and self.config._attn_implementation != "eager":
            raise ValueError(
                "output_attentions=True needs attention weights, which only eager attention keeps. Load the model "
                f'with attn_implementation="eager"; it has {self.config._attn_implementation!r}.'
            )


class HTRConvTextModel(HTRConvTextPreTrainedModel):
    """
    HTR-ConvText without a head: backbone and encoder.

    Args:
        config: The sizes of the network.
    """

    def __init__(self, config: HTRConvTextConfig):
        super().__init__(config)
        self.backbone = HTRConvTextBackbone(config)
        self.encoder = HTRConvTextEncoder(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> BaseModelOutput:
        """
        Args:
            pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`, 0 ink to 1 paper.
            output_attentions: Whether to return the encoder layers' attention weights; needs eager attention.
            output_hidden_states: Whether to return the backbone's and every encoder layer's features.

        Returns:
            `last_hidden_state` of shape `(batch_size, config.frames(width), hidden_size)` and what was asked for.

        Raises:
            ValueError: If the images have another number of channels or another height than the configuration's.
        """
        self._check_pixel_values(pixel_values)
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        self._check_attention_outputs(output_attentions)
        features = self.backbone(pixel_values.to(self.dtype))
        return self.encoder(features, output_attentions, output_hidden_states)

    def _check_pixel_values(self, pixel_values):
        expected = (self.config.num_channels, self.config.image_height)
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:3]) != expected:
            raise ValueError(
                f"pixel_values must have shape (batch_size, {expected[0]}, {expected[1]}, width). "
                f"Got {tuple(pixel_values.shape)}."
            )


class HTRConvTextForCTC(HTRConvTextPreTrainedModel):
    """
    HTR-ConvText with a linear CTC head: reads a line of handwriting.

    Args:
        config: The sizes of the network; `vocab_size` counts the blank.
    """

    def __init__(self, config: HTRConvTextConfig):
        super().__init__(config)
        self.htr_convtext = HTRConvTextModel(config)
        self.ctc_head = nn.Linear(config.hidden_size, config.vocab_size)
        self._rounded_from: torch.dtype | None = None
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> HTRConvTextCTCOutput:
        """
        Args:
            pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`, 0 ink to 1 paper.
            labels: Character classes of shape `(batch_size, label_length)`, padded with -100.
            output_attentions: Whether to return the encoder layers' attention weights; needs eager attention.
            output_hidden_states: Whether to return the backbone's and every encoder layer's features.

        Returns:
            Logits of shape `(batch_size, config.frames(width), vocab_size)`, features, and the loss with `labels`.

        Raises:
            ValueError: If the images do not fit the configuration, or a label lies outside `1..vocab_size - 1`.
        """
        outputs = self.htr_convtext(
            pixel_values, output_attentions=output_attentions, output_hidden_states=output_hidden_states
        )
        logits = self.ctc_head(outputs.last_hidden_state)
        return HTRConvTextCTCOutput(
            loss=self.ctc_loss(logits, labels) if labels is not None else None,
            logits=logits,
            last_hidden_state=outputs.last_hidden_state,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def ctc_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """CTC loss of logits (batch_size, frames, vocab_size) against labels (batch_size, label_length)."""
        check_labels(labels, self.config.vocab_size)
        mask = labels >= 0
        label_lengths = mask.sum(-1)
        # CTC runs in float32 at least: half precision loses the small probabilities that it multiplies.
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_probs = nn.functional.log_softmax(logits, dim=-1, dtype=dtype).transpose(0, 1)
        losses = nn.functional.ctc_loss(
            log_probs,
            labels.masked_fill(~mask, 0),
            torch.full_like(label_lengths, logits.shape[1]),
            label_lengths,
            blank=self.config.pad_token_id,
            reduction="none",
            zero_infinity=self.config.ctc_zero_infinity,
        )
        if self.config.ctc_loss_reduction == "sum":
            return losses.sum()
        if self.config.ctc_loss_reduction == "mean":
            losses = losses / label_lengths.clamp(min=1)
        return losses.mean()

    def optimize_for_inference(
        self, dtype: torch.dtype | str | None = None, compile: bool | str = False
    ) -> "HTRConvTextForCTC":
        """
        Inference mode, in place: the same readings, faster. Batch norms are folded into the convolutions, attention is
        computed without its matrix, the relative position bias is kept between batches, and a CPU takes large batches
        in parts. Weights and state dict stay as they are: `save_pretrained` writes what was loaded, `train()` and
        loading weights end the mode, and wherever gradients are on, the weights themselves are used. Call it again
        after changing weights in place.

        Args:
            dtype: Type to compute in: `torch.bfloat16`, for example, or `"auto"`, which is bfloat16 where the device
                has units for its matrix products (CUDA from compute capability 8.0, CPUs with AMX) and the present
                type elsewhere. `None` keeps the present type. Another type than the weights' rounds the weights,
                after folding them in float32, and the model can no longer be saved.
            compile: Whether to compile with `torch.compile`, or its mode: `"reduce-overhead"` uses CUDA graphs. Worth
                it on a GPU for many batches of few shapes.

        Returns:
            The model itself, in evaluation mode.
        """
        self.eval()
        self.set_attn_implementation("sdpa")
        dtype = best_dtype(self.device, self.dtype) if dtype == "auto" else dtype or self.dtype
        foldable = [module for module in self.modules() if isinstance(module, HTRConvTextFoldable)]
        for module in foldable:
            module.fold()
        if dtype != self.dtype:
            self._rounded_from = self.dtype
        self.to(dtype)
        if compile:
            self.compile(mode=None if compile is True else compile)
        return self

    @property
    def is_optimized_for_inference(self) -> bool:
        """Whether the model is in inference mode."""
        return self.htr_convtext.backbone.stem.folded is not None

    def save_pretrained(self, save_directory, *args, **kwargs):
        """Saves as every transformers model does, unless `optimize_for_inference` rounded the weights."""
        if self._rounded_from is not None:
            raise ValueError(
                f"optimize_for_inference(dtype=...) rounded the weights from {self._rounded_from} to {self.dtype}; "
                "saved, they would pass for the model's own. Load the model again to save it."
            )
        super().save_pretrained(save_directory, *args, **kwargs)

    @torch.no_grad()
    def generate(self, pixel_values: torch.Tensor, **kwargs) -> torch.Tensor:
        """
        Reads lines greedily, so that code written for an autoregressive recogniser runs unchanged.

        Args:
            pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`.
            **kwargs: Passed to `forward`.

        Returns:
            Character classes of shape `(batch_size, longest_text)`, padded on the right with 0, the blank, for
            `processor.batch_decode(ids, skip_special_tokens=True)`.
        """
        classes = self(pixel_values, **kwargs).logits.argmax(dim=-1)
        emitted = classes != self.config.pad_token_id
        emitted[:, 1:] &= classes[:, 1:] != classes[:, :-1]
        lengths = emitted.sum(dim=-1)
        sequences = classes.new_full((classes.shape[0], int(lengths.max())), self.config.pad_token_id)
        positions = torch.arange(sequences.shape[1], device=classes.device)
        sequences[positions < lengths[:, None]] = classes[emitted]
        return sequences

    def as_pipeline(self, processor, **kwargs):
        """
        Wraps the model as the "image-to-text" pipeline that reads lines.

        Args:
            processor ([`HTRConvTextProcessor`]): Its processor.
            **kwargs: Options of the pipeline, such as `device` and `batch_size`.
        """
        # save_pretrained copies only files that a relative import names: this one brings the pipeline along.
        from .pipeline_htr_convtext import HTRConvTextPipeline

        return HTRConvTextPipeline(model=self, processor=processor, task="image-to-text", **kwargs)


def best_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """bfloat16 where the device has matrix units for it, or else `dtype`."""
    if device.type == "cuda":
        # Not is_bf16_supported(): it counts emulation.
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else dtype
    # A CPU's AVX512 instructions for bfloat16 do not count: without AMX, float32 was faster.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if device.type == "cpu" and capabilities.get("amx_bf16") else dtype


def check_labels(labels: torch.Tensor, vocab_size: int) -> None:
    """Refuses label classes outside `1..vocab_size - 1`; negative ones are padding."""
    if torch.compiler.is_compiling() or labels.numel() == 0:
        return
    if labels.max() >= vocab_size:
        raise ValueError(f"Label values must be below vocab_size {vocab_size}. Got {int(labels.max())}.")
    if (labels == 0).any():
        raise ValueError("Class 0 is the CTC blank and cannot be a label. Pad labels with -100.")


def character_contexts(labels: torch.Tensor, size: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The `size` characters before and after every position of every label (paper section on the TCM).

    Args:
        labels: Classes of shape `(batch_size, label_length)`, padded on the right with negative numbers.
        size: Length of a context.
        pad: Class that stands where there is no character.

    Returns:
        Left contexts, right aligned, and right contexts, left aligned: each `(batch_size, label_length, size)`.
    """
    length = labels.shape[1]
    characters = labels.masked_fill(labels < 0, pad)
    windows = nn.functional.pad(characters, (size, size), value=pad).unfold(1, size, 1)
    return windows[:, :length], windows[:, size + 1 : size + 1 + length]


class HTRConvTextTCM(HTRConvTextPreTrainedModel):
    """
    Textual Context Module: teaches the encoder's features the characters around each character. Training only.

    For every character of a label, the five before it and the five after it each make a query; the query attends to
    the encoder's features, and what it finds there must tell the character (paper section on the TCM).

    Args:
        config: Sizes of the network whose features it attends to, and of the module (`tcm_*`).
    """

    base_model_prefix = "tcm"
    main_input_name = "features"

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
        self.dropout = HTRConvTextDropout(config.tcm_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.vocab_size + 1)
        self.post_init()

    def _init_weights(self, module):
        super()._init_weights(module)
        if module is self:
            nn.init.normal_(self.left_direction, std=0.02)
            nn.init.normal_(self.right_direction, std=0.02)

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> HTRConvTextTCMOutput:
        """
        Args:
            features: The encoder's `last_hidden_state` of shape `(batch_size, frames, hidden_size)`.
            labels: Character classes of shape `(batch_size, label_length)`, padded on the right with -100.

        Returns:
            The loss, its parts by position, and both directions' logits.
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
        """
        Args:
            context: Classes of shape `(batch_size, label_length, context_size)`.
            direction: Vector of shape `(tcm_hidden_size,)` that tells left from right.
            memory: Normed features of shape `(batch_size, frames, hidden_size)`.

        Returns:
            Logits of shape `(batch_size, label_length, vocab_size + 1)`.
        """
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

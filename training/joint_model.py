# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Recogniser and Textual Context Module as the one module that training wraps, shards and compiles."""

import torch
from torch import nn

from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM


class HTRConvTextWithTCM(nn.Module):
    """
    A recogniser with the module that teaches it context. Only training knows it: what is saved is the recogniser.

    Args:
        model: The recogniser.
        tcm: The Textual Context Module, or `None` to train with CTC alone.
        freeze_batch_norm: Whether the batch norms keep their statistics and use them in training.
    """

    main_input_name = "pixel_values"
    accepts_loss_kwargs = False

    def __init__(self, model: HTRConvTextForCTC, tcm: HTRConvTextTCM | None = None, freeze_batch_norm: bool = False):
        super().__init__()
        self.model = model
        self.tcm = tcm
        self.freeze_batch_norm = freeze_batch_norm

    @property
    def config(self):
        """The recogniser's configuration, which Trainer and its callbacks look at."""
        return self.model.config

    def train(self, mode: bool = True):
        super().train(mode)
        if self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def activation_checkpointing_enable(self, **kwargs):
        """Trades time for memory in the recogniser, as Trainer asks with `--activation_checkpointing`."""
        self.model.activation_checkpointing_enable(**kwargs)

    def lines_averaged(self, lines):
        """Lines that the CTC loss of so many lines is the mean of: all, or with `ctc_loss_reduction` "sum" one."""
        return 1 if self.config.ctc_loss_reduction == "sum" else lines

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """
        Args:
            pixel_values: Lines of shape `(batch_size, 1, height, width)`.
            labels: Classes of shape `(batch_size, label_length)`, padded with -100.

        Returns:
            `logits` of shape `(batch_size, frames, vocab_size)`; with labels instead the sums `ctc` over lines and
            `tcm` over real positions (0 without the module), so that both can be averaged over the global batch.
        """
        outputs = self.model(pixel_values, labels=labels)
        if labels is None:
            return {"logits": outputs.logits}
        losses = {"ctc": outputs.loss * self.lines_averaged(len(labels)), "tcm": torch.zeros_like(outputs.loss)}
        if self.tcm is not None:
            losses["tcm"] = self.tcm(outputs.last_hidden_state, labels).position_losses.sum()
        return losses

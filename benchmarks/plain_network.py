"""The network as one writes it down first, NCHW maps and attention materialised: what speed is measured against."""

from copy import deepcopy

from torch import nn

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC
from htr_convtext.modeling_htr_convtext import (
    HTRConvTextBackbone,
    HTRConvTextConvLayer,
    HTRConvTextMobileViTLayer,
)


class PlainBackbone(HTRConvTextBackbone):
    def forward(self, pixel_values):
        hidden_state = self.pooler(self.stem(pixel_values.contiguous()))
        for stage in self.stages:
            hidden_state = stage(hidden_state)
        return self.pooler(hidden_state).flatten(2).transpose(1, 2)


class PlainMobileViTLayer(HTRConvTextMobileViTLayer):
    def fold(self, tokens, batch_size):
        return super().fold(tokens, batch_size).contiguous()


def plain_network(config: HTRConvTextConfig) -> HTRConvTextForCTC:
    """
    A network with the modules and parameters of [`HTRConvTextForCTC`] that spends no thought on speed.

    Args:
        config: Its sizes.
    """
    # A copy, because transformers writes the attention into the configuration, which others may share.
    model = HTRConvTextForCTC._from_config(deepcopy(config), attn_implementation="eager")
    backbone = model.htr_convtext.backbone
    backbone.__class__ = PlainBackbone
    backbone.stem.__class__ = HTRConvTextConvLayer
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.__class__ = nn.Dropout
    for stage in backbone.stages:
        if isinstance(stage.mobilevit, HTRConvTextMobileViTLayer):
            stage.mobilevit.__class__ = PlainMobileViTLayer
    return model

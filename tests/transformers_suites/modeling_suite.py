# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""transformers' common tests of models and configurations, for ours. Run by test_transformers_suites.py."""

import unittest

import pytest
import torch
from transformers_tests import test_modeling_common
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin, floats_tensor

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC, HTRConvTextModel, HTRConvTextTCM

# The common tests tell models without a loss by transformers' own list.
test_modeling_common.MODEL_MAPPING_NAMES = {
    **test_modeling_common.MODEL_MAPPING_NAMES,
    "htr_convtext": "HTRConvTextModel",
}


class HTRConvTextModelTester:
    """A network of the smallest sizes and a batch of images, under the names that the common tests ask for."""

    is_training = True
    batch_size = 4
    num_channels = 1
    image_height = 64
    image_width = 64
    seq_length = 16  # frames of an image
    label_length = 5
    vocab_size = 20
    hidden_size = 32
    num_hidden_layers = 2
    num_attention_heads = 4

    def __init__(self, parent):
        self.parent = parent

    def get_config(self):
        return HTRConvTextConfig(
            vocab_size=self.vocab_size,
            image_width=self.image_width,
            hidden_size=self.hidden_size,
            backbone_head_dim=8,
            backbone_depths=(1, 1, 1),
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=37,
        )

    def prepare_config_and_inputs_for_common(self):
        shape = [self.batch_size, self.num_channels, self.image_height, self.image_width]
        return self.get_config(), {"pixel_values": floats_tensor(shape)}


class HTRConvTextModelTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (HTRConvTextModel, HTRConvTextForCTC)
    # Its `generate` decodes frames and has none of the options of transformers' own; it has tests of its own.
    all_generative_model_classes = ()
    test_resize_embeddings = False

    def setUp(self):
        self.model_tester = HTRConvTextModelTester(self)

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs_dict = super()._prepare_for_class(inputs_dict, model_class, return_labels=return_labels)
        # The common tests know the models with CTC labels by name, and pad with class 0, our blank.
        if return_labels and model_class is HTRConvTextForCTC:
            labels_shape = (self.model_tester.batch_size, self.model_tester.label_length)
            inputs_dict["labels"] = torch.ones(labels_shape, dtype=torch.long)
        return inputs_dict


class HTRConvTextTCMTester(HTRConvTextModelTester):
    def prepare_config_and_inputs_for_common(self):
        features = floats_tensor([self.batch_size, self.seq_length, self.hidden_size])
        labels = torch.ones(self.batch_size, self.label_length, dtype=torch.long)
        return self.get_config(), {"features": features, "labels": labels}


class HTRConvTextTCMTest(ModelTesterMixin, unittest.TestCase):
    all_model_classes = (HTRConvTextTCM,)
    test_resize_embeddings = False
    has_attentions = False

    def setUp(self):
        self.model_tester = HTRConvTextTCMTester(self)


CONFIGURATION_CHECKS = sorted(
    name for name in vars(ConfigTester) if name.startswith(("create_and_test_", "check_config_"))
)


@pytest.mark.parametrize("check", CONFIGURATION_CHECKS)
def test_configuration(check):
    parent = unittest.TestCase()
    parent.model_tester = HTRConvTextModelTester(parent)
    getattr(ConfigTester(parent, config_class=HTRConvTextConfig, hidden_size=64, backbone_head_dim=16), check)()

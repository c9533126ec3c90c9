# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sizes that work, and sizes that contradict each other."""

import json
import re

import numpy as np
import pytest

from htr_convtext import HTRConvTextConfig


def test_defaults_are_the_papers_sizes():
    config = HTRConvTextConfig()
    assert config.backbone_hidden_sizes == [128, 256, 512]
    assert config.intermediate_size == 2048
    assert (config.downsample_after_layer, config.upsample_after_layer) == (3, 7)


@pytest.mark.parametrize(("width", "frames"), [(512, 128), (1, 1), (200, 50), (333, 84), (1024, 256)])
def test_frames(width, frames):
    assert HTRConvTextConfig().frames(width) == frames
    assert HTRConvTextConfig(backbone_width_strides=(2, 1, 2, 1)).frames(width) == frames
    assert HTRConvTextConfig(backbone_width_strides=(1, 1, 1, 2)).frames(width) == -(-width // 2)


def test_saved_configuration_names_code_and_pipeline(tmp_path):
    config = HTRConvTextConfig(vocab_size=10, hidden_size=128, backbone_head_dim=32)
    config.custom_pipelines["image-to-text"]["pt"] = (
        HTRConvTextConfig,
    )  # as transformers.pipeline() leaves it behind
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["auto_map"]["AutoModelForCTC"] == "modeling_htr_convtext.HTRConvTextForCTC"
    assert saved["custom_pipelines"]["image-to-text"]["impl"] == "pipeline_htr_convtext.HTRConvTextPipeline"
    assert saved["custom_pipelines"]["image-to-text"]["pt"] == ["AutoModel"]
    assert HTRConvTextConfig.from_pretrained(tmp_path).backbone_hidden_sizes == [32, 64, 128]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"hidden_size": 500, "backbone_hidden_sizes": [64, 128, 500]},
            "hidden_size must be a multiple of num_attention",
        ),
        ({"hidden_size": 512, "num_attention_heads": 7}, "512 and 7"),
        ({"hidden_size": 128}, "32 is not"),
        ({"backbone_hidden_sizes": [64, 128, 256]}, "must equal hidden_size 512"),
        ({"backbone_hidden_sizes": [64, 512]}, "3 stages"),
        ({"backbone_mobilevit": [True]}, "backbone_mobilevit needs one value for each of the 3 stages"),
        ({"backbone_depths": [2, 0, 2]}, "backbone_depths"),
        ({"backbone_width_strides": [1, 2, 2]}, "backbone_width_strides"),
        ({"backbone_width_strides": [1, 1, 2, 4]}, "backbone_width_strides"),
        ({"num_hidden_layers": 1}, "downsample_after_layer"),
        ({"downsample_after_layer": 5, "upsample_after_layer": 5}, "Got 5, 5 and 8"),
        ({"upsample_after_layer": 9}, "Got 3, 9 and 8"),
        ({"conv_kernel_size": 6}, "conv_kernel_size must be odd"),
        ({"tcm_conv_kernel_size": 2}, "tcm_conv_kernel_size must be odd"),
        ({"vocab_size": 1}, "vocab_size"),
        ({"image_height": 65}, "image_height"),
        ({"num_attention_heads": 0}, "num_attention_heads must be at least 1"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob"),
        ({"ctc_loss_reduction": "median"}, "median"),
        ({"pad_token_id": 3}, "pad_token_id"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HTRConvTextConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": "512"}, "hidden_size must be a whole number. Got '512'"),
        ({"hidden_size": 512.0}, "hidden_size must be a whole number. Got 512.0"),
        ({"hidden_size": True}, "hidden_size must be a whole number. Got True"),
        ({"hidden_size": None}, "hidden_size must be a whole number. Got None"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps must be a number. Got 'small'"),
        ({"hidden_act": 3}, "hidden_act must be a name. Got 3"),
        ({"ctc_zero_infinity": 1}, "ctc_zero_infinity must be true or false. Got 1"),
        ({"backbone_depths": 2}, "backbone_depths must be a list. Got 2"),
        ({"backbone_depths": [2, "2", 2]}, "backbone_depths must be a list, and each part of it a whole number."),
        ({"backbone_hidden_sizes": {"1": 2}}, "backbone_hidden_sizes must be a list"),
        ({"intermediate_size": []}, "intermediate_size must be a whole number"),
        ({"dtype": "float23"}, "dtype must be the name of a type of torch's, such as \"float32\". Got 'float23'"),
        ({"dtype": [1]}, "dtype must be the name of a type of torch's"),
    ],
)
def test_another_type_than_the_default_s_is_named(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        HTRConvTextConfig(**options)


def test_numbers_and_lists_of_other_python_types_are_taken():
    config = HTRConvTextConfig(hidden_dropout_prob=0, backbone_depths=(1, 1, 1), intermediate_size=np.int64(64))
    assert config.hidden_dropout_prob == 0 and config.backbone_depths == [1, 1, 1]


def test_the_width_of_images_is_the_processors_alone(root):
    config = HTRConvTextConfig(image_width=512)  # of a folder written before
    assert not hasattr(config, "image_width")
    for file in (root / "hub_upload").glob("*/config.json"):
        assert "image_width" not in json.loads(file.read_text())

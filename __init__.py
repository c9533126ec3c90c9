# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""HTR-ConvText handwritten line recognition for transformers."""

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCTC,
    AutoProcessor,
    AutoTokenizer,
)

from .configuration_htr_convtext import SIZES, HTRConvTextConfig
from .images_htr_convtext import load_image
from .language_model_htr_convtext import HTRConvTextDecoder
from .modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextModel, HTRConvTextPreTrainedModel, HTRConvTextTCM
from .pipeline_htr_convtext import HTRConvTextPipeline
from .processing_htr_convtext import ALPHABETS, HTRConvTextImageProcessor, HTRConvTextProcessor, HTRConvTextTokenizer

__version__ = "0.1.0"

AutoConfig.register(HTRConvTextConfig.model_type, HTRConvTextConfig)
AutoModel.register(HTRConvTextConfig, HTRConvTextForCTC)
AutoModelForCTC.register(HTRConvTextConfig, HTRConvTextForCTC)
AutoImageProcessor.register(HTRConvTextConfig, slow_image_processor_class=HTRConvTextImageProcessor)
AutoTokenizer.register(HTRConvTextConfig, slow_tokenizer_class=HTRConvTextTokenizer)
AutoProcessor.register(HTRConvTextConfig, HTRConvTextProcessor)

__all__ = [
    "ALPHABETS",
    "SIZES",
    "HTRConvTextConfig",
    "HTRConvTextDecoder",
    "HTRConvTextForCTC",
    "HTRConvTextImageProcessor",
    "HTRConvTextModel",
    "HTRConvTextPipeline",
    "HTRConvTextPreTrainedModel",
    "HTRConvTextProcessor",
    "HTRConvTextTCM",
    "HTRConvTextTokenizer",
    "__version__",
    "load_image",
]

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
from .modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextModel, HTRConvTextPreTrainedModel, HTRConvTextTCM
from .pipeline_htr_convtext import HTRConvTextPipeline
from .processing_htr_convtext import (
    ALPHABETS,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
    load_image,
)

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
    "HTRConvTextForCTC",
    "HTRConvTextImageProcessor",
    "HTRConvTextModel",
    "HTRConvTextPipeline",
    "HTRConvTextPreTrainedModel",
    "HTRConvTextProcessor",
    "HTRConvTextTCM",
    "HTRConvTextTokenizer",
    "load_image",
]

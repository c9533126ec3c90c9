# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""transformers' common tests of processors, image processors and tokenizers, for ours."""

import unittest

from transformers_tests.test_image_processing_common import ImageProcessingTester, ImageProcessingTestMixin
from transformers_tests.test_processing_common import ProcessorTesterMixin
from transformers_tests.test_tokenization_common import TokenizerTesterMixin

from htr_convtext import HTRConvTextImageProcessor, HTRConvTextProcessor, HTRConvTextTokenizer

# What the common tests' texts are made of: no line alphabet has all of it, and ours refuse what they do not have.
ALPHABET = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x218, 0x21C)]))


class HTRConvTextProcessorTest(ProcessorTesterMixin, unittest.TestCase):
    processor_class = HTRConvTextProcessor
    text_input_name = "labels"

    @classmethod
    def _setup_image_processor(cls):
        return HTRConvTextImageProcessor()

    @classmethod
    def _setup_tokenizer(cls):
        return HTRConvTextTokenizer.from_alphabet(ALPHABET)


class HTRConvTextImageProcessingTester(ImageProcessingTester):
    def __init__(self, parent, **kwargs):
        kwargs.setdefault("size", {"height": 64, "width": 128})
        super().__init__(parent, **kwargs)

    def _get_image_processing_classes(self):
        return {"pil": HTRConvTextImageProcessor}

    def _get_valid_images_kwargs_keys(self):
        return {"size"}

    def expected_output_image_shape(self, images):
        return 1, self.size["height"], self.size["width"]


class HTRConvTextImageProcessingTest(ImageProcessingTestMixin, unittest.TestCase):
    image_processor_tester_class = HTRConvTextImageProcessingTester


class HTRConvTextTokenizationTest(TokenizerTesterMixin, unittest.TestCase):
    tokenizer_class = HTRConvTextTokenizer
    test_seq2seq = False
    test_tokenizer_from_extractor = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        HTRConvTextTokenizer.from_alphabet(ALPHABET).save_pretrained(cls.tmpdirname)

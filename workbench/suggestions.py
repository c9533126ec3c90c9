# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What else the doubtful words of a line may be: the other readings that a beam search finds in their frames."""

from typing import Any

import torch
from PIL import Image

from ..decoding_htr_convtext import CTCHypothesis, decode_greedily, frames_between
from ..language_model_htr_convtext import CONTEXT, HTRConvTextDecoder, certain
from ..pipeline_htr_convtext import HTRConvTextPipeline
from ..processing_htr_convtext import HTRConvTextProcessor

# A word is doubtful below this; as shaded words begin to show.
DOUBTFUL = 0.9
# Offered for one word, and for all of a line: as many as there are keys.
OF_A_WORD, OF_A_LINE = 2, 4


@torch.no_grad()
def suggestions_for(image: Image.Image, recognizer: HTRConvTextPipeline) -> list[dict[str, Any]]:
    """
    Args:
        image: The line.
        recognizer: The pipeline that reads it; its language model, if it has one, has a say.

    Returns:
        For each of the words that it is least sure of its `place` among the words, its `word`, its `confidence`, and
        `instead`, another reading of its frames; a word may come twice.
    """
    processor = recognizer.processor
    decoder = decoder_of(processor)
    logits = recognizer.model(pixel_values=processor(images=image, return_tensors="pt").pixel_values).logits
    space_id = processor.tokenizer.get_vocab().get(" ")
    (hypothesis,) = decode_greedily(logits, processor.tokenizer.pad_token_id, space_id, processor.calibration)
    found = []
    for place, (start, end, score) in enumerate(hypothesis.words):
        if score >= DOUBTFUL:
            continue
        word = decoder.text_of_ids(hypothesis.token_ids[start:end])
        others = other_readings(decoder, hypothesis, logits[0].float(), start, end)[:OF_A_WORD]
        told = {"place": place, "word": word, "confidence": score}
        found += [(rank, score, {**told, "instead": instead}) for rank, instead in enumerate(others)]
    # First one for each word, those of the least sure words before all others.
    chosen = [suggestion for *_, suggestion in sorted(found, key=lambda each: each[:2])[:OF_A_LINE]]
    return sorted(chosen, key=lambda each: each["place"])


def decoder_of(processor: HTRConvTextProcessor) -> HTRConvTextDecoder:
    """The model's own search, or one without a language model: teaching may have added characters to the alphabet."""
    own, alphabet = processor.decoder, processor.tokenizer.alphabet
    return own if own is not None and own.alphabet == alphabet else HTRConvTextDecoder(alphabet)


def other_readings(
    decoder: HTRConvTextDecoder, hypothesis: CTCHypothesis, logits: torch.Tensor, start: int, end: int
) -> list[str]:
    """
    What the frames of a word may say instead, the best first, without white space around it.

    Args:
        decoder: The search.
        hypothesis: The reading of the line.
        logits: Its logits of shape `(frames, vocab_size)`.
        start: The word's first character.
        end: The character after its last.
    """
    first, last = frames_between(hypothesis, start, end)
    neighbours = hypothesis.token_ids[max(0, start - CONTEXT) : start], hypothesis.token_ids[end : end + CONTEXT]
    before, after = (certain(ids, logits.shape[-1]) for ids in neighbours)
    prefix, suffix = map(decoder.text_of_ids, neighbours)
    read = decoder.text_of_ids(hypothesis.token_ids[start:end])
    ranked = decoder.rank(decoder.search(torch.cat([before, logits[first:last], after])))
    whole = [text for _, text, _ in ranked if text.startswith(prefix) and text.endswith(suffix)]
    others = [text[len(prefix) : len(text) - len(suffix)].strip() for text in whole]
    return [text for text in dict.fromkeys(others) if text and text != read]

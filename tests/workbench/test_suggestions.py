# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What doubtful words may be instead: other words, with more characters or fewer, too."""

import pytest
import torch

pytest.importorskip("flashlight.lib.text", reason="no flashlight-text: `make test` installs the extra [workbench]")

from htr_convtext import HTRConvTextProcessor  # noqa: E402
from htr_convtext.decoding_htr_convtext import decode_greedily  # noqa: E402
from htr_convtext.language_model_htr_convtext import HTRConvTextDecoder  # noqa: E402
from htr_convtext.workbench.reading import Reader  # noqa: E402
from htr_convtext.workbench.suggestions import decoder_of, other_readings  # noqa: E402

ALPHABET = "abel "
BLANK = "_"
LEAST = 1e-4


def logits_of(*frames: dict[str, float]) -> torch.Tensor:
    """Logits of shape `(1, frames, vocab_size)` with the probabilities of some classes of each frame."""
    probs = torch.full((len(frames), len(ALPHABET) + 1), LEAST)
    for frame, of_frame in enumerate(frames):
        for character, prob in of_frame.items():
            probs[frame, (BLANK + ALPHABET).index(character)] = prob
    return probs.log()[None]


def sure(text: str) -> list[dict[str, float]]:
    return [{character: 0.99} for character in text]


def others(decoder: HTRConvTextDecoder, logits: torch.Tensor, place: int) -> list[str]:
    (hypothesis,) = decode_greedily(logits, 0, ALPHABET.index(" ") + 1)
    start, end, _ = hypothesis.words[place]
    return other_readings(decoder, hypothesis, logits[0], start, end)


@pytest.mark.parametrize(
    "doubtful, instead",
    [
        ({"a": 0.6, "e": 0.3}, "bel"),  # substituted
        ({BLANK: 0.6, "e": 0.3}, "bel"),  # inserted
        ({"e": 0.6, BLANK: 0.3}, "bl"),  # deleted
        ({BLANK: 0.6, " ": 0.3}, "b l"),  # two words
    ],
)
def test_any_edit_is_offered(doubtful, instead):
    logits = logits_of(*sure("la "), *sure("b"), doubtful, *sure("l"), *sure(" e"))
    assert others(HTRConvTextDecoder(ALPHABET), logits, 1)[0] == instead


def test_more_than_one_character_may_differ():
    logits = logits_of(*sure("b"), {"a": 0.5, "e": 0.45}, {BLANK: 0.5, "l": 0.45}, *sure("_b"))
    assert "belb" in others(HTRConvTextDecoder(ALPHABET), logits, 0)


def test_what_the_search_knows_of_words_has_a_say():
    logits = logits_of(*sure("b"), {BLANK: 0.5, "e": 0.3, "a": 0.2}, *sure("l "), *sure("a"))
    assert others(HTRConvTextDecoder(ALPHABET), logits, 0)[:2] == ["bel", "bal"]
    knowing = HTRConvTextDecoder(ALPHABET, words=["bal"], word_bonus=1.0)
    assert others(knowing, logits, 0)[:2] == ["bal", "bel"]


def test_a_search_for_another_alphabet_is_left_out(model_folder):
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    assert decoder_of(processor).alphabet == processor.tokenizer.alphabet
    processor.decoder = own = HTRConvTextDecoder(processor.tokenizer.alphabet, words=["bal"])
    assert decoder_of(processor) is own
    processor.decoder = HTRConvTextDecoder(ALPHABET)
    assert decoder_of(processor).alphabet == processor.tokenizer.alphabet


def test_suggestions_of_a_real_line_fit_its_words(project):
    line = project.queue("worst")[0]
    words = line.text.split(" ")
    found = Reader(project).suggestions(*line.key)
    assert 0 < len(found) <= 4
    for each in found:
        assert words[each["place"]] == each["word"] and each["instead"] != each["word"]

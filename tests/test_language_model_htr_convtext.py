# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Beam search against sums over every path, decoders that travel, and what is refused."""

import copy
import gzip
import itertools
import json
import math
import os
import pickle
import re
import shutil
import sys
import threading
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from htr_convtext import (
    HTRConvTextDecoder,
    HTRConvTextForCTC,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
    language_model_htr_convtext,
)
from htr_convtext.decoding.ngrams import estimate, write_arpa
from htr_convtext.decoding_htr_convtext import decode_greedily, score_paths
from htr_convtext.language_model_htr_convtext import token_of

ALPHABET = " ab"
# A bigram model of the tokens " " (U+0020), a and b; what is left out backs off.
ARPA = b"""\\data\\
ngram 1=6
ngram 2=4

\\1-grams:
-99\t<s>\t-0.3
-0.9\t</s>
-99\t<unk>
-0.8\tU+0020\t-0.1
-0.3\ta\t-0.2
-0.7\tb\t-0.4

\\2-grams:
-0.2\t<s> b
-0.1\ta b
-0.5\tb U+0020
-0.3\tb </s>

\\end\\
"""
UNIGRAMS = {"<s>": (-99, -0.3), "</s>": (-0.9, 0), " ": (-0.8, -0.1), "a": (-0.3, -0.2), "b": (-0.7, -0.4)}
BIGRAMS = {("<s>", "b"): -0.2, ("a", "b"): -0.1, ("b", " "): -0.5, ("b", "</s>"): -0.3}


def slow_language_model(text: str) -> float:
    """Natural logarithm of a text's probability, line end included."""
    tokens = ["<s>", *text, "</s>"]
    pairs = itertools.pairwise(tokens)
    return math.log(10) * sum(BIGRAMS.get(pair, UNIGRAMS[pair[0]][1] + UNIGRAMS[pair[1]][0]) for pair in pairs)


def slow_forward(logits: torch.Tensor, alphabet: str) -> dict[str, float]:
    """Log probability of every text, by the sum over all paths."""
    probs = logits.double().softmax(-1).numpy()
    totals: dict[str, float] = {}
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        text = "".join(alphabet[index - 1] for index, _ in itertools.groupby(path) if index)
        totals[text] = totals.get(text, 0.0) + float(np.prod(probs[np.arange(len(probs)), path]))
    return {text: math.log(total) for text, total in totals.items()}


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def processor_of(alphabet: str = ALPHABET, **options) -> HTRConvTextProcessor:
    return HTRConvTextProcessor(HTRConvTextImageProcessor(), HTRConvTextTokenizer.from_alphabet(alphabet), **options)


def texts(decoder: HTRConvTextDecoder, logits: torch.Tensor) -> list[str]:
    return ["".join(ALPHABET[i - 1] for i in line.token_ids) for (line,) in decoder.decode(logits)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [
        {"lm_weight": 0.0},
        {"lm_weight": 0.7},
        {"lm_weight": 1.5, "length_bonus": 0.8},
        {"lm_weight": 0.4, "word_bonus": 0.9, "words": ["ab", "b"]},
    ],
)
def test_every_reading_has_the_exact_score(options, seed, monkeypatch):
    """A beam that holds everything finds every text, and ranks by the sums over all paths."""
    monkeypatch.setattr(language_model_htr_convtext, "BEAM_THRESHOLD", 1e3)
    logits = random_logits(5, 4, seed=seed)
    decoder = HTRConvTextDecoder(ALPHABET, ARPA, beam_size=5000, beam_candidates=4, **options)
    forward = slow_forward(logits, ALPHABET)
    (readings,) = decoder.decode(logits[None], readings=10_000)
    expected = {
        text: log_prob
        + options["lm_weight"] * slow_language_model(text)
        + options.get("length_bonus", 0) * len(text)
        + options.get("word_bonus", 0) * sum(len(word) for word in text.split() if word in ("ab", "b"))
        for text, log_prob in forward.items()
    }
    found = {"".join(ALPHABET[i - 1] for i in reading.token_ids): reading.log_score for reading in readings}
    assert found.keys() == expected.keys()
    assert [found[text] for text in expected] == pytest.approx(list(expected.values()), abs=1e-4)
    assert [reading.log_score for reading in readings] == sorted(found.values(), reverse=True)
    assert next(iter(found)) == max(expected, key=expected.__getitem__)


def test_without_a_language_model_the_forward_score_ranks():
    for seed in range(6):
        logits = random_logits(6, 3, seed=seed)
        forward = slow_forward(logits, "ab")
        decoder = HTRConvTextDecoder("ab", beam_size=500, lm_weight=3.0)
        ((best,),) = decoder.decode(logits[None])
        text = "".join("ab"[i - 1] for i in best.token_ids)
        assert text == max(forward, key=forward.__getitem__)
        # A line of one word, which has all of the line's frames: its share of all texts.
        assert best.score == pytest.approx(math.exp(forward[text]), rel=1e-4) if text else True


def test_the_language_model_mends_what_the_image_leaves_open():
    logits = torch.full((1, 5, 4), -4.0)
    for frame, index in enumerate([2, 0, 2, 0, 0]):  # "aa", the second almost "b"
        logits[0, frame, index] = 4
    logits[0, 2, 3] = 3.5
    assert texts(HTRConvTextDecoder(ALPHABET, ARPA, lm_weight=0.0), logits) == ["aa"]
    assert texts(HTRConvTextDecoder(ALPHABET, ARPA, lm_weight=1.0), logits) == ["ab"]


def test_places_and_scores_are_those_of_the_frames():
    logits = torch.full((1, 7, 4), -9.0)
    for frame, index in enumerate([0, 2, 2, 0, 3, 1, 3]):
        logits[0, frame, index] = 9
    (greedy,) = decode_greedily(logits, 0, 1)
    ((found,),) = HTRConvTextDecoder(ALPHABET, ARPA).decode(logits)
    assert (found.token_ids, found.starts, found.ends) == (greedy.token_ids, greedy.starts, greedy.ends)
    assert [word[:2] for word in found.words] == [word[:2] for word in greedy.words]
    assert (found.scores, found.score) == (
        pytest.approx(greedy.scores, abs=1e-4),
        pytest.approx(greedy.score, abs=1e-4),
    )


@pytest.mark.parametrize(
    "word", ["e\u0301te\u0301", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0634\u064e\u0645\u0633", "été"]
)
def test_a_word_with_marks_of_their_own_is_known(word):
    """Accents that are characters of a model, vowels of Indian scripts, and those of Arabic and Hebrew."""
    decoder = HTRConvTextDecoder(" ,9" + "".join(sorted(set(word))), words=[word], word_bonus=1.0, normal_form="none")
    assert decoder.bonus(f"9{word}, {word[:-1]} {word[-1]}") == len(word)


@pytest.mark.parametrize("options", [{"lm_weight": 0.7, "length_bonus": 0.4}, {"lm_weight": 0.4, "word_bonus": 0.9}])
@pytest.mark.parametrize("seed", range(3))
def test_a_word_scores_its_share_of_all_between_its_neighbours(options, seed, monkeypatch):
    """ "b" and "ab", of 4 and 3 frames with the space between them: every path through each word's own."""
    monkeypatch.setattr(language_model_htr_convtext, "BEAM_THRESHOLD", 1e3)
    logits = random_logits(8, 4, seed=seed)
    decoder = HTRConvTextDecoder(ALPHABET, ARPA, words=["ab"], beam_size=5000, beam_candidates=4, **options)
    (reading,) = score_paths(logits[None], torch.tensor([[0, 3, 0, 0, 1, 2, 0, 3]]), space_id=1)
    decoder.weigh(reading, logits)
    for (_, _, score), before, span, after, word in zip(
        reading.words, ([], [3, 1]), (slice(0, 4), slice(5, 8)), ([1, 2, 3], []), ("b", "ab"), strict=True
    ):
        sure = [10 * torch.nn.functional.one_hot(torch.tensor(ids, dtype=torch.long), 4) for ids in (before, after)]
        forward = slow_forward(torch.cat([sure[0], logits[span], sure[1]]), ALPHABET)
        around = ["".join(ALPHABET[index - 1] for index in ids) for ids in (before, after)]
        weights = {
            text: math.exp(log_prob + options["lm_weight"] * slow_language_model(text) + decoder.bonus(text))
            for text, log_prob in forward.items()
            if text.startswith(around[0]) and text.endswith(around[1])
        }
        assert score == pytest.approx(weights[around[0] + word + around[1]] / sum(weights.values()), abs=0.01)
    assert reading.score == pytest.approx((reading.words[0][2] + 2 * reading.words[1][2]) / 3)


def test_a_character_scores_the_share_of_the_words_that_have_it():
    """Frames that leave "ab" and "bb" open, and nothing else: the second letter is sure."""
    logits = torch.full((4, 4), -20.0)
    for frame, index in enumerate([2, 0, 0, 3]):
        logits[frame, index] = 5
    logits[0, 3] = 5
    ((reading,),) = HTRConvTextDecoder(ALPHABET, lm_weight=0.0).decode(logits[None])
    assert reading.scores == [pytest.approx(0.5, abs=1e-3), pytest.approx(1, abs=1e-3)]
    assert reading.words == [(0, 2, pytest.approx(0.5, abs=1e-3))]


def test_the_processor_reads_with_it_and_gives_alternatives():
    decoder = HTRConvTextDecoder(ALPHABET, ARPA, beam_size=100)
    outputs = SimpleNamespace(logits=random_logits(2, 12, 4))
    readings = processor_of().post_process_text_recognition(
        outputs, [(64, 100), (64, 50)], decoder=decoder, alternatives=3, threshold=0.5
    )
    for reading, width in zip(readings, (100, 50), strict=True):
        assert len(reading["alternatives"]) == 3
        assert len({reading["text"], *(other["text"] for other in reading["alternatives"])}) == 4
        for other in (reading, *reading["alternatives"]):
            assert set(other) - {"alternatives"} == {"text", "score", "words", "characters", "check"}
            assert 0 <= other["score"] <= 1 and other["check"] is (other["score"] < 0.5)
            assert all(0 <= item["start"] < item["end"] <= width for item in other["characters"])


def test_it_travels_with_the_processor(tmp_path):
    decoder = HTRConvTextDecoder(
        ALPHABET, gzip.compress(ARPA), words=["ab"], lm_weight=0.6, length_bonus=0.1, calibration={"word": [2.0, 0.5]}
    )
    processor = processor_of(calibration={"line": [1.5, 0.0]})
    processor.decoder = decoder
    processor.save_pretrained(tmp_path / "model")
    loaded = HTRConvTextProcessor.from_pretrained(tmp_path / "model")
    assert loaded.calibration == {"character": [1.0, 0.0], "word": [1.0, 0.0], "line": [1.5, 0.0]}
    loaded.save_pretrained(tmp_path / "again")
    for folder in ("model", "again", "again/language_model"):
        found = HTRConvTextDecoder.from_pretrained(tmp_path / folder)
        assert found.to_dict() == decoder.to_dict() and found.words == {"ab"}
    outputs = SimpleNamespace(logits=random_logits(3, 9, 4))
    again = HTRConvTextProcessor.from_pretrained(tmp_path / "again")
    expected = processor.post_process_text_recognition(outputs, decoder=decoder)
    for way in (True, tmp_path / "again", str(tmp_path / "again" / "language_model"), again.decoder):
        assert again.post_process_text_recognition(outputs, decoder=way) == expected
    assert again.post_process_text_recognition(outputs) != expected  # greedy unless asked


def test_greedy_reading_needs_no_library(tmp_path, monkeypatch):
    processor = processor_of()
    processor.decoder = HTRConvTextDecoder(ALPHABET, ARPA)
    processor.save_pretrained(tmp_path)
    for name in [name for name in sys.modules if name.startswith("flashlight")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flashlight", None)
    loaded = HTRConvTextProcessor.from_pretrained(tmp_path)
    outputs = SimpleNamespace(logits=random_logits(1, 9, 4))
    assert loaded.post_process_text_recognition(outputs)[0]["text"]
    loaded.save_pretrained(tmp_path / "copy")
    with pytest.raises(ImportError, match=r"pip install .*\[lm\]"):
        loaded.post_process_text_recognition(outputs, decoder=True)


def test_a_model_without_one_says_so(tmp_path):
    processor_of().save_pretrained(tmp_path)
    processor = HTRConvTextProcessor.from_pretrained(tmp_path)
    outputs = SimpleNamespace(logits=random_logits(1, 9, 4))
    assert processor.decoder is None
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))} has none"):
        processor.post_process_text_recognition(outputs, decoder=True)
    with pytest.raises(FileNotFoundError, match="decoding.build"):
        processor.post_process_text_recognition(outputs, decoder=tmp_path)
    HTRConvTextDecoder(processor.tokenizer.alphabet).save_pretrained(tmp_path / "language_model")
    processor.post_process_text_recognition(outputs, decoder=True)
    for bonus in (1.0, 3.0):
        HTRConvTextDecoder(processor.tokenizer.alphabet, length_bonus=bonus).save_pretrained(tmp_path / "other")
        os.utime(tmp_path / "other" / "decoder_config.json", (bonus, bonus))
        assert processor.resolve_decoder(tmp_path / "other").length_bonus == bonus


def test_a_decoder_on_the_hub_may_be_out_of_reach(tmp_path):
    processor = processor_of()
    processor._source = "someone/model", {"cache_dir": tmp_path}
    outputs = SimpleNamespace(logits=random_logits(1, 9, 4))
    with pytest.raises(ValueError, match="someone/model has none .*; if it is on the Hub, that may be out of reach"):
        processor.post_process_text_recognition(outputs, decoder=True)
    with pytest.raises(FileNotFoundError, match="that may be out of reach"):
        processor.post_process_text_recognition(outputs, decoder="someone/model")


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [(" abc", r"it lacks \['c'\]"), (" a", r"it has \['b'\] besides"), ("ab ", "another order")],
)
def test_another_alphabet_is_refused_by_name(alphabet, message):
    outputs = SimpleNamespace(logits=random_logits(1, 9, len(alphabet) + 1))
    with pytest.raises(ValueError, match=message):
        processor_of(alphabet).post_process_text_recognition(outputs, decoder=HTRConvTextDecoder(ALPHABET, ARPA))


def test_logits_of_another_alphabet_are_refused():
    with pytest.raises(ValueError, match="3 characters, and the logits 5 classes"):
        HTRConvTextDecoder(ALPHABET, ARPA).decode(random_logits(1, 9, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size must be a whole number, at least 1. Got 0"),
        ({"beam_size": 2.5}, "beam_size"),
        ({"beam_candidates": 0}, "beam_candidates"),
        ({"lm_weight": -1}, "must not be negative"),
        ({"lm_weight": "1"}, "lm_weight must be a number"),
        ({"length_bonus": math.inf}, "length_bonus"),
        ({"normal_form": "NFX"}, "normal_form"),
        ({"calibration": {"word": [-1, 0]}}, "positive"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        HTRConvTextDecoder(ALPHABET, ARPA, **options)
    if "calibration" not in options:
        with pytest.raises(ValueError, match=message):
            HTRConvTextDecoder(ALPHABET, ARPA).with_options(**options)


@pytest.mark.parametrize("options", [{"alternatives": 2}, {"threshold": 1.5}, {"alternatives": -1}, {"decoder": 3}])
def test_wrong_ways_to_read_are_refused(options):
    outputs = SimpleNamespace(logits=random_logits(1, 9, 4))
    with pytest.raises(ValueError, match=next(iter(options))):
        processor_of().post_process_text_recognition(outputs, **options)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arpa: arpa[: len(arpa) // 2], "truncated"),
        (lambda arpa: arpa[: arpa.index(b"\\2-grams")], "truncated"),
        (lambda arpa: arpa.replace(b"-0.1\ta b\n", b""), "3 n-grams of order 2 instead of 4"),
        (lambda arpa: arpa.replace(b"-0.7\tb", b"-0.7\tc"), "another alphabet: it lacks .'b'. and it has .'c'."),
        (lambda arpa: b"hello", "no ARPA file"),
        (lambda arpa: b"", "no ARPA file"),
        (lambda arpa: gzip.compress(arpa)[:-20], "damaged"),
        (lambda arpa: gzip.compress(arpa)[:40] + b"\0\0\0" + gzip.compress(arpa)[43:], "damaged"),
    ],
)
def test_a_damaged_language_model_is_named(tmp_path, damage, message):
    HTRConvTextDecoder(ALPHABET, ARPA).save_pretrained(tmp_path)
    path = tmp_path / "characters.arpa.gz"
    path.write_bytes(damage(ARPA))
    with pytest.raises(ValueError, match=message) as error:
        HTRConvTextDecoder.from_pretrained(tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"alphabet": "ab"}', '{"beams": 3}'])
def test_a_damaged_configuration_is_named(tmp_path, text):
    HTRConvTextDecoder(ALPHABET, ARPA).save_pretrained(tmp_path)
    (tmp_path / "decoder_config.json").write_text(text)
    with pytest.raises(ValueError, match="decoder_config.json"):
        HTRConvTextDecoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("damage", [(b"-0.1\ta b", b"0.1\ta b"), (b"-0.7\tb", b"--\tb")])
def test_what_only_kenlm_sees_is_an_error_too(damage):
    damaged = ARPA.replace(*damage)
    assert damaged != ARPA
    decoder = HTRConvTextDecoder(ALPHABET, damaged)
    with pytest.raises(ValueError, match="KenLM says"):
        decoder.decode(random_logits(1, 9, 4))


def test_longer_ngrams_than_kenlm_reads_are_refused():
    with pytest.raises(ValueError, match="order 7; KenLM reads at most 6"):
        HTRConvTextDecoder(ALPHABET, ARPA.replace(b"ngram 2=4", b"ngram 2=4\nngram 7=1"))


def test_a_missing_language_model_is_named(tmp_path):
    HTRConvTextDecoder(ALPHABET, ARPA).save_pretrained(tmp_path)
    (tmp_path / "characters.arpa.gz").unlink()
    with pytest.raises(ValueError, match="characters.arpa.gz"):
        HTRConvTextDecoder.from_pretrained(tmp_path)


def test_words_in_another_normal_form_are_known():
    composed = HTRConvTextDecoder("\u00e9t", words=["e\u0301te\u0301"], word_bonus=1.0)
    assert composed.bonus("\u00e9t\u00e9") == 3.0
    assert composed.bonus("t\u00e9") == 0.0
    assert composed.bonus("\u00c9t\u00e9 t") == 3.0  # a capital at a sentence's beginning


def test_marks_are_letters_of_words():
    """Accents with characters of their own, the vowels of Hindi, a joiner of Persian."""
    words = {
        "\u00e9te\u0301": "NFD",
        "\u0915\u093f\u0924\u093e\u092c": "NFC",
        "\u0645\u06cc\u200c\u0631\u0648\u0645": "NFC",
    }
    for word, form in words.items():
        known = unicodedata.normalize(form, word)
        alphabet = "".join(sorted({*known, " ", "."}))
        decoder = HTRConvTextDecoder(alphabet, words=[word], word_bonus=1.0, normal_form=form)
        assert decoder.bonus(f". {known}.") == len(known) and decoder.bonus(known[:-1]) == 0


def test_words_with_apostrophes_and_hyphens_are_known_as_they_stand_and_in_parts():
    decoder = HTRConvTextDecoder("abcdehijlortuê '-,", words=["aujourd'hui", "peut-être", "arbre"], word_bonus=1.0)
    assert decoder.bonus("aujourd'hui, peut-être") == 10 + 8
    assert decoder.bonus("Aujourd'hui") == 10
    assert decoder.bonus("l'arbre") == decoder.bonus("-arbre-d") == 5
    assert decoder.bonus("aujourd hui") == 0


def test_copies_with_other_options_share_the_language_model(monkeypatch):
    loaded = []
    monkeypatch.setattr(language_model_htr_convtext, "load_engine", lambda *given: loaded.append(given) or (1, 2))
    decoder = HTRConvTextDecoder(ALPHABET, ARPA)
    copies = [decoder.with_options(lm_weight=weight) for weight in (0.5, 1.0)]
    assert {copied.engine() for copied in (*copies, decoder)} == {(1, 2)} and len(loaded) == 1


@pytest.mark.parametrize("arpa", [None, ARPA])
def test_lines_without_frames_or_ink(arpa):
    decoder = HTRConvTextDecoder(ALPHABET, arpa)
    blank = torch.full((1, 30, 4), -20.0)
    blank[..., 0] = 20
    ((reading,),) = decoder.decode(blank)
    assert (reading.token_ids, reading.score, reading.frames) == ([], 0.0, 30)
    assert decoder.decode(torch.zeros(0, 30, 4)) == []


def test_three_thousand_frames():
    logits = random_logits(1, 3000, 4)
    logits[..., 0] += 3
    ((reading,),) = HTRConvTextDecoder(ALPHABET, ARPA, beam_size=8).decode(logits)
    assert len(reading.token_ids) > 300 and reading.ends[-1] <= 3000


def test_eight_threads_read_the_same():
    decoder = HTRConvTextDecoder(ALPHABET, ARPA)
    lines = [random_logits(1, 40, 4, seed=seed) for seed in range(16)]
    expected = [HTRConvTextDecoder(ALPHABET, ARPA).decode(line, readings=3) for line in lines]
    found: dict[int, list] = {}

    def read(number: int) -> None:
        found[number] = [decoder.decode(line, readings=3) for line in lines]

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(8)] == [expected] * 8


def test_it_can_be_copied_and_sent_to_workers():
    decoder = HTRConvTextDecoder(ALPHABET, ARPA)
    logits = random_logits(2, 20, 4)
    expected = decoder.decode(logits)
    processor = processor_of()
    processor.decoder = decoder
    for other in (copy.deepcopy(decoder), pickle.loads(pickle.dumps(processor)).decoder):
        assert other.decode(logits) == expected
    assert "decoder" not in json.loads(processor.to_json_string())


def test_tokens_never_are_white_space_or_two_alike():
    alphabet = " \u00a0\u2003\t\u0301a\u00e9|<_\u2028"
    tokens = [token_of(character) for character in alphabet]
    assert len(set(tokens)) == len(alphabet) and not any(re.search(r"\s", token) for token in tokens)
    assert tokens[0] == "U+0020" and token_of("a") == "a"


@pytest.fixture(scope="module")
def folder_with_language_model(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("with_language_model") / "model"
    shutil.copytree(model_folder, folder)
    alphabet = HTRConvTextProcessor.from_pretrained(folder).tokenizer.alphabet
    lines = ["the old mill by the river", "a river, by the mill", "And the miller's old mill"]
    arpa = write_arpa(estimate(lines, alphabet, 4))
    HTRConvTextDecoder(alphabet, arpa, lm_weight=2.0, beam_size=16).save_pretrained(folder / "language_model")
    return folder


def test_remote_code_of_both_transformers_reads_the_same(
    run_without_package, folder_with_language_model, line_images, tmp_path
):
    answers = []
    for oldest in (False, True):
        answer = tmp_path / f"{len(answers)}.json"
        script = Path(__file__).with_name("language_model_reader.py")
        words = script, folder_with_language_model, answer, *line_images[:6]
        run_without_package(*words, folder=tmp_path, oldest=oldest)
        answers.append(json.loads(answer.read_text(encoding="utf-8")))
    newest, oldest = answers
    assert (newest["transformers"][0], oldest["transformers"][0]) == ("5", "4")
    for answer in answers:
        assert answer["copied"] == answer["read"] != answer["greedy"]
        texts = [line[0]["generated_text"] for line in answer["read"]]
        assert [line[0]["generated_text"] for line in answer["from_the_start"]] == texts
        assert texts == [line[0]["generated_text"] for line in newest["read"]]
        assert texts != [line[0]["generated_text"] for line in answer["greedy"]]
    for (new,), (old,) in zip(newest["read"], oldest["read"], strict=True):
        assert set(new) == {"generated_text", "score", "check", "words", "characters", "alternatives"}
        assert len(new["alternatives"]) == 2
        assert new["score"] == pytest.approx(old["score"], abs=1e-4)
        assert [other["generated_text"] for other in new["alternatives"]] == [
            other["generated_text"] for other in old["alternatives"]
        ]


def test_the_pipeline_joins_parts_and_reads_blank_lines(folder_with_language_model):
    model = HTRConvTextForCTC.from_pretrained(folder_with_language_model)
    read = model.as_pipeline(HTRConvTextProcessor.from_pretrained(folder_with_language_model))
    white = Image.new("L", (600, 64), 255)
    ((line,),) = read([white], decoder=True, alternatives=2, threshold=0.5, return_segments=True)
    assert line["generated_text"] == "" and line["score"] == 0 and line["check"] and line["alternatives"] == []
    pixels = np.full((64, 3000), 255, dtype=np.uint8)
    pixels[20:44, 100:2900:7] = 0
    with pytest.warns(UserWarning, match="read in"):
        (long,) = read(Image.fromarray(pixels), decoder=True, alternatives=1, return_segments=True)
    for text in (long, *long["alternatives"]):
        assert all(0 <= item["start"] < item["end"] <= 3000 for item in text["characters"])
    with pytest.raises(TypeError, match="decodr"):
        read(white, decodr=True)

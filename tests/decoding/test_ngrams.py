# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Kneser-Ney estimates against figures by hand and a slow reference, and as KenLM reads them."""

import gzip
import itertools
import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest

from htr_convtext import HTRConvTextDecoder
from htr_convtext.decoding.ngrams import FALLBACK_DISCOUNTS, NEVER, discounts_of, estimate, write_arpa
from htr_convtext.language_model_htr_convtext import token_of

BEGIN, END = "<s>", "</s>"


class SlowModel:
    """Interpolated modified Kneser-Ney, by the book and by dictionaries."""

    def __init__(self, lines, alphabet, order):
        self.alphabet, self.order = [*alphabet, END], order
        sentences = [[BEGIN, *line, END] for line in lines]
        raw = [Counter() for _ in range(order + 1)]
        for sentence in sentences:
            for length in range(1, order + 1):
                windows = zip(*(sentence[start:] for start in range(length)), strict=False)
                raw[length].update(window for window in windows if window != (BEGIN,))
        self.amounts = raw
        for length in range(1, order):
            before = defaultdict(set)
            for window in raw[length + 1]:
                before[window[1:]].add(window[0])
            self.amounts[length] = {
                window: number if window[0] == BEGIN else len(before[window]) for window, number in raw[length].items()
            }
        self.discounts = [None, *(discounts_of_counts(amounts.values()) for amounts in self.amounts[1:])]

    def probability(self, history, character, length=None):
        length = self.order if length is None else length
        if length == 0:
            return 1 / len(self.alphabet)
        if len(history) < length - 1:
            return self.probability(history, character, len(history) + 1)
        history = history[len(history) - length + 1 :]
        followers = {w[-1]: number for w, number in self.amounts[length].items() if w[:-1] == tuple(history)}
        lower = self.probability(history[1:], character, length - 1)
        if not followers:
            return lower
        total, discounts = sum(followers.values()), self.discounts[length]
        held_back = sum(discounts[min(number, 3) - 1] for number in followers.values())
        number = followers.get(character, 0)
        own = number - discounts[min(number, 3) - 1] if number else 0.0
        return own / total + held_back / total * lower


def discounts_of_counts(amounts):
    once, twice, thrice, four = (sum(number == value for number in amounts) for value in (1, 2, 3, 4))
    if not (once and twice and thrice):
        return FALLBACK_DISCOUNTS
    share = once / (once + 2 * twice)
    found = (1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
    return found if all(0 <= d <= n for n, d in enumerate(found, start=1)) else FALLBACK_DISCOUNTS


def read_arpa(arpa: bytes) -> dict[tuple[str, ...], tuple[float, float]]:
    entries = {}
    for line in gzip.decompress(arpa).decode().splitlines():
        if "\t" in line:
            log, ngram, *backoff = line.split("\t")
            entries[tuple(ngram.split(" "))] = float(log), float(backoff[0]) if backoff else 0.0
    return entries


def arpa_probability(entries, history, character):
    """As readers of ARPA files take it: the longest n-gram, or the history's backoff and a shorter one."""
    ngram = (*history, character)
    if ngram in entries:
        return 10 ** entries[ngram][0]
    return 10 ** entries.get(tuple(history), (0, 0.0))[1] * arpa_probability(entries, history[1:], character)


def random_lines(number=60, alphabet="abcd ", seed=0):
    rng = random.Random(seed)
    words = ["".join(rng.choices(alphabet.strip(), k=rng.randint(1, 4))) for _ in range(12)]
    return [" ".join(rng.choices(words, k=rng.randint(1, 5))) for _ in range(number)]


def test_two_lines_by_hand():
    """
    "ab" and "ac": bigrams <s>a twice, ab, ac, b</s>, c</s> once. What stands before each: 1 before a, b and c, 2
    before </s>. The text is too small to estimate discounts, so once costs 0.5 and twice 1.
    """
    entries = read_arpa(write_arpa(estimate(["ab", "ac"], "abcd", order=2)))
    total, discounts, uniform = 5, 3 * 0.5 + 1.0, 1 / 5
    unigram = {
        "a": 0.5 / total + discounts / total * uniform,
        "d": discounts / total * uniform,
        END: 1.0 / total + discounts / total * uniform,
    }
    assert {name: 10 ** entries[(name,)][0] for name in unigram} == pytest.approx(unigram, rel=1e-3)
    assert 10 ** entries[(BEGIN, "a")][0] == pytest.approx(1 / 2 + 1 / 2 * unigram["a"], rel=1e-3)
    assert 10 ** entries[("a", "b")][0] == pytest.approx(0.5 / 2 + 1.0 / 2 * unigram["a"], rel=1e-3)  # b is as a
    assert 10 ** entries[("a",)][1] == pytest.approx(0.5, rel=1e-3)
    assert entries[(BEGIN,)][0] == NEVER and ("a", "d") not in entries


@pytest.mark.parametrize("order", [2, 3, 5])
def test_probabilities_are_those_of_the_slow_reference(order):
    lines = random_lines()
    slow = SlowModel(lines, "abcd e", order)
    entries = read_arpa(write_arpa(estimate(lines, "abcd e", order)))
    named = {token_of(character): character for character in "abcd e"} | {END: END, BEGIN: BEGIN}
    rng = random.Random(1)
    for line in [*rng.sample(lines, 8), "eeee", "a e dcba"]:
        tokens = [BEGIN, *map(token_of, line), END]
        for place in range(1, len(tokens)):
            history = tokens[max(0, place - order + 1) : place]
            expected = slow.probability(tuple(named[token] for token in history), named[tokens[place]])
            assert arpa_probability(entries, tuple(history), tokens[place]) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("prune", [[0], [0, 0, 1, 1], [0, 1, 2, 2]])
def test_probabilities_sum_to_one_after_any_history_for_kenlm_too(prune):
    lines, alphabet = [*random_lines(), "b\u0301d|"], "abcd e\u0301|"
    decoder = HTRConvTextDecoder(alphabet, write_arpa(estimate(lines, alphabet, 4, prune)))
    entries = read_arpa(decoder.arpa)
    _, model = decoder.engine()
    for history in ("", "a", "ab", "b\u0301d", "eee", " a", lines[0], lines[1][:3]):
        state = model.start(False)
        for character in history:
            state, _ = model.score(state, alphabet.index(character) + 1)
        tokens = [BEGIN, *map(token_of, history)][-3:]
        scores = [model.score(state, place)[1] for place in range(1, len(alphabet) + 1)]
        expected = [arpa_probability(entries, tuple(tokens), token_of(character)) for character in alphabet]
        assert [10**score for score in scores] == pytest.approx(expected, rel=1e-4)
        total = sum(10**score for score in scores) + 10 ** model.finish(state)[1]
        assert total == pytest.approx(1, abs=1e-3)


def test_text_is_more_probable_than_noise():
    lines = random_lines(200)
    decoder = HTRConvTextDecoder("abcd ", write_arpa(estimate(lines, "abcd ", 4)))
    entries = read_arpa(decoder.arpa)

    def per_character(line):
        tokens = [BEGIN, *map(token_of, line), END]
        logs = [
            math.log(arpa_probability(entries, tuple(tokens[max(0, place - 3) : place]), tokens[place]))
            for place in range(1, len(tokens))
        ]
        return sum(logs) / len(logs)

    shuffled = ["".join(random.Random(2).sample(line, len(line))) for line in lines[:20]]
    assert sum(map(per_character, lines[:20])) > sum(map(per_character, shuffled)) + 10


def test_pruning_leaves_out_what_is_rare():
    lines = ["abab", "abab", "abac"]
    whole, pruned = (read_arpa(write_arpa(estimate(lines, "abc", 3, prune))) for prune in ([0], [0, 0, 1]))
    assert ("b", "a", "c") in whole and ("b", "a", "c") not in pruned
    assert {ngram for ngram in whole if len(ngram) < 3} == {ngram for ngram in pruned if len(ngram) < 3}
    for ngram, longer in itertools.product(pruned, pruned):
        assert len(longer) != 3 or ngram != longer or longer[:2] in pruned and longer[1:] in pruned


def test_no_ngram_reaches_over_a_foreign_character():
    model = estimate(["ab#ba", "#", "a#"], "ab", 3)
    entries = read_arpa(write_arpa(model))
    assert ("b", "b") not in entries and (BEGIN, END) not in entries
    assert {("a", "b"), ("b", "a"), (BEGIN, "a"), ("a", END)} <= entries.keys()


def test_the_same_text_gives_the_same_bytes():
    lines = random_lines()
    assert write_arpa(estimate(lines, "abcd ", 3)) == write_arpa(estimate(lines, "abcd ", 3))


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([], {}, "no text"),
        (["###"], {}, "no text"),
        (["ab"], {"order": 1}, "order must be from 2"),
        (["ab"], {"order": 40}, "order must be from 2 to 6"),
        (["ab"], {"prune": [0, 2, 1]}, "must not fall"),
        (["ab"], {"prune": [-1]}, "at least 0"),
    ],
)
def test_what_cannot_be_estimated_is_named(lines, options, message):
    with pytest.raises(ValueError, match=message):
        estimate(lines, "ab", **options)


def test_discounts_by_hand():
    """Chen & Goodman: ten once, four twice, two thrice, one four times, so Y = 10 / 18."""
    amounts = np.repeat([1, 2, 3, 4], [10, 4, 2, 1])
    assert discounts_of(amounts) == pytest.approx((1 - 8 / 18, 2 - 3 * 10 / 18 * 2 / 4, 3 - 4 * 10 / 18 / 2))

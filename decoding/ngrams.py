# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Character n-grams with modified Kneser-Ney smoothing (Chen & Goodman 1998, interpolated), as an ARPA file.

Pruned are n-grams that occur no more often than a threshold; what they had goes to the lower order, so that every
history's probabilities still sum to 1 over the alphabet and the line's end.
"""

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..language_model_htr_convtext import MAX_ORDER, token_of

BEGIN, END, FIRST_CHARACTER = 0, 1, 2  # symbols; BEGIN must be 0: the sorted keys of n-grams that begin a line lead
# Discounts where the text is too small to estimate them.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
NEVER = -99.0  # what ARPA files give what is never predicted


@dataclass
class Order:
    """
    n-grams of one order, as sorted keys: symbols of `bits` bits each, the first one highest.

    Args:
        keys: uint64 of shape `(ngrams,)`.
        counts: How often each occurs.
        adjusted: What Kneser-Ney counts: occurrences in the highest order and where a line begins, elsewhere the
            different symbols before it.
        probs: Probability of the last symbol after the others.
        backoffs: What the probabilities of the lower order are multiplied with after this n-gram.
    """

    keys: np.ndarray
    counts: np.ndarray
    adjusted: np.ndarray
    probs: np.ndarray
    backoffs: np.ndarray


@dataclass
class NgramModel:
    """
    Args:
        alphabet: Its characters; symbols 2, 3, ...
        bits: Bits of a symbol in a key.
        orders: n-grams of the orders 1, 2, ...
    """

    alphabet: str
    bits: int
    orders: list[Order]


def estimate(lines: Iterable[str], alphabet: str, order: int = 6, prune: Sequence[int] = ()) -> NgramModel:
    """
    Args:
        lines: Texts; each begins and ends on its own.
        alphabet: Characters to predict. No n-gram reaches over a character that is not among them.
        order: Length of the longest n-grams.
        prune: For the orders 1, 2, ...: n-grams that occur no more often are left out. The last holds for those that
            are not named; unigrams are always kept.

    Raises:
        ValueError: If there is no text, or the order is out of range, or the thresholds fall.
    """
    bits = max(1, int(len(alphabet) + FIRST_CHARACTER - 1).bit_length())
    longest = min(MAX_ORDER, 64 // bits)
    if not 2 <= order <= longest:
        raise ValueError(f"order must be from 2 to {longest} for an alphabet of {len(alphabet)}. Got {order}.")
    thresholds = thresholds_of(prune, order)
    symbols, places = encode(lines, alphabet)
    if not (symbols >= FIRST_CHARACTER).any():
        raise ValueError("There is no text of the alphabet's characters to estimate a language model from.")
    orders = [count(symbols, places, length, bits) for length in range(1, order + 1)]
    adjust(orders, bits)
    add_unseen(orders[0], len(alphabet))
    for length in range(1, order + 1):
        smooth(orders, length, thresholds[length - 1], bits)
    return NgramModel(alphabet, bits, [one for one in orders if len(one.keys)])


def thresholds_of(prune: Sequence[int], order: int) -> list[int]:
    """A threshold for each of the orders 1, 2, ... up to one; the last that is given holds for those after it."""
    given = list(prune) or [0]
    thresholds = (given + given[-1:] * order)[:order]
    if min(given) < 0 or sorted(thresholds) != thresholds:
        raise ValueError(f"Pruning thresholds must be at least 0 and must not fall with the order. Got {given}.")
    return thresholds


def encode(lines: Iterable[str], alphabet: str) -> tuple[np.ndarray, np.ndarray]:
    """
    Symbols of all lines one after the other, -1 for characters without one, and how many symbols before each can be
    seen from it: those since its line's beginning or the last character without a symbol.
    """
    table = np.full(max(map(ord, alphabet)) + 2, -1, dtype=np.int16)
    table[[ord(character) for character in alphabet]] = np.arange(len(alphabet)) + FIRST_CHARACTER
    parts = []
    for line in lines:
        codes = np.frombuffer(line.encode("utf-32-le"), dtype=np.uint32)
        parts += [[BEGIN], table[np.minimum(codes, len(table) - 1)], [END]]
    symbols = np.concatenate([np.zeros(0, dtype=np.int16), *map(np.asarray, parts)]).astype(np.int64)
    numbers = np.arange(len(symbols))
    # A break's own place is the one after it: nothing is seen across.
    first = np.where(symbols == BEGIN, numbers, np.where(symbols < 0, numbers + 1, 0))
    return symbols, numbers - np.maximum.accumulate(first)


def count(symbols: np.ndarray, places: np.ndarray, length: int, bits: int) -> Order:
    """Counts the n-grams of a length; a line's beginning alone is none, as nothing predicts it."""
    ends = np.flatnonzero((places >= length - 1) & (symbols > BEGIN))
    keys = np.zeros(len(ends), dtype=np.uint64)
    for back in range(length - 1, -1, -1):
        keys = (keys << np.uint64(bits)) | symbols[ends - back].astype(np.uint64)
    keys, counts = np.unique(keys, return_counts=True)
    return Order(keys, counts, counts.astype(float), np.zeros(len(keys)), np.ones(len(keys)))


def adjust(orders: list[Order], bits: int) -> None:
    """Replaces the counts of all but the highest order by the number of symbols before each n-gram."""
    for length, (order, longer) in enumerate(zip(orders, orders[1:], strict=False), start=1):
        suffixes, before = np.unique(longer.keys & low_bits(length * bits), return_counts=True)
        adjusted = np.ones(len(order.keys))  # behind a break there is nothing before it
        adjusted[np.searchsorted(order.keys, suffixes)] = before
        begins = order.keys >> np.uint64((length - 1) * bits) == BEGIN
        order.adjusted = np.where(begins & (length > 1), order.counts, adjusted)


def add_unseen(unigrams: Order, characters: int) -> None:
    """Gives every character of the alphabet, and the line's end, a unigram."""
    keys = np.arange(END, characters + FIRST_CHARACTER, dtype=np.uint64)
    counts, adjusted = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys))
    places = np.searchsorted(keys, unigrams.keys)
    counts[places], adjusted[places] = unigrams.counts, unigrams.adjusted
    unigrams.keys, unigrams.counts, unigrams.adjusted = keys, counts, adjusted
    unigrams.probs, unigrams.backoffs = np.zeros(len(keys)), np.ones(len(keys))


def smooth(orders: list[Order], length: int, threshold: int, bits: int) -> None:
    """Sets the probabilities of an order and the backoffs of the one below, and prunes it."""
    order = orders[length - 1]
    amounts = order.adjusted
    discounts = np.array([0.0, *discounts_of(amounts)])[np.minimum(amounts, 3).astype(int)]
    kept = (order.counts > threshold) | (length == 1)
    contexts, members = np.unique(order.keys >> np.uint64(bits) if length > 1 else 0 * order.keys, return_inverse=True)
    totals = np.bincount(members, amounts)
    own = np.where(kept, amounts - discounts, 0.0)
    left_over = 1 - np.bincount(members, own) / totals
    if length == 1:
        lower = np.full(len(order.keys), 1 / len(order.keys))
    else:
        below = orders[length - 2]
        suffixes = order.keys & low_bits((length - 1) * bits)
        kept &= np.isin(suffixes, below.keys)
        # What lies behind the last key was pruned, and so is what ends with it.
        lower = np.append(below.probs, 0.0)[np.searchsorted(below.keys, suffixes)]
        set_backoffs(below, contexts, left_over, length)
    probs = own / totals[members] + left_over[members] * lower
    orders[length - 1] = Order(
        order.keys[kept], order.counts[kept], amounts[kept], probs[kept], np.ones(int(kept.sum()))
    )


def set_backoffs(below: Order, contexts: np.ndarray, left_over: np.ndarray, length: int) -> None:
    """The histories of an order's n-grams are n-grams of the one below; a line's beginning has none of its own yet."""
    if length == 2 and contexts[0] == BEGIN:
        for name, value in (("keys", BEGIN), ("counts", 0), ("adjusted", 0.0), ("probs", 0.0), ("backoffs", 1.0)):
            array = getattr(below, name)
            setattr(below, name, np.concatenate([np.array([value], dtype=array.dtype), array]))
    known = np.isin(contexts, below.keys)
    below.backoffs[np.searchsorted(below.keys, contexts[known])] = left_over[known]


def discounts_of(amounts: np.ndarray) -> tuple[float, float, float]:
    """Discounts of what is counted once, twice and more often (Chen & Goodman 1998, equation 26)."""
    once, twice, thrice, four = (float((amounts == number).sum()) for number in (1, 2, 3, 4))
    if not (once and twice and thrice):
        return FALLBACK_DISCOUNTS
    share = once / (once + 2 * twice)
    found = (1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
    if any(not 0 <= discount <= number for number, discount in enumerate(found, start=1)):
        return FALLBACK_DISCOUNTS
    return found


def low_bits(number: int) -> np.uint64:
    return np.uint64((1 << number) - 1)


def write_arpa(model: NgramModel) -> bytes:
    """A model as a gzipped ARPA file, the same bytes for the same model."""
    tokens = np.array(["<s>", "</s>", *map(token_of, model.alphabet)], dtype=object)
    parts = ["\\data\\\n"]
    sizes = [len(order.keys) for order in model.orders]
    parts += [f"ngram {length}={size + (length == 1)}\n" for length, size in enumerate(sizes, start=1)]
    for length, order in enumerate(model.orders, start=1):
        parts += [f"\n\\{length}-grams:\n", *([f"{NEVER:.0f}\t<unk>\n"] if length == 1 else [])]
        parts += ngram_lines(order, length, tokens, model.bits, is_highest=length == len(model.orders))
    return gzip.compress("".join([*parts, "\n\\end\\\n"]).encode(), mtime=0)


def ngram_lines(order: Order, length: int, tokens: np.ndarray, bits: int, is_highest: bool) -> Iterable[str]:
    shifts = [np.uint64(bits * back) for back in range(length - 1, -1, -1)]
    columns = [tokens[((order.keys >> shift) & low_bits(bits)).astype(int)] for shift in shifts]
    logs = np.where(order.probs > 0, np.log10(np.maximum(order.probs, 1e-30)), NEVER)
    backoffs = np.log10(np.maximum(order.backoffs, 1e-30))
    for log, backoff, *ngram in zip(logs, backoffs, *columns, strict=True):
        end = "" if is_highest or abs(backoff) < 5e-5 else f"\t{backoff:.4f}"
        yield f"{log:.4f}\t{' '.join(ngram)}{end}\n"

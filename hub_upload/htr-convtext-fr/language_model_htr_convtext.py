# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""CTC beam search with a character language model, on flashlight-text and the KenLM inside it (extra `[lm]`)."""

import gzip
import json
import math
import os
import re
import tempfile
import threading
import unicodedata
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers.utils import cached_file

from .decoding_htr_convtext import (
    CTCHypothesis,
    calibrate_hypothesis,
    check_calibration,
    frames_between,
    score_paths,
)

DECODER_FOLDER = "language_model"  # beside the weights of the model that it is for
DECODER_CONFIG = "decoder_config.json"
DECODER_ARPA = "characters.arpa.gz"
DECODER_WORDS = "words.txt"
# KenLM is compiled for n-grams of at most this length in flashlight-text's wheels.
MAX_ORDER = 6
# Hypotheses that are worse than the best one of their frame by more than this (natural logarithm) are dropped.
BEAM_THRESHOLD = 25.0
# Characters on each side of a word between which it is searched again: as far as the longest n-grams see.
CONTEXT = MAX_ORDER - 1
LETTER = r"[^\W\d_]"
JOINERS = "\u200c\u200d"  # zero width, within words of Persian and of Indian languages
# A language model is loaded once, however many threads ask for it.
LOADING = threading.Lock()


def token_of(character: str) -> str:
    """What a character is called in an ARPA file: itself, or its code point if it may be taken for white space."""
    plain = character.isprintable() and not character.isspace() and not unicodedata.combining(character)
    return character if plain else f"U+{ord(character):04X}"


class HTRConvTextDecoder:
    """
    Beam search over CTC frames. Readings are ranked by

        log p(text | image) + lm_weight * log p(text) + length_bonus * characters + word_bonus * letters in known words

    with natural logarithms: the first is CTC's forward score as far as it is within the beam, the second the language
    model's, line end included. The search itself goes by the first two, and the bonuses rank what it ends with. A
    word's score is its share among all words that a search finds in its frames, between the same neighbours; so is a
    character's, and a line's is the mean of its words', by their length.

    Args:
        alphabet: The characters of the classes 1, 2, ..., as the tokenizer has them.
        arpa: The language model: an ARPA file's content whose tokens are those of [`token_of`], gzipped or not.
            `None` searches without one.
        words: Words that `word_bonus` is for.
        lm_weight: Weight of the language model.
        length_bonus: What each character adds; a language model alone favours short texts.
        word_bonus: What each letter of a word in `words` adds.
        beam_size: Hypotheses that are kept at each frame.
        beam_candidates: Classes that are tried at each frame, the most probable ones.
        normal_form: Unicode normal form of the alphabet and of the words.
        calibration: Calibration of its readings' scores, see [`check_calibration`].

    Raises:
        ValueError: If an option cannot be followed, or the language model is damaged or of another alphabet.
    """

    options = ("lm_weight", "length_bonus", "word_bonus", "beam_size", "beam_candidates", "normal_form")

    def __init__(
        self,
        alphabet: str,
        arpa: bytes | None = None,
        words: Iterable[str] = (),
        lm_weight: float = 1.0,
        length_bonus: float = 0.0,
        word_bonus: float = 0.0,
        beam_size: int = 32,
        beam_candidates: int = 16,
        normal_form: str = "NFC",
        calibration: Mapping[str, Sequence[float]] | None = None,
    ):
        self.alphabet = alphabet
        self.arpa = arpa
        self.lm_weight, self.length_bonus, self.word_bonus = lm_weight, length_bonus, word_bonus
        self.beam_size, self.beam_candidates = beam_size, beam_candidates
        self.normal_form = normal_form
        self.calibration = check_calibration(calibration)
        check_options({name: getattr(self, name) for name in self.options})
        self.words = frozenset(normalize(word, normal_form) for word in words)
        self._words_in, self._letters_in = word_patterns(alphabet)
        self._engine: list[tuple[Any, Any]] = []  # at most one, of all copies with other options
        if arpa is not None:
            check_arpa(arpa_text(arpa, "the language model"), alphabet, "the language model")

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, **loading: Any) -> "HTRConvTextDecoder":
        """
        Args:
            folder: What [`save_pretrained`] wrote, a model's folder that has it in `language_model`, or a model's name
                on the Hub.
            loading: Options of finding files on the Hub, such as `revision` and `token`.

        Raises:
            FileNotFoundError: If there is no decoder.
            ValueError: If its files are damaged; the message names the file.
        """
        decoder = cls.find(folder, **loading)
        if decoder is None:
            raise FileNotFoundError(
                f"{os.fspath(folder)}: there is no decoder ({DECODER_CONFIG}), neither in it nor in {DECODER_FOLDER}/ "
                f"within{or_unreachable(folder)}. Build one: python -m htr_convtext.decoding.build"
            )
        return decoder

    @classmethod
    def find(cls, folder: str | os.PathLike, **loading: Any) -> "HTRConvTextDecoder | None":
        """The decoder of a folder as for `from_pretrained`; `None` if it has none."""
        config_path = find_file(folder, DECODER_CONFIG, loading)
        if config_path is None:
            return None
        config = read_config(config_path)
        has_arpa, has_words = config.pop("has_language_model"), config.pop("has_words")
        arpa = find_part(folder, DECODER_ARPA, loading, config_path) if has_arpa else None
        words = read_words(find_part(folder, DECODER_WORDS, loading, config_path)) if has_words else []
        try:
            decoder = cls(words=words, **config)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{config_path}: {error}") from error
        if arpa:
            decoder.arpa = Path(arpa).read_bytes()
            check_arpa(arpa_text(decoder.arpa, arpa), decoder.alphabet, arpa)
        return decoder

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """
        Args:
            folder: Where to write the decoder's files; `language_model` in a model's folder makes it that model's own.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((DECODER_ARPA, self.arpa), (DECODER_WORDS, "\n".join(sorted(self.words)).encode())):
            if content:
                (folder / name).write_bytes(content)
            else:
                (folder / name).unlink(missing_ok=True)
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2)
        (folder / DECODER_CONFIG).write_text(text + "\n", encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """What `decoder_config.json` holds."""
        return {
            "alphabet": self.alphabet,
            "has_language_model": self.arpa is not None,
            "has_words": bool(self.words),
            **{name: getattr(self, name) for name in self.options},
            "calibration": self.calibration,
        }

    def with_options(self, **options: Any) -> "HTRConvTextDecoder":
        """A copy with some of `options`, or `calibration`, changed; the language model is loaded only once."""
        other = object.__new__(type(self))
        vars(other).update({**vars(self), **options})
        check_options({name: getattr(other, name) for name in self.options})
        other.calibration = check_calibration(other.calibration)
        return other

    def check_alphabet(self, alphabet: str, model: str = "the model") -> None:
        """
        Raises:
            ValueError: If the decoder is for another alphabet than that of a model's classes.
        """
        if self.alphabet != alphabet:
            raise ValueError(
                f"The language model's alphabet is not that of {model}: "
                f"{difference(self.alphabet, alphabet)}. Build one for this model: "
                "python -m htr_convtext.decoding.build --model MODEL"
            )

    def decode(self, logits: torch.Tensor, blank_id: int = 0, readings: int = 1) -> list[list[CTCHypothesis]]:
        """
        Args:
            logits: The network's logits of shape `(batch_size, frames, vocab_size)`.
            blank_id: The blank's id, which is 0.
            readings: Most readings of a line.

        Returns:
            Each line's readings, the best first.

        Raises:
            ImportError: If flashlight-text is not installed.
            ValueError: If the logits have another number of classes than the alphabet.
        """
        logits = logits.detach().float().cpu()
        if logits.shape[-1] != len(self.alphabet) + 1:
            raise ValueError(
                f"The language model has {len(self.alphabet)} characters, and the logits {logits.shape[-1]} classes: "
                "it is for another alphabet."
            )
        return [self._decode_line(line, blank_id, readings) for line in logits]

    def _decode_line(self, logits: torch.Tensor, blank_id: int, readings: int) -> list[CTCHypothesis]:
        ranked = self.rank(self.search(logits))[:readings]
        paths = torch.tensor([path for path, *_ in ranked], dtype=torch.long).reshape(len(ranked), len(logits))
        space_id = self.alphabet.index(" ") + 1 if " " in self.alphabet else None
        hypotheses = score_paths(logits[None].expand(len(ranked), -1, -1), paths, blank_id, space_id)
        for hypothesis, (_, _, log_score) in zip(hypotheses, ranked, strict=True):
            hypothesis.log_score = log_score
            self.weigh(hypothesis, logits)
            calibrate_hypothesis(hypothesis, self.calibration)
        return hypotheses

    def weigh(self, hypothesis: CTCHypothesis, logits: torch.Tensor) -> None:
        """
        Scores a reading by network and language model together. The last beam of a line holds too few readings for
        it: they differ at its end alone. So each word's frames are searched again, between its neighbours.

        Args:
            hypothesis: The reading, whose spaces keep the network's scores.
            logits: The network's logits of shape `(frames, vocab_size)`.
        """
        hypothesis.words = [
            (start, end, self.weigh_word(hypothesis, logits, start, end)) for start, end, _ in hypothesis.words
        ]
        if hypothesis.words:
            lengths = [end - start for start, end, _ in hypothesis.words]
            hypothesis.score = float(np.average([score for *_, score in hypothesis.words], weights=lengths))

    def weigh_word(self, hypothesis: CTCHypothesis, logits: torch.Tensor, start: int, end: int) -> float:
        """The score of the word from `start` to `end`; sets those of its characters."""
        ids = hypothesis.token_ids
        first, last = frames_between(hypothesis, start, end)
        before = certain(ids[max(0, start - CONTEXT) : start], logits.shape[-1])
        after = certain(ids[end : end + CONTEXT], logits.shape[-1])
        ranked = self.rank(self.search(torch.cat([before, logits[first:last], after])))
        shares = np.exp([log_score - ranked[0][2] for *_, log_score in ranked])
        shares /= shares.sum()
        paths = np.array([path for path, *_ in ranked])[:, len(before) :]
        for place in range(start, end):
            around = slice(max(0, hypothesis.starts[place] - first - 1), hypothesis.ends[place] - first + 1)
            hypothesis.scores[place] = float(shares @ (paths[:, around] == ids[place]).any(1))
        word = self.text_of_ids(ids[max(0, start - CONTEXT) : end + CONTEXT])
        return float(shares @ [text == word for _, text, _ in ranked])

    def search(self, logits: torch.Tensor) -> dict[str, tuple[list[int], float, float]]:
        """
        Args:
            logits: One line's, of shape `(frames, vocab_size)`.

        Returns:
            For each text in the last beam a path that reads it, its log probability given the image, over all of its
            paths in the beam, and the language model's.
        """
        from_decoder, model = self.engine()
        emissions = np.ascontiguousarray(logits.log_softmax(-1).numpy())
        # KenLM's logarithms have the base 10.
        weight = self.lm_weight * math.log(10) if self.arpa is not None else 0.0
        options = from_decoder.LexiconFreeDecoderOptions(
            beam_size=self.beam_size,
            beam_size_token=min(self.beam_candidates, emissions.shape[1]),
            beam_threshold=BEAM_THRESHOLD,
            lm_weight=weight,
            sil_score=0.0,
            log_add=True,
            criterion_type=from_decoder.CriterionType.CTC,
        )
        search = from_decoder.LexiconFreeDecoder(options, model, -1, 0, [])
        found: dict[str, tuple[list[int], float, float]] = {}
        for result in search.decode(emissions.ctypes.data, *emissions.shape):
            path = list(result.tokens)[1:-1]  # the search puts a token before the first frame and behind the last
            text = self.text_of(path)
            log_prob = result.score - weight * result.lmScore
            if text in found:  # The beam has it twice, with its last character and with a blank at the end.
                best, so_far, lm = found[text]
                found[text] = (best, float(np.logaddexp(so_far, log_prob)), lm)
            else:
                found[text] = (path, log_prob, result.lmScore * math.log(10))
        return found

    def rank(self, found: Mapping[str, tuple[list[int], float, float]]) -> list[tuple[list[int], str, float]]:
        """Path, text and logarithm of the score of what [`search`] found, the best first."""
        scored = [
            (path, text, log_prob + self.lm_weight * lm + self.bonus(text))
            for text, (path, log_prob, lm) in found.items()
        ]
        return sorted(scored, key=lambda item: (-item[2], item[1]))

    def bonus(self, text: str) -> float:
        known = sum(map(self.known_letters, self._words_in.findall(text))) if self.words else 0
        return self.length_bonus * len(text) + self.word_bonus * known

    def known_letters(self, word: str) -> int:
        """Letters of a word if it is known as it stands, or else of what is known between its apostrophes and such."""
        parts = self._letters_in.findall(word)
        return sum(len(part) for part in parts if self.knows(word) or self.knows(part))

    def knows(self, word: str) -> bool:
        return word in self.words or word.lower() in self.words

    def text_of(self, path: Sequence[int]) -> str:
        return self.text_of_ids(token_id for token_id, _ in groupby(path) if token_id)

    def text_of_ids(self, token_ids: Iterable[int]) -> str:
        return "".join(self.alphabet[token_id - 1] for token_id in token_ids)

    def engine(self) -> tuple[Any, Any]:
        """flashlight's decoder module and the language model, loaded once for all threads."""
        with LOADING:
            if not self._engine:
                self._engine.append(load_engine(self.alphabet, self.arpa))
        return self._engine[0]

    def __getstate__(self) -> dict[str, Any]:
        # C++ objects are not copied: worker processes and copies load the language model when they need it.
        return {**vars(self), "_engine": []}


def word_patterns(alphabet: str) -> tuple[re.Pattern, re.Pattern]:
    """
    What finds words between spaces, from their first letter to the last, and what finds letters without anything
    between them. Marks are letters: vowels in many scripts, and accents where they have characters of their own.
    """
    marks = "".join(character for character in alphabet if unicodedata.category(character).startswith("M"))
    letter = f"(?:{LETTER}|[{marks}{JOINERS}])"
    return re.compile(rf"{LETTER}(?:\S*{letter})?"), re.compile(f"{letter}+")


def certain(token_ids: Sequence[int], vocab_size: int) -> torch.Tensor:
    """Log probabilities of frames that say nothing but these characters, of shape `(frames, vocab_size)`."""
    frames = [own for before, own in pairwise([0, *token_ids]) for own in ([0, own] if own == before else [own])]
    log_probs = torch.full((len(frames), vocab_size), -2 * BEAM_THRESHOLD)
    log_probs[torch.arange(len(frames)), torch.tensor(frames, dtype=torch.long)] = 0.0
    return log_probs


def load_engine(alphabet: str, arpa: bytes | None) -> tuple[Any, Any]:
    """flashlight's decoder module, and KenLM with an ARPA file or a language model that says nothing."""
    try:
        from flashlight.lib.text import decoder
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary
    except ImportError as error:
        raise ImportError(
            'Beam search needs flashlight-text, which is not installed: pip install -e ".[lm]" -c constraints.txt '
            'in the checkout, or pip install "ufal-flashlight-text>=0.0.7.1,<0.0.8"'
        ) from error
    if arpa is None:
        return decoder, decoder.ZeroLM()
    dictionary = Dictionary()
    for token in ("<blank>", *map(token_of, alphabet)):
        dictionary.add_entry(token)
    with tempfile.TemporaryDirectory() as folder:  # KenLM reads files only
        path = os.path.join(folder, "characters.arpa")
        Path(path).write_bytes(arpa_text(arpa, "the language model"))
        try:
            return decoder, KenLM(path, dictionary)
        except RuntimeError as error:
            raise ValueError(f"The language model is damaged; KenLM says: {error}") from error


def find_file(folder: str | os.PathLike, name: str, loading: Mapping[str, Any]) -> str | None:
    """Path of a decoder's file, in the folder itself or, where that is a model's, in `language_model`."""
    missing_is_none = {
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,
        "_raise_exceptions_for_gated_repo": False,
    }
    for place in (name, f"{DECODER_FOLDER}/{name}"):
        try:
            path = cached_file(folder, place, **loading, **missing_is_none)
        except (OSError, ValueError):  # neither a folder nor a name that the Hub could have
            path = None
        if path is not None:
            return path
    return None


def find_part(folder: str | os.PathLike, name: str, loading: Mapping[str, Any], config_path: str) -> str:
    """
    Path of a file that a decoder's configuration says there is.

    Raises:
        ValueError: If there is none.
    """
    path = find_file(folder, name, loading)
    if path is None:
        raise ValueError(f"{config_path}: {name}, which belongs to it, is missing in {os.fspath(folder)}.")
    return path


def or_unreachable(name: str | os.PathLike) -> str:
    """Why nothing may be found that is there: greedy reading does not fetch a model's decoder from the Hub."""
    return "" if os.path.isdir(name) else "; if it is on the Hub, that may be out of reach now"


def read_config(path: str) -> dict[str, Any]:
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
        missing = {"alphabet", "has_language_model", "has_words"} - set(config)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: the file is damaged ({error}).") from error
    if missing:
        raise ValueError(f"{path}: {', '.join(sorted(missing))} missing; this is no decoder's configuration.")
    return config


def read_words(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").split()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def check_options(options: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: If a number is none, or out of its range.
    """
    for name in ("lm_weight", "length_bonus", "word_bonus"):
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number. Got {value!r}.")
    if options["lm_weight"] < 0:
        raise ValueError(f"lm_weight must not be negative. Got {options['lm_weight']}.")
    for name in ("beam_size", "beam_candidates"):
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1. Got {value!r}.")
    normalize("a", options["normal_form"])


def arpa_text(arpa: bytes, name: str) -> bytes:
    """An ARPA file's content, unpacked if it is gzipped."""
    if not arpa.startswith(b"\x1f\x8b"):
        return arpa
    try:
        return gzip.decompress(arpa)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name} is truncated or damaged ({error}).") from error


def check_arpa(arpa: bytes, alphabet: str, name: str) -> None:
    """
    Raises:
        ValueError: If a file is no whole ARPA file, or its tokens are not the alphabet's. KenLM takes a truncated file
            for a whole one.
    """
    counts = {int(order): int(count) for order, count in re.findall(rb"^ngram (\d+)=(\d+)\s*$", arpa, re.MULTILINE)}
    if not counts or not arpa.lstrip().startswith(b"\\data\\"):
        raise ValueError(f"{name} is no ARPA file: it does not begin with \\data\\ and its numbers of n-grams.")
    if max(counts) > MAX_ORDER:
        raise ValueError(f"{name} has n-grams of order {max(counts)}; KenLM reads at most {MAX_ORDER}.")
    sections = {order: section_of(arpa, order, name) for order in counts}
    for order, section in sections.items():
        number = section.count(b"\n")
        if number != counts[order]:
            raise ValueError(
                f"{name} is damaged: it has {number} n-grams of order {order} instead of {counts[order]}."
            )
    lines = sections[1].decode("utf-8", errors="replace").splitlines()
    tokens = {line.split("\t")[1] for line in lines if "\t" in line} - {"<s>", "</s>", "<unk>"}
    expected = set(map(token_of, alphabet))
    if tokens != expected:
        raise ValueError(f"{name} is of another alphabet: {difference(tokens, expected)}.")


def section_of(arpa: bytes, order: int, name: str) -> bytes:
    """The lines of an order's n-grams, each with its line break."""
    head = f"\\{order}-grams:\n".encode()
    start = arpa.find(head)
    end = arpa.find(b"\n\\", start)
    if start < 0 or end < 0:
        raise ValueError(f"{name} is truncated: its n-grams of order {order} are missing or have no end.")
    return arpa[start + len(head) : end].rstrip(b"\n") + b"\n"


def difference(have: Iterable[str], expected: Iterable[str]) -> str:
    """How two alphabets differ, in words."""
    lacking = sorted(set(expected) - set(have))
    extra = sorted(set(have) - set(expected))
    parts = [f"it lacks {lacking}" if lacking else "", f"it has {extra} besides" if extra else ""]
    return " and ".join(filter(None, parts)) or "the same characters in another order"


def normalize(text: str, form: str) -> str:
    """
    Raises:
        ValueError: If Unicode has no such normal form.
    """
    try:
        return text if form == "none" else unicodedata.normalize(cast(Any, form), text)
    except (ValueError, TypeError) as error:
        raise ValueError(f"normal_form must be NFC, NFD, NFKC, NFKD or none. Got {form!r}.") from error


__all__ = ["HTRConvTextDecoder"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Chooses a decoder's weights on validation lines, prints what each gives, and writes them into its configuration.

    python -m htr_convtext.decoding.tune --model MODEL --data_dir LINES --split validation
    python -m htr_convtext.decoding.tune --model MODEL --decoder DIR --data_dir LINES --lm_weights 0.4 0.8 1.2

The lowest word error rate, mean over the writers, wins; of the beams, the smallest whose word error rate is within 0.1
points of the best. Rates in percent; milliseconds are processor time a line. Test lines are not for this.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from time import process_time

from ..console import at_least_one, errors_as_sentences, print_any_character
from ..extras import needing
from ..language_model_htr_convtext import HTRConvTextDecoder
from ..modeling_htr_convtext import HTRConvTextForCTC
from ..processing_htr_convtext import HTRConvTextProcessor

with needing("Tuning a language model", "train,lm"):
    from ..training.evaluation import ReadLine, grouped
    from .reading import (
        NetworkLine,
        add_line_options,
        check_folder,
        decoder_folder,
        load_split,
        mean_over_hands,
        read_logits,
        read_texts,
    )

LM_WEIGHTS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
LENGTH_BONUSES = (0.0, 0.4, 0.8, 1.2, 1.6)
WORD_BONUSES = (0.0, 0.2, 0.4, 0.8)
BEAM_SIZES = (8, 16, 32, 64)
BEAM_TOLERANCE = 0.001


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    options = parse_options(arguments)
    with errors_as_sentences("tune", OSError, ValueError, ImportError):
        run(options)


def run(options: argparse.Namespace) -> None:
    name = options.decoder or options.model
    decoder = HTRConvTextDecoder.from_pretrained(name)
    processor = HTRConvTextProcessor.from_pretrained(options.model)
    processor.resolve_decoder(decoder)
    if not options.dry_run:
        check_folder(name)
    model = HTRConvTextForCTC.from_pretrained(options.model)
    split = load_split(options.dataset, options.data_dir, options.split, options.max_lines, options.dataset_option)
    lines, milliseconds = read_logits(model, processor, split, options.batch_size)
    greedy = read_texts(lines, processor)
    print(f"{len(lines)} lines, {len(grouped(greedy, lambda line: line.hand))} writers; network {milliseconds:.1f} ms")
    print(row("greedy", greedy))
    tuned = tune(decoder, lines, options)
    if not options.dry_run:
        folder = decoder_folder(Path(name))
        tuned = without_old_calibration(tuned, decoder)
        tuned.save_pretrained(folder)
        print(f"Wrote {folder}.")
    print_sources(greedy, read_with(tuned, lines)[0])


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_line_options(parser)
    parser.add_argument("--decoder", help="decoder's folder, or that of its model; default: the model's own")
    parser.add_argument("--lm_weights", type=float, nargs="+", default=LM_WEIGHTS)
    parser.add_argument("--length_bonuses", type=float, nargs="+", default=LENGTH_BONUSES)
    parser.add_argument("--word_bonuses", type=float, nargs="+", default=WORD_BONUSES, help="where there are words")
    parser.add_argument("--beam_sizes", type=at_least_one, nargs="+", default=BEAM_SIZES)
    parser.add_argument("--dry_run", action="store_true", help="write nothing")
    return parser.parse_args(arguments)


def tune(decoder: HTRConvTextDecoder, lines: Sequence[NetworkLine], options: argparse.Namespace) -> HTRConvTextDecoder:
    """The decoder with the weights that read best; prints what each reads."""
    weights = options.lm_weights if decoder.arpa is not None else [0.0]
    bonuses = list(product(options.length_bonuses, options.word_bonuses if decoder.words else [0.0]))
    best: tuple[float, HTRConvTextDecoder] | None = None
    for weight in weights:
        searching = decoder.with_options(lm_weight=weight, beam_size=max(options.beam_sizes))
        found = [searching.search(line.logits) for line in lines]
        for length_bonus, word_bonus in bonuses:
            ranking = searching.with_options(length_bonus=length_bonus, word_bonus=word_bonus)
            read = [line.read_as(ranking.rank(of_line)[0][1]) for line, of_line in zip(lines, found, strict=True)]
            print(row(f"lm_weight {weight:g} length_bonus {length_bonus:g} word_bonus {word_bonus:g}", read))
            wer = mean_over_hands(read)["wer"]
            if best is None or wer < best[0]:
                best = wer, ranking
    assert best is not None
    return choose_beam(best[1], lines, sorted(options.beam_sizes))


def without_old_calibration(tuned: HTRConvTextDecoder, before: HTRConvTextDecoder) -> HTRConvTextDecoder:
    """A decoder whose scores, if they are others than before, have no calibration: it was fitted on those."""
    fresh = tuned.with_options(calibration=None)
    same = all(getattr(tuned, name) == getattr(before, name) for name in tuned.options)
    if same or before.calibration == fresh.calibration:
        return tuned
    print("Its calibration was fitted with other weights and is gone: python -m htr_convtext.decoding.calibrate")
    return fresh


def choose_beam(
    decoder: HTRConvTextDecoder, lines: Sequence[NetworkLine], beam_sizes: Sequence[int]
) -> HTRConvTextDecoder:
    rates = {}
    for size in beam_sizes:
        read, milliseconds = read_with(decoder.with_options(beam_size=size), lines)
        rates[size] = mean_over_hands(read)["wer"]
        print(row(f"beam_size {size}", read) + f"  {milliseconds:.1f} ms")
    size = next(size for size in beam_sizes if rates[size] <= min(rates.values()) + BEAM_TOLERANCE)
    print(
        f"chosen: lm_weight {decoder.lm_weight:g} length_bonus {decoder.length_bonus:g} "
        f"word_bonus {decoder.word_bonus:g} beam_size {size}"
    )
    return decoder.with_options(beam_size=size)


def read_with(decoder: HTRConvTextDecoder, lines: Sequence[NetworkLine]) -> tuple[list[ReadLine], float]:
    """Lines as a decoder reads them, and its milliseconds a line."""
    begin = process_time()
    texts = [decoder.rank(decoder.search(line.logits))[0][1] for line in lines]
    milliseconds = 1000 * (process_time() - begin) / max(len(lines), 1)
    return [line.read_as(text) for line, text in zip(lines, texts, strict=True)], milliseconds


def print_sources(greedy: Sequence[ReadLine], tuned: Sequence[ReadLine]) -> None:
    before, after = (grouped(lines, lambda line: line.source) for lines in (greedy, tuned))
    for source in before:
        print(row(f"{source} greedy", before[source]))
        print(row(f"{source} chosen", after[source]))


def row(name: str, lines: Sequence[ReadLine]) -> str:
    rates = mean_over_hands(lines)
    return f"{name:60s} CER {100 * rates['cer']:6.2f}  WER {100 * rates['wer']:6.2f}"


if __name__ == "__main__":
    main()

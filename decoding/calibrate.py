# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Fits the calibration that makes scores probabilities of being right, and shows how right they are.

    python -m htr_convtext.decoding.calibrate --model MODEL --data_dir LINES --split validation --write
    python -m htr_convtext.decoding.calibrate --model MODEL --decoder MODEL/language_model --data_dir LINES --write
    python -m htr_convtext.decoding.calibrate --model MODEL --data_dir LINES --split test --evaluate --plot scores.png

Fit on lines of writers that the model was not trained on: on those it knows, it is right more often. Printed are the
expected calibration errors of characters, words and lines, every writer weighing alike, before and after; each half
of the writers then has the calibration that was fitted on the other half (with --evaluate, the model's own). Then how
well the lines' scores rank them by their CER, and what is left of the CER if the least sure lines are checked and
corrected. --write puts the calibration into the model's processor_config.json, or with --decoder into the decoder's
configuration: its readings have scores of their own.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..console import errors_as_sentences, print_any_character
from ..decoding_htr_convtext import LEVELS, CTCHypothesis, calibrate, check_calibration, decode_greedily
from ..extras import needing
from ..language_model_htr_convtext import HTRConvTextDecoder
from ..modeling_htr_convtext import HTRConvTextForCTC
from ..processing_htr_convtext import HTRConvTextProcessor
from ..training.evaluation import ReadLine
from .calibration import (
    BINS,
    Scored,
    after_checking,
    area_under_risk_coverage,
    cross_fitted,
    expected_calibration_error,
    fit_calibration,
    reliability,
    score_lines,
)
from .reading import NetworkLine, add_line_options, check_folder, decoder_folder, load_split, read_logits

with needing("Calibrating", "train"):
    import matplotlib.figure

    from .draw import picture_file

CHECKED = (0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass
class Calibration:
    """
    Args:
        fitted: What was fitted, slope and offset of each level, or with --evaluate what the model has.
        scored: Of each level, scores without a calibration, and outcomes.
        after: Of each level, the calibrated scores, cross-fitted where it was fitted.
        lines: The readings.
        maxima: Mean of each line's characters' highest probabilities, what is compared with.
        shares: Share of each line's reading among those that the beam search ended with; none of greedy decoding.
    """

    fitted: dict[str, Sequence[float]]
    scored: dict[str, Scored]
    after: dict[str, np.ndarray]
    lines: list[ReadLine]
    maxima: np.ndarray
    shares: np.ndarray | None


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    options = parse_options(arguments)
    with errors_as_sentences("calibrate", OSError, ValueError, ImportError):
        run(options)


def run(options: argparse.Namespace) -> None:
    processor = HTRConvTextProcessor.from_pretrained(options.model)
    decoder = processor.resolve_decoder(options.decoder)
    if options.write:
        check_folder(options.decoder or options.model)
    model = HTRConvTextForCTC.from_pretrained(options.model)
    split = load_split(options.dataset, options.data_dir, options.split, options.max_lines, options.dataset_option)
    lines, _ = read_logits(model, processor, split, options.batch_size)
    own = (processor if decoder is None else decoder).calibration
    calibration = measure(lines, processor, decoder, own if options.evaluate else None)
    print_calibration(calibration)
    if options.write:
        write(calibration.fitted, Path(options.decoder or options.model), processor, decoder)
    if options.plot:
        plot(calibration).savefig(options.plot, dpi=150)
        print(f"Wrote {options.plot}.")


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_line_options(parser)
    parser.add_argument("--decoder", help="folder of a decoder whose readings are meant; default: greedy")
    parser.add_argument("--plot", type=picture_file, help="picture of reliability diagrams and of what checking gives")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="write the calibration")
    what.add_argument("--evaluate", action="store_true", help="fit nothing; measure the calibration that is there")
    return parser.parse_args(arguments)


def measure(
    lines: Sequence[NetworkLine],
    processor: HTRConvTextProcessor,
    decoder: HTRConvTextDecoder | None = None,
    given: Mapping[str, Sequence[float]] | None = None,
) -> Calibration:
    """
    Args:
        lines: The network's lines.
        processor ([`HTRConvTextProcessor`]): Its processor.
        decoder: What reads them; greedy decoding if `None`.
        given: The calibration to measure; fitted if `None`.
    """
    alphabet = processor.tokenizer.alphabet
    readings, shares = read(lines, processor, decoder)
    texts = ["".join(alphabet[index - 1] for index in reading.token_ids) for reading in readings]
    read_lines = [line.read_as(text) for line, text in zip(lines, texts, strict=True)]
    numbers = {hand: number for number, hand in enumerate(dict.fromkeys(line.hand for line in read_lines))}
    scored = score_lines(lines, readings, alphabet, [numbers[line.hand] for line in read_lines])
    if given is None:
        after = {level: cross_fitted(own, len(numbers)) for level, own in scored.items()}
        given = {level: fit_calibration(own) for level, own in scored.items()}
    else:
        after = {level: calibrate(own.scores, *given[level]) for level, own in scored.items()}
    maxima = np.array([np.mean(reading.scores) if reading.scores else 0.0 for reading in readings])
    return Calibration(dict(given), scored, after, read_lines, maxima, shares)


def read(
    lines: Sequence[NetworkLine], processor: HTRConvTextProcessor, decoder: HTRConvTextDecoder | None
) -> tuple[list[CTCHypothesis], np.ndarray | None]:
    """Readings without calibration and, of a beam search, each one's share among those that it ended with."""
    if decoder is None:
        space_id = processor.tokenizer.get_vocab().get(" ")
        return [decode_greedily(line.logits[None], 0, space_id)[0] for line in lines], None
    plain = decoder.with_options(calibration=None)
    best, shares = [], []
    for line in lines:
        best.append(plain.decode(line.logits[None])[0][0])
        log_scores = np.array([log_score for *_, log_score in plain.rank(plain.search(line.logits))])
        shares.append(1 / np.exp(log_scores - log_scores[0]).sum())
    return best, np.array(shares)


def print_calibration(calibration: Calibration) -> None:
    lines = calibration.lines
    hands = len({line.hand for line in lines})
    print(f"{len(lines)} lines, {hands} writers; calibrations and expected calibration errors:")
    for level in LEVELS:
        own, after = calibration.scored[level], calibration.after[level]
        slope, offset = calibration.fitted[level]
        errors = [expected_calibration_error(scores, own.right, own.weights) for scores in (own.scores, after)]
        print(
            f"  {level:10s} slope {slope:.3f} offset {offset:+.3f}  "
            f"error {errors[0]:.3f} -> {errors[1]:.3f}  "
            f"mean score {np.sum(own.weights * after):.3f}, right {np.sum(own.weights * own.right):.3f}"
        )
    print("area under the risk-coverage curve (risk: a line's CER), and the CER if the least sure lines are checked:")
    print(" " * 24 + "area   all" + "".join(f"{100 * share:6.0f} %" for share in CHECKED))
    for name, scores in rankings(calibration).items():
        print(f"  {name:20s} " + ranking_row(scores, lines))


def rankings(calibration: Calibration) -> dict[str, np.ndarray]:
    """What lines may be ranked by, surest highest."""
    found = {"score": calibration.after["line"], "mean of maxima": calibration.maxima}
    if calibration.shares is not None:
        found["share of the beam"] = calibration.shares
    errors = np.array([line.cer for line in calibration.lines])
    return {**found, "by chance": np.zeros(len(errors)), "the CER itself": -errors}


def ranking_row(scores: np.ndarray, lines: Sequence[ReadLine]) -> str:
    risks = np.array([min(1.0, line.cer) for line in lines])
    edits, lengths = edits_and_lengths(lines)
    by_chance = len(set(scores.tolist())) == 1
    left = [
        (1 - share) * edits.sum() / lengths.sum() if by_chance else after_checking(scores, edits, lengths, share)
        for share in (0, *CHECKED)
    ]
    area = area_under_risk_coverage(scores, risks)
    return f"{area:.4f}" + "".join(f"{100 * rate:8.2f}" for rate in left)


def edits_and_lengths(lines: Sequence[ReadLine]) -> tuple[np.ndarray, np.ndarray]:
    """Wrong characters and characters in all of each line, both of shape `(lines,)`."""
    return np.array([line.edits for line in lines]), np.array([len(line.reference) for line in lines])


def plot(calibration: Calibration) -> matplotlib.figure.Figure:
    """Reliability of each level before and after, and the CER that is left by how many lines are checked."""
    figure = matplotlib.figure.Figure(figsize=(16, 4), layout="constrained")
    axes = figure.subplots(1, len(LEVELS) + 1)
    for axis, level in zip(axes, LEVELS, strict=False):
        own = calibration.scored[level]
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for name, scores in (("before", own.scores), ("after", calibration.after[level])):
            table = reliability(scores, own.right, own.weights)
            axis.plot(table[:, 0], table[:, 1], marker="o", markersize=3, label=name)
            axis.bar((np.arange(BINS) + 0.5) / BINS, table[:, 2] / table[:, 2].sum(), 1 / BINS, alpha=0.2)
        right = "share of its characters right" if level == "line" else "share right"
        axis.set(title=level, xlabel="score", ylabel=right, xlim=(0, 1), ylim=(0, 1))
        axis.legend()
    shares = np.linspace(0, 1, 51)
    edits, lengths = edits_and_lengths(calibration.lines)
    for name, scores in rankings(calibration).items():
        if name != "by chance":
            left = [100 * after_checking(scores, edits, lengths, share) for share in shares]
            axes[-1].plot(100 * shares, left, label=name)
    axes[-1].set(title="lines", xlabel="least sure lines corrected, %", ylabel="CER that is left, %", xlim=(0, 100))
    axes[-1].set_ylim(bottom=0)
    axes[-1].legend()
    return figure


def write(
    fitted: Mapping[str, Sequence[float]],
    folder: Path,
    processor: HTRConvTextProcessor,
    decoder: HTRConvTextDecoder | None,
) -> None:
    if decoder is not None:
        folder = decoder_folder(folder)
        decoder.with_options(calibration=dict(fitted)).save_pretrained(folder)
    else:
        processor.calibration = check_calibration(fitted)
        processor.to_json_file(folder / "processor_config.json")
    print(f"Wrote {folder}.")


if __name__ == "__main__":
    main()

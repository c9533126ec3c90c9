# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
HTR-ConvText beside small networks of other kinds, trained from scratch on the same lines for the same CPU time.

    python -m htr_convtext.benchmarks.peers --data_dir lines_a lines_b --output_dir runs --table peers.md

A CRNN and a ResNet with a plain transformer encoder (`peer_networks`) share everything with HTR-ConvText but the
network between image and classifier, and have no Textual Context Module. Options behind `--` go to every training. CPU
time is that of the process with all its threads. After it each network (its average, where one is kept) reads the
lines of `--split`; then all of them are timed in turn. Networks that have been trained are not trained again: with
`--networks` one process can train one of them.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from transformers import set_seed

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC
from htr_convtext.training import HTRConvTextTrainer, keep_freed_memory, prepare_lines
from htr_convtext.training.options import DataArguments, parse_arguments
from htr_convtext.training.splits import load_splits
from htr_convtext.training.starting_model import load_model

from .peer_networks import peer
from .runs import TIMED, cpu_minutes, markdown_table, parse_run_options, read_json, write_table
from .timing import HEIGHT, machine, measure_steadily, quartiles

OURS = "htr-convtext"
NETWORKS = (OURS, "crnn", "resnet-vit")
RESULT_FILE = "result.json"
TIMED_LINES, TIMED_WIDTH = 4, 512


def main() -> None:
    options = parse_options()
    for name in options.networks:
        if not (options.output_dir / name / RESULT_FILE).exists():
            train_and_read(name, options)
    finished = [name for name in NETWORKS if (options.output_dir / name / RESULT_FILE).exists()]
    results = {name: read_json(options.output_dir / name / RESULT_FILE) for name in finished}
    seconds = time_networks(results, options.rounds)
    write_table(options.table, table(results, seconds, options))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True, help="folders of lines")
    parser.add_argument("--minutes", type=float, default=60, help="CPU minutes of each training")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="lines read at the end")
    parser.add_argument("--rounds", type=int, default=20, help="of the timing")
    return parse_run_options(parser)


def train_arguments(name: str, options: argparse.Namespace) -> list[str]:
    """The network's training as train_hf.py's options."""
    fixed = [*TIMED, *cpu_minutes(options.minutes), *([] if name == OURS else ["--tcm_weight", "0"])]
    folder = str(options.output_dir / name)
    return ["--data_dir", *options.data_dir, "--output_dir", folder, *fixed, *options.train_options]


def train_and_read(name: str, options: argparse.Namespace) -> None:
    """Trains a network as train_hf.py does, and writes its size, its steps and its error rates."""
    model_args, data_args, args = parse_arguments(train_arguments(name, options))
    set_seed(args.seed)
    keep_freed_memory()
    lines = load_splits(data_args)
    processor, model, _ = load_model(model_args, data_args, args, lines)
    if name != OURS:
        model = peer(name, model.config)
    train_set = prepare_lines(lines["train"], processor, model.config)
    trainer = HTRConvTextTrainer(model=model, args=args, processing_class=processor, train_dataset=train_set)
    metrics = trainer.train().metrics
    result = {
        "parameters": model.num_parameters(),
        "steps": trainer.state.global_step,
        "lines": round(metrics["epoch"] * len(train_set)),
        "config": model.config.to_dict(),
        "command": shlex.join(["htr_convtext.benchmarks.peers", *sys.argv[1:]]),
        "rates": {
            Path(folder).name: read_folder(folder, trainer, data_args, options.split) for folder in options.data_dir
        },
    }
    file = options.output_dir / name / RESULT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def read_folder(folder: str, trainer: HTRConvTextTrainer, data_args: DataArguments, split: str) -> dict[str, float]:
    """Error rates on a split of a folder."""
    lines = load_splits(replace(data_args, data_dir=[folder]))[split]
    prepared = prepare_lines(lines, trainer.processing_class, trainer.recognizer.config, training=False)
    rates = trainer.predict(prepared).metrics
    return {"cer": rates["test_cer"], "wer": rates["test_wer"]}


def time_networks(results: dict[str, dict], rounds: int) -> dict[str, list[float]]:
    """Seconds of each network in each round, float32."""
    pixel_values = torch.rand(TIMED_LINES, 1, HEIGHT, TIMED_WIDTH)
    networks = {
        name: load_network(name, HTRConvTextConfig.from_dict(result["config"])) for name, result in results.items()
    }
    contenders = {name: lambda network=network: network(pixel_values) for name, network in networks.items()}
    return measure_steadily(contenders, rounds)[0]


def load_network(name: str, config: HTRConvTextConfig) -> HTRConvTextForCTC:
    """A network with random weights, which is as fast; ours in the mode that it reads in."""
    return HTRConvTextForCTC(config).optimize_for_inference() if name == OURS else peer(name, config).eval()


def table(results: dict[str, dict], seconds: dict[str, list[float]], options: argparse.Namespace) -> Iterator[str]:
    sources = [Path(folder).name for folder in options.data_dir]
    yield f"Error rates (percent) on the {options.split} lines after {options.minutes:g} CPU minutes from scratch."
    yield f"Time of a line of {HEIGHT}x{TIMED_WIDTH} pixels, {TIMED_LINES} at once: median (quartiles) of"
    yield f"{options.rounds} interleaved rounds. {machine()}."
    yield ""
    rates = [f"{rate} {source}" for source in sources for rate in ("CER", "WER")]
    header = ["network", "parameters", "steps", "lines", *rates, "ms a line"]
    yield from markdown_table(header, (row(name, results[name], seconds[name], sources) for name in results))
    yield ""
    yield from (f"    {name}: python -m {result['command']}" for name, result in results.items())


def row(name: str, result: dict, seconds: list[float], sources: list[str]) -> list[str]:
    size = [name, f"{result['parameters'] / 1e6:.1f} M", str(result["steps"]), str(result["lines"])]
    read = [f"{100 * result['rates'][source][rate]:.2f}" for source in sources for rate in ("cer", "wer")]
    return [*size, *read, quartiles([1000 * second / TIMED_LINES for second in seconds])]


if __name__ == "__main__":
    main()

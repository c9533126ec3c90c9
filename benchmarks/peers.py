# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
HTR-ConvText beside small networks of other kinds, trained from scratch on the same lines for the same CPU time.

    python -m htr_convtext.benchmarks.peers --data_dir lines_a lines_b --minutes 60 --output_dir runs/peers \\
        --table benchmarks/results/peers.md -- --size tiny --use_cpu --sam_rho 0 --per_device_train_batch_size 8

A CRNN and a ResNet with a plain transformer encoder (`peer_networks`) share everything with HTR-ConvText but the
network between image and classifier, and have no Textual Context Module. Options behind `--` go to every training. CPU
time is that of the process with all its threads. After it each network (its average, where one is kept) reads the
lines of `--split`; then all of them are timed in turn. Networks that have been trained are not trained again: with
`--networks` one process can train one of them. What `benchmarks.kraken_training` has written into the same folder is
in the table, too; how fast kraken reads, `benchmarks.speed` measures where it is installed.
"""

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import set_seed

from htr_convtext import HTRConvTextConfig, HTRConvTextForCTC, train_hf
from htr_convtext.training import HTRConvTextTrainer, keep_freed_memory, prepare_lines

from .inference import measure_steadily, quartiles
from .peer_networks import peer
from .recipe import parse_with_train_options

OURS = "htr-convtext"
NETWORKS = (OURS, "crnn", "resnet-vit")
KRAKEN = "kraken"
RESULT_FILE = "result.json"


def main() -> None:
    options = parse_options()
    for name in options.networks:
        if not (options.output_dir / name / RESULT_FILE).exists():
            train_and_read(name, options)
    finished = [name for name in (*NETWORKS, KRAKEN) if (options.output_dir / name / RESULT_FILE).exists()]
    results = {name: json.loads((options.output_dir / name / RESULT_FILE).read_text("utf-8")) for name in finished}
    seconds = time_networks({name: results[name] for name in results if name != KRAKEN}, options.rounds)
    text = "\n".join(table(results, seconds, options)) + "\n"
    options.table.parent.mkdir(parents=True, exist_ok=True)
    options.table.write_text(text, encoding="utf-8")
    print(text)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", nargs="+", required=True, help="folders of lines")
    parser.add_argument("--minutes", type=float, default=60, help="CPU minutes of each training")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument(
        "--split", choices=("validation", "test"), default="validation", help="lines to read at the end"
    )
    parser.add_argument("--rounds", type=int, default=20, help="of the timing")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="file of the table (Markdown), written anew")
    return parse_with_train_options(parser)


def train_arguments(name: str, options: argparse.Namespace) -> list[str]:
    """The network's training as train_hf.py's options."""
    fixed = ["--do_train", "--eval_strategy", "no", "--save_strategy", "no", "--report_to", "none"]
    fixed += ["--max_train_minutes", f"{options.minutes:g}", "--time_limit_clock", "cpu"]
    fixed += [] if name == OURS else ["--tcm_weight", "0"]
    folder = str(options.output_dir / name)
    return ["--data_dir", *options.data_dir, "--output_dir", folder, *fixed, *options.train_options]


def train_and_read(name: str, options: argparse.Namespace) -> None:
    """Trains a network as train_hf.py does, and writes its size, its steps and its error rates."""
    model_args, data_args, args = train_hf.parse_arguments(train_arguments(name, options))
    set_seed(args.seed)
    keep_freed_memory()
    lines = train_hf.load_splits(data_args)
    processor, model, _ = train_hf.load_model(model_args, data_args, args, lines)
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
        "rates": {},
    }
    for folder in options.data_dir:
        data_args.data_dir = [folder]
        split = train_hf.load_splits(data_args)[options.split]
        rates = trainer.predict(prepare_lines(split, processor, model.config, training=False)).metrics
        result["rates"][Path(folder).name] = {"cer": rates["test_cer"], "wer": rates["test_wer"]}
    file = options.output_dir / name / RESULT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def time_networks(results: dict[str, dict], rounds: int) -> dict[str, list[float]]:
    """Seconds of each network in each round for four lines of 64x512 pixels, float32."""
    pixel_values = torch.rand(4, 1, 64, 512)
    networks = {
        name: load_network(name, HTRConvTextConfig.from_dict(result["config"])) for name, result in results.items()
    }
    contenders = {name: lambda network=network: network(pixel_values) for name, network in networks.items()}
    return measure_steadily(contenders, rounds)[0]


def load_network(name: str, config: HTRConvTextConfig) -> HTRConvTextForCTC:
    """A network with drawn weights, which is as fast; ours in the mode that it reads in."""
    return HTRConvTextForCTC(config).optimize_for_inference() if name == OURS else peer(name, config).eval()


def table(results: dict[str, dict], seconds: dict[str, list[float]], options: argparse.Namespace) -> Iterator[str]:
    sources = [Path(folder).name for folder in options.data_dir]
    yield f"Error rates (percent) on the {options.split} lines after {options.minutes:g} CPU minutes from scratch."
    yield f"Time of a line of 64x512 pixels, four at once: median (quartiles) of {options.rounds} interleaved rounds."
    yield f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}."
    yield ""
    rates = [f"{rate} {source}" for source in sources for rate in ("CER", "WER")]
    header = ["network", "parameters", "steps", "lines", *rates, "ms a line"]
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    for name, result in results.items():
        read = [f"{100 * result['rates'][source][rate]:.2f}" for source in sources for rate in ("cer", "wer")]
        milliseconds = quartiles([1000 * second / 4 for second in seconds[name]]) if name in seconds else "-"
        cells = [
            name,
            f"{result['parameters'] / 1e6:.1f} M",
            str(result.get("steps", "-")),
            str(result["lines"]),
            *read,
        ]
        yield "| " + " | ".join([*cells, milliseconds]) + " |"
    yield ""
    yield from (f"    {name}: python -m {result['command']}" for name, result in results.items())


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Speed and memory of reading on a CPU against the plain network, interleaved, with the machine's own rate beside it.

    python -m htr_convtext.benchmarks.inference --size base --batch_size 4 --rounds 20
    python -m htr_convtext.benchmarks.inference --size base --rounds 20 --exports exports   # and exported networks
    python -m htr_convtext.benchmarks.inference --size base --batch_size 16 --memory        # peak memory instead

Every contender reads once in each round, in turn; where the rate of matrix products moves by more than 10 % between
the rounds' quartiles, the rounds are repeated, up to three times, and the steadiest are printed. `--exports` names a
folder for exported networks, made where they are missing (needs the extra [export]).
"""

import argparse
import copy
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from htr_convtext import SIZES, HTRConvTextConfig, HTRConvTextForCTC
from htr_convtext.benchmarks.plain_network import plain_network

MATRIX_SIDE = 2048
MATRIX_PRODUCT = "matrix product"
WARM_UP_ROUNDS = 2
STEADY = 0.10
ATTEMPTS = 3
CALIBRATION_LINES = 16
KIBIBYTES_IN_MIB = 1024
# Export folder and type that it is run in.
EXPORTS = {
    "OpenVINO float32": ("openvino", torch.float32),
    "OpenVINO bfloat16": ("openvino", torch.bfloat16),
    "OpenVINO float16": ("openvino", torch.float16),
    "OpenVINO int8": ("openvino-int8", torch.float32),
    "OpenVINO int8, bfloat16": ("openvino-int8", torch.bfloat16),
    "ONNX Runtime float32": ("onnx", torch.float32),
    "ONNX Runtime int8": ("onnx-int8", torch.float32),
}
TORCH_CONTENDERS = ("plain", "as loaded", "inference mode", "inference mode bfloat16")
EXACT = ("plain", "as loaded", "inference mode", "OpenVINO float32", "ONNX Runtime float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--width", type=int, default=512, help="pixels")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--exports", type=Path, help="folder for exported networks; left away, none is measured")
    parser.add_argument("--only", nargs="+", help="contenders besides the plain network; default: all")
    parser.add_argument("--memory", action="store_true", help="peak memory of each contender in a process of its own")
    parser.add_argument("--memory_of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.exports is not None:
        make_exports(options.exports, options.size)
    names = [*TORCH_CONTENDERS, *(EXPORTS if options.exports else ())]
    if options.only:
        names = ["plain", *(name for name in names if name in options.only)]

    if options.memory_of:
        print(json.dumps(peak_memory_of(options.memory_of, options)))
    elif options.memory:
        report_memory(names, options)
    else:
        report_speed(names, options)


def new_network(size: str) -> HTRConvTextForCTC:
    """The plain network of a size, its weights drawn from a fixed seed."""
    torch.manual_seed(0)
    return plain_network(HTRConvTextConfig(**SIZES[size])).eval()


def lines_of(options: argparse.Namespace) -> torch.Tensor:
    return torch.rand(options.batch_size, 1, 64, options.width, generator=torch.Generator().manual_seed(1))


def make_contender(name: str, plain: HTRConvTextForCTC, exports: Path | None) -> Callable:
    """A network with the plain one's weights that reads as `name` says."""
    if name == "plain":
        return plain
    if name in EXPORTS and exports is not None:
        from ..export import ExportedHTRConvText

        folder, dtype = EXPORTS[name]
        return ExportedHTRConvText.from_pretrained(exports / folder, dtype=dtype)
    model = HTRConvTextForCTC._from_config(copy.deepcopy(plain.config), attn_implementation="sdpa").eval()
    model.load_state_dict(plain.state_dict())
    if name == "inference mode":
        model.optimize_for_inference()
    if name == "inference mode bfloat16":
        model.optimize_for_inference(dtype=torch.bfloat16)
    return model


def make_exports(folder: Path, size: str) -> None:
    """Exports the network of a size, unless its folder is there; int8 is calibrated on noise, which is as fast."""
    from ..export import export_model

    for name in {name for name, _ in EXPORTS.values()}:
        if (folder / name).is_dir():
            continue
        network = HTRConvTextForCTC(HTRConvTextConfig(**SIZES[size])).eval()
        network.load_state_dict(new_network(size).state_dict())
        noise = list(torch.rand(CALIBRATION_LINES, 1, 1, 64, 512)) if name.endswith("int8") else None
        export_model(network, name.split("-")[0], noise).save_pretrained(folder / name)


def report_speed(names: list[str], options: argparse.Namespace) -> None:
    pixel_values = lines_of(options)
    plain = new_network(options.size)
    networks = {name: make_contender(name, plain, options.exports) for name in names}
    differences = {name: difference(network, plain, pixel_values, name) for name, network in networks.items()}
    contenders = {name: (lambda network=network: network(pixel_values)) for name, network in networks.items()}
    seconds, unsteadiness = measure_steadily(contenders, options.rounds)

    lines = options.batch_size
    rates = [2 * MATRIX_SIDE**3 / second for second in seconds[MATRIX_PRODUCT]]
    flops = count_flops(plain, pixel_values)
    print(f"{options.size}, batch {lines}, 64x{options.width}, {platform.processor() or 'CPU'}, {threads()}")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"{options.rounds} interleaved rounds; median (quartiles); {flops / 1e9:.2f} GFLOP a line")
    print(
        f"matrix products, float32: {quartiles([rate / 1e9 for rate in rates])} GFLOP/s, quartiles "
        f"{100 * unsteadiness:.0f} % apart"
    )
    print(f"{'':26}{'ms a line':>26}{'times plain':>22}{'% of products':>16}{'logits':>9}")
    for name in networks:
        milliseconds = quartiles([1000 * second / lines for second in seconds[name]])
        ratios = quartiles([slow / fast for slow, fast in zip(seconds["plain"], seconds[name], strict=True)])
        shares = [100 * flops * lines / second / rate for second, rate in zip(seconds[name], rates, strict=True)]
        share = statistics.median(shares)
        print(f"{name:26}{milliseconds:>26}{ratios:>22}{share:16.0f}{differences[name]:9.0e}")


@torch.no_grad()
def difference(network: Callable, plain: HTRConvTextForCTC, pixel_values: torch.Tensor, name: str) -> float:
    """Largest difference of the logits; a comparison of different functions would be worthless."""
    largest = (network(pixel_values).logits.float() - plain(pixel_values).logits).abs().max().item()
    if name in EXACT and largest > 1e-3:
        raise SystemExit(f"{name} and the plain network disagree by {largest:.1e}: no comparison.")
    return largest


def measure_steadily(contenders: dict[str, Callable], rounds: int) -> tuple[dict[str, list[float]], float]:
    """
    Seconds of each contender and of a matrix product, which tells the machine's rate, in each round.

    Returns:
        The steadiest of up to `ATTEMPTS` measurements, and how far apart the quartiles of the machine's rate were.
    """
    matrix = torch.rand(MATRIX_SIDE, MATRIX_SIDE)
    contenders = {**contenders, MATRIX_PRODUCT: lambda: matrix @ matrix}
    attempts = []
    for _ in range(ATTEMPTS):
        seconds = measure(contenders, rounds)
        low, middle, high = statistics.quantiles(seconds[MATRIX_PRODUCT], n=4)
        attempts.append((seconds, (high - low) / middle))
        if attempts[-1][1] <= STEADY:
            break
    return min(attempts, key=lambda attempt: attempt[1])


@torch.no_grad()
def measure(contenders: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, one after the other within a round, after rounds of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + WARM_UP_ROUNDS):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if number >= WARM_UP_ROUNDS:
                seconds[name].append(time.perf_counter() - start)
    return seconds


@torch.no_grad()
def count_flops(plain: HTRConvTextForCTC, pixel_values: torch.Tensor) -> float:
    """Floating-point operations of matrix products and convolutions for one line, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        plain(pixel_values)
    return counter.get_total_flops() / len(pixel_values)


def report_memory(names: list[str], options: argparse.Namespace) -> None:
    print(f"{options.size}, batch {options.batch_size}, 64x{options.width}; MiB, each in a process of its own")
    print(f"{'':26}{'loaded':>10}{'peak':>10}{'reading takes':>16}")
    for name in names:
        command = [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--memory_of", name]
        figures = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
        loaded, peak = figures["loaded"], figures["peak"]
        print(f"{name:26}{loaded:10.0f}{peak:10.0f}{peak - loaded:16.0f}")


@torch.no_grad()
def peak_memory_of(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Largest resident memory (MiB) once a contender stands ready, and after it has read two batches."""
    network = make_contender(name, new_network(options.size), options.exports)
    pixel_values = lines_of(options)
    loaded = resident_peak()
    for _ in range(2):
        network(pixel_values)
    return {"loaded": loaded, "peak": resident_peak()}


def resident_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES_IN_MIB


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def threads() -> str:
    return f"{torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()

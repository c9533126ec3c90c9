# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Speed and memory of reading against the baseline: the paper's network, eager attention, float32.

    python -m htr_convtext.benchmarks.inference --size base --batch_size 4 --rounds 20
    python -m htr_convtext.benchmarks.inference --size base --rounds 20 --exports exports   # and exported networks
    python -m htr_convtext.benchmarks.inference --size base --batch_size 16 --memory        # peak memory instead
    python -m htr_convtext.benchmarks.inference --device cuda --batch_size 1 16 64 256      # on a GPU
    python -m htr_convtext.benchmarks.inference --size tiny --width 128 512 2048 --only "inference mode"

Every contender reads once in each round, in turn; where the rate of matrix products moves by more than 10 % between
the rounds' quartiles, the rounds are repeated, up to three times, and the steadiest are printed. `--exports` names a
folder for exported networks of every size, made where they are missing (needs the extra [export]). Compiled contenders
are measured on GPUs and where `--only` names them: compiling takes minutes on a CPU.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from ..configuration_htr_convtext import SIZES
from ..console import at_least_one
from .runs import figures_of_process, peak_memory
from .timing import (
    HEIGHT,
    MATRIX_PRODUCT,
    MATRIX_SIDE,
    count_flops,
    machine,
    measure_steadily,
    new_network,
    print_table,
    quartiles,
    ratios,
)

BASELINE = "baseline"
LOADED = "as loaded"
# Arguments of optimize_for_inference.
MODES: dict[str, dict] = {
    "inference mode": {},
    "inference mode bfloat16": {"dtype": torch.bfloat16},
}
COMPILED: dict[str, dict] = {
    "bfloat16, compiled": {"dtype": torch.bfloat16, "compile": True},
    "bfloat16, CUDA graphs": {"dtype": torch.bfloat16, "compile": "reduce-overhead"},
}
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
NAMES = (LOADED, *MODES, *COMPILED, *EXPORTS)
EXACT = (BASELINE, LOADED, "inference mode", "OpenVINO float32", "ONNX Runtime float32")
CALIBRATION_LINES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch_size", type=at_least_one, nargs="+", default=[4])
    parser.add_argument("--width", type=at_least_one, nargs="+", default=[512], help="pixels")
    parser.add_argument("--rounds", type=at_least_one, default=20)
    parser.add_argument("--exports", type=Path, help="folder for exported networks; without it, none is measured")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="contenders besides the baseline; default: all")
    parser.add_argument("--memory", action="store_true", help="peak memory of each contender in a process of its own")
    parser.add_argument("--memory_of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU here. `--device cpu` measures on the CPU.")
    if options.exports is None and (exported := set(options.only or ()) & set(EXPORTS)):
        parser.error(f"--only {min(exported)!r} needs --exports: a folder for exported networks.")
    if options.exports is not None:
        options.exports /= options.size  # Those of another size are other networks.
        make_exports(options.exports, options.size)

    if options.memory_of:
        print(json.dumps(peak_memory_of(options.memory_of, options)))
    elif options.memory:
        report_memory(options)
    else:
        report_speed(options)


def contender_names(options: argparse.Namespace) -> list[str]:
    wanted = [LOADED, *MODES, *(EXPORTS if options.exports else ())]
    if options.device.startswith("cuda"):
        wanted += COMPILED
    if options.only:
        wanted = [name for name in NAMES if name in options.only]
    return [BASELINE, *wanted]


def make_contender(name: str, options: argparse.Namespace) -> Callable:
    """A network with the baseline's weights that reads as `name` says."""
    if name in EXPORTS:
        from ..export import ExportedHTRConvText

        folder, dtype = EXPORTS[name]
        return ExportedHTRConvText.from_pretrained(options.exports / folder, dtype=dtype)
    network = new_network(options.size, "eager" if name == BASELINE else "sdpa").to(options.device)
    modes = MODES | COMPILED
    return network.optimize_for_inference(**modes[name]) if name in modes else network


def make_exports(folder: Path, size: str) -> None:
    """Exports the network of a size, unless its folder is there; int8 is calibrated on noise, which is as fast."""
    from ..export import export_model

    for name in {name for name, _ in EXPORTS.values()}:
        if not (folder / name).is_dir():
            noise = list(torch.rand(CALIBRATION_LINES, 1, 1, HEIGHT, 512)) if name.endswith("int8") else None
            export_model(new_network(size, "sdpa"), name.split("-")[0], noise).save_pretrained(folder / name)


def noise(batch_size: int, width: int, device: str) -> torch.Tensor:
    return torch.rand(batch_size, 1, HEIGHT, width, generator=torch.Generator().manual_seed(1)).to(device)


def report_speed(options: argparse.Namespace) -> None:
    networks = {name: make_contender(name, options) for name in contender_names(options)}
    print(f"{options.size}, {machine(options.device)}, transformers {transformers.__version__}")
    print(f"{options.rounds} interleaved rounds; median (quartiles)")
    for batch_size in options.batch_size:
        for width in options.width:
            report_shape(networks, noise(batch_size, width, options.device), options)


def report_shape(networks: dict[str, Any], pixel_values: torch.Tensor, options: argparse.Namespace) -> None:
    lines, width = pixel_values.shape[0], pixel_values.shape[-1]
    differences = {name: f"{difference(name, networks, pixel_values):.0e}" for name in networks}
    contenders = {name: lambda network=network: network(pixel_values) for name, network in networks.items()}
    seconds, unsteadiness = measure_steadily(contenders, options.rounds, options.device)
    rates = [2 * MATRIX_SIDE**3 / second for second in seconds[MATRIX_PRODUCT]]
    flops = count_flops(networks[BASELINE], pixel_values)[""]
    spread = f"{quartiles(rate / 1e9 for rate in rates)} GFLOP/s, quartiles {100 * unsteadiness:.0f} % apart"
    print(f"batch {lines}, {HEIGHT}x{width}; {flops / lines / 1e9:.2f} GFLOP a line; matrix products: {spread}")
    rows = []
    for name, times in seconds.items():
        if name != MATRIX_PRODUCT:
            share = statistics.median(100 * flops / time / rate for time, rate in zip(times, rates, strict=True))
            milliseconds = quartiles(1000 * time / lines for time in times)
            rows.append([name, milliseconds, ratios(seconds[BASELINE], times), f"{share:.0f}", differences[name]])
    print_table(["", "ms a line", "speed-up", "% of products", "logits"], rows)


@torch.no_grad()
def difference(name: str, networks: dict[str, Callable], pixel_values: torch.Tensor) -> float:
    """Largest difference of the logits from the baseline's: timing different functions would tell nothing."""
    logits, baseline = (networks[each](pixel_values).logits.float() for each in (name, BASELINE))
    largest = (logits - baseline).abs().max().item()
    if name in EXACT and largest > 1e-3 and pixel_values.device.type == "cpu":
        raise SystemExit(f"{name} and the baseline disagree by {largest:.1e}: no comparison.")
    return largest


def report_memory(options: argparse.Namespace) -> None:
    print(f"{options.size}, batch {options.batch_size[0]}, {HEIGHT}x{options.width[0]}; MiB, a process each")
    rows = []
    for name in contender_names(options):
        loaded, peak = figures_of_process(__spec__.name, *sys.argv[1:], "--memory_of", name).values()
        rows.append([name, *(f"{memory:.0f}" for memory in (loaded, peak, peak - loaded))])
    print_table(["", "loaded", "peak", "reading takes"], rows)


@torch.no_grad()
def peak_memory_of(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Largest resident memory (MiB) once a contender is ready, and after it has read two batches."""
    network = make_contender(name, options)
    pixel_values = noise(options.batch_size[0], options.width[0], options.device)
    loaded = peak_memory()
    for _ in range(2):
        network(pixel_values)
    return {"loaded": loaded, "peak": peak_memory()}


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Lines a second on a GPU, by batch size, against the plain eager float32 network. Training: see benchmarks.training.

    python -m htr_convtext.benchmarks.gpu --size base --batches 1 16 64 256

Where there is no GPU it says so and measures nothing; `--device cpu` tries the command itself.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
import transformers

from htr_convtext import SIZES, HTRConvTextConfig, HTRConvTextForCTC
from htr_convtext.benchmarks.inference import quartiles
from htr_convtext.benchmarks.plain_network import plain_network

HEIGHT = 64
WARM_UP_ROUNDS = 3
# Arguments of optimize_for_inference for each contender.
MODES: dict[str, dict] = {
    "inference mode": {},
    "bfloat16": {"dtype": torch.bfloat16},
    "bfloat16, compiled": {"dtype": torch.bfloat16, "compile": True},
    "bfloat16, CUDA graphs": {"dtype": torch.bfloat16, "compile": "reduce-overhead"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--width", type=int, default=512, help="pixels")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--no_compile", action="store_true", help="leave the compiled ones out")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("No GPU here: nothing measured. `--device cpu` tries the command itself.")
        return

    torch.manual_seed(0)
    plain = plain_network(HTRConvTextConfig(**SIZES[options.size])).eval().to(options.device)
    modes = {name: mode for name, mode in MODES.items() if not (options.no_compile and "compile" in mode)}
    networks = {"plain, float32": plain, **{name: optimized(plain, mode) for name, mode in modes.items()}}
    where = torch.cuda.get_device_name() if options.device.startswith("cuda") else options.device
    print(f"{options.size}, 64x{options.width}, {where}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    print(f"transformers {transformers.__version__}; {options.rounds} interleaved rounds, median (quartiles)")
    print(f"{'batch':>6} {'':26}{'lines a second':>34}{'times plain':>24}")
    for batch_size in options.batches:
        pixel_values = torch.rand(batch_size, 1, HEIGHT, options.width, device=options.device)
        seconds = measure(networks, pixel_values, options.rounds)
        for name in networks:
            rates = quartiles([batch_size / second for second in seconds[name]])
            ratios = [slow / fast for slow, fast in zip(seconds["plain, float32"], seconds[name], strict=True)]
            print(f"{batch_size:6} {name:26}{rates:>34}{quartiles(ratios):>24}")


def optimized(plain: HTRConvTextForCTC, mode: dict) -> HTRConvTextForCTC:
    """The plain network's weights in inference mode."""
    model = HTRConvTextForCTC._from_config(copy.deepcopy(plain.config), attn_implementation="sdpa")
    model.load_state_dict(plain.state_dict())
    return model.to(plain.device).optimize_for_inference(**mode)


@torch.no_grad()
def measure(networks: dict[str, Callable], pixel_values: torch.Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds of each network in each round, in turn, until the device is done; compiling falls into the warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for number in range(rounds + WARM_UP_ROUNDS):
        for name, network in networks.items():
            synchronize(pixel_values)
            start = time.perf_counter()
            network(pixel_values)
            synchronize(pixel_values)
            if number >= WARM_UP_ROUNDS:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def synchronize(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()

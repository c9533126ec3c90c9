"""
Speed of one forward pass in float32 against the plain network, interleaved, with the machine's own rate beside it.

    python -m htr_convtext.benchmarks.inference --size base --batch_size 4 --rounds 20
"""

import argparse
import copy
import platform
import statistics
import time

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from htr_convtext import SIZES, HTRConvTextConfig, HTRConvTextForCTC
from htr_convtext.benchmarks.plain_network import plain_network

MATRIX_SIDE = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--width", type=int, default=512, help="pixels")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    torch.manual_seed(0)
    model, plain = paired_models(HTRConvTextConfig(**SIZES[options.size]), options.device)
    pixel_values = torch.rand(options.batch_size, 1, 64, options.width, device=options.device)
    difference = check_equal(model, plain, pixel_values)
    matrix = torch.rand(MATRIX_SIDE, MATRIX_SIDE, device=options.device)
    contenders = {
        "model": lambda: model(pixel_values),
        "plain": lambda: plain(pixel_values),
        "matrix product": lambda: matrix @ matrix,
    }
    seconds = measure(contenders, options.rounds, options.device)
    flops = count_flops(plain, pixel_values)
    report(options, seconds, flops, difference)


def paired_models(config: HTRConvTextConfig, device: str) -> tuple[HTRConvTextForCTC, HTRConvTextForCTC]:
    """The model and the plain network with equal weights, ready to read."""
    plain = plain_network(copy.deepcopy(config))
    model = HTRConvTextForCTC._from_config(config, attn_implementation="sdpa")
    model.load_state_dict(plain.state_dict())
    return model.eval().to(device), plain.eval().to(device)


@torch.no_grad()
def check_equal(model: HTRConvTextForCTC, plain: HTRConvTextForCTC, pixel_values: torch.Tensor) -> float:
    """Largest difference of the logits; a comparison of different functions would be worthless."""
    difference = (model(pixel_values).logits - plain(pixel_values).logits).abs().max().item()
    if difference > 1e-4:
        raise SystemExit(f"The networks disagree by {difference:.1e}: no comparison.")
    return difference


@torch.no_grad()
def measure(contenders: dict, rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of each contender in each round, one after the other within a round, after two rounds of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 2):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


@torch.no_grad()
def count_flops(plain: HTRConvTextForCTC, pixel_values: torch.Tensor) -> float:
    """Floating-point operations of matrix products and convolutions for one line, counted by PyTorch."""
    with FlopCounterMode(display=False) as counter:
        plain(pixel_values)
    return counter.get_total_flops() / len(pixel_values)


def quartiles(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:8.2f} ({low:.2f} to {high:.2f})"


def report(options: argparse.Namespace, seconds: dict[str, list[float]], flops: float, difference: float) -> None:
    lines = options.batch_size
    machine = f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} threads"
    print(f"{options.size}, batch {lines}, 64x{options.width}, float32, {options.device}, {machine}")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"{options.rounds} interleaved rounds; median (quartiles); logits differ by at most {difference:.1e}")
    for name in ("model", "plain"):
        print(f"{name:6} {quartiles([1000 * second / lines for second in seconds[name]])} ms a line")
    ratios = [plain / model for plain, model in zip(seconds["plain"], seconds["model"], strict=True)]
    print(f"ratio  {quartiles(ratios)} plain / model")
    rates = [2 * MATRIX_SIDE**3 / second for second in seconds["matrix product"]]
    shares = [100 * flops * lines / second / rate for second, rate in zip(seconds["model"], rates, strict=True)]
    print(f"share  {quartiles(shares)} % of the machine's matrix product rate")
    print(f"({flops / 1e9:.2f} GFLOP a line; {quartiles([rate / 1e9 for rate in rates]).strip()} GFLOP/s of products)")


if __name__ == "__main__":
    main()

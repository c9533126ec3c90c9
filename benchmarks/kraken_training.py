# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
kraken's default recogniser, trained from scratch on the lines of `benchmarks.peers` for the same CPU time.

    python -m htr_convtext.benchmarks.kraken_training --kraken KRAKEN/bin --data_dir lines_a lines_b --minutes 60 \\
        --output_dir runs/peers -- --augment

`--kraken` is the `bin` folder of an environment of its own, as kraken 7.1 wants torchvision. Options behind `--` go to
`ketos train`, which trains on one thread until its CPU time is used up; the best of its checkpoints on the validation
lines reads the lines of `--split`. The result goes to `kraken/result.json` in the folder of `benchmarks.peers`' runs,
whose table then has it.
"""

import argparse
import json
import re
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from htr_convtext.line_datasets import load_lines
from htr_convtext.training import error_rates

from .peers import RESULT_FILE
from .recipe import parse_with_train_options

READER = Path(__file__).with_name("kraken_reader.py")
SPLITS = ("train", "validation", "test")
CHECKPOINT = re.compile(r"checkpoint_(\d+)-(\d\.\d+)\.ckpt")


def main() -> None:
    options = parse_options()
    folder = options.output_dir / "kraken"
    lines = {source: write_lines(source, folder / "lines" / Path(source).name) for source in options.data_dir}
    checkpoints = folder / "checkpoints"
    if not checkpoints.exists():
        train(lines, checkpoints, options)
    epoch, checkpoint = best_checkpoint(checkpoints)
    model = folder / "best.safetensors"
    subprocess.run([options.kraken / "ketos", "convert", "-o", model, checkpoint], check=True)
    read_in_training = (epoch + 1) * sum(len(splits["train"]) for splits in lines.values())
    command = shlex.join(["htr_convtext.benchmarks.kraken_training", *sys.argv[1:]])
    result: dict = {"lines": read_in_training, "command": command, "rates": {}}
    for source, splits in lines.items():
        result["parameters"], rates = read(model, splits[options.split], folder / "readings.json", options)
        result["rates"][Path(source).name] = {"cer": rates["cer"], "wer": rates["wer"]}
    (folder / RESULT_FILE).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kraken", type=Path, required=True, help="bin folder of kraken's environment")
    parser.add_argument("--data_dir", nargs="+", required=True, help="folders of lines")
    parser.add_argument("--minutes", type=float, default=60, help="CPU minutes of the training")
    parser.add_argument("--split", choices=SPLITS[1:], default="validation", help="lines to read at the end")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the runs")
    return parse_with_train_options(parser)


def write_lines(source: str, folder: Path) -> dict[str, list[Path]]:
    """The lines as kraken trains on them, images with a `.gt.txt` beside each; the images of each split."""
    images: dict[str, list[Path]] = {}
    for split, lines in load_lines("lines", data_dir=[source]).items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        images[split] = [folder / split / f"{number:06}.png" for number in range(len(lines))]
        for image, line in zip(images[split], lines, strict=True):
            if not image.exists():
                line["image"].save(image)
                image.with_suffix(".gt.txt").write_text(line["text"], encoding="utf-8")
    return images


def train(lines: dict[str, dict[str, list[Path]]], checkpoints: Path, options: argparse.Namespace) -> None:
    """Runs `ketos train` until the kernel ends it for the CPU time that it has used."""
    lists = {split: checkpoints.parent / f"{split}.txt" for split in ("train", "validation")}
    for split, names in lists.items():
        names.write_text(
            "".join(f"{image}\n" for images in lines.values() for image in images[split]), encoding="utf-8"
        )
    command = [str(options.kraken / "ketos"), "--workers", "0", "--threads", "1", "train", "-f", "path"]
    command += ["-t", str(lists["train"]), "-e", str(lists["validation"]), "-o", str(checkpoints)]
    command += ["-q", "fixed", "-N", "100000", *options.train_options]
    print(shlex.join(command), flush=True)
    seconds = round(60 * options.minutes)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 60))

    log = checkpoints.parent / "train.log"
    with log.open("w", encoding="utf-8") as file:
        ended = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, preexec_fn=limit)
    if ended.returncode != -signal.SIGXCPU:
        raise SystemExit(f"ketos train ended by itself, with status {ended.returncode}; see {log}.")


def best_checkpoint(folder: Path) -> tuple[int, Path]:
    """
    Epoch and file of the checkpoint that read the validation lines best, by its name.

    Raises:
        SystemExit: If no epoch was finished.
    """
    matches = ((CHECKPOINT.fullmatch(path.name), path) for path in folder.glob("*.ckpt"))
    found = [(float(match[2]), int(match[1]), path) for match, path in matches if match]
    if not found:
        raise SystemExit(f"{folder} has no checkpoint: no epoch was finished. Raise --minutes and remove the folder.")
    _, epoch, path = max(found)
    return epoch, path


def read(model: Path, images: list[Path], readings: Path, options: argparse.Namespace) -> tuple[int, dict[str, float]]:
    """Parameters of the model and error rates of what it reads."""
    command = [options.kraken / "python", READER, model, readings, *images]
    subprocess.run([str(part) for part in command], check=True)
    content = json.loads(readings.read_text(encoding="utf-8"))
    references = [image.with_suffix(".gt.txt").read_text(encoding="utf-8") for image in images]
    return content["parameters"], error_rates([content["readings"][str(image)] for image in images], references)


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Loading takes no more memory for more lines."""

import json
import subprocess
import sys

import numpy as np
from PIL import Image

CHILD = """
import json, resource, sys
from htr_convtext.line_datasets import load_lines
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
load_lines("lines", data_dir=sys.argv[1] + "/few", cache_dir=sys.argv[2])
base = peak()
lines = load_lines("lines", data_dir=sys.argv[1] + "/many", cache_dir=sys.argv[2])["train"]
print(json.dumps({"lines": len(lines), "over": peak() - base}))
"""
FEW, MANY = 300, 500
TEXT = "x" * 20_000
IMAGE_SIDE = 440


def test_memory_does_not_grow_with_the_lines(tmp_path):
    """10 MB of transcriptions and 94 MB of images more, after the buffers of a first load have been filled once."""
    image = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    Image.fromarray(pixels).save(image)
    for name, number in (("few", FEW), ("many", FEW + MANY)):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for index in range(number):
            (folder / f"{index:04d}.png").hardlink_to(image)
            (folder / f"{index:04d}.txt").write_text(f"{index} {TEXT}")
    command = [sys.executable, "-c", CHILD, str(tmp_path / "data"), str(tmp_path / "cache")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(output.splitlines()[-1])
    data = MANY * (len(TEXT) + image.stat().st_size) / 2**20
    assert found["lines"] == FEW + MANY and data > 90
    assert found["over"] < data / 4

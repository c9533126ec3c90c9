# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Threads that share one pipeline read what one thread reads, on every backend."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor

BACKENDS = ["torch", "onnx", "openvino"]
THREADS = 8


@pytest.fixture(scope="module")
def processor(model_folder) -> HTRConvTextProcessor:
    """Lines keep their width."""
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    processor.image_processor = processor.image_processor.with_options(
        keep_aspect_ratio=True, size={"height": 64, "width": 1024}
    )
    return processor


@pytest.fixture(scope="module")
def lines(root) -> list[Image.Image]:
    """60 lines of many widths: the examples, and four pieces of each."""
    random_numbers = random.Random(0)
    found = []
    for path in sorted((root / "examples").glob("*.jpg")):
        line = Image.open(path).convert("L")
        found.append(line)
        for _ in range(4):
            width = random_numbers.randint(line.height, line.width)
            left = random_numbers.randint(0, line.width - width)
            found.append(line.crop((left, 0, left + width, line.height)))
    return found


@pytest.fixture(scope="module", params=BACKENDS)
def read(request, model_folder, processor):
    """One pipeline for each backend, shared by all threads."""
    if request.param == "torch":
        return HTRConvTextForCTC.from_pretrained(model_folder).as_pipeline(processor)
    pytest.importorskip("nncf", reason="the extra [export] is not installed")
    from htr_convtext.export import ExportedHTRConvText

    folder = request.getfixturevalue("exported_folder")(request.param)
    return ExportedHTRConvText.from_pretrained(folder, num_threads=1).as_pipeline(processor)


@pytest.fixture(scope="module")
def expected(read, lines) -> list[dict]:
    return [read(line, return_segments=True)[0] for line in lines]


@pytest.fixture
def hasty_threads():
    """Threads take turns a hundred times as often as usual, and torch starts none of its own."""
    interval, threads = sys.getswitchinterval(), torch.get_num_threads()
    sys.setswitchinterval(interval / 100)
    torch.set_num_threads(1)
    yield
    sys.setswitchinterval(interval)
    torch.set_num_threads(threads)


def read_in_threads(read, lines, count: int) -> list[tuple[int, dict]]:
    """Readings with the number of their line: `count` in all, in `THREADS` threads, in an order of chance."""
    order = [number % len(lines) for number in range(count)]
    random.Random(1).shuffle(order)
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda number: (number, read(lines[number], return_segments=True)[0]), order))


def assert_equal_to_one_thread(readings, expected):
    texts = [reading["generated_text"] for _, reading in readings]
    assert texts == [expected[number]["generated_text"] for number, _ in readings]
    scores = [reading["score"] for _, reading in readings]
    assert scores == pytest.approx([expected[number]["score"] for number, _ in readings], abs=1e-4)
    spans = [[(one["start"], one["end"]) for one in reading["characters"]] for _, reading in readings]
    assert spans == [[(one["start"], one["end"]) for one in expected[number]["characters"]] for number, _ in readings]


def test_the_lines_tell_readings_apart(lines, expected, processor):
    widths = {processor.image_processor.padded_width(line.height, line.width) for line in lines}
    assert len(lines) == 60 and len(widths) >= 8
    assert len({reading["generated_text"] for reading in expected}) > 50


def test_eight_threads(read, lines, expected, hasty_threads):
    readings = read_in_threads(read, lines, count=len(lines))
    assert_equal_to_one_thread(readings, expected)


@pytest.mark.slow
def test_eight_threads_and_two_thousand_readings(read, lines, expected, hasty_threads):
    readings = read_in_threads(read, lines, count=2000)
    assert len(readings) == 2000
    assert_equal_to_one_thread(readings, expected)


@pytest.mark.slow
def test_threads_with_batches_of_their_own(read, lines, expected, hasty_threads):
    shares = [list(range(start, len(lines), THREADS)) for start in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        batches = threads.map(
            lambda share: read([lines[number] for number in share], batch_size=4, return_segments=True), shares
        )
        readings = [
            (number, reading[0])
            for share, batch in zip(shares, batches, strict=True)
            for number, reading in zip(share, batch, strict=True)
        ]
    assert_equal_to_one_thread(readings, expected)

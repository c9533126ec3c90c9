# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Threads that read lines with one network, each a batch of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from ..language_model_htr_convtext import HTRConvTextDecoder
from ..pipeline_htr_convtext import HTRConvTextPipeline, PreparedLine, batches_of_one_width

MOST_READERS = 8

Reading = dict[str, Any]


class LineReaders:
    """
    Threads that share a network. On a CPU each has its part of PyTorch's threads: one that computes alone never waits
    for others at the end of every operation, which costs most where threads that prepare lines need the processors
    too. On other devices, and with an exported network, which has threads of its own, there is one.

    Args:
        recognizer: The pipeline that reads lines.
        batch_size: Most lines that the network has at once, in all threads together.
        decoder: Beam search with a language model; `None` reads greedily.
    """

    def __init__(self, recognizer: HTRConvTextPipeline, batch_size: int, decoder: HTRConvTextDecoder | None):
        self.recognizer, self.decoder = recognizer, decoder
        recognizer.enter_inference_mode()
        threads = torch.get_num_threads()
        computes_here = isinstance(recognizer.model, torch.nn.Module) and recognizer.device.type == "cpu"
        readers = min(threads, MOST_READERS) if computes_here else 1
        self.batch_size = max(1, batch_size // readers)
        ready = threading.Barrier(readers + 1)
        self.pool = ThreadPoolExecutor(readers, "reader", take_threads, (threads // readers, ready))
        for _ in range(readers):
            self.pool.submit(int)  # A pool starts its threads as it gets tasks.
        ready.wait()
        torch.set_num_threads(threads)

    def __enter__(self) -> "LineReaders":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def start(self, lines: Sequence[PreparedLine]) -> Callable[[], list[Reading]]:
        """Begins to read lines; what it returns waits for them and gives the reading of each."""
        batches = list(alike(lines, self.batch_size))
        started = [self.pool.submit(self.read, [lines[i] for i in batch]) for batch in batches]

        def finish() -> list[Reading]:
            read = {
                i: reading
                for batch, one in zip(batches, started, strict=True)
                for i, reading in zip(batch, one.result(), strict=True)
            }
            return [read[i] for i in range(len(lines))]

        return finish

    def read(self, lines: Sequence[PreparedLine]) -> list[Reading]:
        with torch.inference_mode():
            return self.recognizer.read(lines, self.batch_size, decoder=self.decoder)


def take_threads(number: int, ready: threading.Barrier) -> None:
    """
    Has operations of this thread run in so many. `torch.set_num_threads` is for the calling thread and those that call
    PyTorch for the first time later, as this one would be without the first line: it takes the process's number then
    (`at::internal::lazy_init_num_threads` of ATen/ParallelOpenMP.cpp).
    """
    torch.get_num_threads()
    torch.set_num_threads(number)
    ready.wait()


def alike(lines: Sequence[PreparedLine], batch_size: int) -> Iterator[list[int]]:
    """Indices of lines in batches of equal width, the widest first; a line of several parts counts as so many."""
    for parts in sorted({len(line.parts) for line in lines}, reverse=True):
        members = [i for i, line in enumerate(lines) if len(line.parts) == parts]
        narrowness = [-sum(part.shape[-1] for part in lines[i].parts) for i in members]
        batches = batches_of_one_width(narrowness, max(1, batch_size // max(1, parts)))
        yield from ([members[i] for i in batch] for batch in batches)

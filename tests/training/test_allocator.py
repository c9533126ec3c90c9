# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
import inspect
import platform
import resource
import subprocess
import sys

import pytest

from htr_convtext.training import keep_freed_memory

# Page faults of five tensors of 64 MB, one after the other; each is freed before the next is made. What is kept of the
# twenty before them lies between small objects at first.
FAULTS = """
import resource, runpy, sys, torch
torch.ones(16, 1024, 1024)
kept = len(sys.argv) > 1 and runpy.run_path(sys.argv[1])["keep_freed_memory"]()
for _ in range(20):
    torch.ones(16, 1024, 1024)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(16, 1024, 1024)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*allocator):
    result = subprocess.run([sys.executable, "-c", FAULTS, *allocator], capture_output=True, text=True, check=True)
    kept, faults = result.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_used_again():
    kept, faults = page_faults(inspect.getsourcefile(keep_freed_memory))
    assert kept
    pages_of_one = 64 * 2**20 // resource.getpagesize()
    assert faults < 2 * pages_of_one
    assert page_faults()[1] > 4 * pages_of_one


def test_elsewhere_than_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
import platform
import resource
import subprocess
import sys

import pytest

from htr_convtext.training import keep_freed_memory

# Page faults of twenty tensors of 64 MB, one after the other; each is freed before the next is made.
FAULTS = """
import resource, sys, torch
kept = sys.argv[1] == "kept"
if kept:
    from htr_convtext.training import keep_freed_memory
torch.ones(16, 1024, 1024)
kept = kept and keep_freed_memory()
torch.ones(16, 1024, 1024)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(16, 1024, 1024)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode):
    result = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    kept, faults = result.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_used_again():
    kept, faults = page_faults("kept")
    assert kept
    pages_of_one = 64 * 2**20 // resource.getpagesize()
    assert faults < 2 * pages_of_one
    assert page_faults("default")[1] > 10 * pages_of_one


def test_elsewhere_than_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The parts of a network are all of it."""

import pytest
import torch

from htr_convtext.benchmarks.parts import count_part_flops, report, time_parts
from htr_convtext.benchmarks.timing import new_network


@pytest.mark.parametrize("size", ["tiny", "lite"])
def test_the_parts_make_up_the_network(size, capsys):
    model = new_network(size)
    pixel_values = torch.rand(2, 1, 64, 64)
    flops = count_part_flops(model, pixel_values)
    counted = sum(operations for name, operations in flops.items() if "of it" not in name and name != "network")
    assert counted == pytest.approx(flops["network"], rel=0.01) and all(flops.values())
    assert ("stage 1, MobileViT" in flops) is (size == "tiny")
    seconds = time_parts(model.optimize_for_inference(), pixel_values, rounds=2)
    assert seconds.keys() == flops.keys() and all(len(rounds) == 2 for rounds in seconds.values())
    report(size, new_network(size), pixel_values, rounds=1)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(flops) and rows[-1].startswith("network ")
    assert not model.ctc_head._forward_hooks

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Learning rates."""

import json

import pytest
import torch

from htr_convtext.training.schedule import SCHEDULES, learning_rate, make_scheduler


def test_published_learning_rates(golden):
    protocol = json.loads((golden / "protocol.json").read_text(encoding="utf-8"))
    for step, rate in protocol["learning_rate_warmup1000_total100001_max1e-3"].items():
        assert learning_rate(int(step), 100_001, 1000, 1e-3, 1e-7, "paper") == pytest.approx(rate, rel=1e-12)


def test_textbook_cosine_starts_where_warmup_ends_and_ends_at_its_minimum():
    rates = [learning_rate(step, 1000, 100, 1e-3, 1e-7) for step in range(1000)]
    assert rates[:2] == pytest.approx([1e-3 / 101, 2e-3 / 101])
    assert rates[100] == 1e-3 == max(rates)
    assert rates[-1] == pytest.approx(1e-7)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_trapezoid_stays_at_its_maximum_and_then_falls():
    rates = [learning_rate(step, 1001, 0, 1e-3, 1e-7, "trapezoid") for step in range(1001)]
    assert set(rates[:601]) == {1e-3}
    assert rates[800] == pytest.approx(5e-4, rel=1e-3) and rates[1000] == pytest.approx(1e-7)
    assert rates[600:] == sorted(rates[600:], reverse=True)


def test_a_run_limited_by_time_goes_through_the_schedule_by_time():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    used = iter([0.0, 0.5, 1.0])
    scheduler = make_scheduler(optimizer, 10_000, 0, 1e-7, "cosine", time_used=lambda: next(used))
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr()[0] == pytest.approx(5e-4, rel=1e-3)
    scheduler.step()
    assert scheduler.get_last_lr()[0] == pytest.approx(1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_that_time_ends_within_its_warmup_ends_at_the_lowest_rate(schedule):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    used = iter([0.0, 0.25, 0.5, 0.999, 1.0])
    scheduler = make_scheduler(optimizer, 100_000, 1000, 1e-7, schedule, time_used=lambda: next(used))
    rates = scheduler.get_last_lr()
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        rates += scheduler.get_last_lr()
    first = int(schedule == "paper")
    assert rates[:3] == pytest.approx([1e-3 * (step + 1 + first) / 1001 for step in range(3)])
    assert rates[3] < rates[2] and rates[4] == pytest.approx(1e-7, rel=1e-2, abs=3e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warmup_of_a_share_is_that_share_of_the_time(schedule):
    """However few of the most steps there is time for."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    used = iter([0.0, 0.05, 0.1, 1.0])
    scheduler = make_scheduler(optimizer, 100_000, 10_000, 1e-7, schedule, lambda: next(used), warmup_is_share=True)
    rates = scheduler.get_last_lr()
    for _ in range(3):
        optimizer.step()
        scheduler.step()
        rates += scheduler.get_last_lr()
    assert rates[0] < 1e-6 and rates[1] == pytest.approx(5e-4, rel=1e-3)
    assert rates[2] > 9e-4 and rates[3] < 4e-5


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_scheduler_goes_through_the_whole_schedule(schedule):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler = make_scheduler(optimizer, 12, 3, 1e-7, schedule, time_used=lambda: 0.0)
    rates = []
    for _ in range(12):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    # The published code counts its iterations from 1.
    total, first = (13, 1) if schedule == "paper" else (12, 0)
    steps = range(first, first + 12)
    expected = [learning_rate(step, total, 3, 1e-3, 1e-7, schedule) for step in steps]
    assert rates == pytest.approx(expected, rel=1e-12)


def test_a_rate_of_zero_stays_zero():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
    assert make_scheduler(optimizer, 10, 2, 0.0, "cosine", time_used=lambda: 0.0).get_last_lr() == [0.0]


def test_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="'linear'"):
        make_scheduler(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1), 1, 0, 0, "linear", float)

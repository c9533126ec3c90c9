# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Augmentation."""

import pytest
import torch

from htr_convtext.training import LineAugmentation
from htr_convtext.training.augmentation import projective_grid, running_maximum

EVERYTHING = {"probability": 1.0, "slant": 0.5, "elastic": 3.0, "rise": 0.4, "shrink": 0.3, "mask": 0.2}
PLAIN = {"probability": 1.0, "corner_shift": 0.0, "jitter": 0.0, "kernel_size": 1}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def lines() -> torch.Tensor:
    """Four white lines with a black bar each."""
    lines = torch.ones(4, 1, 64, 200)
    lines[:, :, 20:40, 50:150] = 0
    return lines


@pytest.mark.parametrize("options", [{}, EVERYTHING, {"scope": "batch", **EVERYTHING}])
def test_result_depends_on_the_generator_alone(lines, options):
    augment = LineAugmentation(**options)
    first = augment(lines, seeded())
    assert first.shape == lines.shape
    assert 0 <= first.min() and first.max() <= 1
    assert torch.equal(first, augment(lines, seeded()))
    assert not torch.equal(first, augment(lines, seeded(1)))


def test_probability_zero_changes_nothing(lines):
    assert torch.equal(LineAugmentation(probability=0.0)(lines, seeded()), lines)


@pytest.mark.parametrize(("scope", "equal"), [("batch", True), ("line", False)])
def test_scope_of_a_draw(lines, scope, equal):
    changed = LineAugmentation(probability=1.0, scope=scope)(lines, seeded())
    assert torch.allclose(changed[0], changed[1]) == equal


@pytest.mark.parametrize("options", [{}, {"corner_shift": 0.0, "slant": 0.5}, {"corner_shift": 0.0, "elastic": 4.0}])
def test_warp_fills_with_white_and_keeps_the_ink(lines, options):
    options = {"probability": 1.0, "jitter": 0.0, "kernel_size": 1, **options}
    changed = LineAugmentation(**options)(lines, seeded())
    assert not torch.allclose(changed, lines)
    assert (
        changed[:, :, 0].min() > 0.99
    )  # The bar is far from the upper edge, and what comes in from outside is white.
    assert (1 - changed).sum() == pytest.approx(float((1 - lines).sum()), rel=0.2)


def test_stretched_lines_keep_their_ink_in_widths_within_the_bounds(lines):
    lines = lines[..., :192]
    augment = LineAugmentation(**PLAIN, stretch=0.5)
    stretched = [augment(lines, seeded(seed)) for seed in range(20)]
    widths = {line.shape[-1] for line in stretched}
    assert widths <= set(range(128, 289, 16)) and min(widths) < 160 and max(widths) > 256
    for line in stretched:
        assert (1 - line).mean() == pytest.approx(float((1 - lines).mean()), rel=0.02)


@pytest.mark.parametrize(("options", "number"), [({}, 6), ({"width_step": 64}, 1)])
def test_a_tenth_stretches_lines_of_the_usual_width(options, number):
    lines = torch.rand(1, 1, 64, 512)
    augment = LineAugmentation(**{**PLAIN, "probability": 0.0}, stretch=0.1, **options)
    widths = {augment(lines, seeded(seed)).shape[-1] for seed in range(60)}
    assert len(widths) == number and min(widths) >= 512 / 1.1 and max(widths) <= 512 * 1.1


def test_lines_too_narrow_for_a_step_are_not_stretched():
    lines = torch.rand(2, 1, 64, 24)
    assert LineAugmentation(**PLAIN, stretch=0.3)(lines, seeded()).shape == lines.shape


@pytest.mark.parametrize(("option", "least"), [({"rise": 0.5}, 1 / 1.5), ({"shrink": 0.4}, 0.6)])
def test_smaller_and_rising_lines_stay_inside_whole(option, least):
    black = torch.zeros(64, 1, 64, 256)
    ink = 1 - LineAugmentation(**PLAIN, **option)(black, seeded())
    share = ink.mean((1, 2, 3))
    assert least - 0.02 < share.min() < least + 0.1
    assert 0.9 < share.max() < 1
    for column in (8, 128, 248):  # As high at one end as at the other: nothing was cut off.
        torch.testing.assert_close(ink[..., column].mean((1, 2)), share, atol=0.03, rtol=0)


def test_rising_lines_rise_and_fall_from_end_to_end_by_at_most_the_option():
    bar = torch.ones(64, 1, 64, 256)
    bar[:, :, 28:36] = 0
    ink = 1 - LineAugmentation(**PLAIN, rise=0.5)(bar, seeded())
    heights = torch.arange(64.0)[:, None]
    middle = (ink[:, 0] * heights).sum(1) / ink[:, 0].sum(1)  # (lines, columns)
    rise = (middle[:, 4] - middle[:, -5]) / 64
    assert -1 / 3 < rise.min() < -0.25 and 0.25 < rise.max() < 1 / 3


def test_masked_lines_lose_upright_strips_of_the_asked_share_on_average():
    black = torch.zeros(200, 1, 64, 640)
    masked = LineAugmentation(**PLAIN, mask=0.2, mask_width=32)(black, seeded()).round()
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(masked, masked[:, :, :1].expand_as(masked))
    assert masked.mean() == pytest.approx(0.18, abs=0.02)  # Less than 0.2, as strips overlap.


def test_grid_of_unmoved_corners_is_the_identity(lines):
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    grid = projective_grid(corners.expand(4, 4, 2), lines.shape)
    sampled = torch.nn.functional.grid_sample(lines, grid, align_corners=False, padding_mode="border")
    torch.testing.assert_close(sampled, lines, atol=1e-4, rtol=0)


def test_grid_maps_each_corner_to_its_source():
    sources = torch.tensor([[[-0.9, -1.0], [1.0, -0.8], [0.7, 1.0], [-1.0, 0.6]]])
    grid = projective_grid(sources, torch.Size([1, 1, 2000, 2000]))
    found = torch.stack([grid[0, 0, 0], grid[0, 0, -1], grid[0, -1, -1], grid[0, -1, 0]])
    torch.testing.assert_close(found, sources[0], atol=2e-3, rtol=0)


def test_erosion_and_dilation_by_hand():
    line = torch.tensor([[[[0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]]]])
    maximum = torch.tensor([[[[0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]]]])
    assert torch.equal(running_maximum(line, torch.tensor([2]), 3), maximum)
    assert torch.equal(running_maximum(line, torch.tensor([1]), 3), line)
    assert torch.equal(running_maximum(line, torch.tensor([0]), 3), line)


def test_contrast_keeps_the_mean_and_brightness_scales(lines):
    grey = 0.4 + 0.2 * lines
    changed = LineAugmentation(probability=1.0, corner_shift=0.0, kernel_size=1)(grey, seeded())
    for before, after in zip(grey, changed, strict=True):
        brightness = after.mean() / before.mean()
        assert 0.6 <= brightness <= 1.4
        contrast = (after.max() - after.min()) / (before.max() - before.min()) / brightness
        assert 0.6 <= contrast <= 1.4


@pytest.mark.parametrize(
    "options",
    [
        {"probability": 2},
        {"jitter": 1.0},
        {"kernel_size": 0},
        {"scope": "page"},
        {"elastic_spacing": 0},
        {"width_step": 0},
        {"mask_width": 0},
        {"stretch": -0.2},
        {"rise": -0.3},
        {"shrink": 1.5},
        {"mask": 1.25},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        LineAugmentation(**options)

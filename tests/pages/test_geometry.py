# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which way up a line is, and what its outline covers."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from htr_convtext.pages.geometry import (
    any_right_to_left,
    bounding_box,
    crosses_itself,
    mainly_right_to_left,
    outline_mask,
    parse_points,
    reading_angle,
    side_of_outline,
    wrong_outline,
)

FLAT = [(100, 100), (300, 100), (300, 140), (100, 140)]
TALL = [(100, 100), (140, 100), (140, 300), (100, 300)]


@pytest.mark.parametrize(
    ("baseline", "outline", "right_to_left", "angle"),
    [
        ("100,135 300,135", FLAT, False, 0),
        ("300,135 100,135", FLAT, False, 0),  # Drawn from right to left.
        ("300,135 100,135", FLAT, True, 0),
        ("300,105 100,105", FLAT, False, 180),  # Upside down.
        ("300,105 100,105", FLAT, True, 0),  # Hebrew with a line above its letters.
        ("300,120 100,120", FLAT, False, 0),
        ("100,105 300,105", FLAT, False, 0),
        ("105,100 105,300", TALL, False, 90),  # Read from top to bottom: letters stand to the right.
        ("105,300 105,100", TALL, False, 90),
        ("135,300 135,100", TALL, False, -90),  # Read from bottom to top.
        ("135,100 135,300", TALL, False, -90),
        ("120,100 120,300", TALL, False, 90),
        ("", FLAT, False, 0),
        ("135", FLAT, False, 0),
    ],
)
def test_angle_of_upright_sideways_and_turned_lines(baseline, outline, right_to_left, angle):
    assert reading_angle(parse_points(baseline), outline, right_to_left)[0] == angle


@pytest.mark.parametrize(
    ("baseline", "outline", "warning"),
    [
        ("300,120 100,120", FLAT, "from right to left"),
        ("100,100 300,100", FLAT, "below their baseline"),
        ("", TALL, "without a baseline"),
        ("100,135 300,135", FLAT, ""),
    ],
)
def test_what_the_outline_does_not_tell_is_a_warning(baseline, outline, warning):
    found = reading_angle(parse_points(baseline), outline)[1]
    assert warning in found if warning else found == ""


def test_only_what_is_higher_than_wide_stands():
    for outline, stands in ((TALL, True), ([(x + 900, y) for x, y in FLAT], False), ([(0, 0), (100, 200)], False)):
        assert reading_angle([], outline) == (0, reading_angle([], TALL)[1] if stands else "")
    assert reading_angle([], []) == (0, "")


@pytest.mark.parametrize(("turn", "angle"), [(0, 0), (30, 30), (-40, -40), (160, 160), (180, 180)])
def test_the_side_of_an_outline_does_not_depend_on_the_angle_or_the_place(turn, angle):
    radians = np.radians(turn)
    rotation = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    baseline = np.array([(0, 0), (200, 0)]) @ rotation.T + (700, 900)
    for below, above, side in ((0, 40, 1), (40, 0, -1), (20, 20, 0), (10, 30, 0.5)):
        box = np.array([(0, -above), (200, -above), (200, below), (0, below)]) @ rotation.T + (700, 900)
        assert side_of_outline(baseline.tolist(), box.tolist()) == pytest.approx(side)
    assert side_of_outline(baseline.tolist(), []) == 0
    assert side_of_outline(baseline.tolist(), baseline.tolist()) == 0


def test_scripts_that_are_read_from_right_to_left():
    hebrew, mixed = "\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc ab"
    assert mainly_right_to_left(hebrew) and not mainly_right_to_left("abc")
    assert not mainly_right_to_left(mixed) and mainly_right_to_left(f"{mixed}\u0627")
    assert any_right_to_left(["12", hebrew]) is True and any_right_to_left(["12", "caf\u00e9"]) is False


def test_the_box_of_an_outline_is_within_the_page_and_never_empty():
    assert bounding_box([(3.7, 5.2), (9.1, 8)], (20, 10)) == (3, 5, 10, 9)
    assert bounding_box([(-5, -5), (50, 50)], (20, 10)) == (0, 0, 20, 10)
    assert bounding_box([(0, 0), (0.5, 0.5)], (20, 10)) == (0, 0, 1, 1)
    assert bounding_box([(30, 30), (40, 40)], (20, 10)) == (19, 9, 20, 10)
    assert bounding_box([(-9, -9), (-4, -4)], (20, 10)) == (0, 0, 1, 1)


@pytest.mark.parametrize("text", ["1,2 3,4", "1 2 3 4", " 1,2\n3,4 ", "1.0,2.0 3,4"])
def test_points_in_every_form(text):
    assert parse_points(text) == [(1, 2), (3, 4)]


@pytest.mark.parametrize("text", ["1,2 3", "1 2 3 4 5", "1,2 inf,4", "1,2 nan,4", "1,2 x,4"])
def test_what_is_no_points_is_refused(text):
    with pytest.raises(ValueError):
        parse_points(text)
    assert parse_points("7") == parse_points(" ") == parse_points(None) == []


def test_a_baseline_goes_from_its_first_point_to_its_last():
    assert reading_angle([(100, 135), (150, 185), (300, 135)], FLAT) == (0, "")
    assert reading_angle([(0, 0), (90, 10), (100, 100)], [(0, -40), (100, 60), (100, 100), (0, 0)])[0] == 45


def test_self_crossing_outline_keeps_what_it_goes_around():
    """A square whose outline goes around its middle twice, and a bow tie."""
    twice = [(0, 0), (30, 0), (30, 30), (0, 30), (0, 0), (10, 10), (20, 10), (20, 20), (10, 20), (10, 10)]
    assert np.asarray(outline_mask(twice, (31, 31)))[15, 15] == 255
    bow_tie = np.asarray(outline_mask([(0, 0), (30, 30), (30, 0), (0, 30)], (31, 31)))
    assert bow_tie[15, 3] == bow_tie[15, 27] == 255 and bow_tie[2, 15] == 0


def test_loops_in_opposite_directions_keep_what_both_go_around():
    """Two boxes that overlap, one drawn clockwise and one against it: winding numbers would cancel."""
    outline = [(0, 0), (40, 0), (40, 20), (0, 20), (0, 0), (20, 5), (20, 25), (60, 25), (60, 5), (20, 5)]
    mask = np.asarray(outline_mask(outline, (61, 26)))
    assert mask[12, 10] == mask[12, 30] == mask[12, 50] == 255
    assert mask[2, 50] == mask[23, 5] == 0


def test_outline_beyond_the_edge_is_filled_up_to_it():
    outline = [(-5, -5), (30, 30), (30, -5), (-5, 30)]
    assert np.asarray(outline_mask(outline, (31, 31)))[12, 1] == 255


def test_simple_outlines_are_filled_as_pillow_does():
    dice = np.random.default_rng(0)
    for _ in range(20):
        turns = np.sort(dice.uniform(0, 2 * np.pi, 12))
        reach = dice.uniform(20, 60, 12)
        points = [(50 + r * np.cos(t), 40 + r * np.sin(t)) for t, r in zip(turns, reach, strict=True)]
        expected = Image.new("L", (100, 80))
        ImageDraw.Draw(expected).polygon(points, fill=255, outline=255)
        assert np.array_equal(np.asarray(outline_mask(points, (100, 80))), np.asarray(expected))


def test_outline_that_only_comes_back_to_a_corner_is_filled_as_pillow_does():
    """As those of eScriptorium: spikes, which enclose nothing that Pillow leaves out."""
    points = [(3, 20), (40, 11), (47, 2), (40, 11), (90, 17), (97, 60), (52, 47), (43, 71), (52, 47), (5, 52)]
    expected = Image.new("L", (100, 80))
    ImageDraw.Draw(expected).polygon(points, fill=255, outline=255)
    assert np.array_equal(np.asarray(outline_mask(points, (100, 80))), np.asarray(expected))


def test_no_seam_stays_between_what_an_outline_goes_around_once_and_twice():
    outline = [(0, 0), (70, 7), (66, 40), (3, 33), (0, 0), (20, 8), (90, 15), (86, 37), (23, 30), (20, 8)]
    mask = np.asarray(outline_mask(outline, (91, 41)))
    for column in range(6, 70):
        inside = np.flatnonzero(mask[:, column])
        assert (np.diff(inside) == 1).all()


@pytest.mark.parametrize(
    ("left", "top", "right", "bottom", "wrong"),
    [
        (0, 0, 200, 100, ""),
        (-2, -1, 202, 101, ""),  # A hundredth of the sides.
        (-2.5, 0, 200, 100, "outside"),
        (0, -1.5, 200, 100, "outside"),
        (0, 0, 202.5, 100, "outside"),
        (0, 0, 200, 101.5, "outside"),
        (-2, 0, 0, 100, "outside"),  # Near the page, and not on it.
        (200, 0, 202, 100, "outside"),
        (0, -1, 200, 0, "outside"),
        (0, 100, 200, 101, "outside"),
        (10, 10, 10.5, 50, "without extent"),
        (10, 10, 50, 10.5, "without extent"),
        (10, 10, 11, 11, ""),
    ],
)
def test_outlines_that_no_line_has(left, top, right, bottom, wrong):
    outline = [(left, top), (right, top), (right, bottom), (left, bottom)]
    found = wrong_outline(outline, 200, 100)
    assert wrong in found if wrong else found == ""


def test_a_point_is_no_outline():
    assert wrong_outline([(10, 10)], 200, 100) == "has no outline"


def test_the_middle_of_a_star_is_within_it():
    """Each of its five sides, with the one from the last corner to the first, keeps the middle from the outside."""
    angles = [math.radians(90 + 144 * corner) for corner in range(5)]
    star = [(50 + 40 * math.cos(angle), 50 - 40 * math.sin(angle)) for angle in angles]
    for first in range(5):
        mask = outline_mask(star[first:] + star[:first], (100, 100))
        assert mask.getpixel((50, 50)) == 255 and mask.getpixel((50, 95)) == mask.getpixel((5, 5)) == 0


def test_an_outline_that_ends_where_it_began_does_not_cross_itself():
    square = [(10, 10), (30, 10), (30, 30), (10, 30)]
    assert not crosses_itself(square) and not crosses_itself([*square, square[0]])
    assert crosses_itself([*square, square[1]])


def test_the_angle_is_that_between_the_ends_of_the_baseline():
    baseline = [(0, 100), (50, 60), (100, 110)]
    angle, warning = reading_angle(baseline, [(0, 50), (100, 50), (100, 115), (0, 115)])
    assert angle == pytest.approx(math.degrees(math.atan2(10, 100))) and warning == ""


@pytest.mark.parametrize("outline", [[(-0.6, 5), (0.6, 50)], [(5, -0.6), (50, 0.6)]])
def test_an_outline_along_the_edge_is_on_the_page(outline):
    assert wrong_outline(outline, 200, 200) == ""

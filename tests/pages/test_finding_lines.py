# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines from a detector's boxes: joined, split, in reading order, with baselines and outlines of their own ink."""

import numpy as np
import pytest

from htr_convtext.pages import finding_lines
from htr_convtext.pages.finding_lines import (
    Box,
    find_lines,
    ink_of,
    join_pieces,
    reading_order,
    split_box,
    trace_lines,
)
from htr_convtext.pages.geometry import wrong_outline


def box(left: float, top: float, right: float, bottom: float, slant: float = 0.0) -> Box:
    """A box whose right end is `slant` pixels lower than its left one."""
    middle = (top + bottom) / 2
    return Box(np.array([left, middle]), np.array([right, middle + slant]), bottom - top)


def spans(boxes) -> list[tuple[int, int]]:
    return [(round(box.left[0]), round(box.right[0])) for box in boxes]


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        ([box(0, 0, 100, 40), box(120, 2, 300, 42)], [(0, 300)]),
        ([box(0, 0, 100, 40), box(90, 2, 300, 42)], [(0, 300)]),
        ([box(0, 0, 100, 40, 10), box(120, 12, 300, 52, 20)], [(0, 300)]),
        ([box(0, 0, 100, 40), box(110, 0, 200, 40), box(215, 0, 300, 40)], [(0, 300)]),
        ([box(0, 0, 100, 40), box(200, 2, 300, 42)], [(0, 100), (200, 300)]),
        ([box(0, 0, 100, 40), box(110, 25, 300, 65)], [(0, 100), (110, 300)]),
        ([box(0, 0, 100, 40), box(110, -60, 300, 140)], [(0, 100), (110, 300)]),
        ([box(0, 0, 300, 40), box(100, 0, 160, 30)], [(0, 300), (100, 160)]),
    ],
    ids=["gap", "overlap", "slant", "three", "wide gap", "another height", "another size", "insertion"],
)
def test_pieces_of_a_line_are_joined(pieces, joined):
    assert spans(join_pieces(pieces)) == joined
    assert spans(join_pieces(pieces[::-1])) == joined


def test_a_box_of_two_lines_is_split(drawn_pages):
    lines = [
        drawn_pages.DrawnLine("The upper line is here", 60, 100),
        drawn_pages.DrawnLine("the lower below", 60, 150),
    ]
    ink = ink_of(drawn_pages.draw(lines))
    upper, lower = split_box(box(50, 60, 460, 168), ink, usual=50)
    assert upper.centre[1] < 112 < lower.centre[1] and upper.height + lower.height == pytest.approx(108)
    assert split_box(box(50, 60, 460, 112), ink, usual=50)[0].height == 52


def order(*boxes: Box) -> list[str]:
    names = {id(box): name for box, name in zip(boxes, "abcdefghij", strict=False)}
    return ["".join(names[id(box)] for box in region) for region in reading_order(boxes)]


def test_columns_are_read_one_after_the_other():
    left, right = ([box(x, y, x + 300, y + 40) for y in (100, 160, 220)] for x in (0, 400))
    assert order(*left, *right) == ["abc", "def"]
    assert order(left[0], right[0], left[1], right[1], left[2], right[2]) == ["ace", "bdf"]
    title = box(100, 0, 600, 60)
    assert order(title, *left, *right) == ["a", "bcd", "efg"]
    below = [box(x, y, x + 300, y + 40) for x in (0, 400) for y in (400, 460)]
    assert order(*left[:2], *right[:2], box(0, 310, 700, 350), *below) == ["ab", "cd", "e", "fg", "hi"]


def test_columns_of_hebrew_are_read_from_right_to_left():
    left, right = ([box(x, y, x + 300, y + 40) for y in (100, 160, 220)] for x in (0, 400))
    title, *below = box(0, 0, 300, 60), box(350, 0, 700, 60), box(0, 300, 700, 340)
    boxes = (*left, *right, title, *below)
    names = {id(box): name for box, name in zip(boxes, "abcdefghi", strict=True)}
    regions = reading_order(boxes, leftwards=True)
    assert "".join(names[id(box)] for region in regions for box in region) == "hdefgabci"
    assert spans(reading_order([title, below[0], box(50, 2, 340, 60)], leftwards=True)[0])[0] == (350, 700)


def test_lines_that_cross_the_columns_side_by_side_divide_them_once():
    left, right = ([box(x, y, x + 300, y + 40) for y in (100, 160, 220, 400)] for x in (0, 400))
    crossing = [box(250, 290, 390, 330), box(395, 280, 900, 320)]
    found = order(*left, *right, *crossing)
    assert sorted("".join(found)) == list("abcdefghij")


def test_one_column_is_read_from_top_to_bottom():
    lines = [
        box(0 if number % 3 else 60, 60 * number, 700 - 50 * (number % 2), 60 * number + 50) for number in range(8)
    ]
    assert order(*lines) == ["abcdefgh"]
    slanted = [box(0, 60 * number, 600, 60 * number + 50, slant=-40) for number in range(4)]
    assert order(*slanted[::-1]) == ["dcba"]
    assert order(box(0, 0, 300, 40), box(500, 3, 600, 43), box(0, 60, 600, 100)) == ["abc"]
    assert order() == []


def turned(boxes, degrees: float) -> list[Box]:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [Box(turn @ box.left, turn @ box.right, box.height) for box in boxes]


@pytest.mark.parametrize("degrees", [-8, 5, 8])
def test_a_slanted_photo_is_read_as_if_it_were_level(degrees):
    ends = [box(0, 80 * number, 1600 if number % 3 else 200, 80 * number + 70) for number in range(9)]
    assert order(*turned(ends, degrees)) == ["abcdefghi"]
    left, right = ([box(x, 300 * number, x + 300, 300 * number + 40) for number in range(5)] for x in (0, 380))
    assert order(*turned([*left, *right], degrees)) == ["abcde", "fghij"]


def test_baselines_stand_under_the_letters_and_outlines_hold_the_own_line(drawn_pages):
    lines = [
        drawn_pages.DrawnLine(text, 60, y) for text, y in (("axe more on", 100), ("good page", 150), ("end", 200))
    ]
    ink = ink_of(drawn_pages.draw(lines))
    boxes = [box(line.x - 6, line.y - 36, line.box[2], line.y + 14) for line in lines]
    for (baseline, outline), line in zip(trace_lines(boxes, ink), lines, strict=True):
        assert np.abs(baseline[:, 1] - line.y).max() <= 3
        assert outline[:, 1].min() > line.y - 50 and outline[:, 1].max() < line.y + 26
        assert outline[:, 1].min() < line.y - 24 and outline[:, 1].max() > line.y


def test_lines_of_a_drawn_page_are_found(drawn_pages):
    pytest.importorskip("rapidocr")
    texts = ("The first line", "comes with more", "and ends here")
    lines = [drawn_pages.DrawnLine(text, x, 150 + 90 * row) for x in (60, 520) for row, text in enumerate(texts)]
    lines = [drawn_pages.DrawnLine("A title over both of the two columns of this", 120, 70), *lines]
    found = find_lines(drawn_pages.draw(lines, (900, 460)))
    assert [line.region for line in found] == ["region_1"] + ["region_2"] * 3 + ["region_3"] * 3
    for line, drawn in zip(found, lines, strict=True):
        left, top, right, bottom = drawn.box
        assert abs(np.array(line.baseline)[:, 1] - drawn.y).max() < 8
        assert abs(line.box[0] - left) < 20 and abs(line.box[2] - right) < 20
        assert not wrong_outline(line.polygon, 900, 460) and line.text == ""


def test_an_empty_page_has_no_lines(drawn_pages):
    pytest.importorskip("rapidocr")
    assert find_lines(drawn_pages.draw([])) == []


def test_a_page_larger_than_the_detector_looks_at(drawn_pages, monkeypatch):
    monkeypatch.setattr(finding_lines, "DETECTOR_SIDE", 320)
    monkeypatch.setattr(
        finding_lines, "detect_boxes", lambda small: [box(*(v / 2 for v in drawn_pages.LETTER[0].box))]
    )
    (line,) = find_lines(drawn_pages.draw())
    assert abs(np.array(line.baseline)[:, 1] - drawn_pages.LETTER[0].y).max() <= 5
    assert line.box[2] == pytest.approx(drawn_pages.LETTER[0].box[2], abs=2)

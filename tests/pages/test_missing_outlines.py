# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines of which a file tells only the baseline."""

import datetime
from pathlib import Path

import pytest

from htr_convtext.pages import (
    LineText,
    Page,
    PageLine,
    PageSource,
    TranscribedLine,
    TranscribedPage,
    plan_cut,
    read_pages,
)
from htr_convtext.pages.geometry import FROM_RIGHT_TO_LEFT, Point, parse_points, wrong_outline
from htr_convtext.pages.missing_outlines import WARNING, with_outlines
from htr_convtext.pages.outputs.writing_page_xml import write_into_page_xml

SIZE = (1000, 2500)


def page_of(*lines: tuple[str, str]) -> Page:
    """A page of lines with a baseline and an outline each."""
    made = [
        PageLine(f"l{place}", "r", LineText(), parse_points(outline), parse_points(baseline))
        for place, (baseline, outline) in enumerate(lines)
    ]
    return with_outlines(Page("p.png", *SIZE, made))


def of_baselines(*baselines: str) -> Page:
    return page_of(*((baseline, "") for baseline in baselines))


def rows_at(outline: list[Point], column: float) -> list[float]:
    """The rows at which an outline crosses a column, from above."""
    sides = zip(outline, [*outline[1:], outline[0]], strict=True)
    return sorted(
        top + (column - left) / (right - left) * (bottom - top)
        for (left, top), (right, bottom) in sides
        if (left <= column) != (right <= column)
    )


def test_outline_goes_some_way_to_the_baselines_above_and_below():
    page = of_baselines("100,200 500,200", "100,300 500,300", "100,420 500,420")
    assert rows_at(page.lines[1].polygon, 300) == [300 - 70, 300 + 36]
    assert page.lines[1].box == (90, 230, 510, 336)
    # Nothing is above the first line and below the last: as far away as usual.
    assert rows_at(page.lines[0].polygon, 300) == [130, 230] and rows_at(page.lines[2].polygon, 300)[1] == 450
    assert page.warnings == (WARNING,)


def test_outline_follows_a_slanted_baseline_and_gives_way_to_a_word_above():
    page = of_baselines("100,200 900,280", "100,300 900,380", "100,400 900,480", "400,295 520,307")
    line = page.lines[1].polygon
    top, bottom = rows_at(line, 200)
    assert top == pytest.approx(310 - 70, abs=3) and bottom == pytest.approx(310 + 30, abs=3)
    assert rows_at(line, 460)[0] > 336 - 30


def test_a_line_far_from_the_others_is_no_higher_than_a_usual_one():
    page = of_baselines(*(f"100,{row} 500,{row}" for row in (100, 180, 260, 340, 700)))
    top, bottom = rows_at(page.lines[4].polygon, 300)
    assert 700 - top < 80 and bottom - 700 < 40


def test_lines_far_apart_are_no_higher_than_letters_of_their_length_may_be():
    page = of_baselines("100,200 400,200", "100,500 450,500", "100,780 300,780")
    assert all(80 < line.box[3] - line.box[1] < 140 for line in page.lines)


def test_a_line_alone_has_an_outline_on_its_page():
    (line,) = of_baselines("100,2490 900,2495").lines
    assert not wrong_outline(line.polygon, *SIZE) and rows_at(line.polygon, 500)[0] < 2470
    assert line.box[3] == 2500
    (word,) = of_baselines("100,400 160,400").lines
    assert word.box[3] - word.box[1] > 20


@pytest.mark.parametrize(
    ("baselines", "angle"),
    [
        (("100,200 500,200", "100,300 500,300"), 0),
        (("500,200 100,200", "500,300 100,300"), 0),  # Hebrew, or a careless hand.
        (("200,100 200,600", "100,100 100,600"), 90),  # From top to bottom, the next line on the left.
        (("100,600 100,100", "200,600 200,100"), -90),
    ],
)
def test_lines_are_turned_to_the_side_of_their_outline(baselines, angle):
    page = of_baselines(*baselines)
    for line in page.lines:
        cut, warning = plan_cut(line, SIZE)
        assert (cut.angle, warning) == (angle, "")
    assert (FROM_RIGHT_TO_LEFT in page.warnings) == (baselines[0] == "500,200 100,200")


def test_marginal_notes_across_and_a_baseline_drawn_twice_are_no_neighbours():
    page = of_baselines("100,200 500,200", "100,300 500,300", "100,302 500,302", "300,100 300,500", "100,400 500,400")
    assert rows_at(page.lines[1].polygon, 300) == [230, 330]


@pytest.mark.parametrize(
    ("outline", "is_missing"),
    [
        ("", True),
        ("100,300", True),
        ("0,0 0,0", True),
        ("100,300 500,300 500,300 100,300", True),
        ("100,300 500,300 500,320 100,320", True),  # eScriptorium's ALTO has the box of the baseline.
        ("100,280 500,280 500,330 100,330", False),
    ],
)
def test_outlines_that_the_file_tells_stay(outline, is_missing):
    page = page_of(("100,300 500,320", outline), ("100,400 500,420", "90,340 510,340 510,430 90,430"))
    told = parse_points(outline)
    assert (page.lines[0].polygon != told) == is_missing == (WARNING in page.warnings)
    assert page.lines[1].polygon == parse_points("90,340 510,340 510,430 90,430")


def test_what_is_wrong_with_a_line_stays_wrong():
    broken = PageLine("a", "r", LineText(), [], [(100, 300), (500, 300)], problem="has a broken outline (x)")
    assert with_outlines(Page("p.png", *SIZE, [broken])).lines == [broken]
    assert [line.polygon for line in of_baselines("", "100,300", "100,300 100,300").lines] == [[], [], []]
    outside, far = of_baselines("2000,300 2400,300", "-9e9,-9e9 9e9,9e9").lines
    assert all("outside the page" in wrong_outline(line.polygon, *SIZE) for line in (outside, far))


def test_both_formats_give_the_same_outlines():
    page = "".join(f'<TextLine id="l"><Baseline points="100,{row} 500,{row + 8}"/></TextLine>' for row in (200, 300))
    page = f'<PcGts><Page imageWidth="1000" imageHeight="800"><TextRegion id="r">{page}</TextRegion></Page></PcGts>'
    box = 'HPOS="100" WIDTH="400" HEIGHT="8"'
    alto = "".join(f'<TextLine BASELINE="100 {r} 500 {r + 8}" {box} VPOS="{r}"/>' for r in (200, 300))
    alto = f"<PrintSpace><TextBlock>{alto}</TextBlock></PrintSpace>"
    alto = f'<alto><Layout><Page WIDTH="1000" HEIGHT="800">{alto}</Page></Layout></alto>'
    found = [[line.polygon for line in read_pages(content.encode())[0].lines] for content in (page, alto)]
    assert found[0] == found[1] and len(found[0][0]) > 4


def test_a_reading_goes_into_the_file_without_the_outline():
    lines = "".join(f'<TextLine id="l{row}"><Baseline points="100,{row} 500,{row}"/></TextLine>' for row in (200, 300))
    xml = f'<PcGts><Page imageWidth="1000" imageHeight="800"><TextRegion id="r">{lines}</TextRegion></Page></PcGts>'
    (page,) = read_pages(xml.encode())
    read = tuple(TranscribedLine(line, "read", 0.9) for line in page.lines)
    source = PageSource("p", Path("p.xml"), 0, Path("p.png"))
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    written = write_into_page_xml(xml.encode(), [TranscribedPage(source, page, read, "us")], now).decode()
    assert (
        written.count("read</Unicode>") == 2 and '<TextLine id="l200"><Baseline points="100,200 500,200"/>' in written
    )

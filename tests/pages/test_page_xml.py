# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which text of a PAGE file is a line's transcription."""

import xml.etree.ElementTree as ElementTree

import pytest

from htr_convtext.pages import LineText, read_pages
from htr_convtext.pages.page_xml import line_text

PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/{version}"><Page imageFilename="p.png" '
    'imageWidth="400" imageHeight="200">{content}</Page></PcGts>'
)
COORDS = '<Coords points="10,10 200,10 200,40 10,40"/>'


def equivalent(text: str, attributes: str = "", tag: str = "Unicode") -> str:
    return f"<TextEquiv {attributes}><{tag}>{text}</{tag}></TextEquiv>"


def word(*content: str) -> str:
    return f'<Word id="w">{COORDS}{"".join(content)}</Word>'


def glyph(text: str, attributes: str = "") -> str:
    return f'<Glyph id="g">{COORDS}{equivalent(text, attributes)}</Glyph>'


def text_of(content: str, text_index: int | None = None):
    return line_text(ElementTree.fromstring(f'<TextLine id="l">{COORDS}{content}</TextLine>'), text_index)


@pytest.mark.parametrize(
    "content",
    [
        equivalent("truth"),
        equivalent("truth", 'index="0"'),
        equivalent("truth", 'conf="0.4"'),
        equivalent("read", 'index="1"') + equivalent("truth", 'index="0"'),
        equivalent("truth", 'index="0"') + equivalent("read", 'index="2"'),
        equivalent("read") + equivalent("truth", 'index="0"'),
        equivalent("truth") + equivalent("truth"),
        equivalent("truth") + equivalent(""),
        equivalent("truth", tag="PlainText"),
        "<TextEquiv><PlainText>truht</PlainText><Unicode>truth</Unicode></TextEquiv>",
        "<TextEquiv><Unicode/><Unicode>truth</Unicode></TextEquiv>",
        word(equivalent("other")) + equivalent("truth"),
        word(equivalent("truth")),
        word(equivalent("truth")) + equivalent(""),
        word(glyph("tr"), glyph("uth")),
        word(equivalent("read", 'index="1"'), equivalent("truth", 'index="0"')),
    ],
)
def test_the_transcription_is_found(content):
    found = text_of(content)
    assert (found.text, found.problem) == ("truth", "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (equivalent("read", 'index="1"'), "only texts of index 1, which may be a recogniser's readings"),
        (equivalent("", 'index="0"') + equivalent("read", 'index="1"'), "only texts of index 1"),
        (equivalent("a") + equivalent("b", 'index="1"'), "only texts of index 1 beside one without index"),
        (equivalent("a") + equivalent("b"), "2 different texts"),
        (equivalent("a", 'index="first"'), "index 'first', which is no number"),
        ("<TextEquiv><Unicode>a</Unicode><Unicode>b</Unicode></TextEquiv>", "2 different Unicode texts"),
        (word(equivalent("a")) + word(), "1 of its 2 words have none"),
        (word(equivalent("a", 'index="3"')), "has a word that has only texts of index 3"),
    ],
)
def test_an_uncertain_transcription_is_named(content, problem):
    found = text_of(content)
    assert found.text == "" and problem in found.problem


def test_index_that_is_asked_for():
    both = equivalent("read", 'index="1"') + equivalent("truth", 'index="0"')
    assert text_of(both, 1).text == "read"
    assert text_of(equivalent("read", 'index="1"'), 1).text == "read"
    assert text_of(both, 0).text == "truth"
    assert text_of(word(both) + word(both), 1).text == "read read"
    assert text_of(word(glyph("a", 'index="1"'), glyph("b", 'index="1"')), 1).text == "ab"


def test_words_that_differ_from_their_line_are_a_warning():
    assert "differ" in text_of(word(equivalent("other")) + equivalent("line")).warning
    assert not text_of(word(equivalent("one")) + word(equivalent("two")) + equivalent("one  two")).warning


@pytest.mark.parametrize("content", [word(), word(equivalent("")) + word(), equivalent("") + word(glyph(""))])
def test_words_without_a_text_are_no_text_and_no_problem(content):
    assert text_of(content) == LineText()
    assert text_of(content + equivalent("truth")) == LineText("truth")


@pytest.mark.parametrize("version", ["2010-03-19", "2013-07-15", "2019-07-15"])
def test_lines_with_and_without_text_in_reading_order(version):
    order = (
        '<ReadingOrder><OrderedGroup id="o"><RegionRefIndexed index="1" regionRef="a"/>'
        '<RegionRefIndexed index="0" regionRef="b"/></OrderedGroup></ReadingOrder>'
    )
    points = '<Coords><Point x="10" y="10"/><Point x="200" y="10"/><Point x="200" y="40"/></Coords>'
    first = f'<TextRegion id="a"><TextLine id="a1">{points}{equivalent("last")}</TextLine></TextRegion>'
    second = f'<TextRegion id="b"><TextLine id="b1">{COORDS}<Baseline points="10,35 200,36"/></TextLine></TextRegion>'
    (page,) = read_pages(PAGE.format(version=version, content=order + first + second))
    assert [(line.identifier, line.region, line.text) for line in page.lines] == [("b1", "b", ""), ("a1", "a", "last")]
    assert page.lines[1].polygon == [(10, 10), (200, 10), (200, 40)]
    assert page.lines[0].baseline == [(10, 35), (200, 36)] and page.lines[0].box == (10, 10, 200, 40)
    assert (page.image_name, page.width, page.height) == ("p.png", 400, 200)


def test_cells_of_a_table_come_where_the_table_does():
    order = "".join(f'<RegionRefIndexed index="{place}" regionRef="{name}"/>' for place, name in enumerate("atb"))
    region = '<TextRegion id="{0}"><TextLine id="{0}1">' + COORDS + "</TextLine></TextRegion>"
    cells = "".join(f'<TableCell id="{name}"><TextLine id="{name}1">{COORDS}</TextLine></TableCell>' for name in "cd")
    table = f'<TableRegion id="t">{cells}{region.format("e")}</TableRegion>'
    content = f'<ReadingOrder><OrderedGroup id="o">{order}</OrderedGroup></ReadingOrder>'
    content += region.format("b") + table + region.format("a") + region.format("f")
    (page,) = read_pages(PAGE.format(version="2019-07-15", content=content))
    assert [line.region for line in page.lines] == ["a", "c", "d", "e", "b", "f"]


def test_without_an_order_regions_come_by_their_own_places():
    """As Transkribus writes them beside the order, which other tools drop."""
    content = "".join(
        f'<TextRegion id="{name}" {place}><TextLine id="{name}1">{COORDS}</TextLine></TextRegion>'
        for name, place in (
            ("c", 'custom="readingOrder {index:10;} structure {type:note;}"'),
            ("d", ""),
            ("b", 'custom="readingOrder {index:2;}"'),
            ("a", 'custom="readingOrder {index:0;}"'),
        )
    )
    (page,) = read_pages(PAGE.format(version="2013-07-15", content=content))
    assert [line.region for line in page.lines] == ["a", "b", "c", "d"]
    order = (
        '<ReadingOrder><OrderedGroup id="o"><RegionRefIndexed index="0" regionRef="d"/></OrderedGroup></ReadingOrder>'
    )
    (page,) = read_pages(PAGE.format(version="2013-07-15", content=order + content))
    assert [line.region for line in page.lines] == ["d", "c", "b", "a"]


def test_a_region_that_a_group_of_the_order_names_comes_before_its_members():
    def region(name: str, inner: str = "") -> str:
        return f'<TextRegion id="{name}">{COORDS}{inner}<TextLine id="{name}1">{COORDS}</TextLine></TextRegion>'

    group = '<OrderedGroupIndexed id="g" index="0" regionRef="a"><RegionRefIndexed index="0" regionRef="c"/>'
    order = (
        f'{group}</OrderedGroupIndexed><RegionRefIndexed index="1" regionRef="b"/><Labels><Label value="x"/></Labels>'
    )
    content = f'<ReadingOrder><OrderedGroup id="o">{order}</OrderedGroup></ReadingOrder>'
    content += region("b") + region("a", region("c"))
    (page,) = read_pages(PAGE.format(version="2019-07-15", content=content))
    assert [line.region for line in page.lines] == ["a", "c", "b"]


@pytest.mark.parametrize("side", ["1e999", "nan", "wide"])
def test_a_page_s_size_must_be_a_number(side):
    page = PAGE.format(version="2019-07-15", content="").replace('"400"', f'"{side}"')
    with pytest.raises(ValueError, match=f"width or height is '{side}'"):
        read_pages(page.encode())


@pytest.mark.parametrize("points", ["10,10 200,ten 200,40", "10,10 200,10 200", "10,10 nan,10 200,40"])
def test_broken_outline_costs_its_line_only(points):
    broken = f'<TextLine id="x"><Coords points="{points}"/>{equivalent("a")}</TextLine>'
    whole = f'<TextLine id="y">{COORDS}{equivalent("b")}</TextLine>'
    (page,) = read_pages(PAGE.format(version="2019-07-15", content=f"<TextRegion>{broken}{whole}</TextRegion>"))
    assert ["broken outline" in line.problem for line in page.lines] == [True, False]


@pytest.mark.parametrize(("of_line", "warns"), [("", True), (equivalent("text"), False)])
def test_text_of_a_region_alone_is_a_warning(of_line, warns):
    region = f'<TextRegion id="r"><TextLine id="l">{COORDS}{of_line}</TextLine>{equivalent("text")}</TextRegion>'
    (page,) = read_pages(PAGE.format(version="2019-07-15", content=region))
    assert page.warnings == ("texts of regions whose lines have none, not used",) * warns


def test_lines_have_the_types_of_their_regions():
    line = f'<TextLine id="l" custom="readingOrder {{index:0;}} structure {{type:heading;}}">{COORDS}</TextLine>'
    inner = f'<TextRegion id="i" type="marginalia">{line}</TextRegion>'
    outer = f'<TextRegion id="o" custom="structure {{score:1; type:a\\u0020note;}}">{inner}</TextRegion>'
    (page,) = read_pages(PAGE.format(version="2019-07-15", content=outer).encode())
    assert page.lines[0].tags == ("a note", "marginalia", "heading")


@pytest.mark.parametrize(("told", "confidence"), [("0.5", 0.5), ("NaN", None), ("inf", None), ("high", None)])
def test_a_confidence_is_a_number_or_none(told, confidence):
    """JSON has no other numbers, and lines that keep their text are written with it."""
    assert text_of(equivalent("truth", f'conf="{told}"')).confidence == confidence

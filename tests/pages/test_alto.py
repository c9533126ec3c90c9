# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The text of ALTO lines, and files with several pages."""

import xml.etree.ElementTree as ElementTree

import pytest

from htr_convtext.pages import read_pages
from htr_convtext.pages.alto import line_text

LINE = '<TextLine ID="{name}" HPOS="100" VPOS="100" WIDTH="200" HEIGHT="40">{content}</TextLine>'
ALTO = (
    '<alto xmlns="http://www.loc.gov/standards/alto/ns-v{version}#"><Description><MeasurementUnit>pixel'
    "</MeasurementUnit>{names}</Description><Layout>{pages}</Layout></alto>"
)
NAME = "<sourceImageInformation><fileName>{}</fileName></sourceImageInformation>"


def page(text: str) -> str:
    line = LINE.format(name="l", content=f'<String CONTENT="{text}"/>')
    return f'<Page WIDTH="400" HEIGHT="200"><PrintSpace><TextBlock ID="b">{line}</TextBlock></PrintSpace></Page>'


def words(*texts: str, between: str = "") -> str:
    return between.join(f'<String CONTENT="{text}"/>' for text in texts)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (words("one line"), "one line"),
        (words("two", "words"), "two words"),
        (words("two", "words", between="<SP/>"), "two words"),
        (words("conser") + '<HYP CONTENT="-"/>', "conser-"),
        (words("la", "conser") + '<HYP CONTENT="-"/>', "la conser-"),
        (words("la", "conser", between="<SP/>") + '<HYP CONTENT="\u00ac"/>', "la conser\u00ac"),
        (words("conser") + "<SP/><HYP/>", "conser-"),
        (words("conser") + '<HYP CONTENT="&#xAD;"/>', "conser-"),
        (words("conser-") + '<HYP CONTENT="-"/>', "conser-"),
        ('<String CONTENT="conser" SUBS_TYPE="HypPart1" SUBS_CONTENT="conservation"/><HYP CONTENT="-"/>', "conser-"),
        ('<String CONTENT="vation" SUBS_TYPE="HypPart2" SUBS_CONTENT="conservation"/>', "vation"),
        ('<String><Glyph CONTENT="o"/><Glyph CONTENT="ne"/></String>' + words("two"), "one two"),
        ("<SP/>" + words("one") + "<SP/>", " one "),
        (words("con\u00adser", "vation"), "con\u00adser vation"),
        (words("con\u00adser\u00ad"), "con\u00adser\u00ad"),
        ("", ""),
    ],
)
def test_text_is_what_stands_in_the_line(content, text):
    assert line_text(ElementTree.fromstring(LINE.format(name="l", content=content))).text == text


def test_word_without_content_is_named():
    found = line_text(ElementTree.fromstring(LINE.format(name="l", content=words("one", ""))))
    assert found.text == "" and "1 of 2 words without CONTENT" in found.problem
    found = line_text(ElementTree.fromstring(LINE.format(name="l", content=words("", ""))))
    assert (found.text.strip(), found.problem) == ("", "")


def test_confidence_is_the_mean_of_the_words():
    content = '<String CONTENT="a" WC="0.5"/><String CONTENT="b" WC="1.0"/><String CONTENT="c"/>'
    assert line_text(ElementTree.fromstring(LINE.format(name="l", content=content))).confidence == 0.75
    content = content.replace("1.0", "NaN")
    assert line_text(ElementTree.fromstring(LINE.format(name="l", content=content))).confidence is None


def test_blocks_in_a_block_come_where_it_does():
    blocks = {name: f'<TextBlock ID="{name}">{LINE.format(name=name, content="")}</TextBlock>' for name in "abc"}
    content = f'{blocks["a"]}<ComposedBlock ID="d">{blocks["b"]}{blocks["c"]}</ComposedBlock>'
    order = (
        "<ReadingOrder><OrderedGroup ID='g'><ElementRef REF='d'/><ElementRef REF='a'/></OrderedGroup></ReadingOrder>"
    )
    pages = f'<Page WIDTH="400" HEIGHT="200"><PrintSpace>{content}</PrintSpace></Page>'
    alto = ALTO.format(version=4, names=NAME.format("a.png"), pages=pages).replace("<Layout>", f"{order}<Layout>")
    assert [line.region for line in read_pages(alto)[0].lines] == ["b", "c", "a"]


@pytest.mark.parametrize("version", [2, 3, 4])
def test_every_page_of_a_file(version):
    names, pages = NAME.format("a.png") + NAME.format("b.png"), page("one") + page("two")
    found = read_pages(ALTO.format(version=version, names=names, pages=pages))
    assert [(page.image_name, page.frame, page.lines[0].text) for page in found] == [
        ("a.png", None, "one"),
        ("b.png", None, "two"),
    ]
    found = read_pages(ALTO.format(version=version, names=NAME.format("book.tif"), pages=pages))
    assert [(page.image_name, page.frame) for page in found] == [("book.tif", 0), ("book.tif", 1)]
    found = read_pages(ALTO.format(version=version, names="", pages=pages))
    assert [(page.image_name, page.frame) for page in found] == [("", 0), ("", 1)]
    (found,) = read_pages(ALTO.format(version=version, names=names, pages=page("one")))
    assert (found.image_name, found.frame) == ("a.png", None)
    with pytest.raises(ValueError, match="no element Page"):
        read_pages(ALTO.format(version=version, names=names, pages=""))


def test_lines_have_the_labels_of_their_tags():
    line = '<TextLine ID="l" TAGREFS="t2" HPOS="1" VPOS="1" WIDTH="9" HEIGHT="9"><String CONTENT="a"/></TextLine>'
    tags = '<Tags><LayoutTag ID="t1" LABEL="MarginTextZone"/><OtherTag ID="t2" LABEL="DefaultLine"/></Tags>'
    block = f'<ComposedBlock TYPE="Advert"><TextBlock ID="b" TAGREFS="t1 none">{line}</TextBlock></ComposedBlock>'
    alto = f'<alto>{tags}<Layout><Page WIDTH="40" HEIGHT="20"><PrintSpace>{block}</PrintSpace></Page></Layout></alto>'
    (page,) = read_pages(alto.encode())
    assert page.lines[0].tags == ("Advert", "MarginTextZone", "DefaultLine")


def page_of(*lines: str, order: str = "", block: str = ""):
    content = f"<PrintSpace><TextBlock {block}>{''.join(lines)}</TextBlock></PrintSpace>"
    whole = f'<alto>{order}<Layout><Page WIDTH="400" HEIGHT="200">{content}</Page></Layout></alto>'
    (page,) = read_pages(whole.encode())
    return page


def test_outline_is_the_shape_or_else_the_box():
    shape = '<Shape><Polygon POINTS="100,100 300,105 300,140"/></Shape>'
    with_shape, with_box = page_of(LINE.format(name="a", content=shape), LINE.format(name="b", content="")).lines
    assert with_shape.polygon == [(100, 100), (300, 105), (300, 140)]
    assert with_box.polygon == [(100, 100), (300, 100), (300, 140), (100, 140)]
    (at_corner,) = page_of('<TextLine ID="a" HPOS="" VPOS="0" WIDTH="9" HEIGHT="5"/>').lines
    assert at_corner.polygon == [(0, 0), (9, 0), (9, 5), (0, 5)]
    (broken,) = page_of(LINE.format(name="a", content='<Shape><Polygon POINTS="100,ten"/></Shape>')).lines
    assert broken.polygon == [] and "broken outline" in broken.problem


def test_lines_without_a_name_or_with_a_broken_baseline_stay():
    (line,) = page_of('<TextLine HPOS="1" VPOS="1" WIDTH="9" HEIGHT="9" BASELINE="1,ten"/>').lines
    assert (line.identifier, line.baseline, line.problem) == ("?", [], "") and line.region.startswith("block ")


def test_lines_come_in_the_order_of_the_file_s_references():
    lines = [LINE.format(name=name, content="") for name in "abc"]
    order = "".join(f'<ElementRef ID="r{name}" REF="{name}"/>' for name in "cab")
    page = page_of(*lines, order=f"<ReadingOrder><OrderedGroup ID='g'>{order}</OrderedGroup></ReadingOrder>")
    assert [line.identifier for line in page.lines] == ["c", "a", "b"]


@pytest.mark.parametrize(("rotation", "warns"), [("", False), ("0.0", False), ("90", True), ("-2.5", True)])
def test_a_rotation_is_a_warning(rotation, warns):
    page = page_of(LINE.format(name="a", content=""), block=f'ROTATION="{rotation}"')
    assert page.warnings == ("blocks with a ROTATION, which only baselines can tell here",) * warns

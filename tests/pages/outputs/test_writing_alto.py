# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""ALTO files get their readings and keep everything else; new ones follow the schema and read as they were written."""

import pytest
from lxml import etree

from htr_convtext.pages import read_pages
from htr_convtext.pages.outputs.writing_alto import name_and_version, new_alto, write_into_alto

PLACE = 'HPOS="100" VPOS="100" WIDTH="200" HEIGHT="40"'
SHAPE = '<Shape><Polygon POINTS="100 100 300 100 300 140 100 140"/></Shape>'
NAMES = {2: "http://www.loc.gov/standards/alto/ns-v2#", 3: "http://www.loc.gov/standards/alto/ns-v3#",
         4: "http://www.loc.gov/standards/alto/ns-v4#"}  # fmt: skip
OLD = f'<String CONTENT="conser" {PLACE}/>'
HYPHEN = '<HYP CONTENT="-"/>'


def alto_file(lines: str, version: int = 4, pages: int = 1) -> str:
    page = (
        f'<Page ID="p{{}}" PHYSICAL_IMG_NR="1" WIDTH="400" HEIGHT="200"><PrintSpace {PLACE}>'
        f'<TextBlock ID="b{{}}" TAGREFS="t" {PLACE}>{lines}</TextBlock></PrintSpace></Page>'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><alto xmlns="{NAMES[version]}"><Description><MeasurementUnit>pixel'
        "</MeasurementUnit><sourceImageInformation><fileName>p.png</fileName></sourceImageInformation></Description>"
        '<Tags><OtherTag ID="t" LABEL="letter"/><OtherTag ID="x" LABEL="first"/></Tags>'
        f"<Layout>{''.join(page.format(number, number) for number in range(pages))}</Layout></alto>"
    )


def line(content: str, name: str = "l") -> str:
    return f'<TextLine ID="{name}" BASELINE="100 130 300 130" TAGREFS="x" {PLACE}>{content}</TextLine>'


@pytest.fixture
def write(tmp_path, transcribed):
    def write(content: str, texts: dict[int, str] | None = None) -> bytes:
        path = tmp_path / "page.xml"
        path.write_text(content, encoding="utf-8")
        return write_into_alto(path.read_bytes(), transcribed.transcribe(path, texts), transcribed.NOW)

    return write


def texts_of(content: bytes) -> list[tuple[str, float | None]]:
    return [(line.text, line.transcription.confidence) for page in read_pages(content) for line in page.lines]


@pytest.mark.parametrize("old", ["", OLD, OLD + HYPHEN, f"{OLD}<SP/>{OLD}", '<String CONTENT="" HPOS="1"/>', "<SP/>"])
@pytest.mark.parametrize("shape", ["", SHAPE, f"{SHAPE}<!-- seen -->"])
@pytest.mark.parametrize("text", ["one", "two words-", 'a-b \u0111\u01b0\u1eddng <&">', ""])
def test_a_reading_takes_the_place_of_the_old_text(write, schema_rules, shape, old, text):
    written = write(alto_file(line(shape + old)), {0: text})
    assert texts_of(written) == [(text, 0.875)]
    assert schema_rules.violations(written) == []
    assert b"conser" not in written and b"HYP" not in written and (b"seen" in written) == ("seen" in shape)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_every_version_keeps_its_own_form(write, schema_rules, version):
    written = write(alto_file(line("", "a") + line(OLD + HYPHEN, "b"), version), {0: "one two"})
    assert schema_rules.violations(written) == []
    assert texts_of(written) == [("one two", 0.875), ("conser-", None)]
    root = etree.fromstring(written)
    first, space, second = root.find(".//{*}TextLine")
    assert [first.get(key) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")] == ["100", "100", "86", "40"]
    assert (space.get("HPOS"), space.get("WIDTH")) == ("186", "28") and second.get("WC") == "0.875"
    assert (first.find("{*}Shape") is not None) == (version >= 3)
    software = root.find(f".//{{*}}Description/{{*}}{'Processing' if version == 4 else 'OCRProcessing'}")
    assert software.findtext(".//{*}softwareName") == "htr-convtext"
    assert software.findtext(".//{*}softwareVersion") == "0.1.0"
    assert software.findtext(".//{*}processingDateTime") == "2026-11-25T18:30:00Z"


@pytest.mark.parametrize("name", ["l", ""])
def test_a_reading_order_that_names_a_word_names_its_line(write, schema_rules, name):
    order = '<ReadingOrder><OrderedGroup ID="o"><ElementRef ID="r" REF="w1"/><ElementRef ID="s" REF="w2"/>'
    lines = line(OLD.replace("<String", '<String ID="w1"')) + line(OLD.replace("<String", '<String ID="w2"'), "m")
    content = alto_file(lines).replace("</Tags>", f"</Tags>{order}</OrderedGroup></ReadingOrder>")
    written = write(content.replace('<TextLine ID="l"', f'<TextLine ID="{name}"' if name else "<TextLine"), {0: "one"})
    assert schema_rules.violations(written) == []
    root = etree.fromstring(written)
    first, second = (reference.get("REF") for reference in root.iter("{*}ElementRef"))
    assert second == "w2" and first == root.find(".//{*}TextLine").get("ID") == (name or "line")


def test_kept_lines_and_a_file_without_readings_are_as_they_were(write):
    content = alto_file(line(OLD.replace("/>", ' WC="0.5" CC="1 2"/>') + HYPHEN, "a") + line("", "b"))
    assert write(content, {}) == content.encode()
    assert texts_of(write(content, {1: "new"})) == [("conser-", 0.5), ("new", 0.875)]
    assert b'WC="0.5" CC="1 2"' in write(content, {1: "new"})


def test_lines_of_several_pages_are_found_by_their_place(write):
    written = write(alto_file(line("", "l") + line("", "l"), pages=2))
    assert [text for text, _ in texts_of(written)] == ["reading 0", "reading 1", "reading 0", "reading 1"]
    identifiers = [element.get("ID") for element in etree.fromstring(written).iter("{*}String")]
    assert len(set(identifiers)) == 8


def test_words_that_are_not_the_text_give_way_to_it(tmp_path, transcribed):
    path = tmp_path / "page.xml"
    path.write_text(alto_file(line("")), encoding="utf-8")
    (page,) = transcribed.transcribe(path, {0: "one two"})
    page = page._replace(lines=(page.lines[0]._replace(words=page.lines[0].words[:1]),))
    written = write_into_alto(path.read_bytes(), [page], transcribed.NOW)
    assert texts_of(written) == [("one two", 0.875)]
    (string,) = etree.fromstring(written).iter("{*}String")
    assert string.get("WIDTH") == "200"


def test_words_from_right_to_left_have_their_space_between_them(tmp_path, transcribed):
    path = tmp_path / "page.xml"
    path.write_text(alto_file(line("")), encoding="utf-8")
    (page,) = transcribed.transcribe(path, {0: "\u05e9\u05dc\u05d5\u05dd \u05d0"})
    right, left = page.lines[0].words
    words = (right._replace(polygon=transcribed.box(200, 100, 300, 140)),)
    words += (left._replace(polygon=transcribed.box(100, 100, 180, 140)),)
    page = page._replace(lines=(page.lines[0]._replace(words=words),))
    written = write_into_alto(path.read_bytes(), [page], transcribed.NOW)
    space = etree.fromstring(written).find(".//{*}SP")
    assert (space.get("HPOS"), space.get("WIDTH")) == ("180", "20")
    assert texts_of(written)[0][0] == "\u05e9\u05dc\u05d5\u05dd \u05d0"


def test_a_new_file_follows_the_schema_and_reads_as_written(tmp_path, transcribed, schema_rules):
    page = transcribed.drawn_page(tmp_path, [["two words", "\u0111\u01b0\u1eddng ph\u1ed1"], ["margin"]])
    written = new_alto(page, "letter.png", transcribed.NOW)
    assert schema_rules.violations(written) == []
    (read,) = read_pages(written)
    assert [(each.text, each.transcription.confidence) for each in read.lines] == [
        (each.text, each.confidence) for each in page.lines
    ]
    for before, after in zip(page.page.lines, read.lines, strict=True):
        assert after.polygon == before.polygon and after.baseline == before.baseline and after.region == before.region
    assert (read.image_name, read.width, read.height) == ("letter.png", 800, 600)
    mixed = page._replace(lines=(page.lines[0], page.lines[2], page.lines[1]))
    assert [text for text, _ in texts_of(new_alto(mixed, "letter.png", transcribed.NOW))] == [
        page.lines[number].text for number in (0, 2, 1)
    ]


def test_a_new_file_has_lines_that_were_not_read_and_texts_that_were_kept(tmp_path, transcribed, schema_rules):
    page = transcribed.drawn_page(tmp_path, [["a", "b"]])
    a, b = page.lines
    lines = (a._replace(line=a.line._replace(polygon=[], baseline=[]), text="", confidence=None, words=()),)
    lines += (b._replace(text="kept text", confidence=None, words=()),)
    written = new_alto(page._replace(lines=lines), "letter.png", transcribed.NOW)
    assert schema_rules.violations(written) == []
    assert texts_of(written) == [("", None), ("kept text", None)]


@pytest.mark.parametrize(
    ("software", "parts"),
    [
        ("htr-convtext 0.1.0, model htr-convtext-fr", ("htr-convtext", "0.1.0", "model htr-convtext-fr")),
        ("htr-convtext 0.1.0 (htr-convtext-fr)", ("htr-convtext", "0.1.0", "htr-convtext-fr")),
        ("htr-convtext 0.1.0.dev1", ("htr-convtext", "0.1.0.dev1", "")),
        ("htr-convtext", ("htr-convtext", "", "")),
    ],
)
def test_the_software_in_parts(software, parts):
    assert name_and_version(software) == parts

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""PAGE files get their readings and keep everything else; new ones are valid and read as they were written."""

import re

import pytest
from lxml import etree

from htr_convtext.pages import read_pages
from htr_convtext.pages.outputs.editing_xml import Identifiers
from htr_convtext.pages.outputs.writing_page_xml import new_page_xml, write_into_page_xml

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/{}"
COORDS = '<Coords points="10,10 200,10 200,40 10,40"/>'
POINTS = '<Coords><Point x="10" y="10"/><Point x="200" y="10"/><Point x="200" y="40"/></Coords>'
METADATA = (
    "<Metadata><Creator>Transkribus</Creator><Created>2024-01-01T00:00:00Z</Created>"
    "<LastChange>2024-01-02T00:00:00Z</LastChange>{}</Metadata>"
)


def page_file(lines: str, version: str = "2019-07-15", more: str = "", region: str = "") -> str:
    coords = POINTS if version < "2013" else COORDS
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<!-- kept -->\n'
        f'<PcGts xmlns="{NAMESPACE.format(version)}">{METADATA.format(more)}'
        f'<Page imageFilename="p.png" imageWidth="400" imageHeight="200">'
        f'<TextRegion id="r" custom="structure {{type:x;}}">{coords}{lines}{region}</TextRegion></Page></PcGts>\n'
    )


def equivalent(text: str, attributes: str = "") -> str:
    return f"<TextEquiv {attributes}><Unicode>{text}</Unicode></TextEquiv>"


def line(content: str, name: str = "l", coords: str = COORDS) -> str:
    return f'<TextLine id="{name}">{coords}{content}</TextLine>'


@pytest.fixture
def write(tmp_path, transcribed):
    def write(content: str, texts: dict[int, str] | None = None) -> bytes:
        path = tmp_path / "page.xml"
        path.write_text(content, encoding="utf-8")
        return write_into_page_xml(path.read_bytes(), transcribed.transcribe(path, texts), transcribed.NOW)

    return write


def texts_of(content: bytes) -> list[tuple[str, float | None]]:
    return [(line.text, line.transcription.confidence) for page in read_pages(content) for line in page.lines]


@pytest.mark.parametrize(
    "old",
    [
        "",
        equivalent(""),
        equivalent("old"),
        equivalent("old", 'conf="0.1"'),
        equivalent("old", 'index="0"') + equivalent("other", 'index="1"'),
        equivalent("other", 'index="1"'),
        equivalent("other", 'index="1"') + equivalent("old"),
        equivalent("old") + equivalent("other"),
        equivalent("old", 'index="0"') + equivalent("other", 'index="0"') + equivalent("third", 'index="4"'),
        "<TextEquiv><PlainText>old</PlainText></TextEquiv>",
        "<TextEquiv><PlainText>old</PlainText><Unicode>old</Unicode></TextEquiv>",
        "<TextEquiv><Unicode>old</Unicode><Unicode>older</Unicode></TextEquiv>",
        f'<Word id="w">{COORDS}{equivalent("old")}</Word>',
        f'<Word id="w">{COORDS}{equivalent("old")}</Word>{equivalent("old")}<TextStyle/><UserDefined/>',
        f'<Baseline points="10,35 200,35"/><Word id="l_w1">{COORDS}</Word><TextStyle/>',
    ],
)
def test_a_reading_becomes_the_transcription_and_other_readings_stay(write, old):
    written = write(page_file(line(old)), {0: "a new text"})
    assert texts_of(written) == [("a new text", 0.875)]
    words = etree.fromstring(written).findall(".//{*}Word")
    assert [word.findtext(".//{*}Unicode") for word in words] == ["a", "new", "text"]
    assert words[1].find("{*}Coords").get("points") == "48,10 105,10 105,40 48,40"
    assert words[1].find("{*}TextEquiv").get("conf") == "0.875"
    for kept in ("other", "third"):
        assert (kept in old) == (kept.encode() in written)
    assert b"old" not in written
    indices = [each.get("index") for each in etree.fromstring(written).findall(".//{*}TextLine/{*}TextEquiv")]
    assert len(indices) == len(set(indices))


def test_kept_lines_and_a_file_without_readings_are_as_they_were(write):
    content = page_file(line(equivalent("kept &#xe9;", 'conf="0.4"') + "<TextStyle/>", "a") + line("", "b"))
    assert write(content, {}) == content.encode()
    written = write(content, {1: "new"})
    assert equivalent("kept é", 'conf="0.4"').encode() + b"<TextStyle/>" in written.replace(
        b"TextEquiv  ", b"TextEquiv "
    )
    assert texts_of(written) == [("kept é", 0.4), ("new", 0.875)]


def test_tags_of_characters_stay_with_their_text_only(write):
    tags = "textStyle {offset:0; length:3;bold:true;} unclear{length:4; offset:8;}"
    lines = "".join(
        line(equivalent("The old text"), name).replace("<TextLine", f'<TextLine custom="{custom}"', 1)
        for name, custom in (("a", f"readingOrder {{index:0;}} {tags}"), ("b", tags), ("c", tags), ("d", tags))
    )
    written = write(page_file(lines), {0: "A new one", 1: "A new one", 2: "The old text"})
    customs = [element.get("custom") for element in etree.fromstring(written).iter("{*}TextLine")]
    assert customs == ["readingOrder {index:0;}", None, tags, tags]


@pytest.mark.parametrize("text", ["e\u0301te\u0301 noir", "\u00e9t\u00e9  noir"])
def test_tags_go_where_the_text_is_written_in_other_characters(write, text):
    """Their offsets are counted in the text as it stood, whose accents or spaces the one that is written has not."""
    tag = f"unclear {{offset:{text.index('noir')}; length:4;}}"
    tagged = line(equivalent(text), "a").replace("<TextLine", f'<TextLine custom="{tag}"', 1)
    written = etree.fromstring(write(page_file(tagged), {0: "\u00e9t\u00e9 noir"}))
    assert written.find(".//{*}TextLine").get("custom") is None


def test_lines_are_found_by_their_place_though_their_ids_are_doubled_or_missing(write):
    lines = line("", "l") + f"<TextLine>{COORDS}</TextLine>" + line("", "l")
    inner = f'<TextRegion id="n">{COORDS}{line("", "l")}</TextRegion>'
    written = write(page_file(inner + lines), {0: "zero", 1: "one", 2: "two", 3: "three"})
    found = [element.findtext("{*}TextEquiv/{*}Unicode") for element in etree.fromstring(written).iter("{*}TextLine")]
    assert found == ["zero", "one", "two", "three"]
    words = [word.get("id") for word in etree.fromstring(written).iter("{*}Word")]
    assert len(set(words)) == 4


@pytest.mark.parametrize("old", [equivalent("old one\nold two", 'conf="0.3"'), equivalent("")])
def test_the_text_of_a_region_follows_its_lines(write, old):
    both = line(equivalent("kept"), "a") + line("", "b")
    written = write(page_file(both, region=old), {1: "new"})
    of_region = etree.fromstring(written).find(".//{*}TextRegion/{*}TextEquiv")
    assert of_region.findtext("{*}Unicode") == "kept\nnew" and of_region.get("conf") is None
    assert etree.fromstring(write(page_file(both), {1: "new"})).find(".//{*}TextRegion/{*}TextEquiv") is None


def test_the_text_of_a_region_stays_where_that_of_a_line_is_not_certain(write):
    both = line(equivalent("two", 'index="1"'), "a") + line("", "b")
    written = write(page_file(both, region=equivalent("two\nold", 'index="1"')), {1: "new"})
    (of_region,) = etree.fromstring(written).findall(".//{*}TextRegion/{*}TextEquiv")
    assert of_region.findtext("{*}Unicode") == "two\nold" and b"new" in written


def test_an_index_below_zero_is_no_obstacle(write):
    assert texts_of(write(page_file(line(equivalent("other", 'index="-1"'))), {0: "new"})) == [("new", 0.875)]


@pytest.mark.parametrize("version", ["2010-03-19", "2013-07-15", "2017-07-15", "2019-07-15"])
def test_every_version_keeps_its_own_form(write, version, schema_rules, page_schema):
    coords = POINTS if version < "2013" else COORDS
    written = write(page_file(line("<TextStyle/>", coords=coords), version), {0: "one two"})
    assert schema_rules.violations(written) == []
    assert texts_of(written) == [("one two", None if version < "2013" else 0.875)]
    root = etree.fromstring(written)
    metadata = [(etree.QName(each).localname, each.text) for each in root.find("{*}Metadata")]
    assert metadata[0] == ("Creator", "Transkribus") and metadata[2] == ("LastChange", "2026-11-25T18:30:00Z")
    said = root.find(".//{*}MetadataItem").get("value") if version > "2018" else metadata[3][1]
    assert "htr-convtext 0.1.0, model htr-convtext-fr" in said
    if version >= "2013":  # The schema of 2019 has all of those from 2013 on.
        newest = written.replace(version.encode(), b"2019-07-15")
        page_schema.assertValid(etree.fromstring(newest))


def test_comments_of_an_older_file_stay_before_ours(write):
    written = write(page_file(line(""), "2013-07-15", "<Comments>seen by Ada</Comments>"), {0: "x"})
    comments = etree.fromstring(written).findall("{*}Metadata/{*}Comments")
    assert len(comments) == 1 and re.match(r"seen by Ada\nText read by htr-convtext", comments[0].text)


def test_indentation_is_that_of_the_file(write):
    content = page_file("").replace(
        "</TextRegion>",
        '\n\t\t<TextLine id="l">\n\t\t\t<Coords points="1,1 9,1 9,9"/>\n\t\t</TextLine>\n\t</TextRegion>',
    )
    written = write(content, {0: "x"}).decode()
    assert (
        written.count("\n\t\t\t<TextEquiv conf") == 1
        and "\n\t\t\t\t<Unicode>x</Unicode>\n\t\t\t</TextEquiv>" in written
    )
    assert written.endswith("</TextEquiv>\n\t\t</TextLine>\n\t</TextRegion></Page></PcGts>\n")


def test_what_xml_cannot_hold_is_left_out_and_right_to_left_stays(write):
    written = write(page_file(line("")), {0: 'a\x00b\x0b \ufffe<&>" \u0645\u06cc\u200c\u062e e\u0301 \U0001f600'})
    assert texts_of(written)[0][0] == 'ab <&>" \u0645\u06cc\u200c\u062e \u00e9 \U0001f600'


def test_a_reading_that_is_empty_takes_the_old_text_out(write):
    assert texts_of(write(page_file(line(equivalent("old"))), {0: ""})) == [("", None)]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "ISO-8859-1"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_declaration_encoding_and_line_ends_stay(tmp_path, transcribed, encoding, ends):
    content = page_file(line(equivalent("dé"), "a") + line("", "b")).replace('"UTF-8"', f'"{encoding}"')
    path = tmp_path / "page.xml"
    path.write_bytes(content.replace("\n", ends).encode(encoding))
    pages = transcribed.transcribe(path, {1: "zwölf \u1ec7"})
    written = write_into_page_xml(path.read_bytes(), pages, transcribed.NOW)
    assert [text for text, _ in texts_of(written)] == ["dé", "zwölf \u1ec7"]
    decoded = written.decode(encoding)
    assert decoded.count("\n") >= 1 and decoded.count(ends) == decoded.count("\n") and encoding in decoded[:60]
    if encoding != "UTF-16":
        assert decoded.startswith(content.partition("\n")[0])


def test_a_file_that_changed_meanwhile_is_an_error(tmp_path, transcribed):
    path = tmp_path / "page.xml"
    path.write_text(page_file(line("", "a") + line("", "b")), encoding="utf-8")
    pages = transcribed.transcribe(path)
    with pytest.raises(ValueError, match="has no line b any more"):
        write_into_page_xml(page_file(line("", "a")).encode(), pages, transcribed.NOW)


def test_entities_stay_unread(tmp_path, transcribed):
    path = tmp_path / "page.xml"
    path.write_text(page_file(line("", "a") + line("", "b")), encoding="utf-8")
    (tmp_path / "secret").write_text("secret")
    harmful = page_file(line("", "a") + line(equivalent("&x;"), "b")).replace(
        "<!-- kept -->", f'<!DOCTYPE PcGts [<!ENTITY x SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
    )
    written = write_into_page_xml(harmful.encode(), transcribed.transcribe(path, {0: "new"}), transcribed.NOW)
    assert b"<Unicode>new</Unicode>" in written and b"<Unicode>&x;</Unicode>" in written


def test_a_new_file_is_valid_and_reads_as_written(tmp_path, transcribed, schema_rules, page_schema):
    page = transcribed.drawn_page(tmp_path, [["two words", "\u0111\u01b0\u1eddng ph\u1ed1"], ["margin"]])
    written = new_page_xml(page, "../letter.png", transcribed.NOW)
    assert schema_rules.violations(written) == []
    page_schema.assertValid(etree.fromstring(written))
    (read,) = read_pages(written)
    assert [(each.text, each.transcription.confidence) for each in read.lines] == [
        (each.text, each.confidence) for each in page.lines
    ]
    for before, after in zip(page.page.lines, read.lines, strict=True):
        assert after.polygon == before.polygon and after.baseline == before.baseline and after.region == before.region
    assert (read.image_name, read.width, read.height) == ("../letter.png", 800, 600)


def test_a_new_file_keeps_an_order_that_goes_back_and_forth_between_regions(tmp_path, transcribed, page_schema):
    page = transcribed.drawn_page(tmp_path, [["a", "b"], ["c"]])
    mixed = page._replace(lines=(page.lines[0], page.lines[2], page.lines[1]))
    written = new_page_xml(mixed, "letter.png", transcribed.NOW)
    page_schema.assertValid(etree.fromstring(written))
    assert [text for text, _ in texts_of(written)] == ["a", "c", "b"]


def test_a_new_file_has_lines_that_were_not_read_and_texts_that_were_kept(tmp_path, transcribed, page_schema):
    page = transcribed.drawn_page(tmp_path, [["a", "b", "c"]])
    a, b, c = page.lines
    nowhere = a.line._replace(polygon=[], baseline=[], identifier="1 2")
    lines = (a._replace(line=nowhere, text="", confidence=None, words=(), problem="has no outline"),)
    lines += (b._replace(text="kept", confidence=None, words=()), c._replace(words=c.words * 2))
    written = new_page_xml(page._replace(lines=lines), "letter.png", transcribed.NOW)
    page_schema.assertValid(etree.fromstring(written))
    assert texts_of(written) == [("", None), ("kept", None), ("c", 0.875)]
    assert etree.fromstring(written).find(".//{*}Word") is None  # The words of c are not its text.


def test_identifiers_are_names_and_not_taken():
    identifiers = Identifiers(["a"])
    assert [identifiers.new(name) for name in ("a", "a", "1 b", "é:x", "")] == ["a_2", "a_3", "_1_b", "é_x", "_"]

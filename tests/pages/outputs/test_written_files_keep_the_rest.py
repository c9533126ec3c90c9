# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A structural comparison: writing readings into a file changes nothing but what was asked."""

from pathlib import Path

import pytest
from lxml import etree

from htr_convtext.pages import read_pages
from htr_convtext.pages.outputs import write_document

# What writing may touch: in a line that was read, its texts; in the metadata, what names the software and the date.
TEXTS = {"PcGts": ("Word", "TextEquiv"), "alto": ("String", "SP", "HYP")}
METADATA = ("LastChange", "MetadataItem", "Comments", "Processing", "OCRProcessing")

DECORATED_PAGE = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<?xml-stylesheet href="page.xsl"?>
<!-- exported -->
<pc:PcGts xmlns:pc="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"
    xmlns:own="http://example.org/own" pcGtsId="x">
  <pc:Metadata><pc:Creator>Transkribus</pc:Creator><pc:Created>2024-01-01T00:00:00Z</pc:Created>
    <pc:LastChange>2024-01-02T00:00:00Z</pc:LastChange><own:Deed who="Ada"/></pc:Metadata>
  <pc:Page imageFilename="a b.jpg" imageWidth="400" imageHeight="200" own:scan="7">
    <pc:Border><pc:Coords points="0,0 400,0 400,200 0,200"/></pc:Border>
    <pc:TableRegion id="t"><pc:Coords points="0,0 400,0 400,200 0,200"/>
      <pc:TextRegion id="r" custom="structure {type:cell;}"><!-- a cell --><pc:Coords points="0,0 400,0 400,200"/>
        <pc:TextLine id="l" primaryLanguage="French" custom="readingOrder {index:0;} own {by:Ada;}">
          <pc:Coords points="10,10 200,10 200,40 10,40"/><!-- baseline by hand --><pc:Baseline points="10,35 200,35"/>
          <pc:Word id="w"><pc:Coords points="10,10 200,10 200,40"/></pc:Word>
          <pc:TextEquiv own:by="Ada"><pc:Unicode>old</pc:Unicode></pc:TextEquiv>
          <pc:TextStyle fontSize="12.0"/>
          <pc:UserDefined><pc:UserAttribute name="n" value="&lt;v&gt;"/></pc:UserDefined>
        </pc:TextLine>
        <pc:TextLine id="l"><pc:Coords points="10,50 200,50 200,90 10,90"/>
          <pc:TextEquiv><pc:Unicode>kept &amp; \u00e9 <!-- sic --></pc:Unicode></pc:TextEquiv>
        </pc:TextLine>
      </pc:TextRegion>
    </pc:TableRegion>
  </pc:Page>
</pc:PcGts>
<!-- end -->
"""
DECORATED_ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE alto SYSTEM "alto.dtd">
<alto xmlns="http://www.loc.gov/standards/alto/ns-v3#" xmlns:xlink="http://www.w3.org/1999/xlink">
  <Description><MeasurementUnit>pixel</MeasurementUnit>
    <OCRProcessing ID="text_recognition"><ocrProcessingStep><processingSoftware><softwareName>other</softwareName>
    </processingSoftware></ocrProcessingStep></OCRProcessing></Description>
  <Styles><TextStyle ID="s" FONTSIZE="10"/></Styles>
  <Layout><Page ID="p" PHYSICAL_IMG_NR="1" WIDTH="400" HEIGHT="200">
    <PrintSpace HPOS="0" VPOS="0" WIDTH="400" HEIGHT="200">
    <Illustration ID="i" HPOS="0" VPOS="0" WIDTH="1" HEIGHT="1" xlink:href="x.png"/><?keep this?>
    <TextBlock ID="b" STYLEREFS="s" HPOS="10" VPOS="10" WIDTH="300" HEIGHT="100">
      <TextLine ID="l" HPOS="10" VPOS="10" WIDTH="200" HEIGHT="40"><String CONTENT="conser" SUBS_TYPE="HypPart1"
         SUBS_CONTENT="conservation" HPOS="10" VPOS="10" WIDTH="200" HEIGHT="40"/><HYP CONTENT="-"/></TextLine>
      <TextLine HPOS="10" VPOS="60" WIDTH="200" HEIGHT="40"><!-- kept -->
        <String CONTENT="vation" SUBS_TYPE="HypPart2" SUBS_CONTENT="conservation" HPOS="10" VPOS="60" WIDTH="200"
          HEIGHT="40" WC="0.25"/></TextLine>
    </TextBlock></PrintSpace></Page></Layout>
</alto>
"""


def may_change(written: set[int], name: str):
    """What to leave out of the comparison: the texts of the lines with these numbers, and the metadata's part."""

    def leave_out(node: etree._Element) -> bool:
        tag = etree.QName(node).localname if isinstance(node.tag, str) else ""
        parent = node.getparent()
        if tag not in TEXTS[name] or parent is None or etree.QName(parent).localname != "TextLine":
            return tag in METADATA
        page = next(parent.iterancestors("{*}Page"))
        return page.findall(".//{*}TextLine").index(parent) in written

    return leave_out


def check(path: Path, folder: Path, written: set[int] | None, transcribed, xml_difference) -> bytes:
    """Writes readings of some lines (of all, by default) into a copy of a file, and compares the two."""
    content = path.read_bytes()
    name = etree.QName(etree.fromstring(content)).localname
    numbers = {line.number for page in read_pages(path) for line in page.lines}
    chosen = numbers if written is None else written
    pages = transcribed.transcribe(path, {number: f"reading {number}" for number in chosen})
    (new,) = write_document(pages, ["page" if name == "PcGts" else "alto"], folder, transcribed.NOW)
    assert new == folder / path.name
    leave_out = may_change(chosen, name)
    assert xml_difference.outline_of(new.read_bytes(), leave_out) == xml_difference.outline_of(content, leave_out)
    before, after = read_pages(path), read_pages(new)
    for old, read in zip(before, after, strict=True):
        assert [line._replace(transcription=None) for line in read.lines] == [
            line._replace(transcription=None) for line in old.lines
        ]
        for old_line, line in zip(old.lines, read.lines, strict=True):
            if line.number in chosen:
                assert (line.text, line.transcription.confidence) == (f"reading {line.number}", 0.875)
            else:
                assert line.transcription == old_line.transcription
    return new.read_bytes()


@pytest.mark.parametrize("content", [DECORATED_PAGE, DECORATED_ALTO])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_everything_else_in_a_file_stays(tmp_path, transcribed, xml_difference, schema_rules, content, ends):
    path = tmp_path / "in" / "page.xml"
    path.parent.mkdir()
    path.write_bytes(content.replace("\n", ends).encode())
    check(path, tmp_path / "none", set(), transcribed, xml_difference)
    assert (tmp_path / "none" / "page.xml").read_bytes() == path.read_bytes()
    for written in ({0}, {1}, {0, 1}):
        check(path, tmp_path / "out", written, transcribed, xml_difference)


def test_the_comparison_sees_what_it_should(transcribed, xml_difference):
    """Each of these changes is found, so that the tests above cannot pass by overlooking it."""
    leave_out = may_change({0}, "PcGts")
    whole = xml_difference.outline_of(DECORATED_PAGE.encode(), leave_out)
    for old, new in (
        ("<!-- a cell -->", ""), ('own:scan="7"', ""), ("<?xml-stylesheet href=\"page.xsl\"?>", ""), ("&amp; ", ""),
        ("<!-- end -->", ""), ('xmlns:own="http://example.org/own"', 'xmlns:own="http://example.org/other"'),
        ('<own:Deed who="Ada"/>', ""), (' standalone="yes"', ""), ("<pc:TextStyle", "<pc:TextStyle bold='true'"),
        ("<!-- sic -->", ""),
    ):  # fmt: skip
        assert old in DECORATED_PAGE
        changed = xml_difference.outline_of(DECORATED_PAGE.replace(old, new).encode(), leave_out)
        assert changed != whole
    reading = DECORATED_PAGE.replace('<pc:Word id="w">', '<pc:Word id="v">').replace("old", "new")
    assert xml_difference.outline_of(reading.encode(), leave_out) == whole


def test_real_files_keep_everything_else(
    shared_lines, tmp_path, transcribed, xml_difference, schema_rules, page_schema
):
    paths = sorted((shared_lines / "pages").rglob("*.xml"))
    assert len(paths) == 8
    for path in paths:
        folder = tmp_path / path.parent.name
        some = check(path, folder / "some", {0, 2}, transcribed, xml_difference)
        everything = check(path, folder / "all", None, transcribed, xml_difference)
        for written in (some, everything):
            assert set(schema_rules.violations(written)) <= set(schema_rules.violations(path.read_bytes())), path
            if b"PcGts" in written and page_schema.validate(etree.parse(path)):
                page_schema.assertValid(etree.fromstring(written))

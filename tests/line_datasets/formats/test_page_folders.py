"""PAGE XML and ALTO: real pages against the real lines cut from them, and made ones with every oddity."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htr_convtext.line_datasets import LineDataError, load_lines, normalize_text
from htr_convtext.pages import read_page_file

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15">
 <Page imageFilename="scan (1).jpg" imageWidth="400" imageHeight="200">
  <ReadingOrder><OrderedGroup id="o"><RegionRefIndexed index="1" regionRef="first"/>
   <RegionRefIndexed index="0" regionRef="second"/></OrderedGroup></ReadingOrder>
  <TextRegion id="first"><TextLine id="a" custom="readingOrder {index:1;}"><Coords points="10,10 200,10 200,40 10,40"/>
    <Word id="w"><TextEquiv><Unicode>wrong</Unicode></TextEquiv></Word>
    <TextEquiv><Unicode>third</Unicode></TextEquiv></TextLine>
   <TextLine id="b" custom="readingOrder {index:0;}"><Coords points="10,50 200,50 200,80 10,80"/>
    <TextEquiv><Unicode>se&#x301;cond</Unicode></TextEquiv></TextLine>
   <TextLine id="empty"><Coords points="10,50 200,50 200,80 10,80"/></TextLine></TextRegion>
  <TextRegion id="second"><TextLine id="c"><Coords points="{points}"/>
    <TextEquiv><Unicode>first</Unicode></TextEquiv></TextLine></TextRegion>
 </Page></PcGts>"""
INSIDE = "100,100 300,100 300,140 100,140"
ALTO = """<alto xmlns="http://www.loc.gov/standards/alto/ns-v2#"><Description><MeasurementUnit>{unit}</MeasurementUnit>
 <sourceImageInformation><fileName>scan (1).jpg</fileName></sourceImageInformation></Description>
 <Layout><Page WIDTH="400" HEIGHT="200"><PrintSpace><TextBlock ID="b">
 <TextLine ID="l" BASELINE="120" HPOS="100" VPOS="100" WIDTH="200" HEIGHT="40">
 <String CONTENT="two"/><SP/><String CONTENT="words"/></TextLine></TextBlock></PrintSpace></Page></Layout></alto>"""
BOMB = """<!DOCTYPE PcGts [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><PcGts><Page>&b;</Page></PcGts>"""


def write_scan(path: Path, size: tuple[int, int] = (400, 200)) -> None:
    """Paper of value 200 with ink of value 20 at (100..300, 100..140)."""
    pixels = np.full(size[::-1], 200, np.uint8)
    pixels[100:140, 100:300:2] = 20
    Image.fromarray(pixels).save(path, quality=95)


def write_pages(folder: Path, xml: str, name: str = "page/scan (1).xml") -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(xml, encoding="utf-8")
    write_scan(folder / "scan (1).jpg")


@pytest.mark.parametrize("source", ["peraire", "poilus"])
def test_alto_pages_give_every_line_of_the_test_split(shared_lines, tmp_path, source):
    pages = load_lines("lines", data_dir=shared_lines / "pages" / source, cache_dir=tmp_path)["train"]
    texts = {page: set() for page in pages["page"]}
    for page, text in zip(pages["page"], pages["text"], strict=True):
        texts[page].add(text)
    expected = 0
    for name in (shared_lines / source / "test.ln").read_text().splitlines():
        page = next((page for page in texts if name.startswith(page)), None)
        if page:
            text = (shared_lines / source / "lines" / name).with_suffix(".txt").read_text(encoding="utf-8")
            assert reduced(text) in {reduced(found) for found in texts[page]}, name
            expected += 1
    assert expected > 20


def reduced(text: str) -> str:
    """The lines were published without the marks of superscript that the pages have."""
    return normalize_text(text.replace("^", ""))


def test_alto_and_page_give_the_same_lines(shared_lines):
    found = 0
    for name in ("0001.xml", "0002.xml"):
        alto, page = (read_page_file(shared_lines / "pages" / "bronod" / kind / name)[0] for kind in ("alto", "page"))
        assert [(line.text, line.polygon) for line in alto.lines] == [(line.text, line.polygon) for line in page.lines]
        found += len(alto.lines)
    assert found == 10


def test_a_page_in_two_formats_is_loaded_once(shared_lines, tmp_path):
    lines = load_lines("lines", data_dir=shared_lines / "pages" / "bronod", streaming=True)["train"]
    identifiers = [line["line_id"] for line in lines.select_columns("line_id")]
    assert len(identifiers) == len(set(identifiers))


def test_reading_order_empty_lines_and_direct_text(tmp_path):
    write_pages(tmp_path, PAGE.replace("{points}", INSIDE))
    lines = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"]
    assert list(lines["text"]) == ["first", "s\u00e9cond", "third"]
    assert lines["page"][0] == "scan (1)"


@pytest.mark.parametrize(("crop", "corner"), [("box", 20), ("polygon", 200)])
def test_outside_of_the_polygon_is_paper(tmp_path, crop, corner):
    write_pages(tmp_path, PAGE.replace("{points}", "100,120 200,100 300,120 200,140"))
    line = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache", crop=crop)["train"][0]["image"]
    assert line.size == (201, 41)
    assert abs(line.convert("L").getpixel((0, 0)) - corner) < 30


def test_alto_2_with_boxes_and_several_strings(tmp_path):
    write_pages(tmp_path, ALTO.replace("{unit}", "pixel"))
    line = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"][0]
    assert (line["text"], line["image"].size) == ("two words", (201, 41))


def test_turned_scan_is_read_as_its_xml_counts(tmp_path):
    write_pages(tmp_path, PAGE.replace("{points}", INSIDE))
    upright = Image.open(tmp_path / "scan (1).jpg")
    exif = upright.getexif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "scan (1).jpg", exif=exif, quality=95)
    line = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"][0]["image"]
    assert line.size == (201, 41)
    assert np.asarray(line.convert("L")).mean() < 140


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (PAGE.replace("{points}", "100,100 900,100 900,140"), "line c lies outside the page of 400 x 200"),
        (PAGE.replace("{points}", ""), "line c has no outline"),
        (PAGE[:600], "malformed XML"),
        (BOMB, "declares XML entities"),
        (ALTO.replace("{unit}", "mm10"), "MeasurementUnit is mm10"),
        (PAGE.replace("{points}", INSIDE).replace("scan (1)", "other"), None),
        (PAGE.replace("{points}", INSIDE).replace('"400"', '"300"'), "400 x 200 pixels, but its XML says 300 x 200"),
    ],
)
def test_bad_pages_are_named(tmp_path, xml, message):
    write_pages(tmp_path, xml)
    if message is None:  # The image is found by the name of the XML file.
        assert load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")["train"].num_rows == 3
        return
    with pytest.raises(LineDataError, match="scan") as caught:
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    assert message in str(caught.value)


def test_pages_without_images_say_so(tmp_path):
    write_pages(tmp_path, PAGE.replace("{points}", INSIDE))
    (tmp_path / "scan (1).jpg").unlink()
    with pytest.raises(LineDataError, match="its image scan .1..jpg is neither beside it"):
        load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")

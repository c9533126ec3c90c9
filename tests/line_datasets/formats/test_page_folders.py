# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""PAGE XML and ALTO: real pages against the real lines cut from them, and made ones with every oddity."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htr_convtext.line_datasets import LineDataError, load_lines, normalize_text
from htr_convtext.pages import read_pages

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
        alto, page = (read_pages(shared_lines / "pages" / "bronod" / kind / name)[0] for kind in ("alto", "page"))
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


BOX = '<Coords points="100,100 300,100 300,140 100,140"/>'
FLAT = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="{name}" '
    'imageWidth="400" imageHeight="200"><TextRegion id="r">{lines}</TextRegion></Page></PcGts>'
)


def text_line(name: str, text: str, more: str = BOX) -> str:
    return f'<TextLine id="{name}">{more}<TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>'


def write_flat(root: Path, *lines: str, name: str = "p.png", image: Image.Image | None = None) -> None:
    """A page with an image whose line has its ink at its upper edge."""
    (root / "p.xml").write_text(FLAT.format(name=name, lines="".join(lines)), encoding="utf-8")
    if image is None:
        pixels = np.full((200, 400), 200, np.uint8)
        pixels[100:110, 100:301] = 20
        image = Image.fromarray(pixels)
    image.save(root / "p.png")


def load(root: Path, **options):
    return load_lines("lines", data_dir=root, cache_dir=root / ".cache", **options)["train"]


@pytest.mark.parametrize(
    ("baseline", "upper_is_dark"),
    [("100,135 300,135", True), ("300,135 100,135", True), ("300,105 100,105", False), ("135", True)],
)
def test_lines_stand_upright_however_their_baseline_was_drawn(tmp_path, baseline, upper_is_dark):
    write_flat(tmp_path, text_line("l", "x", f'{BOX}<Baseline points="{baseline}"/>'))
    pixels = np.asarray(load(tmp_path)[0]["image"]).astype(int)
    assert pixels.shape == (41, 201)
    assert (pixels[:5].mean() < pixels[-5:].mean()) == upper_is_dark


@pytest.mark.parametrize(("x", "turned"), [(105, "left"), (135, "right")])
def test_sideways_lines_are_turned_to_the_side_of_their_letters(tmp_path, x, turned):
    """Read from top to bottom the letters' heads are on the right, from bottom to top on the left."""
    pixels = np.full((400, 400), 200, np.uint8)
    pixels[100:301, 130:141] = 20
    xml = FLAT.replace('imageHeight="200"', 'imageHeight="400"')
    line = text_line(
        "l", "x", f'<Coords points="100,100 140,100 140,300 100,300"/><Baseline points="{x},300 {x},100"/>'
    )
    (tmp_path / "p.xml").write_text(xml.format(name="p.png", lines=line), encoding="utf-8")
    Image.fromarray(pixels).save(tmp_path / "p.png")
    found = np.asarray(load(tmp_path)[0]["image"]).astype(int)
    assert found.shape == (41, 201)
    assert (found[:5].mean() < found[-5:].mean()) == (turned == "left")


def test_one_bad_line_costs_no_other(tmp_path, caplog):
    bad = [
        text_line("b1", "x", '<Coords points="900,100 950,100 950,140"/>'),
        text_line("b2", "x", '<Coords points="100,abc 300,100 300,140"/>'),
        text_line("b3", "x", ""),
        f'<TextLine id="b4">{BOX}<TextEquiv index="2"><Unicode>x</Unicode></TextEquiv></TextLine>',
    ]
    write_flat(tmp_path, text_line("a", "first"), *bad, text_line("z", "last"))
    with pytest.raises(LineDataError) as caught:
        load(tmp_path)
    assert len(caught.value.problems) == 4
    assert all(f"line b{number}" in problem for number, problem in enumerate(caught.value.problems, start=1))
    assert list(load(tmp_path, on_error="skip")["text"]) == ["first", "last"]
    assert "Left out" in caplog.text and "line b3 has no outline" in caplog.text


def test_a_line_with_a_baseline_alone_is_cut_out_around_it(tmp_path, caplog):
    lines = (text_line(f"l{row}", f"at {row}", f'<Baseline points="100,{row} 300,{row}"/>') for row in (80, 130))
    write_flat(tmp_path, *lines)
    rows = load(tmp_path)
    assert list(rows["text"]) == ["at 80", "at 130"]
    assert [row["image"].size for row in rows] == [(207, 32), (207, 36)]
    assert "only the baseline is told" in caplog.text


def test_text_index_is_an_option(tmp_path):
    write_flat(tmp_path, f'<TextLine id="l">{BOX}<TextEquiv index="1"><Unicode>x</Unicode></TextEquiv></TextLine>')
    assert list(load(tmp_path, text_index=1)["text"]) == ["x"]


def test_oddities_are_one_warning(tmp_path, caplog):
    words = '<Word id="w"><TextEquiv><Unicode>other</Unicode></TextEquiv></Word>'
    scan = Image.new("L", (800, 400), 200)
    write_flat(tmp_path, text_line("a", "x\u200b", BOX + words), text_line("b", "y", BOX + words), image=scan)
    assert list(load(tmp_path)["text"]) == ["x", "y"]
    (message,) = [record.getMessage() for record in caplog.records if "look at" in record.getMessage()]
    assert "words that differ from their line's text, which is taken" in message and "and 1 more" in message
    assert "another size than their XML says" in message and "U+200B" in message


def test_ink_of_a_self_crossing_outline_is_kept(tmp_path):
    pixels = np.full((200, 400), 200, np.uint8)
    pixels[115:126, 100:300] = 20
    twice = "100,100 250,100 250,140 100,140 100,100 150,105 300,105 300,135 150,135 150,105"
    write_flat(tmp_path, text_line("l", "x", f'<Coords points="{twice}"/>'), image=Image.fromarray(pixels))
    found = np.asarray(load(tmp_path)[0]["image"])
    assert (found[20] == 20).sum() >= 199


def test_two_files_that_name_one_image_are_named(tmp_path):
    write_flat(tmp_path, text_line("l", "x"))
    (tmp_path / "q.xml").write_text(FLAT.format(name="p.png", lines=text_line("l", "y")), encoding="utf-8")
    with pytest.raises(LineDataError, match="its image is p.png, as is that of"):
        load(tmp_path)
    (tmp_path / "q.xml").rename(tmp_path / "p.corrected.xml")
    assert list(load(tmp_path)["text"]) == ["x"]


def test_second_page_of_alto_is_read_from_its_frame_or_named(tmp_path):
    line = '<String CONTENT="{0}"/>'
    page = (
        '<Page WIDTH="400" HEIGHT="200"><PrintSpace><TextBlock ID="b"><TextLine ID="l" HPOS="100" VPOS="100" '
        f'WIDTH="200" HEIGHT="40">{line}</TextLine></TextBlock></PrintSpace></Page>'
    )
    xml = (
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><MeasurementUnit>pixel</MeasurementUnit>'
        "<sourceImageInformation><fileName>p.tif</fileName></sourceImageInformation></Description>"
        f"<Layout>{page.format('one')}{page.format('two')}</Layout></alto>"
    )
    (tmp_path / "p.xml").write_text(xml, encoding="utf-8")
    first, second = Image.new("L", (400, 200), 200), Image.new("L", (400, 200), 100)
    first.save(tmp_path / "p.tif")
    with pytest.raises(LineDataError, match="has a page 2, but the image has one frame"):
        load(tmp_path)
    first.save(tmp_path / "p.tif", save_all=True, append_images=[second])
    lines = load(tmp_path)
    assert [(row["text"], row["image"].getpixel((5, 5))) for row in lines] == [("one", 200), ("two", 100)]
    assert len(set(lines["line_id"])) == len(set(lines["page"])) == 2


def test_pages_of_two_books_are_not_one_because_they_have_one_name(tmp_path):
    for split, book in (("train", "one"), ("train", "two"), ("val", "three")):
        folder = tmp_path / split / book
        folder.mkdir(parents=True)
        write_flat(folder, text_line("l", book))
    splits = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / ".cache")
    assert {name: list(lines["page"]) for name, lines in splits.items()} == {
        "train": ["one/p", "two/p"],
        "validation": ["three/p"],
    }


def test_numbers_and_names_on_a_page_of_hebrew_are_taught_as_they_are_read(tmp_path):
    """They hang from baselines that are drawn from right to left, too."""
    line = (
        '<TextLine id="{0}"><Coords points="100,100 300,100 300,140 100,140"/><Baseline points="{1}"/>'
        "<TextEquiv><Unicode>{2}</Unicode></TextEquiv></TextLine>"
    )
    texts = ("\u05e9\u05dc\u05d5\u05dd", "1948", "London")
    lines = [line.format(f"l{number}", "300,104 100,104", text) for number, text in enumerate(texts)]
    xml = PAGE.partition("<ReadingOrder>")[0] + f'<TextRegion id="r">{"".join(lines)}</TextRegion></Page></PcGts>'
    write_pages(tmp_path, xml)
    pixels = np.asarray(Image.open(tmp_path / "scan (1).jpg")).copy()
    pixels[100:140, 200:300] = 200  # Ink on the left only.
    Image.fromarray(pixels).save(tmp_path / "scan (1).jpg", quality=95)
    found = load_lines("lines", data_dir=tmp_path, cache_dir=tmp_path / "cache")["train"]
    assert list(found["text"]) == list(texts)
    for image in found["image"]:
        grey = np.asarray(image.convert("L"), float)
        assert grey[:, :90].mean() < 150 < 190 < grey[:, 110:].mean()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Searchable PDFs open in two independent readers, which find each word where it is on the picture."""

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject

from htr_convtext.pages.outputs import write_document
from htr_convtext.pages.page_sources import open_source

SCRIPTS = [
    ["two words", "\u0110\u01b0\u1eddng ph\u1ed1 \u1ec7\u1eb7\u1ef5", "e\u0301t\u00e9 \u0153uvre \u00df \u017f"],
    ["\u0393\u03bb\u03ce\u03c3\u03c3\u03b1 \u044f\u0437\u044b\u043a", "\u6f22\u5b57 \U0001f600 (a) <b> \\c"],
]
LEFTWARDS = "\u05e9\u05dc\u05d5\u05dd"
POPPLER = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="no pdftotext (poppler-utils) on the PATH; pdfium checks places, too"
)


def words_of(page) -> list[tuple[str, tuple[float, float, float, float]]]:
    """
    The words of a page with left, top, right and bottom as shares of its width and height; a PDF has the middle of
    their height.
    """
    width, height = page.page.width, page.page.height
    trim = 0.15 * 24 / height
    return [
        (
            unicodedata.normalize("NFC", word.text),
            (left / width, top / height + trim, right / width, bottom / height - trim),
        )
        for line in page.lines
        for word in line.words
        for (left, top), _, (right, bottom), _ in [word.polygon]
    ]


def poppler_words(path: Path, turned: Sequence[int] = ()) -> list[list[tuple[str, tuple[float, ...]]]]:
    """
    The same of each page of a PDF, as pdftotext finds them; of pages that are turned by a quarter it tells the sides
    the other way round than it counts.
    """
    command = ["pdftotext", "-bbox", str(path), "-"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    entities = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
    pages = []
    for width, height, content in re.findall(r'(?s)<page width="(.*?)" height="(.*?)">(.*?)</page>', found):
        sides = (float(width), float(height)) * 2
        sides = sides[1:] + sides[:1] if len(pages) in turned else sides
        words = re.findall(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', content)
        pages.append(
            [
                (re.sub("&.*?;", lambda match: entities[match[0]], text), tuple(map(share, place, sides)))
                for *place, text in words
            ]
        )
    return pages


def share(value: str, side: float) -> float:
    return float(value) / side


def pdfium_place(page: pypdfium2.PdfPage, word: str) -> tuple[float, ...]:
    """Where pdfium's search finds a word on a page."""
    text = page.get_textpage()
    found = text.search(word, match_case=True).get_next()
    assert found is not None, (word, text.get_text_bounded())
    boxes = [text.get_charbox(found[0] + number) for number in range(found[1])]
    width, height = page.get_size()
    left, bottom, right, top = (choose(box[side] for box in boxes) for side, choose in enumerate((min, min, max, max)))
    return left / width, 1 - top / height, right / width, 1 - bottom / height


def near(expected, tolerance: float = 0.004):
    return pytest.approx(expected, abs=tolerance)


def check_pdfium(path: Path, pages: list) -> None:
    document = pypdfium2.PdfDocument(path)
    assert len(document) == len(pages)
    for sheet, page in zip(document, pages, strict=True):
        for word, place in words_of(page):
            if max(word) > "\uffff":  # Its search knows no characters beyond these.
                assert word in sheet.get_textpage().get_text_bounded()
                continue
            assert pdfium_place(sheet, word)[::2] == near(place[::2]), word
            found = pdfium_place(sheet, word)
            assert place[1] - 0.01 < found[1] <= found[3] < place[3] + 0.01, word


def test_every_word_is_found_in_its_place_by_pdfium(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, SCRIPTS)
    (path,) = write_document([page], ["pdf"], tmp_path, transcribed.NOW)
    check_pdfium(path, [page])


@POPPLER
def test_every_word_is_found_in_its_place_by_poppler(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, SCRIPTS)
    (path,) = write_document([page], ["pdf"], tmp_path, transcribed.NOW)
    (found,) = poppler_words(path)
    expected = words_of(page)
    assert [text for text, _ in found] == [text for text, _ in expected]
    for (_, place), (_, wanted) in zip(found, expected, strict=True):
        assert place == near(wanted)


@POPPLER
def test_words_from_right_to_left_come_out_in_the_order_of_reading(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["x"]])
    words = (
        page.lines[0].words[0]._replace(text=LEFTWARDS, polygon=transcribed.box(400, 40, 600, 64)),
        page.lines[0].words[0]._replace(text="\u05d0\u05d1", polygon=transcribed.box(200, 40, 380, 64)),
    )
    line = page.lines[0]._replace(text=f"{LEFTWARDS} \u05d0\u05d1", words=words)
    (path,) = write_document([page._replace(lines=(line,))], ["pdf"], tmp_path, transcribed.NOW)
    found = subprocess.run(["pdftotext", str(path), "-"], check=True, capture_output=True, text=True).stdout
    assert re.sub("[\u202a-\u202e]", "", found).split() == line.text.split()
    places = dict(poppler_words(path)[0])
    assert places[LEFTWARDS[::-1]] == near((0.5, 43.6 / 600, 0.75, 60.4 / 600))
    assert line.text in pypdfium2.PdfDocument(path)[0].get_textpage().get_text_bounded()


@pytest.mark.parametrize(
    "words",
    [
        "\u05d1\u05e9\u05e0\u05ea \u05d1-1948, \u05d1\u05f4\u05d0",
        "\u0639\u0627\u0645 \u0661\u0664\u0664\u0665\u0647\u0640 \u0641\u064a",  # 1445 in Arabic digits, with a letter
        "\u05d1\u05e9\u05e0\u05ea \u05d4-abc abc-\u05d9\u05dd",
        "\u05d1\u05b8\u05bc\u05e8\u05b8\u05d0 \u0643\u0650\u062a\u064e\u0627\u0628\u064c",
        "\u0780\u07aa\u0783\u07a8 \u0783\u07a8",  # Thaana, whose vowels have no combining class
    ],
)
def test_points_numbers_and_foreign_words_of_lines_from_right_to_left_are_found(tmp_path, transcribed, words):
    page = transcribed.drawn_page(tmp_path, [["x"]])
    (line,) = page.lines
    places = (transcribed.box(600 - 150 * place, 40, 730 - 150 * place, 64) for place in range(4))
    read = tuple(
        line.words[0]._replace(text=text, polygon=place) for text, place in zip(words.split(), places, strict=False)
    )
    line = line._replace(text=words, words=read)
    (path,) = write_document([page._replace(lines=(line,))], ["pdf"], tmp_path, transcribed.NOW)
    assert pypdfium2.PdfDocument(path)[0].get_textpage().get_text_bounded().strip() == words


def test_a_number_that_hangs_from_the_baselines_of_hebrew_is_upright(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [[LEFTWARDS, "1948"]])
    left, top, right, bottom = page.lines[1].line.box
    geometry = page.lines[1].line._replace(baseline=[(right, top), (left, top)])
    lines = (page.lines[0], page.lines[1]._replace(line=geometry))
    (path,) = write_document([page._replace(lines=lines)], ["pdf"], tmp_path, transcribed.NOW)
    place = pdfium_place(pypdfium2.PdfDocument(path)[0], "1948")
    assert place == near((left / 800, top / 600, right / 800, bottom / 600), 0.01)
    sheet = pypdfium2.PdfDocument(path)[0].get_textpage()
    first = sheet.search("1948").get_next()[0]
    assert sheet.get_charbox(first)[0] < sheet.get_charbox(first + 3)[0]


def test_slanted_lines_keep_their_words_in_their_direction(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["upward"]])
    line = page.lines[0]
    corners = [(100, 500), (300, 300), (320, 320), (120, 520)]
    geometry = line.line._replace(polygon=corners, baseline=[(115, 515), (315, 315)])
    line = line._replace(line=geometry, words=(line.words[0]._replace(polygon=corners),))
    (path,) = write_document([page._replace(lines=(line,))], ["pdf"], tmp_path, transcribed.NOW)
    left, top, right, bottom = pdfium_place(pypdfium2.PdfDocument(path)[0], "upward")
    assert (left, right) == near((100 / 800, 320 / 800), 0.02) and (top, bottom) == near((0.5, 520 / 600), 0.03)


def test_a_jpeg_is_taken_as_it_is_and_the_rest_looks_the_same(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["two words"]], suffix=".jpg")
    (path,) = write_document([page], ["pdf"], tmp_path / "out", transcribed.NOW)
    image = PdfReader(path).pages[0].images[0]
    assert image.data == page.source.image.read_bytes()
    shown = pypdfium2.PdfDocument(path)[0].render(scale=800 / 842).to_pil().convert("L")
    difference = np.abs(np.asarray(shown.resize((800, 600)), int) - np.asarray(Image.open(page.source.image), int))
    assert difference.mean() < 3  # The words are invisible.


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "CMYK"])
def test_pictures_of_every_kind_look_as_they_are(tmp_path, transcribed, mode):
    page = transcribed.drawn_page(tmp_path, [["two words"]], suffix=".tif")
    image = Image.open(page.source.image)
    image.load()
    expected = np.asarray(image.convert(mode).convert("L"), int)
    image.convert(mode).save(page.source.image)
    (path,) = write_document([page], ["pdf"], tmp_path, transcribed.NOW)
    shown = np.asarray(
        pypdfium2.PdfDocument(path)[0].render(scale=800 / 842).to_pil().convert("L").resize((800, 600)), int
    )
    assert np.abs(shown - expected).mean() < 5
    (drawn,) = PdfReader(path).pages[0]["/Resources"]["/XObject"].values()
    assert drawn.get_object()["/Filter"] == ("/FlateDecode" if mode == "1" else "/DCTDecode")


@pytest.mark.parametrize(
    ("dpi", "size"), [(None, (842, 631.5)), (72, (842, 631.5)), (200, (288, 216)), (5000, (842, 631.5))]
)
def test_a_page_has_the_size_that_its_picture_tells(tmp_path, transcribed, dpi, size):
    page = transcribed.drawn_page(tmp_path, [["a"]])
    Image.open(page.source.image).save(page.source.image, **({"dpi": (dpi, dpi)} if dpi else {}))
    (path,) = write_document([page], ["pdf"], tmp_path, transcribed.NOW)
    assert pypdfium2.PdfDocument(path)[0].get_size() == pytest.approx(size, abs=0.2)


def test_every_page_of_a_tiff_looks_as_it_is(tmp_path, transcribed):
    """In black and white only if its own frame is, and of that frame's size."""
    page = transcribed.drawn_page(tmp_path, [["two words"]])
    grey = Image.open(page.source.image).point(lambda value: value // 8 + 160)
    frames = [Image.new("1", (1600, 1200), 1), grey]
    path = tmp_path / "book.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:], dpi=(200, 200))
    pages = [
        page._replace(source=page.source._replace(document=path, image=path, frame=number, number=number,
                                                  name=f"book_{number}", document_name="book"),
                      page=page.page._replace(width=frame.width, height=frame.height))
        for number, frame in enumerate(frames)
    ]  # fmt: skip
    (written,) = write_document(pages, ["pdf"], tmp_path / "out", transcribed.NOW)
    sheets = PdfReader(written).pages
    assert [round(float(sheet.mediabox.width)) for sheet in sheets] == [576, 288]
    pictures = [sheet.images[0].image for sheet in sheets]
    assert [picture.mode for picture in pictures] == ["1", "L"]
    assert np.abs(np.asarray(pictures[1], int) - np.asarray(grey, int)).mean() < 2


@pytest.fixture
def scanned_book(tmp_path, transcribed):
    """Two pages of a PDF without text, the second turned and cut."""

    def make(rotation: int) -> list:
        scans = [transcribed.drawn_page(tmp_path, [[text, "line two"]], text) for text in ("first", "second")]
        images = [Image.open(scan.source.image) for scan in scans]
        images[1] = images[1].rotate(rotation, expand=True)  # Stored turned, and shown upright.
        images[0].save(tmp_path / "plain.pdf", save_all=True, append_images=images[1:])
        writer = PdfWriter(clone_from=tmp_path / "plain.pdf")
        writer.pages[1].rotate(rotation)
        writer.add_outline_item(title="chapter", page_number=1)
        writer.write(tmp_path / "book.pdf")
        source = scans[0].source._replace(
            document=tmp_path / "book.pdf", image=tmp_path / "book.pdf", document_name="out/book"
        )
        return [
            scan._replace(source=source._replace(number=number, frame=number)) for number, scan in enumerate(scans)
        ]

    return make


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_pdf_keeps_its_pages_under_the_words(tmp_path, transcribed, scanned_book, rotation):
    pages = scanned_book(rotation)
    (path,) = write_document(pages, ["pdf"], tmp_path, transcribed.NOW)
    check_pdfium(path, pages) if rotation == 0 else check_shown(path, pages, [1] if rotation % 180 else [])
    before, after = PdfReader(tmp_path / "book.pdf"), PdfReader(path)
    assert after.outline[0].title == "chapter"
    for old, new in zip(before.pages, after.pages, strict=True):
        assert [image.data for image in new.images] == [image.data for image in old.images]
        assert (new.mediabox, new.rotation) == (old.mediabox, old.rotation)
    for number in range(2):
        old, new = (pypdfium2.PdfDocument(file)[number].render().to_numpy() for file in (tmp_path / "book.pdf", path))
        assert (old == new).all()


def test_what_a_page_leaves_of_its_graphics_state_does_not_move_the_words(tmp_path, transcribed, scanned_book):
    pages = scanned_book(0)
    writer = PdfWriter(clone_from=tmp_path / "book.pdf")
    for sheet in writer.pages:
        content = sheet.get_contents()
        content.set_data(content.get_data().strip().removeprefix(b"q").removesuffix(b"Q"))
        sheet.replace_contents(content)
    writer.write(tmp_path / "book.pdf")
    (path,) = write_document(pages, ["pdf"], tmp_path, transcribed.NOW)
    check_pdfium(path, pages)


@pytest.mark.parametrize("corners", [(0, 1, 2, 3), (2, 3, 0, 1)])
@pytest.mark.parametrize("larger", [0, 50])
def test_words_lie_right_whatever_way_the_boxes_of_a_page_are_given(
    tmp_path, transcribed, scanned_book, corners, larger
):
    """What is shown is the part of the crop box on the sheet, and any two opposite corners make a box."""
    pages = scanned_book(0)
    writer = PdfWriter(clone_from=tmp_path / "book.pdf")
    for sheet in writer.pages:
        left, bottom, right, top = map(float, sheet.mediabox)
        box = (left - larger, bottom - larger, right + larger, top + 2 * larger)
        sheet[NameObject("/CropBox")] = ArrayObject(FloatObject(box[corner]) for corner in corners)
    writer.write(tmp_path / "book.pdf")
    (path,) = write_document(pages, ["pdf"], tmp_path, transcribed.NOW)
    check_pdfium(path, pages)


def check_shown(path: Path, pages: list, turned: Sequence[int]) -> None:
    """Places on pages as they are shown, which pdfium does not tell of a rotated one."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext (poppler-utils) on the PATH")
    for found, page in zip(poppler_words(path, turned), pages, strict=True):
        assert [text for text, _ in found] == [text for text, _ in words_of(page)]
        for (_, place), (_, wanted) in zip(found, words_of(page), strict=True):
            assert place == near(wanted)


def test_a_page_with_a_text_of_its_own_becomes_a_picture(tmp_path, transcribed, scanned_book):
    pages = scanned_book(0)
    old = [page._replace(lines=tuple(line._replace(text="stale", words=()) for line in page.lines)) for page in pages]
    (path,) = write_document(old, ["pdf"], tmp_path, transcribed.NOW)
    pages = [page._replace(source=page.source._replace(document=path, image=path)) for page in pages]
    expected = np.asarray(open_source(pages[0].source, pages[0].page).convert("L"), int)
    (again,) = write_document(pages, ["pdf"], tmp_path / "again", transcribed.NOW)
    document = pypdfium2.PdfDocument(again)
    assert "stale" not in document[0].get_textpage().get_text_bounded()
    check_pdfium(again, pages)
    assert document[0].get_size() == pypdfium2.PdfDocument(path)[0].get_size()
    source = pages[0].source._replace(document=again, image=again)
    assert np.abs(np.asarray(open_source(source, pages[0].page).convert("L"), int) - expected).mean() < 3


def test_an_encrypted_pdf_that_opens_without_a_password_becomes_pictures(tmp_path, transcribed, scanned_book):
    pages = scanned_book(0)
    writer = PdfWriter(clone_from=tmp_path / "book.pdf")
    writer.encrypt("", owner_password="owner", algorithm="RC4-128")
    writer.write(tmp_path / "book.pdf")
    (path,) = write_document(pages, ["pdf"], tmp_path, transcribed.NOW)
    check_pdfium(path, pages)
    size = pypdfium2.PdfDocument(tmp_path / "book.pdf")[0].get_size()
    assert pypdfium2.PdfDocument(path)[0].get_size() == pytest.approx(size, abs=0.01)
    shown = pypdfium2.PdfDocument(path)[0].render(scale=800 / size[0]).to_pil().convert("L").resize((800, 600))
    expected = open_source(pages[0].source, pages[0].page).convert("L")
    assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).mean() < 5


def test_a_damaged_pdf_that_opens_becomes_pictures(tmp_path, transcribed, scanned_book):
    """pdfium forgives more than pypdf does."""
    pages = scanned_book(0)
    path = tmp_path / "book.pdf"
    path.write_bytes(re.sub(rb"/Rotate 0|/Type /Page\b(?!s)", rb"/Rotate <<", path.read_bytes(), count=1))
    (written,) = write_document(pages, ["pdf"], tmp_path / "out", transcribed.NOW)
    check_pdfium(written, pages)


def test_a_pdf_that_cannot_be_written_does_not_become_pictures(tmp_path, transcribed, scanned_book, monkeypatch):
    """A full disk cost the outline, the text and what else the document had."""
    pages, writers = scanned_book(0), []

    def refusing(writer, file):
        writers.append(writer)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PdfWriter, "write", refusing)
    with pytest.raises(OSError, match="No space left on device"):
        write_document(pages, ["pdf"], tmp_path / "out", transcribed.NOW)
    assert len(writers) == 1


@pytest.mark.parametrize("step", [3, 10])
def test_the_same_words_in_lines_that_overlap_are_all_found(tmp_path, transcribed, step):
    page = transcribed.drawn_page(tmp_path, [["same words"]])
    lines = []
    for number in range(3):
        polygon = transcribed.box(60, 40 + step * number, 180, 64 + step * number)
        lines.append(transcribed.read_line(page.lines[0].line._replace(polygon=polygon), "same words"))
    (path,) = write_document([page._replace(lines=tuple(lines))], ["pdf"], tmp_path, transcribed.NOW)
    found = pypdfium2.PdfDocument(path)[0].get_textpage().get_text_bounded().split()
    assert sorted(found) == ["same"] * 3 + ["words"] * 3


def test_lines_without_words_or_place_do_no_harm(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["a b", "c", "d"]])
    a, b, c = page.lines
    lines = (
        a._replace(words=(), confidence=None),
        b._replace(line=b.line._replace(polygon=[], baseline=[]), words=()),
        c._replace(text="", words=(), confidence=None, problem="has no outline"),
    )
    (path,) = write_document([page._replace(lines=lines)], ["pdf"], tmp_path, transcribed.NOW)
    text = pypdfium2.PdfDocument(path)[0].get_textpage().get_text_bounded()
    assert text.split() == ["a", "b"]


def test_real_pages_have_their_words_in_their_places(shared_lines, tmp_path, transcribed):
    xml = shared_lines / "pages" / "poilus" / "TestamentsDePoilus_will_AD78_0018-0.xml"
    (page,) = transcribed.transcribe(xml)
    (path,) = write_document([page], ["pdf"], tmp_path, transcribed.NOW)
    sheet = pypdfium2.PdfDocument(path)[0]
    for line in page.lines:
        left, top, right, bottom = line.line.box
        wanted = (left / page.page.width, top / page.page.height, right / page.page.width, bottom / page.page.height)
        found = pdfium_place(sheet, line.text)
        assert found[::2] == near(wanted[::2], 0.01)
        assert wanted[1] - 0.01 < found[1] <= found[3] < wanted[3] + 0.01

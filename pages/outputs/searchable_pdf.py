# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A document as a PDF whose text can be searched and copied: the picture of each page under its invisible words."""

import datetime
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import ExifTags, Image
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NumberObject,
    PdfObject,
    StreamObject,
    TextStringObject,
)

from ...images_htr_convtext import pillow_limit
from ..geometry import RIGHT_TO_LEFT, Point, any_right_to_left, mainly_right_to_left, reading_angle
from ..page_images import go_to_frame, plan_page_image
from ..page_sources import is_pdf, is_xml, open_source
from ..pdf_files import POINTS_AN_INCH, pdf_page_size
from ..transcript import TranscribedLine, TranscribedPage
from ..whole_files import whole_file
from .html_page import page_size
from .line_content import clean_text, words_or_line

# A resolution outside these is that of a program which knew none; the page is then as long as A4.
CREDIBLE_DPI = (100, 1200)
A4_LENGTH = 842
LONGEST_SIDE = 14400  # Of a page in a PDF.
JPEG_QUALITY = 90
# Each character is as wide as half of its height, and stands on a line a fifth above its foot.
EM, ADVANCE, DESCENT = 1000, 500, -200
FONT_NAME = "InvisibleWords"
SLANTED = 5.0
# Outlines of handwriting reach into the lines above and below, and what reads a PDF sorts words by their heights.
WORD_HEIGHT = 0.7
# What Unicode's classes of characters are to those programs: from right to left, from left to right, numbers, and
# signs that belong to a number beside them; and what is turned the other way round than the line.
WAYS = {
    **dict.fromkeys(RIGHT_TO_LEFT, "R"),
    "L": "L",
    **dict.fromkeys(("EN", "AN"), "N"),
    **dict.fromkeys(("ES", "ET", "CS"), "S"),
}
AMONG_LEFTWARD = re.compile("(?:S+(?=N))?[LN](?:[LNSO]*[LN])?(?:(?<=N)S+)?")
AMONG_OTHERS = re.compile("R(?:[RSO]*R)?")


class Placed(NamedTuple):
    """
    A word on the page as a PDF counts: in points, upwards from the lower left corner as it is shown. Its characters
    are those that stand there from left to right.
    """

    text: str
    origin: Point
    along: Point
    width: float
    height: float


def write_pdf(pages: Sequence[TranscribedPage], path: Path, now: datetime.datetime) -> Path:
    """
    Writes a document as a searchable PDF.

    A PDF keeps its pages as they are, and all else that it has, with the words put over them; only a page that has a
    text already becomes a picture first, or both texts would be found. Of other documents, and of a PDF that is
    encrypted or damaged, each page is its picture: a JPEG as it is, anything else compressed anew.

    Raises:
        OSError, ValueError: If a picture cannot be opened.
    """
    copied = copy_of(pages[0].source.document)
    if copied is not None:
        try:
            return write_sheets(copied, pages, path, now, is_copy=True)
        except (OSError, MemoryError):
            raise
        except Exception:  # Whatever pypdf meets in a damaged one, of which pictures can be taken.
            pass
    return write_sheets(PdfWriter(), pages, path, now, is_copy=False)


def copy_of(document: Path) -> PdfWriter | None:
    """A PDF to be written to; None if the document is none, or one that only its picture can be taken of."""
    if not is_pdf(document):
        return None
    try:
        reader = PdfReader(document)
        return None if reader.is_encrypted else PdfWriter(clone_from=reader)
    except Exception:  # Whatever pypdf meets in a damaged one.
        return None


def write_sheets(
    writer: PdfWriter, pages: Sequence[TranscribedPage], path: Path, now: datetime.datetime, is_copy: bool
) -> Path:
    """Writes the pages as those of a copy of the document, or as new ones."""
    codes = character_codes(pages)
    font = add_font(writer, codes)
    for page in pages:
        sheet = writer.pages[page.source.number] if is_copy else new_sheet(writer, page)
        add_layers(writer, sheet, page, font, codes, keep=is_copy and not has_text(sheet))
    date = now.astimezone(datetime.UTC).strftime("D:%Y%m%d%H%M%SZ")
    made = {"/CreationDate": date, "/Creator": pages[0].software, "/Title": clean_text(pages[0].source.document.name)}
    writer.add_metadata({"/ModDate": date} | ({} if is_copy else made))
    with whole_file(path) as temporary, temporary.open("wb") as file:
        writer.write(file)
    return path


def has_text(sheet: PageObject) -> bool:
    """Whether a page of a PDF has a text of its own, as after an earlier recognition."""
    try:
        return bool(sheet.extract_text().strip())
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError):  # Fonts that are not as they should be.
        return True


def new_sheet(writer: PdfWriter, page: TranscribedPage) -> PageObject:
    """An empty page of the size that the picture had on paper, where that is told."""
    if is_pdf(page.source.image):
        return writer.add_blank_page(*pdf_page_size(page.source.image, page.source.frame))
    with pillow_limit(None), Image.open(page.source.image) as opened:
        seek_page(opened, page)
        width, height = page_size(page.page, opened)
        dpi = float(opened.info.get("dpi", (0, 0))[0] or 0) * max(width, height) / max(opened.size)
    points = max(width, height) / dpi * POINTS_AN_INCH if CREDIBLE_DPI[0] <= dpi <= CREDIBLE_DPI[1] else A4_LENGTH
    scale = min(points, LONGEST_SIDE) / max(width, height)
    return writer.add_blank_page(width * scale, height * scale)


def seek_page(opened: Image.Image, page: TranscribedPage) -> None:
    """Goes to the page's frame of an image with several."""
    source = page.source
    go_to_frame(opened, plan_page_image(source.image, page.page).frame if is_xml(source) else source.frame)


def add_layers(
    writer: PdfWriter,
    sheet: PageObject,
    page: TranscribedPage,
    font: IndirectObject,
    codes: dict[str, int],
    keep: bool,
) -> None:
    """Puts the picture, unless what is there is kept, and the words on a page."""
    width, height, matrix = shown_page(sheet)
    resources = DictionaryObject(sheet.get("/Resources", DictionaryObject()).get_object() if keep else {})
    name = name_font(resources, font)
    size = (page.page.width, page.page.height)
    layers = []
    if not keep:
        picture, size = add_picture(writer, page)
        resources[NameObject("/XObject")] = DictionaryObject({NameObject("/Page"): picture})
        layers.append(f"q {numbers(width, 0, 0, height, 0, 0)} cm /Page Do Q")
    layers += text_objects(page, (width / size[0], height / size[1]), height, name, codes)
    content = "\n".join([f"q {numbers(*matrix)} cm", *layers, "Q"])
    # The words come first: what the page has may leave its graphics state changed.
    before = contents(sheet) if keep else []
    sheet[NameObject("/Contents")] = ArrayObject([add_stream(writer, content.encode("ascii")), *before])
    sheet[NameObject("/Resources")] = resources


def shown_page(sheet: PageObject) -> tuple[float, float, tuple[float, ...]]:
    """Width and height of a page as it is shown, and the matrix from there to the page's own coordinates."""
    boxes = ([float(value) for value in box] for box in (sheet.mediabox, sheet.cropbox))
    # Any two opposite corners make a box, and what is cut out is within the sheet (ISO 32000-1, 7.9.5 and 14.11.2).
    media, crop = ((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes)
    left, bottom, right, top = *map(max, media[:2], crop[:2]), *map(min, media[2:], crop[2:])
    if right <= left or top <= bottom:
        left, bottom, right, top = media
    width, height = right - left, top - bottom
    return {
        0: (width, height, (1, 0, 0, 1, left, bottom)),
        90: (height, width, (0, 1, -1, 0, right, bottom)),
        180: (width, height, (-1, 0, 0, -1, right, top)),
        270: (height, width, (0, -1, 1, 0, left, top)),
    }[int(sheet.rotation or 0) % 360 // 90 * 90]


def contents(sheet: PageObject) -> list[IndirectObject]:
    found = sheet.get("/Contents")
    if found is None:
        return []
    inner = found.get_object()
    return list(inner) if isinstance(inner, ArrayObject) else [sheet.raw_get("/Contents")]


def name_font(resources: DictionaryObject, font: IndirectObject) -> str:
    """Puts a font among those of a page, under a name that none of them has."""
    fonts = DictionaryObject(resources.get("/Font", DictionaryObject()).get_object())
    number = 0
    while f"/Words{number}" in fonts:
        number += 1
    fonts[NameObject(f"/Words{number}")] = font
    resources[NameObject("/Font")] = fonts
    return f"/Words{number}"


def add_stream(writer: PdfWriter, data: bytes, **entries) -> IndirectObject:
    """A stream of the PDF; compressed here, unless its entries say how it is already."""
    stream = StreamObject()
    stream.set_data(data)
    if "Filter" not in entries:
        stream = stream.flate_encode()
    for name, value in entries.items():
        stream[NameObject(f"/{name}")] = value
    return writer._add_object(stream)


def add_picture(writer: PdfWriter, page: TranscribedPage) -> tuple[IndirectObject, tuple[int, int]]:
    """The picture of a page as an object of the PDF, and the size that the page's places are counted in."""
    data, image = picture_data(page)
    bits, coding = (1, "FlateDecode") if image.mode == "1" else (8, "DCTDecode")
    made = add_stream(
        writer, data, Type=NameObject("/XObject"), Subtype=NameObject("/Image"), Filter=NameObject(f"/{coding}"),
        Width=NumberObject(image.width), Height=NumberObject(image.height), BitsPerComponent=NumberObject(bits),
        ColorSpace=NameObject("/DeviceRGB" if image.mode == "RGB" else "/DeviceGray"),
    )  # fmt: skip
    return made, page_size(page.page, image)


def picture_data(page: TranscribedPage) -> tuple[bytes, Image.Image]:
    """The compressed picture, and an image of its size and mode: a JPEG as it is, black and white without loss."""
    source = page.source
    if not is_pdf(source.image):
        with pillow_limit(None), Image.open(source.image) as opened:
            seek_page(opened, page)
            upright = opened.getexif().get(ExifTags.Base.Orientation, 1) == 1
            if opened.format == "JPEG" and opened.mode in ("L", "RGB") and upright:
                return source.image.read_bytes(), opened
            black_and_white = opened.mode == "1"
    else:
        black_and_white = False
    image = open_source(source, page.page)
    if black_and_white:
        image = image.convert("1", dither=Image.Dither.NONE)
        return StreamObject.initialize_from_dictionary({"__streamdata__": image.tobytes()}).flate_encode()._data, image
    content = BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue(), image


def text_objects(
    page: TranscribedPage, scale: tuple[float, float], page_height: float, font: str, codes: dict[str, int]
) -> list[str]:
    """The operators that write the words of each line that has any; for the scale see [`placed_line`]."""
    leftwards = any_right_to_left(line.text for line in page.lines)
    placed = [placed_line(line, scale, page_height, leftwards) for line in page.lines]
    written = [text_object(words, number, font, codes) for number, words in enumerate(placed)]
    return [text for text in written if text]


def placed_line(
    line: TranscribedLine, scale: tuple[float, float], page_height: float, leftwards: bool
) -> list[Placed]:
    """
    The words of a line, where they are; none of a line that has no place.

    Letters lie where they are seen: those that are read from right to left in the order from the left, as programs
    that read PDFs expect it.

    Args:
        line: The line.
        scale: Points for each pixel, across and down.
        page_height: In points.
        leftwards: Whether a script of the page is read from right to left.
    """

    def on_page(points: Sequence[Point]) -> list[Point]:
        return [(x * scale[0], page_height - y * scale[1]) for x, y in points]

    turned = mainly_right_to_left(line.text)
    placed = [word for word in words_or_line(line) if len(word.polygon) > 1]
    words = [(visual_order(word.text, turned), on_page(word.polygon)) for word in placed]
    angle = -math.radians(line_angle(line, leftwards))
    heights = [np.ptp([upward(point, angle) for point in points]) for _, points in words]
    # One height for all words of a line, or readers of PDFs would take them for words of different lines.
    height = WORD_HEIGHT * float(np.median(heights)) if words else 0.0
    return [placed_word(text, points, angle, height) for text, points in words]


def line_angle(line: TranscribedLine, leftwards: bool) -> float:
    """Degrees by which a line is turned; 0 for one that is nearly level."""
    angle, _ = reading_angle(line.line.baseline, line.line.polygon, leftwards)
    return angle if abs(angle) > SLANTED else 0.0


def placed_word(text: str, points: Sequence[Point], angle: float, height: float) -> Placed:
    """A word in the middle of its outline, along a direction."""
    cos, sin = math.cos(angle), math.sin(angle)
    along = [x * cos + y * sin for x, y in points]
    across = [upward(point, angle) for point in points]
    begin, width = min(along), max(along) - min(along)
    foot = (min(across) + max(across) - height) / 2 - DESCENT / EM * height
    return Placed(text, (begin * cos - foot * sin, begin * sin + foot * cos), (cos, sin), width, height)


def upward(point: Point, angle: float) -> float:
    """How far a point is from a line through the origin."""
    return point[1] * math.cos(angle) - point[0] * math.sin(angle)


def text_object(words: Sequence[Placed], number: int, font: str, codes: dict[str, int]) -> str:
    """The operators that write the words of a line invisibly, each followed by a space."""
    pieces = []
    # pdfium takes a word for the shadow of the same word in a line near it if both have the very same size.
    grown = 1 + 0.001 * (number % 8)
    for word in words:
        if word.width <= 0 or word.height <= 0:
            continue
        stretch = 100 * word.width / (len(word.text) * ADVANCE / EM * word.height)
        (cos, sin), (x, y) = word.along, word.origin
        shown = "".join(f"{codes[character]:04X}" for character in word.text + " ")
        place = numbers(cos, sin, -sin, cos, x, y)
        pieces.append(f"{font} {numbers(word.height * grown)} Tf {numbers(stretch)} Tz {place} Tm <{shown}> Tj")
    return "\n".join(["BT 3 Tr", *pieces, "ET"]) if pieces else ""


def visual_order(word: str, leftwards: bool) -> str:
    """
    The characters of a word from left to right: on a line of Hebrew or Arabic all are turned around but for numbers,
    with the signs beside them, and words of other scripts; on any other line what is Hebrew or Arabic is.

    Programs that read PDFs turn them back one by one, so marks come before the letters that they stand on.
    """
    clusters: list[str] = []
    for character in word:
        if clusters and unicodedata.category(character).startswith("M"):
            clusters[-1] += character
        else:
            clusters.append(character)
    ways = "".join(WAYS.get(unicodedata.bidirectional(cluster[0]), "O") for cluster in clusters)
    if "R" not in ways:
        return word
    clusters = [own[1:] + own[0] if way == "R" else own for own, way in zip(clusters, ways, strict=True)]
    for part in (AMONG_LEFTWARD if leftwards else AMONG_OTHERS).finditer(ways):
        clusters[slice(*part.span())] = clusters[slice(*part.span())][::-1]
    return "".join(reversed(clusters) if leftwards else clusters)


def numbers(*values: float) -> str:
    return " ".join(f"{value:.3f}".rstrip("0").rstrip(".") for value in values)


def character_codes(pages: Iterable[TranscribedPage]) -> dict[str, int]:
    """A number for each character of a document, from 1."""
    characters = {character for page in pages for line in page.lines for character in clean_text(line.text)}
    return {character: code for code, character in enumerate(sorted(characters | {" "}), start=1)}


def add_font(writer: PdfWriter, codes: dict[str, int]) -> IndirectObject:
    """A font for any script whose characters have a width and a meaning, by which PDFs are searched."""
    program = box_font()
    descriptor = dictionary(
        Type="/FontDescriptor", FontName=f"/{FONT_NAME}", Flags=5, ItalicAngle=0, StemV=80, CapHeight=EM + DESCENT,
        Ascent=EM + DESCENT, Descent=DESCENT, FontBBox=[0, DESCENT, ADVANCE, EM + DESCENT],
        FontFile2=add_stream(writer, program, Length1=NumberObject(len(program))),
    )  # fmt: skip
    all_boxes = b"\x00\x01" * (len(codes) + 1)
    descendant = dictionary(
        Type="/Font", Subtype="/CIDFontType2", BaseFont=f"/{FONT_NAME}", DW=ADVANCE,
        FontDescriptor=writer._add_object(descriptor), CIDToGIDMap=add_stream(writer, all_boxes),
    )  # fmt: skip
    system = dictionary(Registry=TextStringObject("Adobe"), Ordering=TextStringObject("Identity"), Supplement=0)
    descendant[NameObject("/CIDSystemInfo")] = system
    return writer._add_object(
        dictionary(
            Type="/Font",
            Subtype="/Type0",
            BaseFont=f"/{FONT_NAME}",
            Encoding="/Identity-H",
            DescendantFonts=[writer._add_object(descendant)],
            ToUnicode=add_stream(writer, unicode_map(codes)),
        )  # fmt: skip
    )


def dictionary(**entries) -> DictionaryObject:
    return DictionaryObject({NameObject(f"/{name}"): pdf_object(value) for name, value in entries.items()})


def pdf_object(value):
    """A name, a number, a list of those, or what is an object already."""
    if isinstance(value, PdfObject):
        return value
    if isinstance(value, list):
        return ArrayObject(map(pdf_object, value))
    return NameObject(value) if isinstance(value, str) else NumberObject(value)


def unicode_map(codes: dict[str, int]) -> bytes:
    """The CMap from codes to characters; at most 100 are allowed in a block."""
    pairs = [f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>" for character, code in codes.items()]
    blocks = [pairs[first : first + 100] for first in range(0, len(pairs), 100)]
    lines = [
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
        "/CMapName /Adobe-Identity-UCS def /CMapType 2 def",
        "1 begincodespacerange <0000> <FFFF> endcodespacerange",
    ]
    for block in blocks:
        lines += [f"{len(block)} beginbfchar", *block, "endbfchar"]
    lines.append("endcmap CMapName currentdict /CMap defineresource pop end end")
    return "\n".join(lines).encode("ascii")


@lru_cache(maxsize=1)
def box_font() -> bytes:
    """
    A TrueType font whose only glyph is the box that a character takes, never seen since the words are invisible. With
    an empty one, pdfium would take a word for the shadow of the same word in the line above, and drop it.
    """
    builder = FontBuilder(EM, isTTF=True)
    names = [".notdef", "box"]
    pen = TTGlyphPen(None)
    pen.moveTo((0, DESCENT))
    for corner in ((0, EM + DESCENT), (ADVANCE, EM + DESCENT), (ADVANCE, DESCENT)):
        pen.lineTo(corner)
    pen.closePath()
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({0x20: "box"})
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics({name: (ADVANCE, 0) for name in names})
    builder.setupHorizontalHeader(ascent=EM + DESCENT, descent=DESCENT)
    builder.setupNameTable({"familyName": FONT_NAME, "styleName": "Regular", "psName": FONT_NAME})
    builder.setupOS2(sTypoAscender=EM + DESCENT, sTypoDescender=DESCENT)
    builder.setupPost()
    builder.updateHead(created=0, modified=0)
    content = BytesIO()
    builder.save(content)
    return content.getvalue()

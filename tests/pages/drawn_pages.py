# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages drawn for the tests, with the PAGE XML and ALTO that tell their lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from PIL import Image, ImageDraw, ImageFont

PAPER, INK = 235, 40
FONT_SIZE = 34


class DrawnLine(NamedTuple):
    """A text and its left end on the baseline; what tells of it in a file: its region's type."""

    text: str
    x: int
    y: int
    type: str = "paragraph"

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, with some paper around."""
        width = round(ImageFont.load_default(size=FONT_SIZE).getlength(self.text))
        return self.x - 8, self.y - FONT_SIZE - 4, self.x + width + 8, self.y + 14


LETTER = (
    DrawnLine("The first line of a letter", 80, 120, "heading"),
    DrawnLine("and the second goes on here", 80, 200),
    DrawnLine("until the third one ends it.", 80, 280),
)


def draw(lines: Sequence[DrawnLine] = LETTER, size: tuple[int, int] = (640, 400)) -> Image.Image:
    """A page in grey."""
    page = Image.new("L", size, PAPER)
    drawing = ImageDraw.Draw(page)
    for line in lines:
        drawing.text((line.x, line.y), line.text, font=ImageFont.load_default(size=FONT_SIZE), fill=INK, anchor="ls")
    return page


def draw_line(text: str) -> Image.Image:
    """An image that is one line."""
    line = DrawnLine(text, 12, 44)
    return draw([line], (line.box[2] + 8, 64))


def write_page(
    folder: Path,
    name: str,
    lines: Sequence[DrawnLine] = LETTER,
    kind: str = "page",
    texts: Sequence[str] = (),
    size: tuple[int, int] = (640, 400),
) -> Path:
    """A page's image and its PAGE or ALTO, with a text for as many of the lines as there are; returns the XML."""
    folder.mkdir(parents=True, exist_ok=True)
    draw(lines, size).save(folder / f"{name}.png")
    told = [*texts, *[""] * (len(lines) - len(texts))]
    write = page_xml if kind == "page" else alto
    (folder / f"{name}.xml").write_text(write(f"{name}.png", lines, told, size), encoding="utf-8")
    return folder / f"{name}.xml"


def page_xml(image: str, lines: Sequence[DrawnLine], texts: Sequence[str], size: tuple[int, int]) -> str:
    regions = []
    for number, (line, text) in enumerate(zip(lines, texts, strict=True)):
        left, top, right, bottom = line.box
        corners = f'<Coords points="{left},{top} {right},{top} {right},{bottom} {left},{bottom}"/>'
        equivalent = f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv>" if text else ""
        baseline = f'<Baseline points="{left},{line.y} {right},{line.y}"/>'
        regions.append(
            f'<TextRegion id="r{number}" type={quoteattr(line.type)}>{corners}'
            f'<TextLine id="l{number}">{corners}{baseline}{equivalent}</TextLine></TextRegion>'
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Metadata><Creator/>'
        "<Created>2026-01-01T00:00:00</Created><LastChange>2026-01-01T00:00:00</LastChange></Metadata>"
        f'<Page imageFilename={quoteattr(image)} imageWidth="{size[0]}" imageHeight="{size[1]}">'
        f"{''.join(regions)}</Page></PcGts>"
    )


def alto(image: str, lines: Sequence[DrawnLine], texts: Sequence[str], size: tuple[int, int]) -> str:
    types = list(dict.fromkeys(line.type for line in lines))
    tags = "".join(f'<OtherTag ID="t{number}" LABEL={quoteattr(name)}/>' for number, name in enumerate(types))
    blocks = []
    for number, (line, text) in enumerate(zip(lines, texts, strict=True)):
        left, top, right, bottom = line.box
        box = f'HPOS="{left}" VPOS="{top}" WIDTH="{right - left}" HEIGHT="{bottom - top}"'
        blocks.append(
            f'<TextBlock ID="b{number}" TAGREFS="t{types.index(line.type)}" {box}><TextLine ID="l{number}" '
            f'BASELINE="{left} {line.y} {right} {line.y}" {box}><String CONTENT={quoteattr(text)} {box}/></TextLine>'
            "</TextBlock>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description>'
        f"<MeasurementUnit>pixel</MeasurementUnit><sourceImageInformation><fileName>{image}</fileName>"
        f"</sourceImageInformation></Description><Tags>{tags}</Tags><Layout>"
        f'<Page ID="p" PHYSICAL_IMG_NR="1" WIDTH="{size[0]}" HEIGHT="{size[1]}"><PrintSpace HPOS="0" VPOS="0" '
        f'WIDTH="{size[0]}" HEIGHT="{size[1]}">{"".join(blocks)}</PrintSpace></Page></Layout></alto>'
    )

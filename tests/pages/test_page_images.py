# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Finding the image that an XML file names, and opening it as the XML counts its pixels."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htr_convtext.pages import Page, find_page_image, open_page_image, plan_page_image


def page(name: str = "", width: int = 400, height: int = 200, frame: int | None = None) -> Page:
    return Page(name, width, height, [], frame)


def scan() -> Image.Image:
    """Paper 200, dark in its upper left quarter."""
    pixels = np.full((200, 400), 200, np.uint8)
    pixels[:100, :200] = 20
    return Image.fromarray(pixels)


def write(path: Path, size: tuple[int, int] = (400, 200)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 200).save(path)
    return path


@pytest.mark.parametrize(
    ("xml", "name", "image"),
    [
        ("GT/1.xml", "1.png", "GT/1.png"),
        ("GT/1.xml", "1.png", "1.png"),
        ("page/1.xml", "1.png", "Images/1.png"),
        ("GT/1.xml", "OCR-D-IMG/1.png", "OCR-D-IMG/1.png"),
        ("a/b/GT/1.xml", "OCR-D-IMG/1.png", "OCR-D-IMG/1.png"),
        ("GT/1.xml", "../scans/1.png", "scans/1.png"),
        ("GT/1.xml", "..\\scans\\1.png", "scans/1.png"),
        ("GT/1.xml", "scans\\1.png", "GT/scans/1.png"),
        ("GT/1.xml", "C:\\Users\\me\\scans\\1.png", "scans/1.png"),
        ("GT/1.xml", "/home/other/scans/1.png", "scans/1.png"),
        ("GT/1.xml", "file:///home/other/scans/my%20page.png", "scans/my page.png"),
        ("GT/1.xml", "file:scans/1.png", "scans/1.png"),
        ("GT/1.xml", "scans/my%20page.png", "scans/my page.png"),
        ("GT/1.xml", "scans/100%25.png", "scans/100%.png"),
        ("GT/1.xml", "Scans/1.PNG", "scans/1.png"),
        ("GT/1.xml", "\u00e9.png", f"GT/{unicodedata.normalize('NFD', chr(0xE9))}.png"),
        ("GT/1.xml", "scans/1.tif", "scans/1.png"),
        ("GT/1.xml", "", "GT/1.png"),
        ("GT/1.xml", "other.png", "1.png"),
        ("GT/1.xml", "C:\\far\\away\\1.png", "GT/1.png"),
    ],
)
def test_image_is_found_by_its_whole_name(tmp_path, xml, name, image):
    (tmp_path / xml).parent.mkdir(parents=True)
    written = write(tmp_path / image)
    assert find_page_image(tmp_path / xml, page(name), tmp_path)[0] == written


@pytest.mark.parametrize(
    "name", ["a" * 300, f"/{'a' * 300}/b.png", f"{'a' * 300}/b.png", "\0/b.png", "b\0.png", "/\0"]
)
def test_a_name_that_no_disk_can_have_is_not_there(tmp_path, name):
    with pytest.raises(ValueError, match="is neither beside it"):
        find_page_image(tmp_path / "1.xml", page(name), tmp_path)


def test_absolute_name_of_this_computer(tmp_path):
    written = write(tmp_path / "far" / "1.png")
    write(tmp_path / "data" / "1.png")
    assert find_page_image(tmp_path / "data" / "1.xml", page(str(written)), tmp_path / "data")[0] == written
    assert find_page_image(tmp_path / "data" / "1.xml", page(written.as_uri()), tmp_path / "data")[0] == written


def test_picture_of_another_folder_is_refused(tmp_path):
    write(tmp_path / "GT" / "1.png")
    with pytest.raises(ValueError, match="may be another picture"):
        find_page_image(tmp_path / "GT" / "1.xml", page("scans/1.png"), tmp_path)
    with pytest.raises(ValueError, match="may be another picture"):
        find_page_image(tmp_path / "GT" / "1.xml", page("C:\\scans\\1.png", 800, 400), tmp_path)


@pytest.mark.parametrize("name", ["scans/1.tif", "C:\\far\\1.png", "other.png"])
def test_less_than_the_whole_name_is_a_warning(tmp_path, name):
    (tmp_path / "GT").mkdir()
    write(tmp_path / ("scans/1.png" if "scans" in name else "GT/1.png"))
    assert find_page_image(tmp_path / "GT" / "1.xml", page(name), tmp_path)[1]


def opened(path: Path, size: tuple[int, int] = (400, 200), frame: int | None = None) -> np.ndarray:
    plan = plan_page_image(path, page("", *size, frame))
    return np.asarray(open_page_image(path, plan).convert("L")).astype(int)


def saved_as(kind: str, path: Path) -> Path:
    grey = scan()
    pixels = np.asarray(grey)
    made = {
        "L": grey,
        "RGB": grey.convert("RGB"),
        "1": grey.point(lambda value: 255 * (value > 100)).convert("1"),
        "P": grey.convert("RGB").quantize(4),
        "16": Image.fromarray(pixels.astype(np.uint16) * 257),
        "32": Image.fromarray(pixels.astype(np.int32)),
        "float": Image.fromarray((pixels / 255).astype(np.float32)),
        "CMYK": grey.convert("CMYK"),
        "LA": Image.merge("LA", (Image.new("L", grey.size, 0), grey.point(lambda value: 255 * (value < 100)))),
        "RGBA": Image.merge("RGBA", (*[Image.new("L", grey.size, 0)] * 3, grey.point(lambda v: 255 * (v < 100)))),
    }[kind]
    made.save(path)
    return path


@pytest.mark.parametrize("kind", ["L", "RGB", "1", "P", "16", "32", "float", "CMYK", "LA", "RGBA"])
def test_ink_and_paper_of_every_kind_of_image(tmp_path, kind):
    ending = "tif" if kind in ("32", "float", "CMYK") else "png"
    pixels = opened(saved_as(kind, tmp_path / f"p.{ending}"))
    assert pixels[50, 100] < 60 and pixels[150, 300] > 150


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize(("ending", "compression"), [("jpg", None), ("png", None), ("tif", "tiff_lzw"), ("tif", None)])
def test_the_sizes_tell_whether_the_xml_counts_before_or_after_the_exif_turn(
    tmp_path, orientation, ending, compression
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    scan().save(tmp_path / f"p.{ending}", exif=exif, compression=compression)
    before, after = opened(tmp_path / f"p.{ending}"), opened(tmp_path / f"p.{ending}", (200, 400))
    assert before.shape == (200, 400) and after.shape == (400, 200)
    assert before[50, 100] < 60 and before[150, 300] > 150
    corners = {5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}  # Where the dark quarter goes: row and column of halves.
    row, column = corners[orientation]
    assert after[100 + 200 * row, 50 + 100 * column] < 60
    assert after[300 - 200 * row, 150 - 100 * column] > 150


@pytest.mark.parametrize(("orientation", "size"), [(3, (400, 200)), (2, (400, 200)), (6, (0, 0))])
def test_exif_turn_that_nothing_tells_is_refused(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    scan().save(tmp_path / "p.jpg", exif=exif)
    with pytest.raises(ValueError, match="before or after"):
        plan_page_image(tmp_path / "p.jpg", page("", *size))


def test_image_of_another_size_is_a_warning_and_of_another_shape_refused(tmp_path):
    write(tmp_path / "p.png")
    assert plan_page_image(tmp_path / "p.png", page("", 800, 400)).warning
    assert not plan_page_image(tmp_path / "p.png", page()).warning
    with pytest.raises(ValueError, match="400 x 200 pixels, but its XML says 300 x 200"):
        plan_page_image(tmp_path / "p.png", page("", 300, 200))


def test_damaged_image_is_refused_by_a_sentence(tmp_path):
    path = write(tmp_path / "p.png")
    content = path.read_bytes()
    pixels = content.index(b"IDAT")
    shorter = (20).to_bytes(4, "big")  # Where the next chunk begins then is none, and Pillow raises a SyntaxError.
    path.write_bytes(content[: pixels - 4] + shorter + content[pixels:])
    with pytest.raises(ValueError, match=r"not a readable image \(broken PNG file"):
        plan_page_image(path, page())


def test_frames(tmp_path):
    first, second = scan(), scan().transpose(Image.Transpose.ROTATE_180)
    first.save(tmp_path / "book.tif", save_all=True, append_images=[second])
    assert opened(tmp_path / "book.tif", frame=1)[150, 300] < 60
    with pytest.raises(ValueError, match="2 frames"):
        plan_page_image(tmp_path / "book.tif", page())
    with pytest.raises(ValueError, match="has a page 2, but the image has one frame"):
        plan_page_image(write(tmp_path / "p.png"), page(frame=1))
    preview = first.resize((200, 100)).point(lambda value: 255 - value)
    for image in (first, second, preview):
        image.encoderinfo = {"tiffinfo": {254: int(image is preview)}}
    for number, frames in enumerate(([preview, first], [first, preview], [preview, first, preview, second])):
        path = tmp_path / f"{number}.tif"
        frames[0].save(path, **frames[0].encoderinfo, save_all=True, append_images=frames[1:])
        for side in (400, 800):
            assert opened(path, (side, side // 2), frame=0).shape == (200, 400)
            assert opened(path, (side, side // 2), frame=0)[50, 100] < 60
    assert opened(path, frame=1)[150, 300] < 60
    first.save(tmp_path / "preview.tif", save_all=True, append_images=[first.resize((40, 20))])
    assert opened(tmp_path / "preview.tif")[50, 100] < 60

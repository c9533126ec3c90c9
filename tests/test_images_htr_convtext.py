# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever users call an image is read alike, or refused by name."""

import base64
import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from htr_convtext import load_image

GREY_LEVEL = 1 / 255


def image_of_mode(mode: str, grey: np.ndarray) -> Image.Image:
    image = Image.fromarray(grey)
    if mode in ("YCbCr", "CMYK", "HSV", "LAB"):
        return image.convert("RGB").convert(mode)
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "I;16B":
        return Image.fromarray(grey.astype(np.int32) * 257).convert("I;16B")
    if mode in ("La", "RGBa", "PA"):
        return image.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}[mode]).convert(mode)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "levels"),
    [("L", 0), ("P", 0), ("LA", 0), ("La", 0), ("PA", 0), ("RGB", 0), ("RGBX", 0), ("RGBA", 0), ("RGBa", 0)]
    + [("CMYK", 0), ("HSV", 0), ("I;16", 0), ("I;16B", 0), ("I", 0), ("F", 0), ("YCbCr", 2), ("LAB", 2)],
)
def test_every_mode_reads_alike(image_processor, grey, mode, levels):
    image = image_of_mode(mode, grey)
    assert image.mode == mode
    difference = image_processor.preprocess_line(image) - image_processor.preprocess_line(grey)
    assert np.abs(difference).max() <= levels * GREY_LEVEL + 1e-6


def test_bilevel(image_processor, grey):
    ink = grey > 127
    expected = image_processor.preprocess_line(ink.astype(np.uint8) * 255)
    np.testing.assert_array_equal(image_processor.preprocess_line(Image.fromarray(ink)), expected)
    np.testing.assert_array_equal(image_processor.preprocess_line(ink), expected)
    np.testing.assert_array_equal(image_processor.preprocess_line(torch.from_numpy(ink)), expected)


def with_alpha(mode: str, grey: np.ndarray, alpha: np.ndarray) -> Image.Image:
    image = Image.fromarray(grey).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    return image


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_is_paper(image_processor, grey, mode):
    alpha = np.full_like(grey, 255)
    alpha[:, : grey.shape[1] // 2] = 0
    expected = np.where(alpha == 0, 255, grey).astype(np.uint8)
    pixel_values = image_processor.preprocess_line(with_alpha(mode, np.where(alpha, grey, 0).astype(np.uint8), alpha))
    np.testing.assert_array_equal(pixel_values, image_processor.preprocess_line(expected))


def test_a_transparent_palette_entry_is_paper(image_processor, tmp_path, grey):
    image = Image.frombytes("P", grey.shape[::-1], (grey // 64).tobytes())
    image.putpalette([level for value in (0, 60, 120, 180) for level in (value, value, value)])
    image.save(tmp_path / "palette.png", transparency=0)
    loaded = Image.open(tmp_path / "palette.png")
    assert loaded.mode == "P" and loaded.info["transparency"] is not None
    expected = np.array([255, 60, 120, 180], dtype=np.uint8)[grey // 64]
    np.testing.assert_array_equal(image_processor.preprocess_line(loaded), image_processor.preprocess_line(expected))


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)],
)
def test_exif_rotation(image_processor, tmp_path, grey, orientation, stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(grey).transpose(stored).save(tmp_path / "turned.png", exif=exif)
    expected = image_processor.preprocess_line(grey)
    for image in (tmp_path / "turned.png", Image.open(tmp_path / "turned.png")):
        np.testing.assert_array_equal(image_processor.preprocess_line(image), expected)
    assert load_image(tmp_path / "turned.png").size == grey.shape[::-1]


TURNED_TIFFS = {"L": (5, 6, 7, 8), "I;16": (6,), "P": (6,), "RGB": (6,), "RGBA": (6,), "CMYK": (6,), "F": (6,)}


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize(
    ("mode", "orientation"), [(mode, number) for mode, numbers in TURNED_TIFFS.items() for number in numbers]
)
def test_a_turned_tiff_is_read_upright(tmp_path, grey, mode, orientation, compression):
    """Also an uncompressed one from a file, of which Pillow 13 by itself mixes up rows and columns."""
    image = Image.fromarray(grey)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "turned.tif", tiffinfo={0x0112: orientation}, compression=compression)
    turn = {5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}[orientation]
    expected = np.asarray(image.transpose(Image.Transpose[turn]))
    path = tmp_path / "turned.tif"
    for form in (path, Image.open(path), path.read_bytes()):
        np.testing.assert_array_equal(np.asarray(load_image(form)), expected)


def test_an_image_that_is_open_keeps_its_file(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "line.tif")
    with Image.open(tmp_path / "line.tif") as image:
        load_image(image)
        assert str(image.filename) == str(tmp_path / "line.tif")


def test_an_open_file_is_read_from_its_beginning(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "line.png")
    with open(tmp_path / "line.png", "rb") as file:
        file.read(10)
        np.testing.assert_array_equal(np.asarray(load_image(file)), grey)
    (tmp_path / "empty.png").touch()
    with open(tmp_path / "empty.png", "rb") as file, pytest.raises(ValueError, match="empty.png"):
        load_image(file)


def test_a_row_of_a_dataset_is_its_bytes_or_its_path(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "line.png")
    rows = (
        {"bytes": (tmp_path / "line.png").read_bytes(), "path": None},
        {"bytes": None, "path": tmp_path / "line.png"},
    )
    for row in rows:
        np.testing.assert_array_equal(np.asarray(load_image(row)), grey)


ARRAYS = {
    "int64": lambda grey: grey.astype(np.int64),
    "uint16": lambda grey: grey.astype(np.uint16) * 257,
    "big-endian uint16": lambda grey: grey.astype(">u2") * 257,
    "float64 to 1": lambda grey: grey / 255,
    "float32 to 1": lambda grey: (grey / 255).astype(np.float32),
    "float32 to 255": lambda grey: grey.astype(np.float32),
    "float16 to 1": lambda grey: (grey / 255).astype(np.float16),
    "rows, columns, 1": lambda grey: grey[..., None],
    "1, rows, columns": lambda grey: grey[None],
    "rows, columns, 3": lambda grey: np.stack([grey] * 3, axis=-1),
    "3, rows, columns": lambda grey: np.stack([grey] * 3),
    "4, rows, columns": lambda grey: np.stack([grey] * 3 + [np.full_like(grey, 255)]),
    "reversed twice": lambda grey: grey[:, ::-1].copy()[:, ::-1],
    "torch uint8": lambda grey: torch.from_numpy(grey.copy()),
    "torch uint8, 3, rows, columns": lambda grey: torch.from_numpy(np.stack([grey] * 3)),
    "torch transposed": lambda grey: torch.from_numpy(grey.T.copy()).T,
    "torch float32 with gradient": lambda grey: torch.from_numpy(grey / 255).float().requires_grad_(),
    "torch float16": lambda grey: torch.from_numpy(grey / 255).half(),
}


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_zeros_and_ones_are_ink_and_paper(image_processor, grey, dtype):
    paper = grey > 127
    expected = image_processor.preprocess_line(Image.fromarray(paper.astype(np.uint8) * 255))
    np.testing.assert_array_equal(image_processor.preprocess_line(paper.astype(dtype)), expected)


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_read_like_the_image(image_processor, grey, kind):
    pixel_values = image_processor.preprocess_line(ARRAYS[kind](grey))
    np.testing.assert_array_equal(pixel_values, image_processor.preprocess_line(Image.fromarray(grey)))


def test_bfloat16_keeps_its_eight_bits(image_processor, grey):
    pixel_values = image_processor.preprocess_line(torch.from_numpy(grey / 255).bfloat16())
    expected = image_processor.preprocess_line(Image.fromarray(grey))
    assert np.abs(pixel_values - expected).max() <= 2 * GREY_LEVEL


def test_base64_and_bytes(image_processor, golden):
    path = golden / "images" / "line.jpg"
    data = path.read_bytes()
    expected = image_processor.preprocess_line(path)
    encoded = base64.b64encode(data).decode()
    broken_lines = base64.encodebytes(data).decode()
    undecoded = {"bytes": data, "path": None}
    for image in (
        str(path),
        data,
        bytearray(data),
        encoded,
        broken_lines,
        f"data:image/jpeg;base64,{encoded}",
        undecoded,
    ):
        np.testing.assert_array_equal(image_processor.preprocess_line(image), expected)


def small_file_with_many_pixels() -> bytes:
    """A PNG of a few bytes whose header promises 200 megapixels."""
    header = struct.pack(">IIBBBBB", 20000, 10000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.fixture(scope="module")
def bad_files(golden, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    jpeg = (golden / "images" / "line.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("This is no image.\n")
    (folder / "bomb.png").write_bytes(small_file_with_many_pixels())
    Image.new("L", (3, 20000), 255).save(folder / "tall.png")
    Image.fromarray(np.full((64, 100), np.nan, dtype=np.float32)).save(folder / "nan.tiff")
    (folder / "folder.png").mkdir()
    return folder


BAD_FILES = {
    "truncated.jpg": (ValueError, "truncated"),
    "empty.jpg": (ValueError, "0 bytes"),
    "text.png": (ValueError, "not an image"),
    "bomb.png": (ValueError, "too large"),
    "tall.png": (ValueError, "3x20000 pixels has no width left at height 64"),
    "nan.tiff": (ValueError, "NaN"),
    "missing.png": (FileNotFoundError, "No such image file"),
    "folder.png": (IsADirectoryError, "this is a folder, and one image is expected"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named(image_processor, bad_files, name):
    error, reason = BAD_FILES[name]
    with pytest.raises(error, match=reason) as raised:
        image_processor([bad_files / name], return_tensors="pt")
    assert str(bad_files / name) in str(raised.value)


def test_a_bad_image_that_is_open_already_is_named(image_processor, bad_files):
    for name in ("truncated.jpg", "tall.png"):
        with Image.open(bad_files / name) as image, pytest.raises(ValueError, match=name):
            image_processor(image)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((64, 100), np.nan), "NaN"),
        (torch.full((64, 100), float("inf")), "infinity"),
        (np.full((64, 100), -1), "negative"),
        (np.full((64, 100), 70000), "65535"),
        (np.zeros((64, 100, 2)), r"\(64, 100, 2\)"),
        (np.zeros(100), r"\(100,\)"),
        (np.zeros((1, 1, 1, 64, 100)), r"\(1, 1, 1, 64, 100\)"),
        (np.zeros((0, 100)), "no pixels"),
        (Image.new("L", (0, 64)), "no pixels; its size is 0x64"),
        (np.zeros((64, 100), dtype=complex), "complex128"),
        (np.full((64, 100), "ink"), "dtype"),
    ],
)
def test_bad_arrays(image_processor, array, message):
    with pytest.raises(ValueError, match=message):
        image_processor(array)


@pytest.mark.parametrize("image", [None, 7, {"text": "no image"}, object()])
def test_what_is_no_image(image_processor, image):
    with pytest.raises(ValueError, match=f"Got {type(image).__name__}"):
        image_processor(image)


def test_a_damaged_data_uri_is_no_missing_file(image_processor, golden):
    data = (golden / "images" / "line.jpg").read_bytes()
    encoded = base64.b64encode(data[: len(data) // 2]).decode()
    with pytest.raises(ValueError, match="data:image/jpeg.*truncated"):
        image_processor(f"data:image/jpeg;base64,{encoded}")


DEPTHS = {
    "12 bits in 16": lambda grey: Image.fromarray((grey.astype(np.uint32) * 4095 // 255).astype(np.uint16)),
    "14 bits in 16": lambda grey: Image.fromarray((grey.astype(np.uint32) * 16383 // 255).astype(np.uint16)),
    "8 bits in 16": lambda grey: Image.fromarray(grey.astype(np.uint16)),
    "8 bits in 32": lambda grey: Image.fromarray(grey.astype(np.int32)),
    "16 bits in 32": lambda grey: Image.fromarray(grey.astype(np.int32) * 257),
    "31 bits": lambda grey: Image.fromarray((grey / 255 * (2**31 - 1)).astype(np.int32)),
    "32 bits": lambda grey: Image.fromarray((grey / 255 * (2**32 - 1)).astype(np.uint32).view(np.int32)),
    "floats to 1": lambda grey: Image.fromarray((grey / 255).astype(np.float32)),
    "floats to 255": lambda grey: Image.fromarray(grey.astype(np.float32)),
    "floats to 65535": lambda grey: Image.fromarray(grey.astype(np.float32) * 257),
}


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_depth_reads_alike(image_processor, tmp_path, grey, depth):
    DEPTHS[depth](np.clip(grey, 1, 255)).save(tmp_path / "deep.tiff")
    expected = image_processor.preprocess_line(np.clip(grey, 1, 255))
    difference = image_processor.preprocess_line(tmp_path / "deep.tiff") - expected
    assert np.abs(difference).max() <= GREY_LEVEL + 1e-6


def test_floats_that_overshoot_are_clipped(image_processor, grey):
    pixels = grey / 255 * 1.06 - 0.03
    expected = image_processor.preprocess_line(np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8))
    np.testing.assert_allclose(image_processor.preprocess_line(pixels), expected, atol=1e-6)


def test_a_deep_tiff_that_counts_from_white_to_black(image_processor, tmp_path, grey):
    negative = Image.fromarray((255 - grey).astype(np.uint16) * 257)
    negative.save(tmp_path / "negative.tiff", tiffinfo={262: 0})
    np.testing.assert_array_equal(
        image_processor.preprocess_line(tmp_path / "negative.tiff"), image_processor.preprocess_line(grey)
    )


@pytest.fixture
def frames(grey) -> list[Image.Image]:
    return [Image.fromarray(np.roll(grey, 40 * number, axis=1)) for number in range(5)]


@pytest.mark.parametrize("suffix", ["tiff", "gif", "png", "webp"])
def test_several_frames_are_refused_and_one_can_be_named(tmp_path, frames, suffix):
    path = tmp_path / f"frames.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    for image in (path, path.read_bytes(), Image.open(path)):
        with pytest.raises(ValueError, match=r"5 frames.*frame=0\) to frame=4"):
            load_image(image)
    with pytest.raises(ValueError, match="no frame 5; the file has 5"):
        load_image(path, frame=5)
    for number, expected in enumerate(frames):
        found = np.asarray(load_image(path, frame=number).convert("L")).astype(int)
        assert np.abs(found - np.asarray(expected)).max() <= 2
    chosen = Image.open(path)
    chosen.seek(3)
    assert load_image(chosen).size == frames[3].size


def test_a_tiff_of_one_image_and_damage_behind_it_is_damaged(tmp_path, frames):
    """It is no file of two frames, the second of which one could ask for."""
    frames[0].save(tmp_path / "line.tiff", save_all=True, append_images=[frames[0]], compression="tiff_lzw")
    content = (tmp_path / "line.tiff").read_bytes()
    (tmp_path / "line.tiff").write_bytes(content[: 6 * len(content) // 10])
    with pytest.raises(ValueError, match="line.tiff: the image is truncated or damaged"):
        load_image(tmp_path / "line.tiff")
    assert load_image(tmp_path / "line.tiff", frame=0).size == frames[0].size


def test_a_tiff_with_its_preview_is_one_image(tmp_path, frames):
    preview = frames[0].resize((100, 20))
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    frames[0].save(tmp_path / "pyramid.tiff", save_all=True, append_images=[preview])
    with Image.open(tmp_path / "pyramid.tiff") as image:
        assert image.n_frames == 2
    assert load_image(tmp_path / "pyramid.tiff").size == frames[0].size


def test_a_phone_picture_with_its_previews_is_one_image(tmp_path, frames):
    frames[0].convert("RGB").save(tmp_path / "phone.mpo", save_all=True, append_images=[frames[1].convert("RGB")])
    with Image.open(tmp_path / "phone.mpo") as image:
        assert image.format == "MPO" and image.n_frames == 2
    assert load_image(tmp_path / "phone.mpo").size == frames[0].size


def test_the_limit_of_pixels_is_the_callers(tmp_path, monkeypatch, bad_files):
    path = tmp_path / "page.png"
    Image.new("1", (400, 300), 1).save(path)
    with pytest.raises(ValueError, match="page.png: the image is too large: 400x300 pixels are more than 100000"):
        load_image(path, max_pixels=100_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="page.png: the image is too large"):
        load_image(path)
    assert load_image(path, max_pixels=None).size == load_image(path, max_pixels=120_000).size == (400, 300)
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_image(bad_files / "bomb.png", max_pixels=None)


def test_damaged_base64_is_no_missing_file(golden):
    data = (golden / "images" / "line.jpg").read_bytes()
    with pytest.raises(ValueError, match="truncated"):
        load_image(base64.b64encode(data[: len(data) // 2]).decode())
    with pytest.raises(FileNotFoundError, match="No such image file"):
        load_image("abcdefgh")


@pytest.mark.parametrize(
    "format", ["png", "jpeg", "tiff", "gif", "webp", "bmp", "ppm", "pcx", "tga", "ico", "jpeg2000"]
)
def test_damage_of_every_kind_is_a_value_error(grey, format):
    """Nothing else may reach a caller who goes on past bad images."""
    file = io.BytesIO()
    Image.fromarray(grey[:, :200]).save(file, format=format)
    data = file.getvalue()
    generator = np.random.default_rng(0)
    for number in range(30):
        damaged = bytearray(data[: generator.integers(1, len(data))] if number % 2 else data)
        for place in generator.integers(0, min(len(damaged), 200), 8):
            damaged[place] = generator.integers(256)
        with contextlib.suppress(ValueError):
            assert load_image(bytes(damaged)).width > 0

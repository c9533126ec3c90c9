# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures as users have them, from files, arrays and addresses: opened, upright, and in eight bits of grey."""

import base64
import binascii
import contextlib
import io
import itertools
import os
import threading
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from types import SimpleNamespace
from typing import TypeGuard
from urllib.parse import quote

import numpy as np
import torch
from PIL import Image, ImageOps

IMAGE_CHANNELS = (1, 3, 4)
DOWNLOAD_TIMEOUT_SECONDS = 30
URL_MARKS = "!#$%&'()*+,/:;=?@[]~"
SOURCE_KEY = "htr_convtext_source"

# Pillow refuses images of more than twice its limit.
MAX_PIXELS = None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS
# Pillow's own limit, while threads have it lifted.
PILLOW_LIMIT = SimpleNamespace(lock=threading.Lock(), lifted=0, pixels=None)
# Formats whose further "frames" belong to the first: a phone's previews (MPO) and layers (PSD).
ONE_IMAGE_FORMATS = ("MPO", "PSD")
TIFF_SUBFILE_TYPE, TIFF_PHOTOMETRIC = 254, 262
TIFF_PREVIEW_OR_MASK = 1 | 4
# White in images of 1, 8, 10, 12, 14 and 16 bits; the smallest that holds an image's values is taken for its depth.
WHITES = (1, 255, 1023, 4095, 16383, 65535)
# Resampling overshoots: floats may pass black and white by this share of white.
FLOAT_OVERSHOOT = 0.25


def load_image(image, frame: int | None = None, max_pixels: int | None = MAX_PIXELS) -> Image.Image:
    """
    Opens whatever users call an image.

    Args:
        image: A path, an http(s) URL, a base64 string or data URI, bytes, a file opened in binary mode, a PIL image,
            an array or tensor of shape (height, width), (height, width, channels) or (channels, height, width), or
            the dictionary that `datasets` gives for an image that it has not decoded.
        frame: Which frame of a TIFF, GIF, WebP or PNG of several, from 0. A PIL image that is at another than its
            first frame already needs none.
        max_pixels: Most pixels that a file may have; `None` for any number. The default is Pillow's limit.

    Returns:
        The PIL image in its own mode, its EXIF rotation applied.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder.
        OSError: If a URL cannot be downloaded.
        ValueError: If it is empty, damaged, too large or no image, or has several frames and none is named; the
            message names it.
    """
    if isinstance(image, dict) and {"bytes", "path"} & set(image):
        image = image["bytes"] if image.get("bytes") is not None else image.get("path")
    if isinstance(image, (np.ndarray, torch.Tensor)):
        return image_from_array(image)
    if isinstance(image, Image.Image):
        return decode(image, source_of(image), frame)
    if hasattr(image, "read"):
        name = str(getattr(image, "name", "an open file"))
        return open_image(io.BytesIO(bytes_of_file(image)), name, frame, max_pixels)
    if isinstance(image, (bytes, bytearray)):
        return open_image(io.BytesIO(image), f"{len(image)} bytes", frame, max_pixels)
    if isinstance(image, (str, os.PathLike)):
        return load_image_from_name(os.fspath(image), frame, max_pixels)
    raise ValueError(
        f"Expected a path, URL, PIL image, array or tensor as image. Got {type(image).__name__}: {str(image)[:80]!r}."
    )


def bytes_of_file(file) -> bytes:
    """Bytes of an open file from its beginning, however far it was read before."""
    if file.seekable():
        file.seek(0)
    return file.read()


def load_image_from_name(name: str, frame: int | None, max_pixels: int | None) -> Image.Image:
    if name.startswith(("http://", "https://")):
        return open_image(io.BytesIO(download(name)), name, frame, max_pixels)
    if os.path.isfile(name):
        return open_image(name, name, frame, max_pixels)
    if os.path.isdir(name):
        raise IsADirectoryError(
            f"{name}: this is a folder, and one image is expected. Its images are a list of paths, one a line: "
            f"sorted(map(str, pathlib.Path({name!r}).glob('*.jpg')))."
        )
    is_data_uri = name.startswith("data:image/")
    try:
        encoded = base64.b64decode("".join((name.split(",", 1)[-1] if is_data_uri else name).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        if is_data_uri:
            raise ValueError(f"Damaged data URI {name[:40]!r}: {error}") from error
        raise FileNotFoundError(f"No such image file: {name[:200]!r}.") from None
    if not is_data_uri and not is_image(encoded):
        raise FileNotFoundError(f"No such image file: {name[:200]!r}.")
    return open_image(io.BytesIO(encoded), f"base64 string {name[:40]!r}", frame, max_pixels)


def is_image(data: bytes) -> bool:
    """Whether Pillow knows the format; a missing file's name may be valid base64 too."""
    try:
        Image.open(io.BytesIO(data)).close()
    except Image.UnidentifiedImageError:
        return False
    except Exception:
        return True
    return True


def download(url: str) -> bytes:
    try:
        # Spaces and accents, as people copy them, are not allowed in a request.
        with urllib.request.urlopen(quote(url, URL_MARKS), timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:
            return response.read()
    except (OSError, ValueError, HTTPException) as error:
        raise OSError(f"{url}: the image cannot be downloaded ({error}).") from error


def open_image(file, name: str, frame: int | None, max_pixels: int | None) -> Image.Image:
    if isinstance(file, str) and os.path.getsize(file) == 0:
        raise ValueError(f"{name}: the file is empty (0 bytes).")
    with pillow_limit(max_pixels):
        try:
            image = Image.open(file)
        except Image.DecompressionBombError as error:
            raise ValueError(f"{name}: the image is too large. {error}") from error
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{name}: not an image that Pillow can read.") from error
        if max_pixels is not None and image.width * image.height > max_pixels:
            raise ValueError(
                f"{name}: the image is too large: {image.width}x{image.height} pixels are more than {max_pixels}."
            )
        return decode(image, name, frame)


@contextlib.contextmanager
def pillow_limit(max_pixels: int | None) -> Iterator[None]:
    """Lifts Pillow's limit, which is global, while a file whose limit is another is opened and decoded."""
    if max_pixels == MAX_PIXELS:
        yield
        return
    with PILLOW_LIMIT.lock:
        if not PILLOW_LIMIT.lifted:
            PILLOW_LIMIT.pixels, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        PILLOW_LIMIT.lifted += 1
    try:
        yield
    finally:
        with PILLOW_LIMIT.lock:
            PILLOW_LIMIT.lifted -= 1
            if not PILLOW_LIMIT.lifted:
                Image.MAX_IMAGE_PIXELS = PILLOW_LIMIT.pixels


def decode(image: Image.Image, name: str, frame: int | None) -> Image.Image:
    if 0 in image.size:
        raise ValueError(f"{name}: the image has no pixels; its size is {image.width}x{image.height}.")
    with naming_damage(name):
        frames, present = full_frames(image), image.tell()
        if frame is None and len(frames) > 1:  # Behind one image there may be nothing but damage.
            image.seek(frames[-1])
            image.seek(present)
    check_frame(frames, present, name, frame)
    with naming_damage(name):
        if frame is not None and frames[frame] != present:
            image.seek(frames[frame])
        with no_memory_map(image):
            upright = ImageOps.exif_transpose(image)
    if white_is_zero(image):
        upright = Image.fromarray(255 - to_eight_bits(np.asarray(upright)))
    upright.info[SOURCE_KEY] = name
    return upright


@contextlib.contextmanager
def no_memory_map(image: Image.Image) -> Iterator[None]:
    """
    Has a TIFF's pixels read instead of mapped: `ImageFile.load` of Pillow 13 maps the file of an uncompressed one, and
    mixes up its rows and columns where its orientation swaps them. Only an image that has a name is mapped.
    """
    filename = getattr(image, "filename", "")
    if image.format == "TIFF":
        image.filename = ""  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if image.format == "TIFF":
            image.filename = filename  # type: ignore[attr-defined]


@contextlib.contextmanager
def naming_damage(name: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # Pillow's formats raise whatever their parsing meets: struct.error, IndexError, ...
        raise ValueError(f"{name}: the image is truncated or damaged ({error}).") from error


def check_frame(frames: list[int], present: int, name: str, frame: int | None) -> None:
    """Refuses an image of several frames, unless one is named or has been gone to."""
    if frame is None and len(frames) > 1 and present == frames[0]:
        raise ValueError(
            f"{name}: the file has {len(frames)} frames (pages, or pictures of an animation), and one image is "
            f"expected. Name one, load_image(..., frame=0) to frame={len(frames) - 1}, or save each as a file of its "
            "own."
        )
    if frame is not None and not 0 <= frame < len(frames):
        raise ValueError(f"{name}: there is no frame {frame}; the file has {len(frames)}, counted from 0.")


def full_frames(image: Image.Image) -> list[int]:
    """
    Numbers of the frames that are images of their own: no previews, masks, or layers of another. The last may be one
    that cannot be opened, of a damaged TIFF, which tells nothing of those behind it.
    """
    if image.format in ONE_IMAGE_FORMATS:
        return [0]
    if image.format != "TIFF":
        return list(range(getattr(image, "n_frames", 1)))
    present = image.tell()
    frames = []
    for index in itertools.count():
        try:
            image.seek(index)
        except EOFError:
            break
        except Exception:  # Pillow raises whatever its parsing meets. It costs this frame, not those before it.
            frames.append(index)
            break
        if not image.tag_v2.get(TIFF_SUBFILE_TYPE, 0) & TIFF_PREVIEW_OR_MASK:  # type: ignore[attr-defined]
            frames.append(index)
    image.seek(present)
    return frames or [0]


def white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF of 16 bits counts from white to black, which Pillow heeds for 8 bits only."""
    return image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(TIFF_PHOTOMETRIC) == 0


def source_of(image: Image.Image) -> str:
    """What errors call an image: the file that it was read from, where that is known."""
    return image.info.get(SOURCE_KEY) or getattr(image, "filename", "") or "PIL image"


def image_from_array(array: np.ndarray | torch.Tensor) -> Image.Image:
    """Grey or colour array with values 0 to 255, 0 to 65535 (16-bit) or 0 to 1 to an 8-bit PIL image."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
    pixels = array.float().numpy() if is_float_tensor(array) else np.asarray(array)
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"An image array must hold real numbers. Got dtype {pixels.dtype}.")
    if pixels.ndim == 3:
        if pixels.shape[-1] not in IMAGE_CHANNELS:
            pixels = np.moveaxis(pixels, 0, -1)
        if pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in IMAGE_CHANNELS):
        raise ValueError(
            "An image array must have shape (height, width), (height, width, channels) or (channels, height, width) "
            f"with 1, 3 or 4 channels. Got shape {tuple(array.shape)}."
        )
    if pixels.size == 0:
        raise ValueError(f"The image array has no pixels; its shape is {tuple(array.shape)}.")
    return Image.fromarray(to_eight_bits(pixels))


def is_float_tensor(array: np.ndarray | torch.Tensor) -> TypeGuard[torch.Tensor]:
    return isinstance(array, torch.Tensor) and array.is_floating_point()


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels of any numeric type to uint8. White is told from the largest value: 1, 255, ..., 65535."""
    if pixels.dtype == np.uint8 and pixels.max() > WHITES[0]:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if not np.isfinite(pixels).all():
        raise ValueError("An image array must not contain NaN or infinity.")
    least, largest = float(pixels.min()), float(pixels.max())
    whites, overshoot = ((1, 255, 65535), FLOAT_OVERSHOOT) if pixels.dtype.kind == "f" else (WHITES, 0.0)
    white = next((white for white in whites if largest <= white * (1 + overshoot)), None)
    if white is None:
        raise ValueError(f"An image array must not contain numbers above 65535. Got {largest:.0f}.")
    if least < -white * overshoot:
        raise ValueError(f"An image array must not contain negative numbers. Got {least:g}.")
    return np.rint(np.clip(pixels / (white / 255), 0, 255)).astype(np.uint8)


def wide_to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Pillow's 32-bit integers: of at most 16 bits as they stand, or over the whole range, signed or not."""
    if pixels.dtype.kind == "i" and (pixels.min() < 0 or pixels.max() >= 1 << 24):
        white = (1 << 32) - 1 if pixels.min() < 0 else (1 << 31) - 1
        return np.rint(pixels.astype(np.uint32) * (255 / white)).astype(np.uint8)
    return to_eight_bits(pixels)


def to_grey(image: Image.Image) -> Image.Image:
    """Any PIL image in 8-bit grey (mode L); what is transparent becomes white paper."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(wide_to_eight_bits(np.asarray(image)))
    if image.mode == "La":
        image = image.convert("LA")
    if "A" in image.mode.upper()[1:] or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("1", "L", "P", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert("L")


__all__ = ["load_image"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists, tables and metadata with bytes put in, cut out or doubled: read, or refused with a sentence."""

import random

import pytest
from PIL import Image

from htr_convtext.line_datasets import formats
from htr_convtext.line_datasets.problems import Problems

FILES = {
    "metadata.csv": b'file_name,text,split\na.png,"one, two",train\nb.png,three,val\n',
    "metadata.jsonl": b'{"file_name": "a.png", "text": "one"}\n{"file_name": "b.png", "text": "2", "split": "test"}\n',
    "train.txt": b"a.png\tone\nb.png\ttwo\n",
    "train.tsv": b"image\ttext\na.png\tone\nb\th e l <space> y\n",
    "train.ln": b"a.png\nb.png\n",
    "a.gt.txt": b"one \xc3\xa9",
}
PUT_IN = (
    [b"\x00", b"\x1a", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xf0\x9f\x96\x8b", b"\n", b"\r"]
    + [b"\t", b'"', b",", b";", b"{", b"[", b"}", b"null", b"1e999", b"-1", b"NaN", b"true", b"<space>", b"*", b"|"]
    + [b"../../etc/passwd", b"C:\\x\\a.png", b"/", b"\\", b"a" * 300]
)


def damaged(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.randint(1, 5)):
        start, end = sorted(dice.randint(0, len(changed)) for _ in range(2))
        match dice.randrange(4):
            case 0 | 1:
                changed[start:start] = dice.choice(PUT_IN)
            case 2:
                del changed[start : start + 6]
            case 3:
                changed[start:start] = changed[start:end]
    return bytes(changed)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_named(tmp_path, name):
    for image in ("a", "b"):
        Image.new("L", (50, 20), 255).save(tmp_path / f"{image}.png")
        (tmp_path / f"{image}.txt").write_text("text", encoding="utf-8")
    for seed in range(150):
        (tmp_path / name).write_bytes(content := damaged(FILES[name], random.Random(seed)))
        problems = Problems(tmp_path)
        try:
            lines = [
                line for split in formats.read(tmp_path, formats.LinesOptions(), problems).values() for line in split
            ]
        except Exception as error:
            raise AssertionError(f"seed {seed}: {content!r}") from error
        assert lines or problems.found or not content.strip(), f"seed {seed}: {content!r}"
        for line in lines:
            assert line.image.path.parent == tmp_path and line.text.encode("utf-8") is not None

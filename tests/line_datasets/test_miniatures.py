"""Miniatures of the official releases load with their lines, transcriptions and splits."""

import pytest

from htr_convtext import ALPHABETS
from htr_convtext.line_datasets import load_lines

RELEASES = ("iam", "lam", "read2016", "vnondb")


@pytest.mark.parametrize("name", RELEASES)
def test_release(request, tmp_path, miniatures, name):
    folder = request.getfixturevalue(f"{name}_release")
    splits = load_lines(name, data_dir=folder, cache_dir=tmp_path / "cache")
    found = {split: dict(zip(lines["line_id"], lines["text"], strict=True)) for split, lines in splits.items()}
    assert found == getattr(miniatures, name.upper())
    assert all(set(text) <= set(ALPHABETS[name]) for lines in found.values() for text in lines.values())
    assert all(image.width > 10 for lines in splits.values() for image in lines["image"])

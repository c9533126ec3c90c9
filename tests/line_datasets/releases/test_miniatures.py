# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every release, from its folders and from its archives, gives its lines, transcriptions and splits."""

import pytest

from htr_convtext import ALPHABETS
from htr_convtext.line_datasets import load_lines

RELEASES = ("iam", "lam", "read2016", "vnondb")


def texts_of(splits) -> dict[str, dict[str, str]]:
    return {split: dict(zip(lines["line_id"], lines["text"], strict=True)) for split, lines in splits.items()}


@pytest.mark.parametrize("name", RELEASES)
def test_release(request, tmp_path, miniatures, name):
    folder = request.getfixturevalue(f"{name}_release")
    splits = load_lines(name, data_dir=folder, cache_dir=tmp_path / "cache")
    found = texts_of(splits)
    assert found == getattr(miniatures, name.upper())
    assert all(set(text) <= set(ALPHABETS[name]) for lines in found.values() for text in lines.values())
    assert all(image.width > 20 and image.height > 10 for lines in splits.values() for image in lines["image"])


@pytest.mark.parametrize("name", RELEASES)
def test_layout_of_the_papers_code(tmp_path, miniatures, name):
    texts = getattr(miniatures, name.upper())
    folder = miniatures.write_ln(tmp_path / "data", texts, ".jpg" if name == "lam" else ".png")
    assert texts_of(load_lines(name, data_dir=folder, cache_dir=tmp_path / "cache")) == texts


@pytest.mark.parametrize("name", RELEASES)
def test_archives_as_downloaded(request, tmp_path, miniatures, name):
    folder = miniatures.pack(name, request.getfixturevalue(f"{name}_release"), tmp_path / "archives")
    assert {path.suffix for path in folder.iterdir()} <= {".tgz", ".zip", ".ln"}
    found = texts_of(load_lines(name, data_dir=folder, cache_dir=tmp_path / "cache"))
    assert found == getattr(miniatures, name.upper())

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the benchmarks' tests."""

import shutil
from pathlib import Path

import pytest

from htr_convtext.benchmarks import timing

TEXTS = ["one", "two words", "a third line", "four"]


@pytest.fixture(autouse=True)
def small_matrix_products(monkeypatch):
    """What tells the machine's rate would take longer than the networks of the tests."""
    monkeypatch.setattr(timing, "MATRIX_SIDE", 64)


@pytest.fixture
def line_folders(line_images, tmp_path):
    """Two folders of a few real lines; the transcriptions are made up."""
    folders = []
    for number, name in enumerate(("first", "second")):
        for split, count in (("train", 4), ("val", 2)):
            folder = tmp_path / name / split
            folder.mkdir(parents=True)
            for i in range(count):
                source = line_images[8 * number + 2 * i]
                shutil.copy(source, folder / f"{split}-{i}{Path(source).suffix}")
                (folder / f"{split}-{i}.txt").write_text(TEXTS[i], encoding="utf-8")
        folders.append(str(tmp_path / name))
    return folders

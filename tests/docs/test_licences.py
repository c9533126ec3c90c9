# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of licences names every package that comes along, and nothing under the GPL does."""

import re
import runpy

import pytest


@pytest.fixture(scope="module")
def licences(root):
    return runpy.run_path(str(root / "docs" / "licences.py"))


def rows_of(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {name: rest for name, *rest in rows}


def test_the_page_is_the_table_of_what_is_installed(root, licences):
    try:
        found = rows_of(licences["table"]())
    except SystemExit as error:
        pytest.skip(str(error))
    page = rows_of((root / "docs" / "licences.md").read_text(encoding="utf-8"))
    pinned = re.findall(r"^[\w.-]+(?===)", (root / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    # What is not pinned, such as setuptools, may say it in other words in another version.
    assert {name: row for name, row in found.items() if name in pinned and page.get(name) != row} == {}
    assert found.keys() <= page.keys()
    assert not [name for name, (named, _) in found.items() if re.search(r"\bA?GPL|(?<!Lesser )General Public", named)]


def test_an_extra_brings_what_the_extras_bring_that_it_names(licences):
    try:
        names = licences["names_brought_by"](licences["asked_for"]()["workbench"])
    except SystemExit as error:
        pytest.skip(str(error))
    assert {"gradio", "ufal-flashlight-text", "rapidocr", "datasets"} <= names and "openvino" not in names

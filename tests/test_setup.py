# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is installed is what is there; every file says whose it is and on what terms."""

import configparser
import re

import pytest

HEADER = re.compile(
    r"(#!.*\n)?# Copyright 2026 The HTR-ConvText for transformers authors\.\n# SPDX-License-Identifier: Apache-2\.0\n"
)
NOT_INSTALLED = {"benchmarks"}


@pytest.fixture(scope="module")
def setup(root) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(root / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_but_the_benchmarks_is_installed(setup, root):
    folders = {path.parent.relative_to(root).parts for path in root.rglob("__init__.py") if ".venv" not in path.parts}
    expected = {".".join(("htr_convtext", *parts)) for parts in folders if not NOT_INSTALLED & {*parts}}
    assert set(setup["options"]["packages"].split()) == expected


def test_every_file_of_code_begins_with_its_licence(root):
    wrong = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if {".venv", "build", "node_modules"} & {*name.parts} or not (text := path.read_text(encoding="utf-8")):
            continue
        if not HEADER.match(text):
            wrong.append(name.as_posix())
    assert not wrong, f"no licence at the head of {', '.join(wrong)}"

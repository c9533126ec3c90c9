# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the outputs: readings without a network, and the official schema of PAGE 2019."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from lxml import etree

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def transcribed() -> ModuleType:
    """The module that makes transcribed pages."""
    return load("transcribed")


@pytest.fixture(scope="session")
def xml_difference() -> ModuleType:
    """The module that tells what differs between two XML files."""
    return load("xml_difference")


@pytest.fixture(scope="session")
def page_schema() -> etree.XMLSchema:
    """PAGE's official schema of 2019, as the package ocrd ships it; `make test` installs that one alone."""
    found = importlib.util.find_spec("ocrd_validators")
    if found is None:
        pytest.skip("no official schema of PAGE: `make test` installs ocrd, which has it")
    return etree.XMLSchema(etree.parse(Path(found.submodule_search_locations[0], "page.xsd")))


@pytest.fixture(scope="session")
def schema_rules() -> ModuleType:
    """The module that knows what the schemas ask of what is written."""
    return load("schema_rules")

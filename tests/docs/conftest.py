# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of what is written for readers."""

import importlib.util
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def rooms(root) -> ModuleType:
    """docs/rooms.py, which is a script."""
    spec = importlib.util.spec_from_file_location("rooms", root / "docs" / "rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

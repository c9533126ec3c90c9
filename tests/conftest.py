"""Fixtures for every test: the golden numbers, real handwriting where it is at hand, the second transformers."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # No test may depend on the network.

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
OLDEST_TRANSFORMERS = Path(sys.prefix) / "transformers-4.57"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves browser tests out where there is no Chromium, and says so in the summary."""
    if shutil.which("chromium"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="browser test left out: no chromium on the PATH"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout, which is also the package."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden numbers; see its README.md."""
    return TESTS / "golden"


@pytest.fixture(scope="session")
def golden_weights(golden: Path) -> ModuleType:
    """The module that draws the golden weights from their names."""
    spec = importlib.util.spec_from_file_location("golden_weights", golden / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared_lines() -> Path:
    """Real handwritten lines beside the checkout; a test that wants them is skipped where they are absent."""
    path = ROOT.parent / "shared" / "lines"
    if not path.is_dir():
        pytest.skip(f"no handwritten lines at {path}")
    return path


@pytest.fixture(scope="session")
def oldest_transformers() -> Path:
    """A folder with transformers 4.57 and what it needs, for the PYTHONPATH of a subprocess."""
    if not (OLDEST_TRANSFORMERS / "transformers").is_dir():
        pytest.skip(f"no transformers 4.57 at {OLDEST_TRANSFORMERS}: `make test` installs it")
    return OLDEST_TRANSFORMERS

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
transformers' own common tests of models, configurations, processors and tokenizers, on ours.

They are in the source distribution of transformers: fetched at test time, of the very version that is installed, into
a folder of the user's cache. What fails must be exactly what expected_failures.toml lists, with a reason for each.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import pytest
import transformers

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "htr_convtext"

# What the common tests import from folders that the source distribution leaves out: of the mixins only the names, for
# a model that neither generates nor has exporter settings in transformers; of the rest, what a test needs of it.
STAND_INS = {
    "__init__.py": "",
    "exporters/__init__.py": "",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/__init__.py": "",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/__init__.py": "",
    "utils/test_configuration_utils.py": (
        "config_common_kwargs = {\n"
        '    "return_dict": False,\n'
        '    "output_hidden_states": True,\n'
        '    "output_attentions": True,\n'
        '    "dtype": "float16",\n'
        '    "chunk_size_feed_forward": 5,\n'
        '    "architectures": ["SomeModel"],\n'
        '    "id2label": {0: "label"},\n'
        '    "label2id": {"label": 0},\n'
        '    "problem_type": "regression",\n'
        "}\n"
    ),
    "fixtures/sample_text.txt": "The quick brown fox jumps over the lazy dog.\n",
    "../fetch_hub_objects_for_ci.py": "def url_to_local_path(url):\n    return url\n",
}


def fetch_common_tests(version: str) -> Path:
    """A folder for PYTHONPATH whose package `transformers_tests` is the folder tests/ of this version's source."""
    folder = CACHE / f"transformers-{version}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as partial:
            unpack_tests(download_source(version, Path(partial)), Path(partial) / "whole" / "transformers_tests")
            os.replace(Path(partial) / "whole", folder)
    return folder


def download_source(version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "transformers"]
    result = subprocess.run(
        [*command, "--dest", str(folder), f"transformers=={version}"], capture_output=True, text=True
    )
    if result.returncode:
        pytest.skip(f"the source of transformers {version} could not be fetched: {result.stderr.strip()[-300:]}")
    return next(folder.glob("transformers-*.tar.gz"))


def unpack_tests(source: Path, package: Path) -> None:
    package.mkdir(parents=True)
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            _, _, name = member.name.partition("/tests/")
            file = archive.extractfile(member)
            if name.endswith(".py") and "/" not in name and file is not None:
                (package / name).write_bytes(file.read())
    for name, text in STAND_INS.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def run_common_tests(suite: str, common_tests: Path, folder: Path) -> dict[str, str]:
    """Outcome of every test of a suite, "passed", "skipped" or "failed", by its class and name."""
    report = folder / "report.xml"
    python_path = os.pathsep.join(filter(None, [str(common_tests), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-W", "ignore", "-p", "no:cacheprovider"]
    # An empty configuration: the common tests bring markers that ours does not know.
    command += ["--import-mode=importlib", "-c", os.devnull, f"--rootdir={folder}", f"--junitxml={report}"]
    result = subprocess.run(
        [*command, str(HERE / f"{suite}_suite.py")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": python_path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    print(result.stdout)
    assert result.returncode in (0, 1), result.stdout[-3000:] + result.stderr[-3000:]
    return outcomes_of(report)


def outcomes_of(report: Path) -> dict[str, str]:
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}".removeprefix("::")
        tags = {element.tag for element in case}  # several where subtests failed or were skipped
        outcomes[test] = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
    return outcomes


def expected_failures(suite: str, version: str) -> dict[str, str]:
    """Reasons of the failures that are expected in this version of transformers, by test."""
    tables = tomllib.loads((HERE / "expected_failures.toml").read_text(encoding="utf-8"))[suite]
    release = ".".join(version.split(".")[:2])
    return {**tables["every_release"], **tables.get(release, {})}


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["modeling", "processing"])
def test_common_tests_fail_only_where_expected(suite, tmp_path):
    pytest.importorskip("parameterized", reason="transformers' common tests need the package parameterized")
    version = transformers.__version__
    outcomes = run_common_tests(suite, fetch_common_tests(version), tmp_path)
    print(f"transformers {version}, {suite}: {dict(Counter(outcomes.values()))}")
    failed = {test for test, outcome in outcomes.items() if outcome == "failed"}
    expected = set(expected_failures(suite, version))
    assert sorted(failed - expected) == [], "new failures"
    assert sorted(expected - failed) == [], "no longer failing: take them out of expected_failures.toml"

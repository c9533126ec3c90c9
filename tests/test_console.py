# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Commands on consoles that lack characters, as cp1252 lacks most."""

import ast
import os
import subprocess
import sys
from pathlib import Path

PRINTERS = sorted(
    path
    for path in Path(__file__).resolve().parent.parent.glob("**/*.py")
    if not {"tests", "benchmarks", "docs", "examples", "pages", "workbench"} & set(path.parts)
    and not path.parent.name.startswith("htr-convtext-")
)


def calls(path: Path) -> set[str]:
    """Names of the functions that a file calls on their own; `print` to standard output only."""
    called = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            elsewhere = any(keyword.arg == "file" for keyword in node.keywords)
            called.add(node.func.id + " elsewhere" * elsewhere)
    return called


def test_every_command_that_prints_can_print_any_character():
    printing = [path for path in PRINTERS if "print" in (called := calls(path)) and "main" in called]
    assert len(printing) > 10
    assert [path.name for path in printing if "print_any_character" not in calls(path)] == []


def test_names_that_the_console_lacks_are_printed_all_the_same(tmp_path):
    name = "\u041f\u0438\u0441\u044c\u043c\u043e e\u0301tude \u2042 \U0001f58b"
    folder = tmp_path / name
    folder.mkdir()
    words = [sys.executable, "-m", "htr_convtext.hub_upload.copy_code", str(folder)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    ended = subprocess.run(words, env=environment, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode("cp1252")[-2000:]
    assert name.encode("cp1252", "backslashreplace") in ended.stdout
    assert (folder / "modeling_htr_convtext.py").is_file()

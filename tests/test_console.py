# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Commands on consoles that lack characters, as cp1252 lacks most."""

import ast
import io
import re
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import OfflineModeIsEnabled

from htr_convtext.console import hub_errors
from htr_convtext.hub_upload import copy_code
from htr_convtext.hub_upload import push as push_model
from htr_convtext.line_datasets import push as push_lines

ROOT = Path(__file__).resolve().parent.parent
PRINTERS = sorted(
    path
    for path in [*ROOT.glob("*.py"), *ROOT.glob("[a-z]*/**/*.py")]
    if not {"tests", "benchmarks", "docs", "examples", "pages", "workbench"} & set(path.relative_to(ROOT).parts)
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


def test_names_that_the_console_lacks_are_printed_all_the_same(monkeypatch, tmp_path):
    name = "\u041f\u0438\u0441\u044c\u043c\u043e e\u0301tude \u2042 \U0001f58b"
    folder = tmp_path / name
    folder.mkdir()
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    copy_code.main([str(folder)])
    console.flush()
    assert name.encode("cp1252", "backslashreplace") in console.buffer.getvalue()
    assert (folder / "modeling_htr_convtext.py").is_file()


UNREACHABLE = [OfflineModeIsEnabled("Cannot reach it:\noffline."), *(kind("No\nroute.") for kind in hub_errors())]


@pytest.mark.parametrize("error", UNREACHABLE, ids=lambda error: type(error).__name__)
def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch, root, tmp_path, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", fail)
    sentence = re.escape(" ".join(str(error).split()))
    with pytest.raises(SystemExit, match=f"^.*me/model was not uploaded: {sentence}$"):
        push_model.main([str(root / "hub_upload" / "htr-convtext-fr"), "me/model"])
    folder = tmp_path / "lines"
    lines = ["lines", "--data_dir", str(root / "examples"), "--license", "mit", "--folder", str(folder)]
    told = f"^me/lines was not uploaded; {re.escape(str(folder))} is whole: {sentence}$"
    with pytest.raises(SystemExit, match=told):
        push_lines.main([*lines, "--repo_id", "me/lines"])
    assert list(folder.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--lines_per_file", "0", "--lines_per_file: must be at least 1. Got 0."),
        ("--lines_per_file", "many", "--lines_per_file: must be a whole number. Got many."),
        ("--folder", __file__, f"--folder: {__file__} is a file. Name a folder."),
        ("--lines_per_file", "-1", "must be at least 1. Got -1."),
    ],
)
def test_values_of_options_that_cannot_be_are_told_before_any_work(capsys, option, value, message):
    arguments = ["--data_dir", "nowhere", "--folder", "new", "--license", "cc0-1.0", option, value]
    with pytest.raises(SystemExit) as ended:
        push_lines.main(arguments)
    assert ended.value.code == 2 and message in capsys.readouterr().err

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The installed package's command."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import htr_convtext
from htr_convtext import __main__ as htr_main


def run(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["htr-convtext", *arguments])
    htr_main.main()


def test_help_and_version(monkeypatch, capsys):
    run(monkeypatch)
    run(monkeypatch, "--help")
    first, second = capsys.readouterr().out.split("htr-convtext COMMAND [options]")[1:]
    assert first == second and all(re.search(rf"^  {name} ", first, re.MULTILINE) for name in htr_main.COMMANDS)
    run(monkeypatch, "--version")
    assert capsys.readouterr().out == f"htr-convtext {htr_convtext.__version__}\n"


@pytest.mark.parametrize("name", htr_main.COMMANDS)
def test_every_command_has_its_own_help(name, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, name, "--help")
    assert not ended.value.code and "--" in capsys.readouterr().out


def test_another_command_is_named(monkeypatch):
    with pytest.raises(SystemExit, match="there is no command 'transcrib'"):
        run(monkeypatch, "transcrib")


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "htr_convtext.transcribe", None)
    monkeypatch.delattr(htr_convtext, "transcribe", raising=False)
    with pytest.raises(SystemExit, match=r"htr-convtext transcribe needs .*\[pages\]"):
        run(monkeypatch, "transcribe", "page.jpg")


@pytest.mark.parametrize("name", htr_main.COMMANDS)
def test_a_command_is_a_main_that_needs_no_argument(name):
    main = importlib.import_module(f"htr_convtext.{htr_main.COMMANDS[name][0]}").main
    assert all(parameter.default is not parameter.empty for parameter in inspect.signature(main).parameters.values())


def test_an_error_is_a_sentence_and_a_status(tmp_path):
    """As a process of its own, away from the repository."""
    command = [sys.executable, "-m", "htr_convtext", "push", str(tmp_path), "me/model"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1 and "is not a complete model folder" in ended.stderr
    assert "Traceback" not in ended.stderr and not list(Path(tmp_path).iterdir())

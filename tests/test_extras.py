# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever needs an extra that is missing says so in the same words."""

import importlib
import re
import runpy
import subprocess
import sys

import pytest

from htr_convtext import extras, language_model_htr_convtext
from htr_convtext.extras import MissingExtraError, needing
from htr_convtext.line_datasets.labels import visual_order
from htr_convtext.pages.pdf_files import open_pdf

SENTENCE = r'needs {}, which is not installed: pip install -e "\.\[{}\]" -c constraints\.txt in the checkout'


@pytest.mark.parametrize("extras", ["pages", "train,export"])
def test_packages_that_are_missing_are_named_with_their_extra(extras):
    with pytest.raises(MissingExtraError, match="^Something " + SENTENCE.format("no_such_package", extras) + "$"):
        with needing("Something", extras):
            import no_such_package  # noqa: F401


def test_packages_that_are_broken_say_why():
    with pytest.raises(ImportError, match=r"^Something needs what cannot be loaded \(cannot import name 'no_such"):
        with needing("Something"):
            from json import no_such_function  # noqa: F401


def test_the_outermost_need_is_named():
    with pytest.raises(MissingExtraError, match="^Outside " + SENTENCE.format("no_such_package", "train")):
        with needing("Outside", "train"), needing("Inside", "lm"):
            import no_such_package  # noqa: F401


def test_an_installed_package_has_no_checkout(monkeypatch):
    monkeypatch.setattr(extras, "IN_CHECKOUT", False)
    with pytest.raises(MissingExtraError, match=r'not installed: pip install "htr-convtext\[lm\]"$'):
        with needing("Something", "lm"):
            import no_such_package  # noqa: F401


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-m", "htr_convtext.export.convert", "--help"], True),
        (["python", "-X", "utf8", "-m", "htr_convtext", "train"], True),
        (["python", "-m", "pytest", "htr_convtext"], False),
        (["python", "train_hf.py"], True),
        (["python", "-u", "../htr_convtext/transcribe.py", "examples"], True),
        (["python", "examples/train_hf.py"], False),
        (["python", "-m"], False),
    ],
)
def test_commands_of_the_package_are_known(monkeypatch, root, words, expected):
    monkeypatch.chdir(root)
    words = [word.replace("../htr_convtext", f"../{root.name}") for word in words]
    assert extras.is_command(words) == expected


def test_a_command_says_what_is_missing_and_nothing_else(capsys):
    for error in (MissingExtraError("Something", "x, which is not installed", "lm"), ValueError("of the program")):
        extras.say_what_is_missing(type(error), error, None)
    said = capsys.readouterr().err
    assert said.startswith("Something needs x, which is not installed: pip install")
    assert "ValueError: of the program" in said and "MissingExtraError" not in said


@pytest.mark.parametrize(("script", "extra"), [("transcribe.py", "pages"), ("train_hf.py", "train")])
def test_scripts_name_the_extra_that_they_need(script, extra, root, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate" if extra == "pages" else "datasets", None)
    with pytest.raises(MissingExtraError, match=f"^{script} " + SENTENCE.format(r"\w+", extra)):
        runpy.run_path(str(root / script))


WITHOUT_EXTRAS = """
import importlib, sys
sys.modules.update(dict.fromkeys(("defusedxml", "jiwer", "lxml")))
from htr_convtext import __main__ as command
print(command.describe_commands())
for room in ("pages", "line_datasets", "training", "decoding.build", "decoding.tune"):
    try:
        importlib.import_module(f"htr_convtext.{room}")
    except ImportError as error:
        print(room, "|", error)

del sys.modules["defusedxml"], sys.modules["jiwer"]
sys.modules.update(dict.fromkeys(("pypdf", "pypdfium2", "rapidocr")))
import htr_convtext.line_datasets, htr_convtext.training as training
assert "evaluate" not in sys.modules and training.HTRConvTextErrorRates and "evaluate" in sys.modules
sys.modules["fontTools.fontBuilder"] = None  # Drawing curves needs the rest of fontTools.
import htr_convtext.pages.outputs
"""


@pytest.fixture(scope="module")
def without_extras(root):
    """What a process says where first nothing that an extra brings can be imported, and then nothing of pages only."""
    return subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], cwd=root.parent, capture_output=True, text=True)


def test_the_core_alone_has_the_command_and_every_room_says_what_it_lacks(without_extras):
    said = dict(line.split(" | ") for line in without_extras.stdout.splitlines() if " | " in line)
    assert "transcribe" in without_extras.stdout
    extras = {"pages": "pages", "line_datasets": "train", "training": "train"}
    extras |= {"decoding.build": "train", "decoding.tune": "train,lm"}
    for room, extra in extras.items():
        assert re.search(SENTENCE.format(r"\w+", extra), said[room])


def test_without_pages_lines_load_and_train_and_writing_names_the_extra(without_extras):
    """Nor does training import evaluate, until its metric is asked for."""
    assert without_extras.returncode == 1
    last = without_extras.stderr.strip().splitlines()[-1]
    assert re.search("Writing transcribed pages " + SENTENCE.format(r"fontTools\.fontBuilder", "pages"), last)


def open_no_pdf() -> None:
    with open_pdf("none.pdf"):
        pass


@pytest.mark.parametrize(
    ("absent", "named", "extra", "need"),
    [
        ("pypdfium2", "pypdfium2", "pages", open_no_pdf),
        ("bidi.algorithm", "bidi.algorithm", "bidi", lambda: visual_order("a")),
        ("flashlight.lib.text", "flashlight-text", "lm", lambda: language_model_htr_convtext.load_engine("a", None)),
    ],
)
def test_every_extra_is_named_alike(monkeypatch, absent, named, extra, need):
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ImportError, match=SENTENCE.format(named, extra)):
        need()


@pytest.mark.parametrize(
    ("room", "absent", "extra"), [("line_datasets", "datasets", "train"), ("export", "onnxruntime", "export")]
)
def test_rooms_of_an_extra_name_it(monkeypatch, room, absent, extra):
    room = f"htr_convtext.{room}"
    for name in [name for name in sys.modules if name == room or name.startswith(f"{room}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ImportError, match=SENTENCE.format(absent, extra)):
        importlib.import_module(room)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What readers are told is so: links lead somewhere, commands exist with their options, Python runs as printed."""

import configparser
import contextlib
import functools
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "recipes/*.md", "examples/*.md", "hub_upload/*/*.md", "benchmarks/results/*")
    for path in ROOT.glob(pattern)
)
READ_AND_RUN = ("README.md", "docs/data.md", "docs/inference.md", "docs/pages.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# A command in running text, between backticks, or on a line of its own.
COMMAND = re.compile(r"(?:python(?: -m)?|accelerate launch|make|pip install) [^`|\n]+")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8").replace("\\\n", " ")


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    prose = FENCE.sub("", text_of(page))
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{relative(page)}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{relative(page)}: {link} names no heading"


def commands(page: Path) -> Iterator[list[str]]:
    """Words of every command that a page prints: in its blocks and indented lines, and between backticks."""
    text = text_of(page)
    blocks = [body for kind, body in FENCE.findall(text) if kind in ("sh", "")]
    prose = FENCE.sub("", text)
    indented = re.findall(r"^(?:    |\$ ).+$", prose, flags=re.MULTILINE)
    quoted = re.findall(r"`([^`\n]+)`", prose)
    for line in [*"\n".join(blocks).splitlines(), *indented, *quoted]:
        for command in COMMAND.findall(line.partition("   #")[0]):
            with contextlib.suppress(ValueError):  # an apostrophe: prose that begins like a command
                yield shlex.split(command)


@functools.cache
def options(command: str) -> set[str]:
    """Options that a module of the project, or a script, names when it is asked for help."""
    printed = io.StringIO()
    arguments, sys.argv = sys.argv, [command, "--help"]
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            if command.endswith(".py"):
                runpy.run_path(str(ROOT / command), run_name="__main__")
            else:
                runpy.run_module(command, run_name="__main__")
    finally:
        sys.argv = arguments
    return set(re.findall(r"--[\w-]+", printed.getvalue()))


def check_options(words: list[str], command: str) -> None:
    for word in words:
        if " " in word:  # options for another command
            check_options(word.split(), "train_hf.py")
        elif word.startswith("--") and word != "--":
            assert word.partition("=")[0] in options(command), f"{command} has no option {word}"


def check_command(words: list[str]) -> None:
    """Fails if a command names a module, a script, an option, a recipe, a target or an extra that does not exist."""
    if words[:1] == ["make"]:
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert words[1] in targets, f"no target {words[1]} in the Makefile"
    elif words[:2] == ["pip", "install"]:
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        for extra in re.findall(r"[\w]+", "".join(re.findall(r"\.\[(.*?)\]", " ".join(words)))):
            assert extra in setup["options.extras_require"], f"no extra {extra} in setup.cfg"
    elif words[:2] == ["python", "-m"]:
        if words[2].startswith("htr_convtext"):
            own = words[3 : words.index("--")] if "--" in words else words[3:]
            check_options(own, words[2])
            check_options(words[3 + len(own) :], "train_hf.py")
    else:
        check_script(words)
    for word in words:
        if re.match(r"(recipes|examples)/\S+\.\w+$", word):
            assert any(ROOT.glob(word)), f"there is no {word}"


def check_script(words: list[str]) -> None:
    scripts = [word for word in words if word.endswith(".py")]
    if scripts:
        assert (ROOT / scripts[0]).is_file(), f"there is no {scripts[0]}"
        check_options(words[words.index(scripts[0]) :], scripts[0])


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands_exist(page):
    for words in commands(page):
        try:
            check_command(words)
        except AssertionError as error:
            raise AssertionError(f"{relative(page)}: {shlex.join(words)}: {error}") from error


# A line that goes on in the next, two commands in one, variables before a command, patterns that the shell fills in.
NOT_FOR_POWERSHELL = re.compile(r"\\$|&&|^\w+=|\$\(|[*?]\.\w|'|~/")


@pytest.mark.parametrize("name", ["README.md", *(relative(page) for page in PAGES if page.parent.name == "docs")])
def test_commands_are_for_powershell_too(name):
    blocks = [body for kind, body in FENCE.findall((ROOT / name).read_text(encoding="utf-8")) if kind == "sh"]
    lines = [line for body in blocks for line in body.splitlines() if not line.startswith("make ")]
    assert [line for line in lines if NOT_FOR_POWERSHELL.search(line)] == []


def test_the_pages_have_commands_to_check():
    found = [words for page in PAGES for words in commands(page)]
    assert len(found) > 60 and sum(words[:1] == ["accelerate"] for words in found) > 10


@pytest.mark.parametrize(
    "command",
    [
        "python -m htr_convtext.export.verify --model hub_upload/htr-convtext-fr --aproximate",
        "python -m htr_convtext.benchmarks.trainings --variant a b --output_dir o --table t -- --sam_rh 0",
        "accelerate launch train_hf.py recipes/no_such.yaml --data_dir my_lines",
        "accelerate launch train_hf.py --data_dirs my_lines",
        "python examples/draw_readings.py",
        "make reads",
        'pip install -e ".[trains]"',
    ],
)
def test_a_command_that_does_not_exist_is_found(command):
    with pytest.raises(AssertionError):
        check_command(shlex.split(command))


def python_blocks(page: Path) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == "python"]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_python_compiles(page):
    for block in python_blocks(page):
        compile(block, relative(page), "exec")


@pytest.mark.parametrize("name", READ_AND_RUN)
def test_python_runs_as_printed(name, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    text = (root / name).read_text(encoding="utf-8")
    blocks = FENCE.findall(text)
    assert any(kind == "python" for kind, _ in blocks)
    for (kind, block), (_, output) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "python":
            exec(compile(block, name, "exec"), {"__name__": "__main__"})
            printed = capsys.readouterr().out
            assert printed.strip()
            if f"{block}```\n\n```text\n{output}" in text:
                assert printed == output, f"{name} shows what another model read"


def test_readme_shows_what_its_python_prints():
    kinds = [kind for kind, _ in FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert kinds[kinds.index("python") + 1] == "text"


def test_readme_is_a_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_picture_shows_what_the_model_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["draw_reading.py", "--output", str(tmp_path / "reading.svg")])
    runpy.run_path(str(ROOT / "examples" / "draw_reading.py"), run_name="__main__")
    drawn = (tmp_path / "reading.svg").read_text(encoding="utf-8")
    shown = (ROOT / "docs" / "reading.svg").read_text(encoding="utf-8")
    assert drawn.count("<text") == 6
    assert drawn == shown, "Run: python examples/draw_reading.py"


def test_the_figure_names_classes_in_the_files_order(root):
    figure = (
        (root / "docs" / "architecture.md").read_text(encoding="utf-8").partition("```text")[2].partition("```")[0]
    )
    code = (root / "modeling_htr_convtext.py").read_text(encoding="utf-8")
    boxes = [
        *("HTRConvTextBasicLayer", "HTRConvTextMobileViTLayer", "HTRConvTextBackboneStage", "HTRConvTextBackbone"),
        *("HTRConvTextFeedForward", "HTRConvTextConvolutionModule", "HTRConvTextEncoderLayer"),
        *("HTRConvTextDownsample", "HTRConvTextUpsample", "HTRConvTextEncoder"),
        *("HTRConvTextModel", "HTRConvTextForCTC", "HTRConvTextTCM"),
    ]
    places = [code.index(f"class {name}(") for name in boxes]
    assert places == sorted(places), "a part comes before what it is a part of"
    assert set(re.findall(r"HTRConvText\w+", figure)) == set(boxes)

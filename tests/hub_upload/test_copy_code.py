# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The released folders hold the checkout's code as real files, and load wherever they are copied to."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_relative_imports

from htr_convtext.hub_upload.copy_code import MODELING, code_files, copy_code, released_folders

COMMAND = "python -m htr_convtext.hub_upload.copy_code"
# Reads a line with the folder it is given, by remote code alone.
READER = """
import json, sys
from transformers import pipeline
read = pipeline("image-to-text", model=sys.argv[1], trust_remote_code=True)
print(json.dumps({
    "text": read(sys.argv[2])[0]["generated_text"],
    "module": type(read.model).__module__,
    "package": "htr_convtext" in sys.modules,
}))
"""


def test_the_modeling_file_names_all_that_travels():
    """transformers 4.57 copies no more than that beside it, and then misses what those files import."""
    named = {f"{name}.py" for name in get_relative_imports(MODELING)}
    assert named | {MODELING.name} == {path.name for path in code_files()}


@pytest.fixture
def read_elsewhere(run_without_package, root, tmp_path):
    """What a process of its own reads, in a folder with nothing else and with an empty cache of remote code."""

    def read(folder: Path) -> dict:
        workplace = tmp_path / "workplace"
        workplace.mkdir()
        image = root / "examples" / "carnet_4.jpg"
        return json.loads(run_without_package(READER, folder, image, folder=workplace).splitlines()[-1])

    return read


def test_what_travels_is_all_that_stands_at_the_root(root):
    assert code_files() == sorted(root.glob("*_htr_convtext.py"))


@pytest.mark.parametrize("folder", released_folders(), ids=lambda folder: folder.name)
def test_copies_are_equal_to_the_checkouts_code(folder):
    copies = {path.name: path.read_bytes() for path in folder.glob("*.py") if not path.is_symlink()}
    originals = {path.name: path.read_bytes() for path in code_files()}
    differing = sorted(name for name in {*copies, *originals} if copies.get(name) != originals.get(name))
    assert not differing, f"{', '.join(differing)} in {folder.name} must be real copies of the code. Run: {COMMAND}"


def test_links_and_files_that_no_longer_travel_go(tmp_path, root):
    (tmp_path / "old_htr_convtext.py").write_text("old = True\n")
    (tmp_path / "modeling_htr_convtext.py").symlink_to(root / "modeling_htr_convtext.py")
    before = (root / "modeling_htr_convtext.py").read_bytes()
    copy_code(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in code_files()]
    assert not any(path.is_symlink() for path in tmp_path.iterdir())
    assert (root / "modeling_htr_convtext.py").read_bytes() == before


@pytest.mark.parametrize("folder", released_folders(), ids=lambda folder: folder.name)
def test_a_copy_reads_in_an_empty_place(read_elsewhere, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copied", symlinks=True)
    answer = read_elsewhere(tmp_path / "copied")
    assert answer["text"] and answer["module"].startswith("transformers_modules.") and not answer["package"]


@pytest.mark.parametrize("folder", released_folders(), ids=lambda folder: folder.name)
def test_git_has_no_links_there(folder, root):
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this checkout is no git repository")
    listed = subprocess.check_output(["git", "ls-files", "--stage", folder], cwd=root, text=True)
    modes = {line.split()[0] for line in listed.splitlines()}
    assert modes and "120000" not in modes


@pytest.mark.slow  # A copy that reads, and a folder without links, are tested above.
@pytest.mark.parametrize("folder", released_folders(), ids=lambda folder: folder.name)
def test_a_clone_without_links_reads(read_elsewhere, folder, root, tmp_path):
    """As on Windows, where git writes a link as a text file with its target's name."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this checkout is no git repository")
    clone = tmp_path / "clone"
    name = folder.relative_to(root).as_posix()
    subprocess.run(
        ["git", "clone", "--quiet", "--no-checkout", "-c", "core.symlinks=false", root, clone],
        check=True,
    )
    subprocess.run(["git", "-C", clone, "checkout", "--quiet", "HEAD", "--", name], check=True)
    answer = read_elsewhere(clone / name)
    assert answer["text"] and answer["module"].startswith("transformers_modules.")

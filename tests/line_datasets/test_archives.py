# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Archives are unpacked once, and never outside their folder."""

import io
import os
import tarfile
import zipfile

import pytest

from htr_convtext.line_datasets import LineDataError
from htr_convtext.line_datasets.archives import unpacked


def add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def no_links(source, target):
    """Windows, for who is no administrator."""
    raise OSError("[WinError 1314] A required privilege is not held by the client")


@pytest.mark.parametrize("links", [True, False])
def test_tar_and_zip_beside_plain_files(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "symlink", no_links)
    root = tmp_path / "iam"
    root.mkdir()
    (root / "lines" / "a01").mkdir(parents=True)
    (root / "lines" / "a01" / "x.png").write_text("of the user")
    (root / "train.txt").write_text("list")
    with tarfile.open(root / "lines.tgz", "w:gz") as archive:
        add_file(archive, "a01/x.png", b"image")
        link = tarfile.TarInfo("a01/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with zipfile.ZipFile(root / "split.zip", "w") as archive:
        archive.writestr("testset.txt", "ids")
    folder = unpacked(root, str(tmp_path / "cache"))
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"train.txt", "lines/a01/x.png", "testset.txt"}
    assert unpacked(root, str(tmp_path / "cache")) == folder
    assert (root / "lines" / "a01" / "x.png").read_text() == "of the user"


@pytest.mark.parametrize("cache", ["cache", "data/cache"])
def test_a_file_added_at_any_depth_beside_archives_is_seen(tmp_path, cache):
    root = tmp_path / "data"
    (root / "splits" / "aachen").mkdir(parents=True)
    with zipfile.ZipFile(root / "lines.zip", "w") as archive:
        archive.writestr("lines.txt", "lines")
    before = unpacked(root, str(tmp_path / cache))
    assert unpacked(root, str(tmp_path / cache)) == before
    (root / "splits" / "aachen" / "train.txt").write_text("list")
    after = unpacked(root, str(tmp_path / cache))
    assert {path.name for path in after.rglob("*") if path.is_file()} == {"lines.txt", "train.txt"}


def test_members_outside_and_damaged_archives_are_named(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    with zipfile.ZipFile(root / "evil.zip", "w") as archive:
        archive.writestr("../escaped.txt", "x")
    with tarfile.open(root / "evil.tgz", "w:gz") as archive:
        add_file(archive, "/absolute.txt", b"x")
    (root / "broken.zip").write_bytes(b"PK")
    with pytest.raises(LineDataError) as caught:
        unpacked(root, str(tmp_path / "cache"))
    text = "\n".join(caught.value.problems)
    assert "evil.zip: member ../escaped.txt would lie outside" in text
    assert "evil.tgz: member /absolute.txt would lie outside" in text
    assert "broken.zip: damaged archive" in text
    assert not (tmp_path / "escaped.txt").exists() and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("place", [0.3, 0.9])
def test_a_damaged_xz_archive_is_named(tmp_path, place):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "lines.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for number in range(9):
            add_file(archive, f"{number}.png", os.urandom(30_000))
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at : at + 50_000] = bytes(len(content[at : at + 50_000]))
    path.write_bytes(content)
    with pytest.raises(LineDataError, match="lines.tar.xz: damaged archive"):
        unpacked(tmp_path / "data", str(tmp_path / "cache"))


def test_an_encrypted_archive_is_named(tmp_path):
    path = tmp_path / "lines.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"image")
    content = path.read_bytes()
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(header) + flags
        content = content[:at] + b"\x01" + content[at + 1 :]  # As zip -e marks it.
    path.write_bytes(content)
    with pytest.raises(LineDataError, match="lines.zip: cannot be unpacked .*encrypted"):
        unpacked(path, str(tmp_path / "cache"))


def test_folder_without_archives_is_taken_as_it_is(tmp_path):
    assert unpacked(tmp_path, None) == tmp_path


def test_a_file_that_is_no_archive_is_not_called_a_damaged_one(tmp_path):
    (tmp_path / "line.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(LineDataError, match="line.jpg: this is a file, and a folder or an archive is expected"):
        unpacked(tmp_path / "line.jpg", str(tmp_path / "cache"))

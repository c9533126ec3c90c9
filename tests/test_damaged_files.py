# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Files with bytes put in, cut out, doubled or swapped: whatever opens them reads them, or refuses them with a sentence.

pytest tests/test_damaged_files.py --examples 5000 -m ""   # other ones for each kind of file, with the slow kinds
"""

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from htr_convtext import HTRConvTextDecoder, HTRConvTextForCTC, HTRConvTextProcessor
from htr_convtext.decoding.ngrams import estimate, write_arpa
from htr_convtext.hub_upload.convert_original import convert
from htr_convtext.images_htr_convtext import load_image, to_grey
from htr_convtext.line_datasets import LineDataError, load_lines
from htr_convtext.line_datasets.formats import LinesOptions
from htr_convtext.line_datasets.formats import read as read_any_layout
from htr_convtext.line_datasets.problems import Problems
from htr_convtext.line_datasets.releases import iam, lam, read2016, vnondb
from htr_convtext.pages import ReadingOptions, find_pages
from htr_convtext.pages.kept_pages import KeptPages
from htr_convtext.pages.transcription import prepare_page

TABLES = {
    "metadata.csv": b'file_name,text,split\na.png,"one, two",train\nb.png,three,val\n',
    "metadata.jsonl": b'{"file_name": "a.png", "text": "one"}\n{"file_name": "b.png", "text": "2", "split": "test"}\n',
    "train.txt": b"a.png\tone\nb.png\ttwo\n",
    "train.tsv": b"image\ttext\na.png\tone\nb\th e l <space> y\n",
    "train.ln": b"a.png\nb.png\n",
    "a.gt.txt": b"one \xc3\xa9",
}
PIECES = (
    [b"\x00", b"\x1a", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xf0\x9f\x96\x8b", b"\n", b"\r"]
    + [b"\t", b'"', b",", b";", b"{", b"[", b"}", b"null", b"1e999", b"-1", b"NaN", b"true", b"<space>", b"*", b"|"]
    + [b"../../etc/passwd", b"C:\\x\\a.png", b"/", b"\\", b"a" * 300, b"99999999999", b"0", b"<", b"</", b"/>"]
    + [b"&#0;", b"&a;", b"<!--", b"]]>", b"<Page>", b"<TextLine>", b'points="', b"\xff\xd8", b"IEND"]
)
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content after one to five mishaps."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(changed)))
        end = min(len(changed), start + draw(st.sampled_from([1, 6, 40, 300])))
        numbers = list(NUMBER.finditer(changed))
        match draw(st.sampled_from(["put in", "cut out", "double", "number", "byte", "end"])):
            case "put in":
                changed[start:start] = draw(st.sampled_from(PIECES))
            case "cut out":
                del changed[start:end]
            case "double":
                changed[start:start] = changed[start:end]
            case "number" if numbers:
                start, end = draw(st.sampled_from(numbers)).span()
                changed[start:end] = draw(st.sampled_from([b"-7", b"0", b"1e9", b"x", b"0.5", b""]))
            case "byte" if start < len(changed):
                changed[start] = draw(st.integers(0, 255))
            case "end":
                del changed[start:]
    return bytes(changed)


@pytest.fixture(scope="module")
def try_damage(request):
    """Damages one of some files at random, reads it, and restores it; what reads it raises what it must not."""
    examples = request.config.getoption("--examples")

    def run(files: list[Path], read_again: Callable[[Path], None]) -> None:
        contents = {path: path.read_bytes() for path in files}

        @settings(
            max_examples=examples or 20,
            derandomize=examples is None,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(data=st.data())
        def read(data):
            path = data.draw(st.sampled_from(files))
            path.write_bytes(data.draw(damaged(contents[path])))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read_again(path)
            finally:
                path.write_bytes(contents[path])

        read()

    return run


def allow(error: Exception, path: Path) -> None:
    """Fails unless an error names the file."""
    assert path.name in str(error), f"{path.name} is not named: {type(error).__name__}: {error}"


# Lists, tables and releases of lines


@pytest.mark.parametrize("name", TABLES)
def test_lists_and_tables(tmp_path, try_damage, name):
    for image in ("a", "b"):
        Image.new("L", (50, 20), 255).save(tmp_path / f"{image}.png")
        (tmp_path / f"{image}.txt").write_text("text", encoding="utf-8")
    (tmp_path / name).write_bytes(TABLES[name])

    def read(path: Path) -> None:
        problems = Problems(tmp_path)
        splits = read_any_layout(tmp_path, LinesOptions(), problems)
        lines = [line for split in splits.values() for line in split]
        assert lines or problems.found or b"\n" not in path.read_bytes().strip()  # There may be nothing but a header.
        for line in lines:
            assert line.image.path.parent == tmp_path and line.text.encode("utf-8") is not None

    try_damage([tmp_path / name], read)


RELEASES = {
    "iam": (iam.read, iam.IamOptions),
    "lam": (lam.read, lam.LamOptions),
    "read2016": (read2016.read, read2016.Read2016Options),
    "vnondb": (vnondb.read, vnondb.VnondbOptions),
}


@pytest.mark.parametrize("name", RELEASES)
def test_releases(request, try_damage, name):
    folder = request.getfixturevalue(f"{name}_release")
    read_release, options = RELEASES[name]

    def read(path: Path) -> None:
        problems = Problems(folder)
        for split in read_release(folder, options(), problems).values():
            for line in split:
                line.text.encode("utf-8")

    kinds = (".txt", ".xml", ".json", ".inkml", ".ln", ".csv")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds)
    try_damage(files, read)


@pytest.mark.slow
def test_whole_folders(tmp_path, miniatures, try_damage):
    folder = miniatures.write_ln(tmp_path / "lines", miniatures.LAM)

    def read(path: Path) -> None:
        try:
            load_lines("lines", data_dir=folder, cache_dir=tmp_path / "cache")
        except LineDataError as error:
            allow(error, path)
        finally:
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)

    try_damage(sorted(path for path in folder.rglob("*") if path.is_file()), read)


# Images and pages


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    """A line in every format that people have."""
    folder = tmp_path_factory.mktemp("pictures")
    line = Image.linear_gradient("L").resize((300, 48))
    for name in ("grey.png", "grey.jpg", "grey.tif", "grey.bmp", "grey.gif", "grey.webp", "grey.jp2"):
        line.save(folder / name)
    line.convert("1").save(folder / "bits.tif", compression="group4")
    line.convert("1").save(folder / "bits.png")
    line.convert("RGBA").save(folder / "clear.png")
    line.convert("CMYK").save(folder / "cmyk.jpg")
    line.convert("P").save(folder / "palette.png")
    line.convert("I;16").save(folder / "deep.png")
    line.convert("RGB").save(folder / "deflated.tif", compression="tiff_adobe_deflate")
    line.save(folder / "several.tif", save_all=True, append_images=[line.resize((200, 40))])
    return sorted(folder.iterdir())


def test_images(pictures, try_damage):
    def read(path: Path) -> None:
        try:
            to_grey(load_image(str(path)))
        except (ValueError, OSError) as error:
            allow(error, path)

    try_damage(pictures, read)


@pytest.fixture(scope="module")
def recognizer(model_folder):
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    return HTRConvTextForCTC.from_pretrained(model_folder).as_pipeline(processor)


@pytest.fixture
def page_folder(drawn_pages, tmp_path) -> Path:
    """Pages with PAGE XML and ALTO, and a PDF."""
    pytest.importorskip("pypdfium2", reason="the extra [pages] is not installed")
    for kind in ("page", "alto"):
        (tmp_path / kind).mkdir()
        drawn_pages.write_page(tmp_path / kind, "letter", kind=kind)
    drawn_pages.draw().save(tmp_path / "letter.pdf")
    return tmp_path


@pytest.mark.parametrize("kind", ["page/*.xml", "alto/*.xml", "page/*.png", "*.pdf"])
def test_pages(recognizer, page_folder, try_damage, kind):
    def read(path: Path) -> None:
        with_images = ReadingOptions(images="lines")
        try:
            sources = find_pages([path.parent]).sources
        except (ValueError, OSError):
            return
        for source in sources:
            page = prepare_page(source, recognizer, with_images, "").transcribed
            # An error that no reader has foreseen has the name of its class.
            assert not re.match(r"[A-Z]\w+: ", page.error), page.error

    try_damage(sorted(page_folder.glob(kind)), read)


def test_kept_pages(recognizer, page_folder, tmp_path, try_damage):
    kept = KeptPages(tmp_path / "read", {})
    (source,) = find_pages([page_folder / "page"]).sources
    kept.write(prepare_page(source, recognizer, ReadingOptions(), "").transcribed)

    def read(path: Path) -> None:
        kept.read(source)

    try_damage([kept.path(source)], read)


# Models


@pytest.mark.parametrize(
    ("pattern", "load"),
    [
        ("vocab.json", HTRConvTextProcessor.from_pretrained),
        ("tokenizer_config.json", HTRConvTextProcessor.from_pretrained),
        ("processor_config.json", HTRConvTextProcessor.from_pretrained),
        pytest.param("config.json", HTRConvTextForCTC.from_pretrained, marks=pytest.mark.slow),
        pytest.param("model.safetensors", HTRConvTextForCTC.from_pretrained, marks=pytest.mark.slow),
    ],
)
def test_model_folders(model_folder, tmp_path, try_damage, pattern, load):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder, ignore=shutil.ignore_patterns("*.py"))

    def read(path: Path) -> None:
        try:
            load(folder)
        except (ValueError, OSError) as error:
            assert str(error)

    try_damage([folder / pattern], read)


@pytest.mark.slow
def test_checkpoints_of_the_authors(tmp_path, try_damage):
    path = tmp_path / "best.pth"
    torch.save({"model": {"head.bias": torch.zeros(80)}, "state_dict_ema": {}, "tcm_head": {}}, path)

    def read(path: Path) -> None:
        try:
            convert(path, "iam", tmp_path / "model")
        except (ValueError, OSError) as error:
            assert str(error)
        assert not (tmp_path / "model").exists()

    try_damage([path], read)


def test_language_models(tmp_path, try_damage):
    pytest.importorskip("flashlight.lib.text", reason="the extra [lm] is not installed")
    arpa = write_arpa(estimate(["un deux", "trois"], "deinorstux ", 3))
    HTRConvTextDecoder("deinorstux ", arpa, ["deux"]).save_pretrained(tmp_path)

    def read(path: Path) -> None:
        try:
            HTRConvTextDecoder.from_pretrained(tmp_path)
        except (ValueError, OSError) as error:
            allow(error, path)

    try_damage(sorted(path for path in tmp_path.iterdir() if path.is_file()), read)

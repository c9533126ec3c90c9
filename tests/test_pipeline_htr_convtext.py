# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The pipeline: every form of input, batches that change nothing, what it gives back and what it refuses."""

import base64
import concurrent.futures
import contextlib
import copy
import functools
import gc
import http.server
import io
import json
import multiprocessing
import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import datasets
import numpy as np
import pandas
import pytest
import torch
from PIL import Image, ImageOps
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from htr_convtext import HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor, load_image
from htr_convtext.images_htr_convtext import to_grey
from htr_convtext.pages import read_pages
from htr_convtext.pipeline_htr_convtext import PreparedLine, batches_of_one_width, check_line, join_parts

MODES = {"fixed": {"height": 64, "width": 512}, "aspect": {"height": 64, "width": 1024}}


@pytest.fixture(scope="module")
def model_folder(quick_folder) -> Path:
    """A small network: what is tested is what comes before it and after it."""
    return quick_folder


@pytest.fixture(scope="module")
def model(model_folder) -> HTRConvTextForCTC:
    # In float64 no reading hangs on the order of a sum, which a batch may change.
    return HTRConvTextForCTC.from_pretrained(model_folder, dtype=torch.float64)


@pytest.fixture(scope="module", params=MODES)
def read(request, model, model_folder) -> HTRConvTextPipeline:
    """A pipeline in each of the two modes."""
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    processor.image_processor.keep_aspect_ratio = request.param == "aspect"
    processor.image_processor.size = MODES[request.param]
    return HTRConvTextPipeline(model=model, processor=processor)


@pytest.fixture(scope="module")
def readings(read, line_images) -> list:
    """What the pipeline reads when it sees one line at a time."""
    return [read(line) for line in line_images]


def assert_same(results, expected):
    results = list(results)
    assert [[line["generated_text"] for line in result] for result in results] == [
        [line["generated_text"] for line in result] for result in expected
    ]
    for result, reading in zip(results, expected, strict=True):
        assert result[0]["score"] == pytest.approx(reading[0]["score"], abs=1e-6)


def test_the_lines_lie_on_both_sides_of_512_pixels(readings, line_images):
    widths = []
    for line in line_images:
        with Image.open(line) as image:
            widths.append(image.width * 64 // image.height)
    assert len(widths) == 32 and min(widths) < 512 < max(widths)
    assert len({reading[0]["generated_text"] for reading in readings}) == 32


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("form", [list, iter], ids=["list", "generator"])
def test_lists_and_generators(read, readings, line_images, form, batch_size):
    # One at a time, all of them are in `readings`.
    number = 4 if batch_size == 1 else 32
    lines = line_images[:number] if form is list else (line for line in line_images[:number])
    results = read(lines, batch_size=batch_size)
    assert isinstance(results, list) == (form is list)
    assert_same(results, readings[:number])


def table_of(lines: list[str], **options) -> datasets.Dataset:
    table = datasets.Dataset.from_dict({"image": lines, "text": ["?"] * len(lines)})
    return table.cast_column("image", datasets.Image(**options))


# The same lines in every form that holds many.
FORMS = {
    "tuple": tuple,
    "iterator": iter,
    "map": lambda lines: map(Path, lines),
    "column": lambda lines: table_of(lines)["image"],
    "key dataset": lambda lines: KeyDataset(table_of(lines), "image"),
    "rows": table_of,
    "undecoded rows": lambda lines: table_of(lines, decode=False),
    "streamed rows": lambda lines: table_of(lines).to_iterable_dataset(),
    "list of rows": lambda lines: [{"image": line} for line in lines],
    "list of images": lambda lines: [Image.open(line) for line in lines],
    "list of arrays": lambda lines: [np.asarray(Image.open(line)) for line in lines],
    "list of tensors": lambda lines: [torch.from_numpy(np.array(Image.open(line)))[None] for line in lines],
    "list of base64": lambda lines: [base64.b64encode(Path(line).read_bytes()).decode() for line in lines],
    "list of bytes": lambda lines: [Path(line).read_bytes() for line in lines],
    "list of open files": lambda lines: [io.BytesIO(Path(line).read_bytes()) for line in lines],
}


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_many_lines(read, readings, line_images, form, batch_size):
    assert_same(read(FORMS[form](line_images[::8]), batch_size=batch_size), readings[::8])


def test_an_open_file_is_one_line_as_often_as_it_is_read(read, readings, line_images):
    with open(line_images[0], "rb") as file:
        assert_same([read(file), read(file)], readings[:1] * 2)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_workers(read, readings, line_images, batch_size):
    assert_same(read(line_images[:8], batch_size=batch_size, num_workers=2), readings[:8])


@pytest.mark.parametrize("nothing", [list, tuple, lambda: iter([]), lambda: (line for line in [])])
def test_no_lines_at_all(read, nothing):
    assert list(read(nothing())) == []
    assert list(read(nothing(), batch_size=8)) == []


def test_output_form(read, line_images):
    result = read(line_images[0])
    assert read([line_images[0]]) == [result]
    (line,) = result
    assert set(line) == {"generated_text", "score"}
    assert type(line["generated_text"]) is str and type(line["score"]) is float
    assert 0 < line["score"] <= 1


@pytest.mark.parametrize("batch_size", [1, 4])
def test_segments(read, line_images, batch_size):
    results = read(line_images[:4], batch_size=batch_size, return_segments=True)
    for path, (line,) in zip(line_images[:4], results, strict=True):
        with Image.open(path) as image:
            width = image.width
        assert "".join(item["character"] for item in line["characters"]) == line["generated_text"]
        assert [item["word"] for item in line["words"]] == line["generated_text"].split()
        edges = [edge for item in line["characters"] for edge in (item["start"], item["end"])]
        assert edges == sorted(edges) and 0 <= edges[0] and edges[-1] <= width


@pytest.mark.parametrize("check_lines", [False, True])
def test_segments_reach_the_end_of_long_lines(model, model_folder, line_images, check_lines):
    """Squeezed, or read in parts."""
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    read = HTRConvTextPipeline(model=model, processor=processor)
    image = Image.open(line_images[0]).resize((3000, 64))
    (line,) = read(image, return_segments=True, check_lines=check_lines)
    assert ("notes" in line) == check_lines
    assert 2500 < line["characters"][-1]["end"] <= 3000


@pytest.mark.parametrize("name", ["line.png", "with%20space.png", "with space.png", "é.png"])
def test_urls(read, readings, line_images, tmp_path, monkeypatch, name):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Image.open(line_images[0]).save(tmp_path / name.replace("%20", " "))
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert_same([read(f"{address}/{name}")], readings[:1])
        with pytest.raises(OSError, match=f"{address}/missing.png: the image cannot be downloaded .*404"):
            read(f"{address}/missing.png")
        server.shutdown()
    for bad in (f"{address}/{name}", "http://no host/line.png"):
        with pytest.raises(OSError, match=f"{bad}: the image cannot be downloaded"):
            read(bad)
        assert bad in read([line_images[0], bad], on_error="skip")[1][0]["error"]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({}, torch.float32),
        ({"device": "cpu"}, torch.float32),
        ({"device_map": "auto"}, torch.float32),
        ({"dtype": torch.bfloat16}, torch.bfloat16),
        ({"dtype": "bfloat16", "device": "cpu"}, torch.bfloat16),
    ],
)
def test_devices_and_types(model_folder, line_images, options, dtype):
    read = pipeline("image-to-text", model=str(model_folder), trust_remote_code=True, **options)
    assert type(read).__name__ == "HTRConvTextPipeline" and read.model.dtype == dtype
    results = read(line_images[:3], batch_size=2)
    assert all(result[0]["generated_text"] and 0 < result[0]["score"] <= 1 for result in results)
    if dtype == torch.float32:
        model = HTRConvTextForCTC.from_pretrained(model_folder).to(read.device)
        processor = HTRConvTextProcessor.from_pretrained(model_folder)
        assert_same(results, HTRConvTextPipeline(model=model, processor=processor)(line_images[:3], batch_size=2))


def test_the_task_may_be_left_out(model_folder, line_images):
    read = pipeline(model=str(model_folder), trust_remote_code=True, batch_size=2)
    assert read.task == "image-to-text" and len(read(line_images[:2])) == 2


def test_a_model_makes_its_pipeline(model, model_folder, readings, read, line_images):
    assert_same(model.as_pipeline(read.processor, batch_size=2)(line_images[:2]), readings[:2])


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (4, 0), (2, 2)])
def test_an_error_names_the_image(read, line_images, tmp_path, batch_size, num_workers):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(line_images[0]).read_bytes()[:600])
    lines = [*line_images[:2], str(broken), line_images[3]]
    with pytest.raises(ValueError, match="broken.jpg: .*(truncated|not an image)"):
        read(lines, batch_size=batch_size, num_workers=num_workers)
    tall = tmp_path / "tall.png"
    Image.new("L", (3, 20000)).save(tall)
    with pytest.raises(ValueError, match="tall.png: .*no width left"):
        read([*line_images[:2], str(tall)], batch_size=batch_size, num_workers=num_workers)


def test_after_an_error_no_worker_is_left(read, line_images):
    """Nor waits one for the garbage collector, which would wait five seconds for each."""
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(OSError):
            read([line_images[0], "no_such_line.jpg", *line_images[1:3]], batch_size=2, num_workers=2)
        assert not multiprocessing.active_children()
    finally:
        gc.enable()


@pytest.mark.parametrize("bad", [7, None, {"img": "line.png"}])
def test_what_is_no_line_is_refused(read, bad):
    with pytest.raises(ValueError, match=f"Got {type(bad).__name__}"):
        read(bad)


def test_lines_of_own_widths_fill_batches_of_one_width():
    widths = [64, 128, 64, 64, 128, 192, 64]
    batches = list(batches_of_one_width(widths, lines_at_once=2))
    assert sorted(index for batch in batches for index in batch) == list(range(len(widths)))
    assert all(len({widths[index] for index in batch}) == 1 for batch in batches)
    assert sorted(len(batch) for batch in batches) == [1, 2, 2, 2]


def test_the_network_reads_in_inference_mode(read, line_images):
    read.model.train()
    expected = read(line_images[0])
    assert read.model.is_optimized_for_inference
    assert not read.model.training
    assert read(line_images[0]) == expected


# What is no line of dark ink on light ground


@pytest.fixture(scope="module")
def example(root) -> Image.Image:
    return Image.open(sorted((root / "examples").glob("*.jpg"))[1]).convert("L")


@pytest.fixture(scope="module")
def trained(root) -> HTRConvTextPipeline:
    folder = root / "hub_upload" / "htr-convtext-fr"
    model = HTRConvTextForCTC.from_pretrained(folder)
    return HTRConvTextPipeline(model=model, processor=HTRConvTextProcessor.from_pretrained(folder))


def test_ink_on_dark_ground_is_turned(read, example):
    (expected,) = read(example)
    assert "notes" not in expected
    negative = ImageOps.invert(example)
    with pytest.warns(UserWarning, match="PIL image: Light ink on dark ground"):
        (line,) = read(negative)
    assert line == {**expected, "notes": ["Light ink on dark ground: the image was turned to dark on light."]}
    (unchecked,) = read(negative, check_lines=False)
    assert unchecked["generated_text"] != expected["generated_text"]


def test_a_line_with_black_around_its_outline_is_not_turned(read, example):
    canvas = Image.new("L", (example.width, example.height * 2), 0)
    canvas.paste(example, (0, example.height // 2))
    assert "notes" not in read(canvas)[0]


@pytest.mark.parametrize("grey", [0, 170, 255])
@pytest.mark.parametrize("noise", [0, 2])
def test_a_blank_image_reads_as_nothing_and_scores_nothing(read, grey, noise):
    pixels = np.random.default_rng(0).normal(grey, noise, (96, 700)).clip(0, 255).astype(np.uint8)
    (line,) = read(pixels, return_segments=True)
    notes = line.pop("notes")
    assert line == {"generated_text": "", "score": 0.0, "words": [], "characters": []}
    assert notes == ["There is no ink in the image."]


def column_of(lines: list[Image.Image], gap: int = 10) -> Image.Image:
    lines = [line.resize((1200, 96)) for line in lines]
    column = Image.new("L", (1200, len(lines) * (96 + gap) + gap), 230)
    for number, line in enumerate(lines):
        column.paste(line, (0, gap + number * (96 + gap)))
    return column


@pytest.mark.parametrize("number", [2, 3, 8, 15])
def test_several_lines_are_refused(read, root, tmp_path, number):
    examples = [Image.open(path).convert("L") for path in sorted((root / "examples").glob("*.jpg"))]
    column_of((examples * number)[:number]).save(tmp_path / "page.png")
    with pytest.raises(
        ValueError, match=r"page.png: the image of .* lines of text.*Cut.* out.*transcribe.py.*htr-convtext.*\[pages\]"
    ):
        read(tmp_path / "page.png")
    assert "generated_text" in read(tmp_path / "page.png", check_lines=False)[0]


def test_what_is_known_to_be_one_line_is_turned_though_it_looks_like_several(read, root):
    examples = [Image.open(path).convert("L") for path in sorted((root / "examples").glob("*.jpg"))]
    column = column_of(examples[:3])
    light, dark = (read.prepare(image, is_one_line=True) for image in (column, ImageOps.invert(column)))
    assert np.abs(light.parts[0] - dark.parts[0]).max() < 0.01
    assert not light.notes and dark.notes == ["Light ink on dark ground: the image was turned to dark on light."]


def neighbours(folder: Path, xml: Path) -> list[Image.Image]:
    """Crops of two lines, one below the other, of a page."""
    (page,) = read_pages(xml)
    image = to_grey(load_image(next(folder.rglob(f"{xml.stem}.jpg"))))
    crops = []
    for upper, lower in pairwise(line.box for line in page.lines):
        shared = min(upper[2], lower[2]) - max(upper[0], lower[0])
        narrower = min(upper[2] - upper[0], lower[2] - lower[0])
        if shared > narrower / 2 and 0 <= lower[1] - upper[1] <= 1.5 * (upper[3] - upper[1]):
            left, right = min(upper[0], lower[0]), max(upper[2], lower[2])
            crops.append(image.crop(tuple(map(int, (left, upper[1], right, lower[3])))))
    return crops


def test_two_lines_are_refused_or_at_least_noted(shared_lines):
    outcomes = Counter()
    for name in ("peraire", "poilus"):
        for xml in sorted((shared_lines / "pages" / name).glob("*.xml")):
            outcomes.update(outcome_of(crop) for crop in neighbours(xml.parent, xml))
    assert outcomes["refused"] > 0.7 * outcomes.total() and outcomes["line"] < 0.1 * outcomes.total() > 5, outcomes


def test_what_looks_like_two_lines_is_read_and_noted(read, monkeypatch, root):
    examples = [Image.open(path).convert("L") for path in sorted((root / "examples").glob("*.jpg"))]
    monkeypatch.setattr("htr_convtext.pipeline_htr_convtext.TWO_LINES", (9, 1))
    with pytest.warns(UserWarning, match="looks like two lines of text, and was read as one"):
        (line,) = read(column_of(examples[:2]))
    assert "generated_text" in line and "cut them out" in line["notes"][0]


def test_a_tall_page_is_no_line_that_stands_upright(read, root):
    examples = [Image.open(path).convert("L") for path in sorted((root / "examples").glob("*.jpg"))]
    lines = [line.crop((0, 0, 300, line.height)).resize((300, 40)) for line in examples]
    page = Image.new("L", (320, 1200), 230)
    for number in range(24):
        page.paste(lines[number % len(lines)], (10, 5 + 50 * number))
    said = r'320x1200 pixels holds about .* lines of text.* pip install -e "\.\[pages\]" -c constraints\.txt'
    with pytest.raises(ValueError, match=said):
        read(page)


def test_a_folder_is_told_from_an_image(read, line_images):
    folder = Path(line_images[0]).parent
    for name in (folder, str(folder)):
        with pytest.raises(IsADirectoryError, match="this is a folder, and one image is expected.*list of paths"):
            read(name)


def test_pages_are_refused(read, shared_lines):
    pages = sorted((shared_lines / "pages").glob("*/*.jpg"))
    assert len(pages) >= 6
    results = read([str(page) for page in pages], on_error="skip")
    assert ["Cut its lines out" in line["error"] for (line,) in results] == [True] * len(pages)


def test_a_line_that_stands_upright_is_refused(read, example, tmp_path):
    example.rotate(90, expand=True).save(tmp_path / "upright.png")
    with pytest.raises(ValueError, match=r"upright.png: the image is taller than wide.*rotate\(90"):
        read(tmp_path / "upright.png")


@pytest.mark.parametrize("transparency", [0, bytes([0, 200])])
def test_transparent_paper_takes_no_ink_away(read, example, tmp_path, transparency):
    """Of a palette whose transparent entry is the paper, in a place that is the ink's as a grey."""
    black = np.asarray(to_grey(example)) < 128
    image = Image.fromarray(black.astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "line.png", transparency=transparency)
    opaque = Image.fromarray(np.where(black, 0 if transparency == 0 else 55, 255).astype(np.uint8))
    assert_same([read(tmp_path / "line.png")], [read(opaque)])


def test_several_frames_are_refused(read, example, tmp_path):
    example.save(tmp_path / "frames.tiff", save_all=True, append_images=[example, example])
    with pytest.raises(ValueError, match="frames.tiff: the file has 3 frames"):
        read(tmp_path / "frames.tiff")


def test_real_lines_are_neither_turned_nor_refused(readings):
    assert not any("notes" in line for (line,) in readings)


ON_SQUARED_PAPER = (
    "D.1.notes-1-et-2_0012_034",
    "D.1.notes-1-et-2_0013_033",
    "D.3.eurasie-5-6_0019_031",
    "D.4.eurasie-7-8_0079_037",
    "D.6.eurasie-11-12_0004_018",
)


@pytest.mark.parametrize("name", ON_SQUARED_PAPER)
def test_rules_of_squared_paper_are_no_lines_of_text(shared_lines, name):
    assert outcome_of(shared_lines / "peraire" / "lines" / f"{name}.jpg") in ("line", "noted")


@pytest.mark.slow
def test_hardly_a_real_line_is_refused(shared_lines):
    outcomes = Counter()
    for name in ("peraire", "poilus"):
        for split in ("train", "val"):
            for file in (shared_lines / name / f"{split}.ln").read_text().split():
                outcomes[outcome_of(shared_lines / name / "lines" / file)] += 1
    assert set(outcomes) <= {"line", "refused", "noted"}
    assert outcomes["refused"] < outcomes.total() / 1000 and outcomes["noted"] < outcomes.total() / 100, outcomes


def outcome_of(image: Path | Image.Image) -> str:
    line = PreparedLine()
    try:
        checked = check_line(to_grey(load_image(image)), line)
    except ValueError:
        return "refused"
    if any("two lines" in note for note in line.notes):
        return "noted"
    return "blank" if checked is None else "turned" if line.notes else "line"


def test_a_long_line_is_read_in_parts(trained, root):
    """Seven clear lines one after the other: their readings are read, but for a few characters at seams."""
    names = ("adresse", "carnet_1", "carnet_2", "carnet_3", "carnet_4", "lettre_1", "lettre_2")
    lines = [Image.open(root / "examples" / f"{name}.jpg").convert("L").resize((900, 96)) for name in names]
    long = Image.new("L", (7 * 930, 96), 235)
    for number, line in enumerate(lines):
        long.paste(line, (number * 930, 0))
    (read_long,) = trained(long, return_segments=True)
    assert read_long["notes"][0].startswith("The line is long: it was read in 4 parts")
    expected = " ".join(line["generated_text"] for (line,) in trained(lines))
    assert distance(read_long["generated_text"], expected) < 0.08 * len(expected)
    edges = [edge for item in read_long["characters"] for edge in (item["start"], item["end"])]
    assert edges == sorted(edges) and 6 * 930 < edges[-1] <= long.width


def distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for number, character in enumerate(left, start=1):
        previous, row[0] = row[0], number
        for place, other in enumerate(right, start=1):
            previous, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, previous + (character != other)),
            )
    return row[-1]


def test_parts_are_joined_where_both_see_a_blank():
    def logits(classes):
        return torch.nn.functional.one_hot(torch.tensor(classes), 4).float()

    left = [1, 0, 2, 2, 0, 3, 0, 0, 0, 1, 0, 2]
    right = [0, 3, 0, 0, 0, 1, 1, 0, 2, 0, 3, 3]  # begins at frame 4; sees the 1 a frame longer
    joined = join_parts([logits(left), logits(right)], [0, 4], blank_id=0)
    assert joined.argmax(-1).tolist() == [1, 0, 2, 2, 0, 3, 0, 0, 0, 1, 1, 0, 2, 0, 3, 3]


# Options and errors


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (4, 0), (2, 2)])
def test_a_bad_image_costs_only_itself(read, readings, line_images, tmp_path, batch_size, num_workers):
    (tmp_path / "empty.jpg").touch()
    lines = [*line_images[:3], str(tmp_path / "empty.jpg"), line_images[3], None]
    options = {"batch_size": batch_size, "num_workers": num_workers}
    for form in (list, tuple, iter):
        if form is iter and num_workers:
            continue
        results = list(read(form(lines), on_error="skip", **options))
        assert_same(results[:3] + results[4:5], readings[:4])
        assert list(results[3][0]) == ["error"] and "empty.jpg: the file is empty" in results[3][0]["error"]
        assert "Got NoneType" in results[5][0]["error"]
    with pytest.raises(ValueError, match=r"empty.jpg(.|\n)*of 6 results came before(.|\n)*on_error='skip'"):
        list(read(tuple(lines), **options))


def test_a_row_that_cannot_be_decoded_costs_only_itself(read, readings, line_images):
    rows = [{"bytes": Path(line).read_bytes(), "path": None} for line in line_images[:3]]
    rows[1]["bytes"] = b"no image"
    table = datasets.Dataset.from_dict({"image": rows}).cast_column("image", datasets.Image())
    for lines in (table, table["image"], KeyDataset(table, "image")):
        results = list(read(lines, batch_size=2, on_error="skip"))
        assert_same([results[0], results[2]], [readings[0], readings[2]])
        assert "error" in results[1][0]


def test_a_column_of_pandas_is_read_by_position(read, readings, line_images):
    column = pandas.Series(line_images[:3])[::-1]
    assert_same(read(column), readings[2::-1])


def test_an_error_of_several_parts_keeps_its_message(read, line_images):
    def lines():
        yield line_images[0]
        json.loads("{")

    with pytest.raises(ValueError, match="Expecting property name(.|\n)*results came before"):
        list(read(lines()))


@pytest.mark.parametrize("options", [{"alternatives": 2}, {"threshold": 80}])
def test_options_that_mean_nothing_are_found_before_a_line_is_read(read, line_images, options):
    with pytest.raises(ValueError, match=r"(Pass decoder=\.\.\.|Got 80\.)$"):
        read(line_images[:1], on_error="skip", **options)


TRANSFORMERS_OWN_PIPELINES = """
import json, sys
from transformers import AutoModel, AutoProcessor, pipeline
folder, line = sys.argv[1:]
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
answers = [model.as_pipeline(processor)(line)[0]["generated_text"]]
parts = {"processor": processor, "tokenizer": processor.tokenizer, "image_processor": processor.image_processor}
try:
    answers.append(pipeline("image-to-text", model=model, **parts)(line)[0]["generated_text"])
except TypeError as error:
    answers.append(str(error))
print(json.dumps(answers))
"""


@pytest.mark.parametrize("version", ["newest", "oldest"])
def test_a_loaded_model_in_transformers_own_pipelines(
    run_without_package, model_folder, line_images, tmp_path, version
):
    """The oldest transformers' reads; the newest's says what to call instead."""
    words = TRANSFORMERS_OWN_PIPELINES, model_folder, line_images[0]
    printed = run_without_package(*words, folder=tmp_path, oldest=version == "oldest")
    text, answer = json.loads(printed.splitlines()[-1])
    if version == "oldest":
        assert answer == text
    else:
        assert "Write model.as_pipeline(processor)" in answer


@pytest.mark.parametrize("by_name", [False, True])
def test_parts_of_a_processor_are_read_with(model_folder, line_images, tmp_path, by_name):
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    image_processor = processor.image_processor.with_options(size={"height": 64, "width": 256})
    letters = processor.tokenizer.alphabet
    tokenizer = type(processor.tokenizer).from_alphabet(letters[1:] + letters[:1])
    parts = {"image_processor": image_processor, "tokenizer": tokenizer}
    for name, part in parts.items() if by_name else ():
        part.save_pretrained(tmp_path / name)
    expected = HTRConvTextForCTC.from_pretrained(model_folder).as_pipeline(
        HTRConvTextProcessor(image_processor, tokenizer, processor.calibration)
    )(line_images[0])
    given = {name: str(tmp_path / name) for name in parts} if by_name else parts
    read = pipeline("image-to-text", model=str(model_folder), trust_remote_code=True, **given)
    assert read(line_images[0])[0]["generated_text"] == expected[0]["generated_text"]
    whole = pipeline("image-to-text", model=str(model_folder), trust_remote_code=True)
    assert whole(line_images[0])[0]["generated_text"] != expected[0]["generated_text"]


def test_options_of_generate_are_taken(read, readings, line_images):
    for options in ({"max_new_tokens": 64}, {"generate_kwargs": {"max_new_tokens": 64, "num_beams": 4}}):
        assert_same([read(line_images[0], **options)], readings[:1])
    with pytest.raises(ValueError, match="do_sample=True"):
        read(line_images[0], generate_kwargs={"do_sample": True})


@pytest.mark.parametrize("options", [{"nonsense": 1}, {"generate_kwargs": {"nonsense": 1}}])
def test_unknown_options_are_named(read, line_images, options):
    with pytest.raises(TypeError, match="nonsense"):
        read(line_images[0], **options)
    with pytest.raises(TypeError, match="HTRConvTextPipeline .*'return_segment'. Did you mean 'return_segments'?"):
        read(line_images[0], return_segment=True)
    with pytest.raises(ValueError, match="on_error must be one of raise, skip"):
        read(line_images[0], on_error="ignore")


def test_threads_read_alike(model_folder, line_images):
    """Eight threads share a pipeline whose network is not in its inference mode yet."""
    model = HTRConvTextForCTC.from_pretrained(model_folder, dtype=torch.float64)
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    expected = HTRConvTextPipeline(model=copy.deepcopy(model), processor=processor)(line_images[:8])
    read = HTRConvTextPipeline(model=model, processor=processor)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for results in threads.map(lambda _: read(line_images[:8]), range(8)):
            assert_same(results, expected)


def test_copies_and_saved_pipelines_read_alike(read, readings, line_images, tmp_path):
    assert_same(copy.deepcopy(read)(line_images[:2]), readings[:2])
    read.save_pretrained(tmp_path)
    again = pipeline("image-to-text", model=str(tmp_path), trust_remote_code=True, dtype=torch.float64)
    assert_same(again(line_images[:2]), readings[:2])


def test_a_model_with_a_part_on_disk(model_folder, line_images, tmp_path):
    folder = str(model_folder)
    expected = pipeline("image-to-text", model=folder, trust_remote_code=True)(line_images[:2])
    device_map = {"htr_convtext": "disk", "ctc_head": "cpu"}
    model = HTRConvTextForCTC.from_pretrained(folder, device_map=device_map, offload_folder=str(tmp_path))
    read = HTRConvTextPipeline(model=model, processor=HTRConvTextProcessor.from_pretrained(folder))
    assert read.device.type == "cpu" and model.hf_device_map == device_map
    texts = [line["generated_text"] for (line,) in read(line_images[:2])]
    assert texts == [line["generated_text"] for (line,) in expected]


@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_workers_of_every_kind(model, model_folder, line_images, method):
    read = HTRConvTextPipeline(model=model, processor=HTRConvTextProcessor.from_pretrained(model_folder))
    expected = read(line_images[:4], batch_size=2)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        assert read(line_images[:4], num_workers=1, batch_size=2) == expected
    finally:
        multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def example_command(model_folder, line_images, root, tmp_path) -> list[str]:
    """Reads a line and a broken file by the example's script; a character of the line is in few encodings."""
    shutil.copy(line_images[0], tmp_path / "line.jpg")
    (tmp_path / "line.txt").write_text("\u22ce a", encoding="utf-8")
    (tmp_path / "broken.jpg").touch()
    images = [str(tmp_path / name) for name in ("line.jpg", "broken.jpg")]
    return [str(root / "examples" / "read.py"), "--model", str(model_folder), *images]


def assert_is_readable(printed: str, encoding: str) -> None:
    assert ("\u22ce a" if encoding == "utf-8" else "\\u22ce a") in printed
    assert "broken.jpg" in printed and "not read" in printed


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "ascii"])
def test_the_example_reads_to_any_console(example_command, monkeypatch, encoding):
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "argv", example_command)
    runpy.run_path(example_command[0], run_name="__main__")
    console.flush()
    assert_is_readable(console.buffer.getvalue().decode(encoding), encoding)


@pytest.mark.slow
def test_the_example_reads_in_a_process_of_its_own(example_command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, *example_command], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert_is_readable(done.stdout.decode("cp1252"), "cp1252")

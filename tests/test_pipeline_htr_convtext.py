"""The pipeline: every form of input, batches that change nothing, what it gives back and what it refuses."""

import base64
import functools
import http.server
import threading
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline
from transformers.pipelines.pt_utils import KeyDataset

from htr_convtext import HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor
from htr_convtext.pipeline_htr_convtext import batches_of_one_width

MODES = {"fixed": {"height": 64, "width": 512}, "aspect": {"height": 64, "width": 1024}}


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
    assert len(widths) == 64 and min(widths) < 512 < max(widths)
    assert len({reading[0]["generated_text"] for reading in readings}) == 64


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("form", [list, iter], ids=["list", "generator"])
def test_lists_and_generators(read, readings, line_images, form, batch_size):
    lines = line_images if form is list else (line for line in line_images)
    results = read(lines, batch_size=batch_size)
    assert isinstance(results, list) == (form is list)
    assert_same(results, readings)


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
}


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_many_lines(read, readings, line_images, form, batch_size):
    assert_same(read(FORMS[form](line_images[::8]), batch_size=batch_size), readings[::8])


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


def test_segments_reach_the_end_of_lines_that_are_squeezed(model, model_folder, line_images):
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    read = HTRConvTextPipeline(model=model, processor=processor)
    image = Image.open(line_images[0]).resize((3000, 64))
    (line,) = read(image, return_segments=True)
    assert 2500 < line["characters"][-1]["end"] <= 3000


@pytest.mark.parametrize("name", ["line.png", "with%20space.png"])
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
    with pytest.raises(OSError, match=f"{address}/{name}: the image cannot be downloaded"):
        read(f"{address}/{name}")


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

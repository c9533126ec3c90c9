# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""transcribe.py: what it writes, what it says, and that neither a kill nor a second process changes the results."""

import multiprocessing
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from accelerate import Accelerator
from filelock import FileLock

from htr_convtext import HTRConvTextDecoder, HTRConvTextTokenizer, pages
from htr_convtext.pages.command_line import parse_arguments

KILLS_OF_ONE_RUN = 3
DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?")
FORMATS = ("page", "alto", "txt", "csv", "jsonl")


@pytest.fixture
def letters(tmp_path, drawn_pages) -> Path:
    """Pages with PAGE XML and with ALTO, a line's image, and a TIFF of two lines' images."""
    folder = tmp_path / "letters"
    for number in range(6):
        drawn_pages.write_page(folder, f"page_{number}", kind=("page", "alto")[number % 2])
    drawn_pages.draw_line("a line by itself").save(folder / "line.png")
    book = [drawn_pages.draw_line(text) for text in ("first of a book", "and the second of it")]
    book[0].save(folder / "book.tif", save_all=True, append_images=book[1:])
    return folder


class Run(NamedTuple):
    """A run's exit status and what it said."""

    status: int
    said: str


@pytest.fixture
def transcribe(root, monkeypatch, capfd):
    """Runs transcribe.py in this process."""

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["transcribe.py", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            runpy.run_path(str(root / "transcribe.py"), run_name="__main__")
        said = capfd.readouterr().err
        code = exit_.value.code
        return Run(1, f"{said}{code}") if isinstance(code, str) else Run(int(code or 0), said)

    return run


def results(folder: Path) -> dict[str, str]:
    """The files of a run by their name, without the dates in them."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    paths = [path for path in paths if ".pages" not in path.parts and path.suffix not in (".png", ".jpg", ".tif")]
    return {str(path.relative_to(folder)): DATE.sub("", path.read_text(encoding="utf-8")) for path in paths}


def test_every_input_has_its_results(transcribe, letters, model_folder, tmp_path):
    out = tmp_path / "out"
    options = (letters, "--model", model_folder, "--output", out, "--format", *FORMATS)
    done = transcribe(*options)
    assert done.status == 0, done.said
    written = results(out)
    assert {name for name in written if name.endswith(".txt")} == {
        "book.txt", "line.txt", *(f"page_{number}.txt" for number in range(6)),
    }  # fmt: skip
    assert written["page_0.txt"].count("\n") >= 3
    assert len(written["lines.jsonl"].splitlines()) == 6 * 3 + 1 + 2
    assert "9/9" in done.said and "lines/s" in done.said

    again = transcribe(*options)
    assert again.status == 1 and "--resume" in again.said and "book_0001.page.xml" in again.said
    assert results(out) == written
    (out / ".page_1.txt.4711.part").write_text("half of")
    resumed = transcribe(*options, "--resume")
    assert resumed.status == 0 and results(out) == written
    assert not list(out.rglob(".*.part"))


def test_what_cannot_be_read_is_named_and_the_rest_is_done(transcribe, letters, model_folder, tmp_path):
    (letters / "page_0.png").unlink()
    (letters / "page_3.png").write_bytes(b"")
    (letters / "line.txt").write_text("a line by itself")
    (letters / "locked.pdf").write_bytes(b"%PDF-1.4 nothing")
    out = tmp_path / "out"
    done = transcribe(letters, "--model", model_folder, "--output", out, "--format", "txt")
    assert done.status == 1
    for name in ("page_0.xml", "page_3.xml", "locked.pdf"):
        assert f"{name}: " in done.said
    assert "ignored: 1 .txt" in done.said
    kept = {f"page_{number}.txt" for number in (1, 2, 4, 5)}
    assert set(results(out)) == kept | {"book.txt", "line.txt"}


def test_wrong_options_are_said_before_anything_is_done(transcribe, letters, model_folder, tmp_path):
    options = ("--model", model_folder, "--output", tmp_path / "out")
    nowhere = transcribe(tmp_path / "nowhere", *options)
    assert nowhere.status == 1 and nowhere.said.endswith("nowhere: no such file or folder.")
    empty = transcribe(model_folder, *options)
    assert empty.status == 1 and "no images, PDFs, PAGE XML or ALTO" in empty.said
    doubtful = transcribe(letters, *options, "--threshold", "50")
    assert doubtful.status == 2 and "from 0 to 1" in doubtful.said
    assert not (tmp_path / "out").exists()


def test_types_that_no_line_has_are_named_with_those_that_there_are(transcribe, letters, model_folder, tmp_path):
    options = ("--model", model_folder, "--output", tmp_path / "out", "--format", "txt")
    done = transcribe(letters, *options, "--leave_out", "Heading", "marginala")
    assert done.status == 0
    assert "look at: marginala: no line is of this type or tag; there are heading, paragraph" in done.said
    assert "Heading" not in done.said


def test_a_language_model_reads(transcribe, letters, model_folder, tmp_path):
    alphabet = HTRConvTextTokenizer.from_pretrained(model_folder).alphabet
    liked = next(character for character in alphabet if character.isalpha())
    HTRConvTextDecoder(alphabet, length_bonus=0.0).save_pretrained(tmp_path / "same")
    HTRConvTextDecoder(alphabet, length_bonus=50.0, words=[liked * 3]).save_pretrained(tmp_path / "long")
    HTRConvTextDecoder("xyz").save_pretrained(tmp_path / "other")
    options = ("--model", model_folder, "--format", "txt", "--language_model")
    read = {}
    for name in ("same", "long"):
        done = transcribe(letters, "--output", tmp_path / f"out_{name}", *options, tmp_path / name)
        assert done.status == 0, done.said
        read[name] = results(tmp_path / f"out_{name}")
    assert sum(map(len, read["long"].values())) > sum(map(len, read["same"].values()))
    again = transcribe(letters, "--output", tmp_path / "out_long", *options, tmp_path / "same", "--resume")
    assert again.status == 0 and results(tmp_path / "out_long") == read["same"]
    for name, said in {"other": "alphabet", "nowhere": "there is no decoder"}.items():
        refused = transcribe(letters, "--output", tmp_path / "out", *options, tmp_path / name)
        assert refused.status == 1 and said in refused.said
        assert f"--language_model {tmp_path / name}: " in refused.said
    assert not (tmp_path / "out" / ".pages").exists()


def test_a_language_model_without_its_library_names_the_extra(
    transcribe, letters, model_folder, tmp_path, monkeypatch
):
    HTRConvTextDecoder(HTRConvTextTokenizer.from_pretrained(model_folder).alphabet).save_pretrained(tmp_path / "same")
    monkeypatch.setitem(sys.modules, "flashlight.lib.text", None)
    options = ("--model", model_folder, "--output", tmp_path / "out", "--language_model", tmp_path / "same")
    refused = transcribe(letters, *options)
    assert refused.status == 1 and 'pip install -e ".[lm]"' in refused.said


def test_another_backend_than_the_models_is_named(transcribe, letters, model_folder, tmp_path):
    exported = tmp_path / "exported"
    shutil.copytree(model_folder, exported)
    (exported / "export.json").write_text('{"export_format": "onnx"}')
    for model, backend, stored in ((exported, "openvino", "onnx"), (model_folder, "onnx", "torch")):
        options = ("--model", model, "--backend", backend, "--output", tmp_path / "out")
        refused = transcribe(letters, *options)
        assert refused.status == 2 and f"--backend {backend}: {model} is for {stored}" in refused.said
    parsed = parse_arguments(None, [str(letters), "--model", str(exported), "--output", "out"])
    assert parsed.backend == "onnx"


@pytest.mark.parametrize("option", ["--batch_size", "--num_workers"])
def test_numbers_of_lines_and_threads_are_at_least_one(tmp_path, capsys, option):
    with pytest.raises(SystemExit):
        parse_arguments(None, ["letters", "--model", str(tmp_path), "--output", "out", option, "-1"])
    assert f"{option}: must be at least 1. Got -1." in capsys.readouterr().err


@pytest.mark.slow
def test_kills_at_any_point_change_nothing(root, letters, model_folder, tmp_path, drawn_pages, monkeypatch, request):
    kills = request.config.getoption("kills")
    for number in range(30):
        drawn_pages.write_page(letters / "more", f"{number}")
    # A server that has imported everything gives each run a process of its own within moments.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["htr_convtext.pages.outputs", "htr_convtext.pages.command_line", "accelerate"])

    def start(output: str) -> multiprocessing.Process:
        words = [letters, "--model", model_folder, "--batch_size", "2", "--output", tmp_path / output, "--resume"]
        monkeypatch.setattr(sys, "argv", ["transcribe.py", *map(str, words), "--format", *FORMATS])
        process = context.Process(target=runpy.run_path, args=(str(root / "transcribe.py"), None, "__main__"))
        process.start()
        return process

    durations = []
    for output in ("warm_up", "whole"):
        started = time.monotonic()
        process = start(output)
        process.join()
        assert process.exitcode == 0
        durations.append(time.monotonic() - started)
    draw, killed, places = random.Random(0), 0, []
    for output in (f"killed_{number}" for number in range(-(-kills // KILLS_OF_ONE_RUN))):
        for _ in range(KILLS_OF_ONE_RUN):
            process = start(output)
            process.join(draw.uniform(0.1, 0.6) * durations[1])
            process.kill()
            process.join()
            killed += process.exitcode == -9
            places.append(len(list((tmp_path / output).rglob("*.*"))))
        process = start(output)
        process.join()
        assert process.exitcode == 0
        assert results(tmp_path / output) == results(tmp_path / "whole")
        assert not list((tmp_path / output).rglob(".*.part"))
    print(f"{killed} of {len(places)} runs were killed; files that were there then: {sorted(places)}")
    assert killed >= 0.6 * kills and max(places) > 0


def test_a_document_is_written_as_soon_as_it_is_read(transcribe, letters, model_folder, tmp_path, monkeypatch):
    options = (letters, "--model", model_folder, "--format", "page", "txt")
    read = pages.transcribe

    def stopped(sources, *arguments, **others):
        yield from islice(read(sources, *arguments, **others), 4)
        raise SystemExit("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(pages, "transcribe", stopped)
        assert transcribe(*options, "--output", tmp_path / "out").said.endswith("stopped")
        early = results(tmp_path / "out")
        assert {name.partition(".")[0] for name in early} == {"book", "book_0001", "book_0002", "line", "page_0"}
        assert transcribe(*options, "--output", letters, "--overwrite").said.endswith("stopped")
        assert "<Unicode>" not in (letters / "page_0.xml").read_text()
    assert transcribe(*options, "--output", tmp_path / "out", "--resume").status == 0
    assert early.items() < results(tmp_path / "out").items()


def test_two_runs_do_not_write_to_one_folder(transcribe, letters, model_folder, tmp_path):
    out = tmp_path / "out"
    options = (letters / "line.png", "--model", model_folder, "--output", out, "--format", "txt")
    out.mkdir()
    with FileLock(out / ".transcribe.lock"):
        refused = transcribe(*options)
    assert refused.status == 1
    assert f"Another run of transcribe.py is writing to {out}. Choose another --output, or wait" in refused.said
    assert results(out) == {}
    assert transcribe(*options).status == 0


@pytest.mark.slow
def test_two_processes_share_the_pages(root, transcribe, letters, model_folder, tmp_path):
    options = (letters, "--model", model_folder, "--format", *FORMATS)
    (letters / "page_0.png").unlink()
    (letters / "page_1.png").write_bytes(b"")
    assert transcribe(*options, "--output", tmp_path / "alone").status == 1
    launcher = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    words = [sys.executable, *launcher, root / "transcribe.py", *options, "--output", tmp_path / "two"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    two = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=environment)
    assert "pages of process 1 of 2" in two.stderr, two.stderr
    assert two.returncode == 1
    for name in ("page_0.xml", "page_1.xml"):
        assert f"{name}: " in two.stderr
    assert readings(tmp_path / "two") == readings(tmp_path / "alone")


def readings(folder: Path) -> dict[str, str]:
    """Texts and where they are; confidences may differ in the last digit between batches."""
    return {name: text for name, text in results(folder).items() if name.endswith(".txt")}


def test_a_process_waits_for_one_that_reads_for_hours(transcribe, model_folder, tmp_path, monkeypatch):
    waits, initialize = [], Accelerator.__init__

    def noted(self, *given, **options):
        waits.extend(handler.timeout for handler in options["kwargs_handlers"])
        initialize(self, *given, **options)

    monkeypatch.setattr(Accelerator, "__init__", noted)
    assert transcribe(tmp_path / "nowhere", "--model", model_folder, "--output", tmp_path / "out").status == 1
    assert waits[0].days > 1


def test_results_may_go_into_the_files_that_came_in(transcribe, letters, model_folder):
    options = (letters, "--model", model_folder, "--output", letters, "--format", "page", "alto", "jsonl")
    before = (letters / "page_0.xml").read_text()
    refused = transcribe(*options)
    assert refused.status == 1 and "page_0.xml" in refused.said
    assert (letters / "page_0.xml").read_text() == before
    assert transcribe(*options, "--overwrite").status == 0
    written = results(letters)
    assert "<Unicode>" in written["page_0.xml"] and "<Unicode>" not in before
    assert len(written["lines.jsonl"].splitlines()) == 6 * 3 + 1 + 2
    assert transcribe(*options, "--resume").status == 0
    assert results(letters) == written

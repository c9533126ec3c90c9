# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which files a document's outputs are, that they appear whole, and that what was written can be trained on."""

import codecs
import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from htr_convtext.line_datasets import load_lines
from htr_convtext.pages import find_page_image, find_pages, open_page_image, outputs, plan_page_image, read_pages
from htr_convtext.pages.kept_pages import KeptPages
from htr_convtext.pages.outputs import documents, output_files, write_collection, write_document
from htr_convtext.pages.outputs.line_content import written_confidence
from htr_convtext.pages.page_sources import open_source
from htr_convtext.pages.results import prepare_output, summary, write_outputs, write_tables
from htr_convtext.pages.transcript import Problem
from htr_convtext.pages.transcription import keep
from htr_convtext.pages.whole_files import whole_file, write_whole

ALL = ("page", "alto", "txt", "html", "pdf", "image")
PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="{}" '
    'imageWidth="400" imageHeight="200"><TextRegion id="r"><TextLine id="l">'
    '<Coords points="10,10 200,10 200,40 10,40"/></TextLine></TextRegion></Page></PcGts>'
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def book(folder, transcribed, suffix: str) -> list:
    """The two pages of a TIFF or PDF."""
    pages = [transcribed.drawn_page(folder, [["page one"]], "a"), transcribed.drawn_page(folder, [["page two"]], "b")]
    first, second = (Image.open(page.source.image) for page in pages)
    path = folder / f"book{suffix}"
    first.save(path, save_all=True, append_images=[second])
    return [
        page._replace(
            source=page.source._replace(
                name=f"box/book_000{number + 1}", document=path, image=path, number=number, frame=number,
                document_name="box/book",
            )
        )
        for number, page in enumerate(pages)
    ]  # fmt: skip


def paths_of(sources, formats, folder):
    return {file.path for file in output_files(sources, formats, folder)}


def names(paths, folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def test_the_files_of_an_image(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["two words"]], "a.b")
    out = tmp_path / "out"
    written = write_document([page], ALL, out, transcribed.NOW)
    assert names(written, out) == ["a.b.alto.xml", "a.b.html", "a.b.page.xml", "a.b.pdf", "a.b.png", "a.b.txt"]
    assert set(written) == paths_of([page.source], ALL, out) == set(out.iterdir())
    assert (out / "a.b.png").read_bytes() == page.source.image.read_bytes()


@pytest.mark.parametrize("suffix", [".tif", ".pdf"])
def test_the_files_of_a_book(tmp_path, transcribed, suffix):
    pages, out = book(tmp_path, transcribed, suffix), tmp_path / "out"
    written = write_document(pages, ("page", "txt", "pdf"), out, transcribed.NOW)
    picture = ".png" if suffix == ".tif" else ".jpg"
    expected = ["box/book.pdf", "box/book.txt"]
    expected += [f"box/book_000{number}{end}" for number in (1, 2) for end in (".page.xml", picture)]
    assert names(written, out) == sorted(expected)
    assert paths_of([page.source for page in pages], ("page", "txt", "pdf"), out) == set(written)
    assert (out / "box/book.txt").read_text() == "page one\n\fpage two\n"
    read = Image.open(out / f"box/book_0002{picture}")
    assert read.size == (800, 600)
    assert np.abs(np.asarray(read.convert("L"), int) - np.asarray(Image.open(tmp_path / "b.png"), int)).mean() < 2
    lines = load_lines("lines", data_dir=out)["train"]
    assert sorted(lines["text"]) == ["page one", "page two"]


def test_two_runs_differ_in_nothing_but_the_date(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["two words", "\u1ec7"]])
    first = write_document([page], ALL, tmp_path / "1", transcribed.NOW)
    second = write_document([page], ALL, tmp_path / "2", transcribed.NOW)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_plain_text_has_regions_apart_and_nothing_for_lines_that_were_not_read(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["one", "two", "three"], ["margin"], ["not read"]])
    lines = list(page.lines)
    lines[1] = lines[1]._replace(text="", confidence=None, words=(), problem="has no outline")
    lines[4] = lines[4]._replace(text="", confidence=None, words=(), problem="has no outline")
    write_document([page._replace(lines=tuple(lines))], ["txt"], tmp_path, transcribed.NOW)
    assert (tmp_path / "letter.txt").read_text(encoding="utf-8") == "one\nthree\n\nmargin\n"


def test_the_text_of_a_page_stands_in_its_place_though_one_before_it_was_not_read(tmp_path, transcribed):
    pages = book(tmp_path, transcribed, ".tif")
    pages.append(pages[1]._replace(source=pages[1].source._replace(name="box/book_0004", number=3, frame=3)))
    write_document(pages[1:], ["txt"], tmp_path, transcribed.NOW)
    assert (tmp_path / "box/book.txt").read_text().split("\f") == ["", "page two\n", "", "page two\n"]


def test_no_reading_is_as_sure_as_what_people_write():
    values = (1.0, 0.99996, 0.875, -1.0)
    assert [written_confidence(value, True) for value in values] == ["0.9999", "0.9999", "0.875", "0"]
    assert [written_confidence(value, False) for value in values] == ["1", "1", "0.875", "0"]


def test_what_people_wrote_stays_so_in_the_other_format(tmp_path, transcribed):
    text = '<TextEquiv conf="1"><Unicode>by hand</Unicode></TextEquiv></TextLine>'
    (tmp_path / "p.xml").write_text(PAGE.format("p.png").replace("</TextLine>", text), encoding="utf-8")
    Image.new("L", (400, 200)).save(tmp_path / "p.png")
    pages = transcribed.transcribe(tmp_path / "p.xml", {}, image=tmp_path / "p.png")
    (path,) = write_document(pages, ("alto",), tmp_path, transcribed.NOW)
    (line,) = read_pages(path)[0].lines
    assert (line.text, line.transcription.confidence) == ("by hand", 1)


def test_tables_hold_every_line(tmp_path, transcribed):
    good = transcribed.drawn_page(tmp_path, [["two words", 'quote " , comma'], ["m"]])
    bad = transcribed.drawn_page(tmp_path, [["\u1ec7"]], "other", confidence=0.25)
    kept = bad.lines[0]._replace(text="=kept\x00", confidence=None, words=(), doubtful=False)
    nowhere = kept._replace(line=kept.line._replace(polygon=[], baseline=[]), text="", problem="has no outline")
    pages = iter([good, bad._replace(lines=(*bad.lines, kept, nowhere))])
    paths = write_collection(pages, ("page", "jsonl", "csv"), tmp_path / "out")
    assert names(paths, tmp_path / "out") == ["lines.csv", "lines.jsonl"]
    rows = [json.loads(row) for row in (tmp_path / "out/lines.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["two words", 'quote " , comma', "m", "\u1ec7", "=kept", ""]
    assert [row["order"] for row in rows] == [1, 2, 3, 1, 2, 3]
    assert [row["doubtful"] for row in rows] == [False, False, False, True, False, False]
    assert [row["confidence"] for row in rows] == [0.875] * 3 + [0.25, None, None]
    first = rows[0]
    assert (first["box"], first["baseline"]) == ([60, 40, 168, 64], [[60, 58], [168, 58]])
    assert first["words"][1] == {"text": "words", "confidence": 0.875, "box": [108, 40, 168, 64]}
    assert (first["page"], first["region"], first["line"]) == (1, "region_1", "line_1_1")
    assert rows[5]["box"] == [] and rows[5]["problem"] == "has no outline"
    assert (tmp_path / "out/lines.csv").read_bytes().startswith(codecs.BOM_UTF8), "or Excel shows other letters"
    with (tmp_path / "out/lines.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["text"] for row in table] == [row["text"] for row in rows]
    assert json.loads(table[0]["box"]) == first["box"] and json.loads(table[0]["words"]) == first["words"]
    assert (table[3]["doubtful"], table[4]["confidence"]) == ("true", "")


def test_names_that_are_no_unicode_are_no_obstacle(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["two words"]], os.fsdecode(b"caf\xe9"))
    out = tmp_path / "out"
    kept = KeptPages(out, {})
    kept.write(page)
    assert kept.read(page.source) == page
    written = write_document([page], ALL, out, transcribed.NOW)
    assert set(written) == paths_of([page.source], ALL, out)
    for path in out.glob("*.xml"):
        found, warning = find_page_image(path, read_pages(path)[0], tmp_path)
        assert found == out / page.source.image.name and warning == ""
    write_collection([page], ("jsonl", "csv"), out)
    (row,) = (out / "lines.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(row)["file"] == page.source.document.as_posix() and row.isascii()
    assert r"caf\udce9.png" in (out / "lines.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("letters", [230, 246])
def test_names_as_long_as_the_disk_allows_are_no_obstacle(tmp_path, transcribed, letters):
    page = transcribed.drawn_page(tmp_path, [["two words"]], "x" * letters)
    kept = KeptPages(tmp_path / "out", {})
    assert keep(page, kept) == page and kept.of_this_run(page.source) == page
    assert names(write_document([page], ("txt",), tmp_path / "out"), tmp_path / "out") == [f"{'x' * letters}.txt"]


def test_a_page_that_cannot_be_kept_has_an_error(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["two words"]])
    page = page._replace(source=page.source._replace(name="x" * 251))
    kept = KeptPages(tmp_path / "out", {})
    assert "its reading cannot be kept" in keep(page, kept).error
    assert kept.of_this_run(page.source) is None and not kept.time_of(page.source) and not kept.is_of(page.source)
    assert keep(page._replace(error="other"), kept).error == "other"


def test_pages_are_taken_one_by_one(tmp_path, transcribed):
    page, open_pages = transcribed.drawn_page(tmp_path, [["a"]]), []

    def pages():
        for _ in range(3):
            content = next((tmp_path / "out").glob(".lines.jsonl*")).stat().st_size
            open_pages.append(content)
            yield page._replace(lines=page.lines * 1000)

    write_collection(pages(), ["jsonl"], tmp_path / "out")
    assert open_pages[0] == 0 < open_pages[1] < open_pages[2]


def test_files_appear_whole_or_not_at_all(tmp_path, transcribed):
    write_whole(tmp_path / "a.txt", b"before")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.txt") as path:
        path.write_bytes(b"half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_bytes() == b"before" and os.listdir(tmp_path) == ["a.txt"]

    def failing():
        yield transcribed.drawn_page(tmp_path, [["a"]])
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_collection(failing(), ["csv", "jsonl"], tmp_path / "tables")
    assert os.listdir(tmp_path / "tables") == []


@pytest.mark.parametrize("format_", ["page", "alto"])
@pytest.mark.parametrize("pictures", [("image",), ()])
def test_what_was_written_and_corrected_is_training_data(tmp_path, transcribed, format_, pictures, capsys):
    (tmp_path / "scans").mkdir()
    page = transcribed.drawn_page(tmp_path / "scans", [["ein wort", "zwei"]])
    out = tmp_path / "out"
    write_document([page], (format_, *pictures), out, transcribed.NOW)
    if pictures:
        shutil.rmtree(tmp_path / "scans")
    xml = out / f"letter.{format_}.xml"
    content = xml.read_text(encoding="utf-8")
    if format_ == "page":
        content = content.replace("<Unicode>zwei</Unicode>", "<Unicode>drei</Unicode>")
    xml.write_text(content.replace('CONTENT="zwei"', 'CONTENT="drei"'), encoding="utf-8")
    lines = load_lines("lines", data_dir=out)["train"]
    assert lines["text"] == ["ein wort", "drei"]
    assert lines[0]["image"].size == (97, 25)


@pytest.mark.parametrize(
    ("folder", "image"), [("", "p.png"), ("page/", "../p.png"), ("", "img/p.png"), ("a/page/", "../Images/p.png")]
)
def test_pictures_are_copied_to_where_a_file_that_came_in_names_them(tmp_path, transcribed, folder, image):
    place, out = tmp_path / "in" / folder, tmp_path / "out"
    place.mkdir(parents=True)
    (place / "p.xml").write_text(PAGE.format(image), encoding="utf-8")
    picture = (place / image).resolve()
    picture.parent.mkdir(exist_ok=True)
    Image.linear_gradient("L").resize((400, 200)).save(picture)
    (page,) = transcribed.transcribe(place / "p.xml", image=picture)
    page = page._replace(source=page.source._replace(document_name=f"{folder}p", name=f"{folder}p"))
    write_document([page], ("page", "image"), out, transcribed.NOW)
    shutil.rmtree(tmp_path / "in")
    assert load_lines("lines", data_dir=out)["train"]["text"] == ["reading 0"]
    (page,) = transcribed.transcribe(out / folder / "p.xml", image=(out / folder / image).resolve())
    assert open_source(page.source, page.page).size == (400, 200)


@pytest.mark.parametrize("root", ["PcGts", "alto"])
def test_pictures_from_outside_are_named_in_the_copies(tmp_path, transcribed, drawn_pages, root):
    """Two of one name, each in a folder of its own beside that of the XML."""
    out = tmp_path / "out"
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        drawn_pages.write_page(tmp_path / "in", name, kind={"PcGts": "page", "alto": "alto"}[root])
        (tmp_path / name).mkdir()
        picture = (tmp_path / "in" / f"{name}.png").rename(tmp_path / name / "scan.png")
        xml = tmp_path / "in" / f"{name}.xml"
        xml.write_text(xml.read_text("utf-8").replace(f"{name}.png", f"../{name}/scan.png"), "utf-8")
        write_document(transcribed.transcribe(xml, image=picture), ("page", "alto", "image"), out, transcribed.NOW)
    pictures = {name: (tmp_path / name / "scan.png").read_bytes() for name in ("a", "b")}
    shutil.rmtree(tmp_path / "in")
    for path in out.glob("*.xml"):
        found, warning = find_page_image(path, read_pages(path)[0], out)
        assert found.parent == out and found.name == f"{path.name[0]}_scan.png" and warning == ""
        assert found.read_bytes() == pictures[path.name[0]]


def test_what_was_written_since_a_page_was_kept_stays(tmp_path, transcribed):
    """A document of which one page could not be read, too."""
    pages, out = book(tmp_path, transcribed, ".tif"), tmp_path / "out"
    sources, kept = [page.source for page in pages], KeptPages(out, {})
    kept.write(pages[0])
    assert list(write_outputs(sources, ("txt", "page"), out, kept)) == []
    write_tables(sources, ("csv",), out, kept)
    files = [out / "box/book.txt", out / "box/book_0001.page.xml", out / "lines.csv"]
    for path in files:
        path.write_text("corrected")
    assert list(write_outputs(sources, ("txt", "page", "html"), out, kept)) == []
    write_tables(sources, ("csv", "jsonl"), out, kept)
    assert [path.read_text() for path in files] == ["corrected"] * 3
    assert (out / "box/book.html").exists() and (out / "lines.jsonl").exists()
    kept.write(pages[1])
    os.utime(kept.path(pages[1].source), ns=(2**62, 2**62))
    (stays,) = write_outputs(sources, ("txt", "page", "html"), out, kept)
    assert stays.where == str(files[0]) and "--overwrite replaces it" in stays.what and not stays.is_failure
    (table,) = write_tables(sources, ("csv", "jsonl"), out, kept)
    assert table.where == str(files[2])
    assert [path.read_text() for path in files] == ["corrected"] * 3, "nobody corrected the others, and they are new"
    assert "two</span>" in (out / "box/book.html").read_text() and "page two" in (out / "lines.jsonl").read_text()
    assert (out / "box/book_0002.page.xml").exists()
    prepare_output(out, [sources], ("txt", "page", "html", "csv"), kept, "overwrite")
    for page in pages:
        kept.write(page)
        os.utime(kept.path(page.source), ns=(2**62, 2**62))
    assert list(write_outputs(sources, ("txt", "page", "html"), out, kept)) == []
    assert write_tables(sources, ("csv",), out, kept) == []
    assert files[0].read_text() == "page one\n\fpage two\n" and "corrected" not in files[2].read_text()


def test_a_run_that_replaces_goes_on_after_it_was_ended(tmp_path, transcribed):
    page = transcribed.drawn_page(tmp_path, [["one"]])
    other = transcribed.drawn_page(tmp_path, [["two"]], "other")
    documents, out = [[page.source], [other.source]], tmp_path / "out"
    write_document([page], ("txt",), out)
    write_document([other], ("txt",), out)
    kept = KeptPages(out, {})
    with pytest.raises(FileExistsError, match=r"letter\.txt"):
        prepare_output(out, documents, ("txt",), kept, "resume")
    prepare_output(out, documents, ("txt",), kept, "overwrite")
    kept.write(page)
    prepare_output(out, documents, ("txt",), kept, "resume")
    (out / "other.txt").write_text("corrected meanwhile")
    os.utime(out / "other.txt", ns=(1, 1))
    kept.write(other)
    for path, source in ((out / "letter.txt", page.source), (out / "other.txt", other.source)):
        os.utime(kept.path(source), ns=(2**62, 2**62))
        assert [stays.where for stays in write_outputs([source], ("txt",), out, kept)] == [str(path)] * (
            source is other.source
        )
    assert (out / "other.txt").read_text() == "corrected meanwhile"


def test_pictures_of_one_name_in_two_folders_are_refused(tmp_path, drawn_pages):
    """The second took the place of the first, beside the XML of both."""
    for folder, name in (("A", "a1"), ("B", "b1")):
        xml = drawn_pages.write_page(tmp_path / folder / "page", name)
        xml.write_text(xml.read_text("utf-8").replace(f"{name}.png", "scan.png"), "utf-8")
        (xml.parent / f"{name}.png").rename(tmp_path / folder / "scan.png")
    documents = [[source] for source in find_pages([tmp_path / "A", tmp_path / "B"]).sources]
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=f"{tmp_path}/A/scan.png and {tmp_path}/B/scan.png would both be {out}/scan"):
        prepare_output(out, documents, ("page", "image"), KeptPages(out, {}), "new")
    prepare_output(out, documents, ("page",), KeptPages(out, {}), "new")


def test_two_documents_of_one_result_are_refused(tmp_path, drawn_pages):
    """The scan a.png and a file a.page.xml of another picture: only the first was written."""
    xml = drawn_pages.write_page(tmp_path / "in", "b")
    xml.rename(xml.with_name("a.page.xml"))
    Image.new("L", (40, 30), 255).save(xml.with_name("a.png"))
    documents = [[source] for source in find_pages([tmp_path / "in"]).sources]
    out = tmp_path / "out"
    assert {document[0].document.name for document in documents} == {"a.png", "a.page.xml"}
    with pytest.raises(ValueError, match=f"would both be {out}/a.page.xml; read them in two runs"):
        prepare_output(out, documents, ("page",), KeptPages(out, {}), "new")
    prepare_output(out, documents, ("txt",), KeptPages(out, {}), "new")


def test_a_format_that_cannot_be_written_costs_no_other(tmp_path, transcribed, monkeypatch):
    """What was written before it was taken for the user's own by the next run, and what comes after it was missing."""
    page, out = transcribed.drawn_page(tmp_path, [["old"]]), tmp_path / "out"
    kept, formats = KeptPages(out, {}), ("txt", "html", "pdf", "image")
    kept.write(page)

    def refusing(pages, path, now):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setitem(documents.WRITERS, "html", refusing)
        (problem,) = write_outputs([page.source], formats, out, kept)
    assert problem.where == str(out / "letter.html") and problem.is_failure and "No space left" in problem.what
    assert {path.name for path in out.glob("letter.*")} == {"letter.txt", "letter.pdf", "letter.png"}
    page = transcribed.drawn_page(tmp_path, [["new"]])
    kept.write(page)
    os.utime(kept.path(page.source), ns=(2**62, 2**62))
    assert list(write_outputs([page.source], formats, out, kept)) == []
    assert (out / "letter.txt").read_text("utf-8") == "new\n" and (out / "letter.html").exists()


def test_a_run_that_read_no_page_can_be_gone_on_with(tmp_path, drawn_pages, transcribed):
    """Its own table, of no lines, was in the way."""
    drawn_pages.draw().save(tmp_path / "page.png")
    sources, out = find_pages([tmp_path / "page.png"]).sources, tmp_path / "out"
    kept = KeptPages(out, {})
    assert write_tables(sources, ("csv",), out, kept) == []
    prepare_output(out, [sources], ("txt", "csv"), kept, "resume")
    other = transcribed.drawn_page(tmp_path, [["one"]])
    kept.write(other)
    assert write_tables([other.source], ("csv",), out, kept) == []
    with pytest.raises(FileExistsError, match="lines.csv there already"):  # It would lose the line of the other page.
        prepare_output(out, [sources], ("txt", "csv"), kept, "resume")
    (out / "lines.csv").write_text("of somebody else")
    with pytest.raises(FileExistsError, match="lines.csv there already"):
        prepare_output(out, [sources], ("txt", "csv"), kept, "resume")


def test_a_table_that_cannot_be_written_is_a_problem_of_its_own(tmp_path, transcribed, monkeypatch):
    page, kept = transcribed.drawn_page(tmp_path, [["one"]], "one"), KeptPages(tmp_path / "out", {})
    kept.write(page)

    def refusing(old, new):
        raise PermissionError(13, "open in another program", str(new))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refusing)
        (problem,) = write_tables([page.source], ("csv",), tmp_path / "out", kept)
    assert problem.is_failure and "lines.csv cannot be written" in problem.what
    assert write_tables([page.source], ("csv",), tmp_path / "out", kept) == []
    assert "one" in (tmp_path / "out" / "lines.csv").read_text("utf-8")


def test_tables_lose_the_lines_of_inputs_that_are_gone(tmp_path, transcribed):
    pages = [transcribed.drawn_page(tmp_path, [[name]], name) for name in ("one", "two", "three")]
    sources, kept = [page.source for page in pages], KeptPages(tmp_path / "out", {})
    for page in pages:
        kept.write(page)
    write_tables(sources, ("csv", "jsonl"), tmp_path / "out", kept)
    write_tables(sources[1:], ("jsonl",), tmp_path / "out", kept)
    table = tmp_path / "out" / "lines.jsonl"
    assert [json.loads(row)["text"] for row in table.read_text("utf-8").splitlines()] == ["two", "three"]
    assert "one.png" in (tmp_path / "out" / "lines.csv").read_text("utf-8")
    write_tables(sources[1:], ("csv",), tmp_path / "out", kept)
    assert "one.png" not in (tmp_path / "out" / "lines.csv").read_text("utf-8")
    table.write_text("corrected", "utf-8")
    assert write_tables(sources[1:], ("jsonl",), tmp_path / "out", kept) == []
    assert [stays.where for stays in write_tables(sources[2:], ("jsonl",), tmp_path / "out", kept)] == [str(table)]


@pytest.mark.parametrize("format_", ["page", "alto"])
def test_pictures_that_a_later_run_writes_are_named(tmp_path, transcribed, format_):
    (tmp_path / "scans").mkdir()
    page, out = transcribed.drawn_page(tmp_path / "scans", [["one"]]), tmp_path / "out"
    kept = KeptPages(out, {})
    kept.write(page)
    xml = out / f"letter.{format_}.xml"
    for formats, named in (((format_,), "../scans/letter.png"), ((format_, "image"), "letter.png")):
        assert list(write_outputs([page.source], formats, out, kept)) == []
        assert read_pages(xml)[0].image_name == named
    xml.write_text(xml.read_text("utf-8").replace("one", "corrected"), "utf-8")
    assert list(write_outputs([page.source], (format_, "image"), out, kept)) == []
    assert "corrected" in xml.read_text("utf-8")


def test_only_runs_on_the_same_files_go_on(tmp_path, transcribed):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    page = transcribed.drawn_page(tmp_path / "one", [["one"]])
    other = transcribed.drawn_page(tmp_path / "two", [["two"]], size=(900, 600))
    out, kept = tmp_path / "out", KeptPages(tmp_path / "out", {})
    kept.write(page)
    write_document([page], ("txt",), out)
    write_collection([page], ("csv",), out)
    prepare_output(out, [[page.source]], ("txt", "csv"), kept, "resume")
    for mode, source, formats, name in (
        ("resume", other.source, ("txt",), "letter.txt"),
        ("resume", other.source, ("csv",), "lines.csv"),
        ("new", page.source._replace(name="new", document_name="new"), ("csv",), "lines.csv"),
    ):
        with pytest.raises(FileExistsError, match=f"{name} there already"):
            prepare_output(out, [[source]], formats, kept, mode)
    moved = shutil.copy2(page.source.image, tmp_path / "moved.png")
    prepare_output(out, [[page.source._replace(document=moved, image=moved)]], ("txt",), kept, "resume")


@pytest.mark.parametrize("formats", [("page",), ("page", "image")])
@pytest.mark.parametrize(("orientation", "suffix"), [(3, ".jpg"), (6, ".png")])
def test_the_picture_of_a_turned_photo_is_as_its_lines_are_counted(
    tmp_path, transcribed, orientation, suffix, formats
):
    page = transcribed.drawn_page(tmp_path, [["two words"]], suffix=suffix)
    upright, exif = Image.open(page.source.image).copy(), Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose({3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation])
    stored.save(page.source.image, exif=exif)
    paths = write_document([page], formats, tmp_path / "out", transcribed.NOW)
    assert names(paths, tmp_path / "out") == sorted([f"letter{suffix}", "letter.page.xml"])
    assert set(paths) == paths_of([page.source], formats, tmp_path / "out")
    (told,) = read_pages(paths[0])
    assert told.image_name == f"letter{suffix}"
    plan = plan_page_image(paths[1], told)
    assert not plan.stored and not plan.warning
    difference = np.asarray(open_page_image(paths[1], plan), int) - np.asarray(upright, int)
    assert np.abs(difference).mean() < 4


def test_writing_in_place(tmp_path, transcribed):
    (tmp_path / "p.xml").write_text(PAGE.format("p.png"), encoding="utf-8")
    Image.linear_gradient("L").resize((400, 200)).save(tmp_path / "p.png")
    before = (tmp_path / "p.png").read_bytes()
    pages = transcribed.transcribe(tmp_path / "p.xml", image=tmp_path / "p.png")
    write_document(pages, ("page", "image"), tmp_path, transcribed.NOW)
    assert sorted(os.listdir(tmp_path)) == ["p.png", "p.xml"] and (tmp_path / "p.png").read_bytes() == before
    assert "reading 0" in (tmp_path / "p.xml").read_text(encoding="utf-8")


def test_the_other_xml_format_is_a_new_file(tmp_path, transcribed):
    (tmp_path / "p.xml").write_text(PAGE.format("p.png"), encoding="utf-8")
    pages = transcribed.transcribe(tmp_path / "p.xml", image=tmp_path / "p.png")
    assert names(write_document(pages, ("alto",), tmp_path, transcribed.NOW), tmp_path) == ["p.alto.xml"]
    assert "<fileName>p.png</fileName>" in (tmp_path / "p.alto.xml").read_text(encoding="utf-8")


def test_every_page_that_was_not_read_is_named():
    """No table holds it. Of what is only odd, the first places are."""
    problems = [Problem(f"{number}.xml", "it is gone", True) for number in range(9)]
    problems += [Problem(f"{number}.png", "it is turned", False) for number in range(9)]
    failed, odd = summary(problems, {})
    assert failed == "not read: " + "; ".join(f"{number}.xml" for number in range(9)) + ": it is gone"
    assert odd == "look at: 0.png; 1.png; 2.png; 3.png; 4.png and 4 more: it is turned"


def test_the_names_of_the_formats():
    assert outputs.DOCUMENT_FORMATS == ALL and outputs.COLLECTION_FORMATS == ("csv", "jsonl")

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pages read: which lines, at which places, in which order, and what a fault costs."""

import json
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor
from htr_convtext.pages import (
    CropOptions,
    ReadingOptions,
    cut_line,
    find_pages,
    line_readers,
    plan_cut,
    read_pages,
    transcribe,
)
from htr_convtext.pages import transcription as module
from htr_convtext.pages.kept_pages import KeptPages, page_from_json, page_to_json
from htr_convtext.pipeline_htr_convtext import PreparedLine

SIZE = (640, 400)


@pytest.fixture(scope="module")
def recognizer(model_folder):
    processor = HTRConvTextProcessor.from_pretrained(model_folder)
    return HTRConvTextForCTC.from_pretrained(model_folder).as_pipeline(processor)


def texts(pages) -> list[list[str]]:
    return [[line.text for line in page.lines] for page in pages]


@pytest.mark.parametrize("kind", ["page", "alto"])
def test_lines_read_as_the_line_pipeline_reads_the_crops_of_training(tmp_path, drawn_pages, recognizer, kind):
    xml = drawn_pages.write_page(tmp_path, "1", kind=kind)
    (page,) = transcribe(tmp_path, recognizer)
    picture = Image.open(tmp_path / "1.png")
    crops = [cut_line(picture, plan_cut(line, SIZE)[0], CropOptions()) for line in read_pages(xml)[0].lines]
    expected = [reading for (reading,) in recognizer(crops, return_segments=True)]
    assert len({reading["generated_text"] for reading in expected}) == 3
    for line, reading in zip(page.lines, expected, strict=True):
        assert line.text == reading["generated_text"]
        assert line.confidence == pytest.approx(reading["score"], abs=1e-4)
        assert [word.text for word in line.words] == [word["word"] for word in reading["words"]]
    assert [line.line.identifier for line in page.lines] == ["l0", "l1", "l2"]
    assert page.page.lines == [line.line for line in page.lines]
    assert not page.error and not page.problems


def test_words_lie_where_they_are_written(tmp_path, drawn_pages, recognizer):
    drawn_pages.write_page(tmp_path, "1")
    (page,) = transcribe(tmp_path, recognizer)
    for line in page.lines:
        left, top, right, bottom = line.line.box
        starts = [word.polygon[0][0] for word in line.words]
        assert starts == sorted(starts) and [word.text for word in line.words] == line.text.split()
        assert line.words
        for word in line.words:
            assert all(left <= x <= right + 1 and top <= y <= bottom + 1 for x, y in word.polygon)


def test_batches_across_pages_change_nothing(tmp_path, drawn_pages, recognizer):
    for number in range(5):
        lines = [
            drawn_pages.DrawnLine(f"page {number} {'long ' * number}end", 80, 120 + 80 * n) for n in range(number)
        ]
        drawn_pages.write_page(tmp_path, str(number), lines)
    drawn_pages.draw_line("one line more").save(tmp_path / "6.png")
    together = list(transcribe(tmp_path, recognizer, batch_size=2, num_workers=3))
    alone = [page for source in find_pages([tmp_path]).sources for page in transcribe([source], recognizer)]
    assert [page.source.name for page in together] == ["0", "1", "2", "3", "4", "6"]
    assert texts(together) == texts(alone)
    assert [len(page.lines) for page in together] == [0, 1, 2, 3, 4, 1]
    assert together[0].problems == ("there are no lines in its XML",)


def test_an_image_of_a_line_is_a_page_of_one(tmp_path, drawn_pages, recognizer):
    image = drawn_pages.draw_line("a line by itself")
    image.save(tmp_path / "line.png")
    (page,) = transcribe(tmp_path / "line.png", recognizer)
    ((reading,),) = recognizer([image])
    (line,) = page.lines
    assert line.text == reading["generated_text"]
    assert line.line.box == (0, 0, *image.size) and line.words[0].polygon[0][1] == 0


def test_lines_with_a_text_are_kept(tmp_path, drawn_pages, recognizer):
    drawn_pages.write_page(tmp_path, "1", texts=["told"])
    (kept,) = transcribe(tmp_path, recognizer, ReadingOptions(only_missing=True))
    (read,) = transcribe(tmp_path, recognizer)
    assert (kept.lines[0].text, kept.lines[0].confidence, kept.lines[0].words) == ("told", None, ())
    assert kept.lines[1:] == read.lines[1:] and read.lines[0].text != "told"


@pytest.mark.parametrize("kind", ["page", "alto"])
def test_types_and_tags_are_left_out_or_alone_read(tmp_path, drawn_pages, recognizer, kind):
    drawn_pages.write_page(tmp_path, "1", kind=kind)
    names = []
    for options in ({"leave_out": ("Heading",)}, {"regions": ("heading",)}, {"regions": ("none",)}):
        (page,) = transcribe(tmp_path, recognizer, ReadingOptions(**options))
        names.append([line.line.identifier for line in page.lines])
        assert len(page.page.lines) == len(page.lines)
    assert names == [["l1", "l2"], ["l0"], []]
    assert page.problems == ("there are no lines of the regions or tags that are to be read",)


def test_an_image_of_one_line_has_no_type(tmp_path, drawn_pages, recognizer):
    """As lines that are found on a page have none."""
    drawn_pages.draw_line("a line by itself").save(tmp_path / "line.png")
    (page,) = transcribe(tmp_path, recognizer, ReadingOptions(regions=("heading",)))
    assert not page.lines and page.problems == ("there are no lines of the regions or tags that are to be read",)
    (page,) = transcribe(tmp_path, recognizer, ReadingOptions(leave_out=("heading",)))
    assert len(page.lines) == 1


def test_lines_below_the_threshold_are_doubtful(tmp_path, drawn_pages, recognizer):
    drawn_pages.write_page(tmp_path, "1")
    (page,) = transcribe(tmp_path, recognizer)
    middle = sorted(line.confidence for line in page.lines)[1]
    (page,) = transcribe(tmp_path, recognizer, ReadingOptions(threshold=middle))
    assert [line.doubtful for line in page.lines] == [line.confidence < middle for line in page.lines]
    assert sum(line.doubtful for line in page.lines) == 1


def test_texts_that_are_kept_are_doubtful_by_what_their_file_tells(tmp_path, drawn_pages, recognizer):
    xml = drawn_pages.write_page(tmp_path, "1", texts=["sure", "unsure", "by hand"])
    content = xml.read_text()
    for text, confidence in (("sure", "0.9"), ("unsure", "0.4")):
        told = f"<TextEquiv><Unicode>{text}<"
        content = content.replace(told, told.replace("<TextEquiv", f'<TextEquiv conf="{confidence}"'))
    xml.write_text(content)
    (page,) = transcribe(tmp_path, recognizer, ReadingOptions(only_missing=True, threshold=0.8))
    assert [line.doubtful for line in page.lines] == [False, True, False]


def test_lines_that_may_lie_on_their_side_are_named(tmp_path, drawn_pages, recognizer):
    xml = drawn_pages.write_page(tmp_path, "1")
    left, top, right, bottom = drawn_pages.LETTER[1].box
    wide = f'points="{left},{top} {right},{top} {right},{bottom} {left},{bottom}"/><Baseline'
    high = 'points="20,20 60,20 60,360 20,360"/><Baseline'
    xml.write_text(re.sub("<Baseline[^>]*>", "", xml.read_text().replace(wide, high)))
    (page,) = transcribe(tmp_path, recognizer)
    assert page.problems == ("outlines higher than wide and without a baseline, taken as upright",)


def test_a_fault_costs_no_more_than_its_line_or_page(tmp_path, drawn_pages, recognizer):
    drawn_pages.write_page(tmp_path, "1")
    whole = next(transcribe(tmp_path, recognizer))
    xml = (tmp_path / "1.xml").read_text()
    left, top, right, bottom = drawn_pages.LETTER[1].box
    corners = f'points="{left},{top} {right},{top} {right},{bottom} {left},{bottom}"/><Baseline'
    broken = {"2": 'points="80,120 nonsense"/><Baseline', "3": 'points="9000,1 9900,1 9900,40"/><Baseline'}
    for name, points in broken.items():
        drawn_pages.draw().save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.xml").write_text(xml.replace("1.png", f"{name}.png").replace(corners, points))
    (tmp_path / "4.xml").write_text(xml.replace("1.png", "4.png"))
    Image.new("L", (300, 300), 200).save(tmp_path / "4.png")
    (tmp_path / "5.png").write_bytes(b"")
    (tmp_path / "6.png").write_bytes((tmp_path / "1.png").read_bytes()[:900])
    first, second, third, fourth, fifth, sixth = transcribe(tmp_path, recognizer)
    assert first == whole
    for page in (second, third):
        assert [bool(line.problem) for line in page.lines] == [False, True, False]
        assert [page.lines[n].text for n in (0, 2)] == [whole.lines[n].text for n in (0, 2)]
    assert "broken outline" in second.lines[1].problem and "outside the page" in third.lines[1].problem
    assert "300 x 300 pixels, but its XML says 640 x 400" in fourth.error
    assert "empty" in fifth.error and "truncated" in sixth.error
    assert not any(page.lines for page in (fourth, fifth, sixth))


def test_a_page_without_the_extra_names_it_and_lines_are_read(tmp_path, drawn_pages, recognizer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    monkeypatch.setattr("htr_convtext.pages.finding_lines.THREAD", __import__("threading").local())
    drawn_pages.draw().save(tmp_path / "page.png")
    drawn_pages.draw_line("a line by itself").save(tmp_path / "line.png")
    drawn_pages.write_page(tmp_path, "told")
    line, page, told = transcribe(tmp_path, recognizer)
    assert "rapidocr" in page.error and 'pip install -e ".[pages]"' in page.error
    assert len(line.lines) == 1 and len(told.lines) == 3 and not line.error and not told.error


def test_files_that_cannot_be_read_are_a_warning(tmp_path, drawn_pages, recognizer):
    (tmp_path / "no.pdf").write_bytes(b"not a PDF")
    drawn_pages.draw_line("a line by itself").save(tmp_path / "line.png")
    with pytest.warns(UserWarning, match=r"no\.pdf: not a readable PDF"):
        (page,) = transcribe(tmp_path, recognizer)
    assert page.source.name == "line" and page.error == ""


def test_kept_pages_come_back_as_they_were(tmp_path, drawn_pages, recognizer):
    drawn_pages.write_page(tmp_path, "1", texts=["told"])
    (page,) = transcribe(tmp_path, recognizer, ReadingOptions(only_missing=True, threshold=0.5))
    assert page_from_json(json.loads(json.dumps(page_to_json(page)))) == page


def test_pages_are_read_again_only_where_something_changed(tmp_path, drawn_pages, recognizer, monkeypatch):
    for name in ("1", "2", "3"):
        drawn_pages.write_page(tmp_path / "in", name)
    kept = KeptPages(tmp_path / "out", {"model": "tiny"})
    first = list(transcribe(tmp_path / "in", recognizer, kept=kept))
    read = []
    cut_page = module.cut_page
    monkeypatch.setattr(module, "cut_page", lambda source, *rest: read.append(source.name) or cut_page(source, *rest))
    assert list(transcribe(tmp_path / "in", recognizer, kept=kept)) == first and read == []
    drawn_pages.write_page(tmp_path / "in", "2", drawn_pages.LETTER[:2])
    again = list(transcribe(tmp_path / "in", recognizer, kept=kept))
    assert [len(page.lines) for page in again] == [3, 2, 3] and "2" in read
    read.clear()
    list(transcribe(tmp_path / "in", recognizer, kept=KeptPages(tmp_path / "out", {"model": "other"})))
    assert sorted(read) == ["1", "2", "3"]
    (tmp_path / "out" / ".pages" / "3.json").write_text('{"version": 1, "sett')
    assert kept.read(first[2].source) is None


def test_an_interrupted_run_goes_on_in_the_same_batches(tmp_path, drawn_pages, recognizer, monkeypatch):
    for number in range(6):
        drawn_pages.write_page(tmp_path / "in", str(number))
    batches = []
    read = recognizer.read

    def noted(lines, *given, **options):
        batches.append(tuple(hash(part.tobytes()) for line in lines for part in line.parts))
        return read(lines, *given, **options)

    monkeypatch.setattr(recognizer, "read", noted)
    monkeypatch.setattr(module, "BATCHES_TO_SORT", 3)
    whole = list(transcribe(tmp_path / "in", recognizer, batch_size=2))
    first = Counter(batches)
    assert sum(map(len, batches)) == 18 and max(map(len, batches)) <= 2
    kept = KeptPages(tmp_path / "out", {})
    interrupted = transcribe(tmp_path / "in", recognizer, batch_size=2, kept=kept)
    for _ in range(3):
        next(interrupted)
    interrupted.close()
    batches.clear()
    assert list(transcribe(tmp_path / "in", recognizer, batch_size=2, kept=kept)) == whole
    assert sum(map(len, batches)) == 12, "the fourth page is read with the third, as before; the first two are not"
    assert Counter(batches) <= first


def test_lines_that_hang_from_a_baseline_from_right_to_left_are_upright_where_the_script_is_read_so(
    tmp_path, drawn_pages, recognizer, monkeypatch
):
    xml = drawn_pages.write_page(tmp_path, "1")
    upright = next(transcribe(tmp_path, recognizer))
    text = xml.read_text()
    for line in drawn_pages.LETTER:
        left, top, right, _ = line.box
        drawn = f'Baseline points="{left},{line.y} {right},{line.y}"'
        assert drawn in text
        text = text.replace(drawn, f'Baseline points="{right},{top} {left},{top}"')
    xml.write_text(text)
    turned = next(transcribe(tmp_path, recognizer))
    monkeypatch.setattr(recognizer.processor.tokenizer, "alphabet", "\u05d0" + recognizer.processor.tokenizer.alphabet)
    as_hebrew = next(transcribe(tmp_path, recognizer))
    assert texts([as_hebrew]) == texts([upright]) != texts([turned])


@pytest.mark.parametrize(
    ("alphabet", "leftwards"), [("abcAB", False), ("abAB\u05d0\u05d1\u05d2", True), ("abc\u05d0", False)]
)
def test_columns_are_read_in_the_direction_of_the_models_script(
    tmp_path, drawn_pages, recognizer, monkeypatch, alphabet, leftwards
):
    drawn_pages.draw().save(tmp_path / "1.png")
    asked = []
    monkeypatch.setattr(module, "find_lines", lambda picture, leftwards: asked.append(leftwards) or [])
    monkeypatch.setattr(recognizer.processor.tokenizer, "alphabet", alphabet)
    next(transcribe(tmp_path, recognizer, ReadingOptions(images="pages")))
    assert asked == [leftwards]


def test_lines_are_prepared_while_the_network_reads(tmp_path, drawn_pages, recognizer, monkeypatch):
    for number in range(30):
        drawn_pages.draw_line(f"line {number}").save(tmp_path / f"{number:02d}.png")
    prepared, prepare = [], module.prepare_page
    monkeypatch.setattr(module, "LINES_AHEAD", 20)
    monkeypatch.setattr(module, "prepare_page", lambda *given: prepared.append(given[0]) or prepare(*given))
    sources = find_pages([tmp_path]).sources
    pages = module.prepare_pages(sources, recognizer, ReadingOptions(), "", 2, None)
    assert next(pages).transcribed.source == sources[0]
    deadline = time.monotonic() + 60
    while len(prepared) < 21 and time.monotonic() < deadline:  # Nothing is asked for, and they go on.
        time.sleep(0.01)
    assert 21 <= len(prepared) <= 25, "as many as may wait, and those that were begun"
    assert [page.transcribed.source for page in pages] == sources[1:] and len(prepared) == 30


def test_options_that_mean_nothing_are_refused():
    for options in ({"images": "books"}, {"threshold": 3}, {"dpi": 0}, {"leave_out": "heading"}):
        with pytest.raises(ValueError):
            ReadingOptions(**options)


def test_reading_needs_no_gradients(tmp_path, drawn_pages, recognizer):
    drawn_pages.write_page(tmp_path, "1")
    with torch.enable_grad():
        assert next(transcribe(tmp_path, recognizer)).lines[0].text


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_readers_share_pytorchs_threads_and_leave_them_as_they_were(
    tmp_path, drawn_pages, recognizer, monkeypatch, threads
):
    for number in range(4):
        drawn_pages.write_page(tmp_path, str(number))
    expected = list(transcribe(tmp_path, recognizer))
    before, seen, readers = torch.get_num_threads(), [], set()
    read = recognizer.read

    def noted(*given, **options):
        seen.append(torch.get_num_threads())
        readers.add(threading.get_ident())
        return read(*given, **options)

    monkeypatch.setattr(recognizer, "read", noted)
    monkeypatch.setattr(line_readers, "MOST_READERS", 2)
    torch.set_num_threads(threads)
    try:
        pages = list(transcribe(tmp_path, recognizer))
        assert torch.get_num_threads() == threads
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == threads
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {max(1, threads // 2)} and len(readers) <= min(threads, 2)
    assert texts(pages) == texts(expected)
    for page, other in zip(pages, expected, strict=True):
        confidences = [line.confidence for line in other.lines]
        assert [line.confidence for line in page.lines] == pytest.approx(confidences, abs=1e-4)


def test_a_line_of_several_parts_is_read_with_others_of_as_many():
    def line(*widths: int) -> PreparedLine:
        return PreparedLine(parts=[np.zeros((1, 2, width)) for width in widths])

    lines = [line(64), line(128), line(), line(128, 128), line(64), line(128), line(128), line(128, 128)]
    assert list(line_readers.alike(lines, 2)) == [[3], [7], [1, 5], [6], [0, 4], [2]]


def test_an_error_of_the_network_ends_the_reading(tmp_path, drawn_pages, recognizer, monkeypatch):
    drawn_pages.write_page(tmp_path, "1")

    def fail(*_, **__):
        raise MemoryError("no more")

    monkeypatch.setattr(recognizer, "read", fail)
    with pytest.raises(MemoryError, match="no more"):
        list(transcribe(tmp_path, recognizer))

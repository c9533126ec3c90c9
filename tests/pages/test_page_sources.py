# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which pages there are in files and folders, and what they are called."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from htr_convtext.pages import Page, TranscribedPage, find_pages, open_source
from htr_convtext.pages.finding_files import files_below
from htr_convtext.pages.kept_pages import KeptPages
from htr_convtext.pages.page_sources import load_page
from htr_convtext.pages.pdf_files import render_pdf_page


def names(found) -> list[str]:
    return [source.name for source in found.sources]


def test_an_image_that_xml_names_is_one_page(tmp_path, drawn_pages):
    drawn_pages.write_page(tmp_path / "letters", "1")
    drawn_pages.write_page(tmp_path / "letters", "2", kind="alto")
    drawn_pages.draw().save(tmp_path / "letters" / "3.png")
    (tmp_path / "letters" / "3.txt").write_text("not a page")
    found = find_pages([tmp_path])
    assert names(found) == ["letters/1", "letters/2", "letters/3"]
    assert [source.document.name for source in found.sources] == ["1.xml", "2.xml", "3.png"]
    assert not found.problems and found.ignored == {".txt": 1}


def test_of_page_and_alto_for_one_image_page_is_read(tmp_path, drawn_pages):
    drawn_pages.write_page(tmp_path / "page", "1")
    drawn_pages.write_page(tmp_path / "alto", "1", kind="alto")
    (tmp_path / "alto" / "1.png").unlink()
    shutil.move(tmp_path / "page" / "1.png", tmp_path / "1.png")
    found = find_pages([tmp_path])
    assert names(found) == ["page/1"] and not found.problems


def test_of_two_page_files_for_one_image_the_second_is_named_unless_it_is_a_copy_beside_the_first(
    tmp_path, drawn_pages
):
    for folder in ("a", "b"):
        drawn_pages.write_page(tmp_path / folder, "1")
        shutil.move(tmp_path / folder / "1.png", tmp_path / "1.png")
    shutil.copy(tmp_path / "a" / "1.xml", tmp_path / "a" / "1.page.xml")
    found = find_pages([tmp_path])
    assert names(found) == ["a/1"]
    (problem,) = found.problems
    assert (
        problem.where == str(tmp_path / "b" / "1.xml") and f"as is that of {tmp_path / 'a' / '1.xml'}" in problem.what
    )


def test_a_page_of_a_dotted_name_is_no_copy_of_another(tmp_path, drawn_pages):
    for name in ("Cod.12_001", "Cod.12_002"):
        drawn_pages.write_page(tmp_path, name)
    shutil.copy(tmp_path / "Cod.12_001.xml", tmp_path / "Cod.12_001.page.xml")
    second = tmp_path / "Cod.12_002.xml"
    second.write_text(second.read_text("utf-8").replace("_002.png", "_001.png"), "utf-8")
    found = find_pages([tmp_path])
    (problem,) = found.problems
    assert problem.where == str(second) and "its image is Cod.12_001.png, as is that of" in problem.what


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg"])
def test_a_tiff_that_is_cut_off_in_its_last_page_has_the_others(tmp_path, drawn_pages, compression):
    """The last page cost all of them, as a count of the pages goes through all."""
    drawn, path = [drawn_pages.draw().convert("L") for _ in range(3)], tmp_path / "book.tif"
    drawn[0].save(path, save_all=True, append_images=drawn[1:], compression=compression)
    path.write_bytes(path.read_bytes()[: int(0.9 * path.stat().st_size)])
    first, second, last = find_pages([path]).sources
    for source in (first, second):
        assert load_page(source, dpi=72)[1].size == drawn[0].size
    with pytest.raises(ValueError, match="book.tif: the image is truncated or damaged"):
        load_page(last, dpi=72)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, drawn_pages, shut):
    """It was left out silently, and its pages with it."""
    for folder in ("broken", "open"):
        drawn_pages.write_page(tmp_path / folder, "1")
    shut(tmp_path / "broken")
    found = find_pages([tmp_path])
    assert names(found) == ["open/1"]
    (problem,) = found.problems
    assert problem.where == str(tmp_path / "broken") and "cannot be opened (Permission denied)" in problem.what
    with pytest.raises(OSError, match="broken: the folder cannot be opened"):
        list(files_below(tmp_path))


def test_links_to_the_folder_they_are_in_are_not_followed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one.txt").touch()
    for name, target in (("here", "."), ("up", ".."), ("itself", "itself")):
        (tmp_path / "a" / name).symlink_to(target)
    (tmp_path / "a" / "b" / "back").symlink_to(tmp_path)
    (tmp_path / "twice").symlink_to("a")
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert found == ["a/itself", "a/one.txt", "twice/itself", "twice/one.txt"]


def test_tiffs_and_pdfs_of_several_pages(tmp_path, drawn_pages):
    pages = [drawn_pages.draw().convert("RGB"), drawn_pages.draw_line("another size").convert("RGB")]
    for suffix in ("tif", "pdf"):
        pages[0].save(tmp_path / f"{suffix}s.{suffix}", save_all=True, append_images=pages[1:], resolution=200)
    found = find_pages([tmp_path])
    assert names(found) == ["pdfs_0001", "pdfs_0002", "tifs_0001", "tifs_0002"]
    assert {source.document_name for source in found.sources} == {"pdfs", "tifs"}
    for source, drawn in zip(found.sources, pages * 2, strict=True):
        page, picture, _ = load_page(source, dpi=72)
        assert picture.size == (page.width, page.height) == drawn.size, "a scan has its own resolution"
        again = open_source(source, page)
        assert again.size == drawn.size
        assert np.abs(np.asarray(again.convert("L"), int) - np.asarray(drawn.convert("L"), int)).mean() < 4


def test_a_pdf_that_is_no_scan_has_the_resolution_that_is_asked_for(tmp_path):
    content = b"BT /F1 24 Tf 20 40 Td (written) Tj ET"
    (tmp_path / "text.pdf").write_bytes(
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 144 72]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
        b"endobj "
        b"4 0 obj<</Length %d>>stream\n%s\nendstream endobj 5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
        b"endobj trailer<</Root 1 0 R>>" % (len(content), content)
    )
    (source,) = find_pages([tmp_path]).sources
    page, picture, _ = load_page(source, dpi=300)
    assert (page.width, page.height) == picture.size == (600, 300)
    assert open_source(source, page).size == (600, 300)
    assert np.asarray(picture).min() < 60


def test_notes_over_a_picture_of_paper_have_the_resolution_that_is_asked_for(tmp_path):
    """Not that of the paper, which is one image over all of the page as a scan is."""
    paper = b"q 144 0 0 72 0 0 cm /Paper Do Q"
    for content in (paper, paper + b" 10 10 m 100 60 l S"):
        (tmp_path / f"{len(content)}.pdf").write_bytes(
            b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
            b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 144 72]/Contents 4 0 R"
            b"/Resources<</XObject<</Paper 5 0 R>>>>>>endobj 4 0 obj<</Length %d>>stream\n%s\nendstream endobj "
            b"5 0 obj<</Type/XObject/Subtype/Image/Width 4/Height 2/BitsPerComponent 8/ColorSpace/DeviceGray"
            b"/Length 8>>stream\n~~~~~~~~\nendstream endobj "
            b"trailer<</Root 1 0 R>>" % (len(content), content)
        )
    assert [render_pdf_page(path, 0, 300).size for path in sorted(tmp_path.iterdir())] == [(4, 2), (600, 300)]


def test_two_folders_with_equal_names_are_told_apart(tmp_path, drawn_pages):
    for folder in ("a", "b"):
        drawn_pages.write_page(tmp_path / folder, "1")
    drawn_pages.write_page(tmp_path / "b", "2")
    found = find_pages([tmp_path / "a", tmp_path / "b", tmp_path / "b" / "2.xml"])
    assert names(found) == ["2", "a/1", "b/1"] and not found.problems


def test_two_files_of_one_name_are_named(tmp_path, drawn_pages):
    drawn_pages.draw().save(tmp_path / "1.png")
    drawn_pages.draw().save(tmp_path / "1.jpg")
    drawn_pages.draw().save(tmp_path / "2.png")
    found = find_pages([tmp_path])
    assert names(found) == ["1", "2"]
    (problem,) = found.problems
    assert problem.where.endswith("1.png") and "1.jpg" in problem.what and problem.is_failure


def test_results_below_an_input_are_not_read(tmp_path, drawn_pages):
    drawn_pages.draw().save(tmp_path / "1.png")
    drawn_pages.write_page(tmp_path / "read", "1")
    drawn_pages.write_page(tmp_path / ".hidden", "1")
    assert [source.document.name for source in find_pages([tmp_path], tmp_path / "read").sources] == ["1.png"]


def test_results_above_an_input_leave_it_as_it_is(tmp_path, drawn_pages):
    drawn_pages.draw().save(tmp_path / "2.png")
    (tmp_path / "scans").mkdir()
    drawn_pages.draw().save(tmp_path / "scans" / "1.png")
    assert names(find_pages([tmp_path / "scans", tmp_path / "2.png"], tmp_path)) == ["1", "2"]


def test_results_in_an_input_are_told_by_the_pages_that_are_kept(tmp_path, drawn_pages):
    drawn_pages.write_page(tmp_path, "1")
    drawn_pages.draw().save(tmp_path / "2.png")
    drawn_pages.draw().save(tmp_path / "book.tif", save_all=True, append_images=[drawn_pages.draw()])
    before = find_pages([tmp_path], tmp_path).sources
    kept = KeptPages(tmp_path, {})
    for source in before:
        kept.write(TranscribedPage(source, Page("", 640, 400, []), (), "test"))
    for name in ("1.alto.xml", "2.page.xml", "book_0001.alto.xml"):
        drawn_pages.write_page(tmp_path / "other", "2").rename(tmp_path / name)
    for name in ("1.pdf", "2.pdf", "book.pdf", "book_0002.png"):
        drawn_pages.draw().save(tmp_path / name)
    (tmp_path / "other" / "2.png").unlink()
    assert find_pages([tmp_path], tmp_path).sources == before
    drawn_pages.draw().save(tmp_path / "3.pdf")
    assert names(find_pages([tmp_path], tmp_path)) == ["1", "2", "3", "book_0001", "book_0002"]


def test_what_cannot_be_read_is_named_and_the_rest_is_found(tmp_path, drawn_pages):
    drawn_pages.write_page(tmp_path, "good")
    drawn_pages.write_page(tmp_path, "without_image")
    (tmp_path / "without_image.png").unlink()
    (tmp_path / "empty.xml").write_text("")
    (tmp_path / "cut.xml").write_text(drawn_pages.page_xml("good.png", drawn_pages.LETTER, [""] * 3, (640, 400))[:-40])
    (tmp_path / "mets.xml").write_text("<mets/>")
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "no.pdf").write_bytes(b"not a PDF")
    drawn_pages.draw().save(tmp_path / "locked.pdf")
    lock_pdf(tmp_path / "locked.pdf")
    (tmp_path / "dangling.xml").symlink_to(tmp_path / "gone.xml")
    (tmp_path / "loop.xml").symlink_to(tmp_path / "loop.xml")
    (tmp_path / "deep.xml").write_text(
        f"<PcGts><Page imageFilename='good.png'>{'<a>' * 1100}{'</a>' * 1100}</Page></PcGts>"
    )
    found = find_pages([tmp_path])
    assert names(found) == ["good"] and found.ignored == {".xml": 1}
    problems = {problem.where.rpartition("/")[2]: problem.what for problem in found.problems}
    assert set(problems) == {
        "without_image.xml", "empty.xml", "cut.xml", "empty.pdf", "no.pdf", "locked.pdf", "dangling.xml", "loop.xml",
        "deep.xml",
    }  # fmt: skip
    assert problems["dangling.xml"] == problems["loop.xml"] == "it cannot be opened"
    assert "without_image.png is neither beside it" in problems["without_image.xml"]
    assert "empty (0 bytes)" in problems["empty.pdf"]
    assert "encrypted" in problems["locked.pdf"]
    assert "not a readable PDF" in problems["no.pdf"]


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        (rb"\[ 0 0 640.0 400.0 \]", b"[ 0 0 64000 40000 ]", "page 1 is 889 x 556 inches; .* more than 500 million"),
        (rb"\[ 0 0 640.0 400.0 \]", b"[ 0 0 0.5 400 ]", "page 1 has no extent"),
        (rb"/Kids \[ \d 0 R \]", b"/Kids [ 9 0 R ]", r"not a readable PDF \(Failed to load page"),
    ],
)
def test_pages_that_a_pdf_does_not_give_say_why(tmp_path, drawn_pages, found, instead, message):
    drawn_pages.draw().save(tmp_path / "letter.pdf")
    content, number = re.subn(found, instead, (tmp_path / "letter.pdf").read_bytes())
    assert number == 1
    (tmp_path / "letter.pdf").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        render_pdf_page(tmp_path / "letter.pdf", 0, dpi=300)


def lock_pdf(path) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter(clone_from=path)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(path)


def test_an_alto_of_a_book_tells_the_page_of_each_frame(tmp_path, drawn_pages):
    frames = [drawn_pages.draw(), drawn_pages.draw_line("another size")]
    frames[0].save(tmp_path / "book.tif", save_all=True, append_images=frames[1:])
    pages = "".join(f'<Page WIDTH="{frame.width}" HEIGHT="{frame.height}"/>' for frame in frames)
    told = "<sourceImageInformation><fileName>book.tif</fileName></sourceImageInformation>"
    alto = '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">{}</alto>'
    content = f"<Description>{told}</Description><Layout>{pages}</Layout>"
    (tmp_path / "book.xml").write_text(alto.format(content), "utf-8")
    found = find_pages([tmp_path])
    assert names(found) == ["book_0001", "book_0002"] and not found.problems
    for source, frame in zip(found.sources, frames, strict=True):
        page, picture, warning = load_page(source, 300)
        again = open_source(source, page)
        assert (page.width, page.height) == picture.size == again.size == frame.size and not warning
        assert np.array_equal(picture.convert("L"), frame.convert("L"))
        assert np.array_equal(again.convert("L"), frame.convert("L"))


def test_of_uploads_a_link_out_of_their_folder_is_not_followed(tmp_path, drawn_pages):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    drawn_pages.draw().save(uploads / "own.png")
    drawn_pages.draw().save(tmp_path / "secret.png")
    (uploads / "link.png").symlink_to(tmp_path / "secret.png")
    assert names(find_pages([uploads])) == ["link", "own"]
    found = find_pages([uploads], within=uploads)
    assert names(found) == ["own"]
    (problem,) = found.problems
    assert problem.where == str(uploads / "link.png") and "it is a link to another place" in problem.what


def test_an_image_of_another_name_than_its_xml_says_is_told(tmp_path, drawn_pages):
    """It may be that of another page."""
    for name, written in (("ending", "ending.jpg"), ("name", "IMG_4711.jpg"), ("good", "good.png")):
        xml = drawn_pages.write_page(tmp_path, name)
        xml.write_text(xml.read_text("utf-8").replace(f"{name}.png", written), "utf-8")
    found = find_pages([tmp_path])
    assert names(found) == ["ending", "good", "name"]
    assert {(problem.where, problem.what, problem.is_failure) for problem in found.problems} == {
        (str(tmp_path / "ending.xml"), "images with another ending than their XML names", False),
        (str(tmp_path / "name.xml"), "images found by the name of the XML instead of theirs", False),
    }


def test_no_pages_at_all_is_an_error_that_names_the_path(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match="no images, PDFs, PAGE XML or ALTO, only 1 .txt"):
        find_pages([tmp_path])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_pages([tmp_path / "nowhere"])


def test_a_page_of_more_pixels_than_pillow_allows_is_read(tmp_path, drawn_pages, monkeypatch):
    drawn_pages.write_page(tmp_path, "1")
    drawn_pages.draw().save(tmp_path / "2.tif", save_all=True, append_images=[drawn_pages.draw()])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    found = find_pages([tmp_path])
    assert [load_page(source, 300)[1].size for source in found.sources] == [(640, 400)] * 3

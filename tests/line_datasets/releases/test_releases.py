# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The options of the four datasets, the other forms in which they are passed on, and what is wrong with them."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htr_convtext.line_datasets import LineDataError, load_lines
from htr_convtext.line_datasets.releases.inkml import InkOptions, draw_strokes

LINES_TXT = """#--- lines.txt ---------------------------------------------------------------#
#
a01-000u-00 ok 154 19 408 746 1663 91 A|MOVE|to|stop|Mr.|Gaitskell
a01-000u-01 err 156 19 395 932 1850 105 presto|!|You|'re|a|star|.
b02-013-00 ok 154 16 408 1106 1986 105 on|the|B B C|,|too
c03-094d-00 ok 157 20 403 1305 1915 120 "|Quoted|"
"""
IAM_XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE form SYSTEM "form-metadata-1.0.dtd">
<form id="a01-000u" writer-id="000"><machine-printed-part/><handwritten-part>
<line id="a01-000u-00" segmentation="ok" text="A MOVE caf\xe9 &amp;quot;x&amp;quot;"/>
<line id="a01-000u-01" segmentation="err" text="presto! You&apos;re a star."/></handwritten-part></form>"""
IAM_LISTS = {
    "ln": {"train.ln": "a01-000u-00.png\na01-000u-01.png", "val.ln": "b02-013-00.png", "test.ln": "c03-094d-00.png"},
    "ids": {"tr.lst": "# Laia\na01-000u-00\na01-000u-01\n", "va.lst": "b02-013-00\n", "te.lst": "c03-094d-00\n"},
    "forms": {"train.uttlist": "a01-000u\n", "valid.uttlist": "b02-013\n", "test.uttlist": "c03-094d\n"},
    "paths": {
        "train.txt": "/lines/a01/a01-000u_00.png\nlines/a01/a01-000u/a01-000u-01.png\n",
        "val.txt": "b02-013-00.png\n",
        "test.txt": "c03-094d-00\n",
    },
}
LARGE_WRITER = {
    "trainset.txt": "c03-094d-00\n",
    "validationset1.txt": "a01-000u-00\n",
    "validationset2.txt": "a01-000u-01\n",
    "testset.txt": "b02-013-00\n",
}
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"><Page imageFilename="{name}.JPG"
 imageWidth="200" imageHeight="100"><ReadingOrder/><TextRegion id="r"><TextLine id="l1">
 <Coords points="10,10 110,14 110,40 10,40"/><TextEquiv><Unicode>{name} Aines Er\u00ac</Unicode></TextEquiv></TextLine>
 <TextLine id="l2"><Coords points="10,50 110,50 110,80"/><TextEquiv><Unicode/></TextEquiv></TextLine>
 </TextRegion></Page></PcGts>"""
INKML = """<?xml version="1.0" encoding="UTF-8"?>
<ink{namespace}><annotationXML><Description>Cursive online handwriting</Description></annotationXML>
 <traceGroup id="tg_0_0"><annotationXML><Tg_Truth>Ti\u00ea\u0301ng {stem}</Tg_Truth></annotationXML>
  <trace id="tr_0_0"> 100 200, 300 210,
 500 400, </trace><trace id="tr_0_1"> 600 200</trace></traceGroup>
 <traceGroup id="tg_0_1"><annotationXML><Tg_Truth>hai</Tg_Truth></annotationXML>
  <trace id="tr_0_2">{trace}</trace></traceGroup></ink>"""


def load(name: str, root: Path, **options):
    return load_lines(name, data_dir=root, cache_dir=root / ".cache", **options)


def write_files(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def write_image(path: Path, size: tuple[int, int] = (60, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 255).save(path)


def write_iam(root: Path, lists: dict[str, str]) -> None:
    write_files(root, {"ascii/lines.txt": LINES_TXT, "ascii/forms.txt": "# forms\na01-000u 000 2 ok\n", **lists})
    (root / "xml").mkdir()
    (root / "xml" / "a01-000u.xml").write_text(IAM_XML, encoding="iso-8859-1")
    for line in ("a01-000u-00", "a01-000u-01", "b02-013-00", "c03-094d-00"):
        form = line[:-3]
        write_image(root / "lines" / form[:3] / form / f"{line}.png")


@pytest.mark.parametrize("lists", IAM_LISTS.values(), ids=IAM_LISTS)
def test_iam_takes_lists_in_every_form(tmp_path, lists):
    write_iam(tmp_path, lists)
    splits = load("iam", tmp_path)
    assert {name: list(split["line_id"]) for name, split in splits.items()} == {
        "train": ["a01-000u-00", "a01-000u-01"],
        "validation": ["b02-013-00"],
        "test": ["c03-094d-00"],
    }
    assert (splits["train"]["page"][0], splits["train"]["writer"][0]) == ("a01-000u", "000")
    assert splits["train"]["text"][1] == "presto ! You 're a star."


def test_iam_large_writer_independent_is_kept_apart(tmp_path):
    write_iam(tmp_path, LARGE_WRITER | IAM_LISTS["ids"])
    splits = load("iam", tmp_path, split="large_writer_independent")
    assert list(splits["validation"]["line_id"]) == ["a01-000u-00", "a01-000u-01"]
    assert list(splits["test"]["line_id"]) == ["b02-013-00"]


@pytest.mark.parametrize("name", ["validationset1.txt", "validationset2.txt"])
def test_iam_large_writer_independent_with_half_of_its_validation_lists(tmp_path, name):
    write_iam(tmp_path, {other: text for other, text in LARGE_WRITER.items() if other != name})
    with pytest.raises(LineDataError, match=f"no {name}, which is a part of the validation split") as caught:
        load("iam", tmp_path, split="large_writer_independent")
    assert len(caught.value.problems) == 1


def test_iam_second_list_of_a_split_is_a_warning(tmp_path, caplog):
    write_iam(tmp_path, IAM_LISTS["ids"] | {"train.lst": "c03-094d-00\n"})
    assert len(load("iam", tmp_path)["train"]) == 1
    assert f"lists of the train split beside {tmp_path / 'train.lst'}, which is taken" in caplog.text


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("iam", {"transcription": "laia"}),
        ("lam", {"split": "leave_decade_out"}),
        ("read2016", {"turn_above": 180.0}),
        ("vnondb", {"stroke_width": 2.0}),
    ],
)
def test_options_that_lists_cannot_obey_are_refused(tmp_path, name, options):
    write_files(tmp_path, {"train.ln": "a.png\n", "lines/a.txt": "a"})
    write_image(tmp_path / "lines" / "a.png")
    assert load(name, tmp_path)["train"]["text"] == ["a"]
    with pytest.raises(LineDataError, match=f"the option {next(iter(options))} is for the official release"):
        load(name, tmp_path, **options)


def test_iam_without_lists_says_which(tmp_path):
    write_iam(tmp_path, LARGE_WRITER)
    with pytest.raises(LineDataError, match="no list for train, validation, test of the aachen split"):
        load("iam", tmp_path)


@pytest.mark.parametrize(
    ("style", "train", "validation"),
    [
        ("raw", "presto ! You 're a star .", "on the B B C , too"),
        ("laia", "presto ! You're a star .", "on the BBC , too"),
        ("rwth", "presto ! You 're a star.", "on the BBC, too"),
    ],
)
def test_iam_transcription_styles(tmp_path, style, train, validation):
    write_iam(tmp_path, IAM_LISTS["ln"])
    splits = load("iam", tmp_path, transcription=style)
    assert (splits["train"]["text"][1], splits["validation"]["text"][0]) == (train, validation)


def test_iam_natural_text_of_the_xml(tmp_path):
    write_iam(tmp_path, dict.fromkeys(("train.txt", "val.txt", "test.txt"), "a01-000u\n"))
    (tmp_path / "ascii" / "forms.txt").unlink()
    lines = load("iam", tmp_path, transcription="xml")["test"]
    assert list(lines["text"]) == ['A MOVE caf\u00e9 "x"', "presto! You're a star."]
    assert list(lines["writer"]) == ["000", "000"]


def test_iam_list_naming_unknown_lines(tmp_path):
    write_iam(tmp_path, IAM_LISTS["ids"])
    (tmp_path / "te.lst").write_text("z99-999-00\nnonsense\n")
    (tmp_path / "lines" / "a01" / "a01-000u" / "a01-000u-01.png").unlink()
    with pytest.raises(LineDataError) as caught:
        load("iam", tmp_path)
    text = "\n".join(caught.value.problems)
    assert "te.lst, line 1: z99-999-00 has no transcription" in text
    assert "te.lst, line 2: nonsense is no known line or form" in text
    assert "tr.lst, line 3: there is no image a01-000u-01.png" in text


@pytest.mark.parametrize("split", ["basic", "leave_decade_out/leave_decade_1_out"])
def test_lam_release(tmp_path, split):
    for number, name in enumerate(("train", "val", "test")):
        image = f"002_02_0{number}.jpg"
        write_image(tmp_path / "LAM" / "lines" / "img" / image)
        entries = [{"img": image, "text": f"perch\u00e8 {name}", "decade_id": 1}]
        write_files(tmp_path / "LAM" / "lines" / "split" / split, {f"{name}.json": json.dumps(entries)})
    splits = load("lam", tmp_path, split=split)
    assert {name: list(lines["text"]) for name, lines in splits.items()} == {
        "train": ["perch\u00e8 train"],
        "validation": ["perch\u00e8 val"],
        "test": ["perch\u00e8 test"],
    }
    assert splits["train"]["page"][0] == "002_02"


def test_lam_bad_entries_and_unknown_split(tmp_path):
    long = f'[{{"img": "{"a" * 300}.jpg", "text": "x"}}]'
    files = {"train.json": '[{"img": "gone.jpg", "text": "x"}, {"img": "y.jpg"}]', "val.json": "[", "test.json": long}
    write_files(tmp_path / "lines" / "split" / "basic", files)
    with pytest.raises(LineDataError) as caught:
        load("lam", tmp_path)
    text = "\n".join(caught.value.problems)
    for told in (
        "entry 1: there is no image",
        "gone.jpg",
        "entry 2 lacks img or text",
        "val.json: not JSON",
        "aaa.jpg",
    ):
        assert told in text
    with pytest.raises(LineDataError, match="no such split; there are basic"):
        load("lam", tmp_path, split="split_basic")


def write_read2016(root: Path) -> None:
    folders = {"PublicData/Training/Images": "Seite0001", "PublicData/Validation/Images": "Seite0002"}
    for folder, name in {**folders, "Test-ICFHR-2016": "Seite0003"}.items():
        images = root / folder
        write_image(images / f"{name}.JPG", (200, 100))
        xml = (images.parent if images.name == "Images" else images) / "page" / f"{name}.xml"
        write_files(root, {str(xml.relative_to(root)): PAGE.format(name=name)})
        if images.name == "Images":
            (xml.parent / f"{name}.JPG").symlink_to(images / f"{name}.JPG")


@pytest.mark.parametrize(("keep", "end"), [(False, "Er"), (True, "Er\u00ac")])
def test_read2016_release(tmp_path, keep, end):
    write_read2016(tmp_path)
    splits = load("read2016", tmp_path, keep_not_sign=keep)
    assert {name: list(lines["text"]) for name, lines in splits.items()} == {
        "train": [f"Seite0001 Aines {end}"],
        "validation": [f"Seite0002 Aines {end}"],
        "test": [f"Seite0003 Aines {end}"],
    }
    assert splits["train"][0]["image"].size == (101, 31)


def write_vnondb(root: Path, namespace: str = "", trace: str = " 1 2, 30 40, ") -> None:
    for split, stem in (("train", "20140603_0003_BCCTC"), ("validation", "20151208_0146_7105_1"), ("test", "x")):
        text = INKML.format(namespace=namespace, stem=stem, trace=trace)
        lists = root / "VNOnDB_ICFHR2018_dataSplit" / f"{split}_set.txt"
        write_files(root, {f"InkData_line/{stem}.inkml": text, str(lists.relative_to(root)): f"{stem}.inkml\n"})
        write_files(root, {f"InkData_word/{stem}.inkml": text})


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://www.w3.org/2003/InkML"'])
def test_vnondb_release(tmp_path, namespace):
    write_vnondb(tmp_path, namespace)
    splits = load("vnondb", tmp_path)
    assert list(splits["train"]["text"]) == ["Ti\u1ebfng 20140603_0003_BCCTC", "hai"]
    assert splits["validation"]["line_id"][0] == "20151208_0146_7105_1_tg_0_0"
    image = splits["test"][0]["image"]
    assert image.width == 451 + 2 * 10 + 2 * 23
    assert np.asarray(image).min() < 128 < np.asarray(image).max()


def test_vnondb_malformed_ink_is_named(tmp_path):
    write_vnondb(tmp_path, trace=" 1 2, oops")
    (tmp_path / "InkData_line" / "x.inkml").write_text("<ink><traceGroup>")
    with pytest.raises(LineDataError) as caught:
        load("vnondb", tmp_path)
    text = "\n".join(caught.value.problems)
    assert "20140603_0003_BCCTC.inkml: tg_0_1: malformed trace" in text and "x.inkml: malformed XML" in text


def test_rendering_options_are_in_pixels():
    strokes = (((0.0, 0.0), (1000.0, 500.0)),)
    assert draw_strokes(strokes, InkOptions(width=0, height=50, margin=4, relative_margin=0)).size == (109, 59)
    thick = np.asarray(draw_strokes(strokes, InkOptions(width=0, height=50, stroke_width=4)))
    thin = np.asarray(draw_strokes(strokes, InkOptions(width=0, height=50, stroke_width=1)))
    assert thick.mean() < thin.mean()
    assert len(np.unique(thin)) > 5


IAM_NESTED = {"archive/ascii/ascii": "ascii", "archive/lines/lines": "lines"}


@pytest.mark.parametrize("lists", ["ln", "line_ids", "form_ids", "paths"])
def test_iam_nested_as_on_kaggle(tmp_path, miniatures, lists):
    release = miniatures.write_iam(tmp_path / "iam", lists)
    for nested, folder in IAM_NESTED.items():
        (release / nested).parent.mkdir(parents=True)
        (release / folder).rename(release / nested)
    splits = load("iam", release)
    assert {name: dict(zip(split["line_id"], split["text"], strict=True)) for name, split in splits.items()} == (
        miniatures.IAM
    )


def test_iam_list_of_row_numbers_is_refused(iam_release):
    (iam_release / "train.ln").write_text("a01-000u_0.png\na01-000u_1.png\n")
    with pytest.raises(LineDataError, match="row numbers of a list"):
        load("iam", iam_release)


def test_iam_large_writer_independent_shares_no_line_with_another_split(iam_release, miniatures):
    splits = load("iam", iam_release, split="large_writer_independent")
    found = {name: list(split["line_id"]) for name, split in splits.items()}
    names = miniatures.IAM_LARGE_WRITER
    assert found["train"] == names["trainset.txt"] and found["test"] == names["testset.txt"]
    assert found["validation"] == names["validationset1.txt"] + names["validationset2.txt"]


def test_iam_archive_of_trocr(tmp_path):
    write_files(tmp_path, {"IAM/gt_test.txt": "c04-110-00.jpg\tBecome a success\nc04-110-01.jpg  two  blanks\n"})
    for name in ("c04-110-00", "c04-110-01"):
        write_image(tmp_path / "IAM" / "image" / f"{name}.jpg")
    assert list(load("iam", tmp_path)["test"]["text"]) == ["Become a success", "two blanks"]
    with pytest.raises(LineDataError, match="the option transcription is for the official release"):
        load("iam", tmp_path, transcription="laia")


@pytest.mark.parametrize("crop", ["box", "polygon"])
def test_read2016_crops(tmp_path, miniatures, crop):
    release = miniatures.write_read2016(tmp_path / "release")
    page = release / "PublicData" / "Training" / "Images" / "Seite0001.JPG"
    image = Image.open(page)
    image.paste((0, 0, 0), (290, 20, 320, 22))  # Ink above the slanting edge of the first line's outline.
    image.save(page, quality=95)
    line = load("read2016", release, crop=crop)["train"][0]["image"]
    assert line.size == (301, 41)
    assert (line.convert("L").getpixel((285, 0)) < 100) == (crop == "box")


@pytest.mark.parametrize(("order", "lost"), [("<ReadingOrder/>", False), ("", True)])
def test_read2016_can_skip_the_first_child_of_a_page(tmp_path, miniatures, order, lost):
    release = miniatures.write_read2016(tmp_path / "release", order)
    assert len(load("read2016", release)["train"]) == 2
    if lost:
        with pytest.raises(LineDataError, match="no lines"):
            load("read2016", release, skip_first_child=True)
    else:
        assert len(load("read2016", release, skip_first_child=True)["train"]) == 2


@pytest.mark.parametrize("folder", ["VNOnDB_ICFHR2018_dataSplit", ".", "data"])
def test_vnondb_lists_lie_in_any_place(tmp_path, miniatures, folder):
    release = miniatures.write_vnondb(tmp_path / "vnondb", split_folder=folder)
    assert [len(split) for split in load("vnondb", release).values()] == [3, 2, 2]


def test_vnondb_levels(vnondb_release):
    words, paragraphs = (load("vnondb", vnondb_release, level=level)["test"] for level in ("word", "paragraph"))
    assert list(words["text"]) == ["m\u01b0\u1eddi", "b\u1ed1n", "n\u0103m"]
    assert words["line_id"][1] == "20160310_0200_7740_tg_0_1_0"
    assert list(paragraphs["text"]) == ["m\u01b0\u1eddi b\u1ed1n n\u0103m"]


@pytest.mark.parametrize("ending", ["", ".png"])
@pytest.mark.parametrize("index", [True, False])
def test_vnondb_tables_with_tabs(tmp_path, miniatures, index, ending):
    for split, lines in miniatures.VNONDB.items():
        rows = ["\tid\tlabel" if index else "id\tlabel"]
        for number, (name, text) in enumerate(lines.items()):
            rows.append(f"{number}\t" * index + f"{name}{ending}\t{text}")
            miniatures.write_image(tmp_path / f"{split}_line" / f"{name}.png", text)
        write_files(tmp_path, {f"{split}_line{'' if index else '_new'}.csv": "\n".join(rows) + "\n"})
    splits = load("vnondb", tmp_path)
    found = {name: dict(zip(split["line_id"], split["text"], strict=True)) for name, split in splits.items()}
    assert found == miniatures.VNONDB
    with pytest.raises(LineDataError, match="the option stroke_width is for InkML"):
        load("vnondb", tmp_path, stroke_width=2.0)


def test_vnondb_table_that_names_an_unknown_image(tmp_path):
    for split in ("train", "validation", "test"):
        write_files(tmp_path, {f"{split}_line.csv": "id\tlabel\ngone_tg_0_0\tx\n"})
    with pytest.raises(LineDataError, match="train_line.csv, line 2: there is no image gone_tg_0_0 in train_line/"):
        load("vnondb", tmp_path)


def test_vnondb_lists_with_paths(tmp_path):
    for split in ("train", "val", "test"):
        write_image(tmp_path / "lines" / f"{split}_tg_0_0.png")
        write_files(tmp_path, {f"{split}.txt": f"lines/{split}_tg_0_0.png\tNA {split}\n"})
    assert list(load("vnondb", tmp_path)["validation"]["text"]) == ["NA val"]


def write_drawn_vnondb(root: Path, miniatures, encoding: str) -> None:
    """The drawn copy, its texts as Windows writes them: marks of tone apart from their letters."""
    marks = "\u0300\u0301\u0303\u0309\u0323"
    for split, lines in miniatures.VNONDB.items():
        stems = dict.fromkeys(name.partition("_tg_")[0] for name in lines)
        write_files(root, {f"VNOnDB_ICFHR2018_dataSplit/{split}_set.txt": "\n".join(f"{s}.inkml" for s in stems)})
        for name, text in lines.items():
            miniatures.write_image(root / "InkData_line_processed" / f"{name}.png", text)
            apart = "".join(separated(letter, marks) for letter in text)
            (root / "InkData_line_processed" / f"{name}.txt").write_text(apart, encoding=encoding)


def separated(letter: str, marks: str) -> str:
    """A letter, and its mark of tone after it."""
    decomposed = unicodedata.normalize("NFD", letter)
    rest = unicodedata.normalize("NFC", "".join(part for part in decomposed if part not in marks))
    return rest + "".join(part for part in decomposed if part in marks)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1258"])
def test_vnondb_drawn_copy_in_an_encoding_that_is_named(tmp_path, miniatures, encoding):
    write_drawn_vnondb(tmp_path, miniatures, encoding)
    splits = load("vnondb", tmp_path, encoding="cp1258" if encoding == "cp1258" else "utf-8")
    found = {name: dict(zip(split["line_id"], split["text"], strict=True)) for name, split in splits.items()}
    assert found == miniatures.VNONDB


def test_vnondb_drawn_copy_in_another_encoding_is_no_gibberish(tmp_path, miniatures):
    write_drawn_vnondb(tmp_path, miniatures, "cp1258")
    with pytest.raises(LineDataError, match="not UTF-8 at byte .* name its encoding with the option encoding"):
        load("vnondb", tmp_path)
    with pytest.raises(ValueError, match="Unknown encoding 'vietnamese'"):
        load("vnondb", tmp_path, encoding="vietnamese")

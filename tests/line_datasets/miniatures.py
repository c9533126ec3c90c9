# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Miniatures of the official releases: true file names, structure, encodings and oddities, a few drawn lines each.

Each `write_*` makes the unpacked release in a folder. The constants beside it tell by split which lines a reader finds
there, with the transcriptions that the papers' choice of options gives.
"""

import json
import random
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

SPLIT_WORDS = {"train": "train", "validation": "val", "test": "test"}
PAPER, INK = 235, 40

Texts = dict[str, dict[str, str]]


def write_files(root: Path, files: dict[str, str], encoding: str = "utf-8") -> None:
    """Text files by their path below a folder."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding=encoding)


def write_image(path: Path, text: str = "", mode: str = "L") -> None:
    """An image of a line of writing, as wide as the writing."""
    font = ImageFont.load_default(size=26)
    image = Image.new("L", (int(font.getlength(text)) + 20, 40), PAPER)
    ImageDraw.Draw(image).text((8, 4), text, font=font, fill=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert(mode).save(path)


class IamLine(NamedTuple):
    """A line of IAM: its fields in lines.txt, the attribute in the XML as it stands there, and the papers' text."""

    line_id: str
    status: str
    words: str
    attribute: str
    text: str


IAM_LINES = {
    "train": [
        IamLine("a01-000u-00", "ok", "A|MOVE|to|stop|Mr.|G", "A MOVE to stop Mr. G", "A MOVE to stop Mr. G"),
        IamLine("a01-000u-01", "err", "presto|!|You|'re|up|.", "presto! You&apos;re \u00e9.", "presto ! You 're up."),
        IamLine("a01-003-00", "ok", "on|the|B B C|,|too", "on the BBC, too", "on the BBC, too"),
        IamLine("a01-003-01", "ok", "will|not|#|come", "will not # come", "will not # come"),
    ],
    "validation": [
        IamLine("b02-013-00", "ok", "\"|Quo|\"|;|and|so", "&amp;quot;Quo&amp;quot;; and so", '" Quo " ; and so'),
        IamLine("b02-013-01", "ok", "We|'ll|see|.", "We&apos;ll see.", "We 'll see."),
    ],
    "test": [
        IamLine("c03-094d-00", "ok", "It|is|late|.", "It is late.", "It is late."),
        IamLine("c03-094d-01", "err", "(|perhaps|)", "(perhaps)", "( perhaps )"),
    ],
}  # fmt: skip
IAM: Texts = {split: {line.line_id: line.text for line in lines} for split, lines in IAM_LINES.items()}
IAM_LISTS = ("ln", "line_ids", "form_ids", "paths")
IAM_LARGE_WRITER = {
    "trainset.txt": ["a01-003-00", "a01-003-01"],
    "validationset1.txt": ["c03-094d-00"],
    "validationset2.txt": ["b02-013-00", "b02-013-01"],
    "testset.txt": ["c03-094d-01"],
}
LINES_HEADER = """#--- lines.txt ---------------------------------------------------------------#
#
# iam database line information
#
# format: a01-000u-00 ok 154 19 408 746 1663 91 A|MOVE|to|stop|Mr.|Gaitskell|from
#
"""


def write_iam(root: Path, lists: str | None = "ln") -> Path:
    """
    IAM: `lines/`, `ascii/` and `xml/` as its archives unpack, the official Large Writer Independent split, and the
    papers' lists in one of the forms `IAM_LISTS`, or none.
    """
    lines = [line for split in IAM_LINES.values() for line in split]
    rows = [f"{line.line_id} {line.status} 154 19 408 746 1663 91 {line.words}\n" for line in lines]
    forms = list(dict.fromkeys(form(line.line_id) for line in lines))
    writers = [f"{name} {number:03d} 2 prt 7 5 52 36\n" for number, name in enumerate(forms)]
    write_files(
        root,
        {
            "ascii/lines.txt": LINES_HEADER + "".join(rows),
            "ascii/forms.txt": "#--- forms.txt ---#\n#\n" + "".join(writers),
            "ascii/words.txt": "#--- words.txt ---#\na01-000u-00-00 ok 154 408 768 27 51 AT A\n",
        },
    )
    for name in forms:
        write_iam_xml(root, name, [line for line in lines if form(line.line_id) == name])
    for line in lines:
        name = form(line.line_id)
        write_image(root / "lines" / name[:3] / name / f"{line.line_id}.png", line.text)
    task = "largeWriterIndependentTextLineRecognitionTask"
    write_files(root, {f"{task}/{name}": "\n".join(ids) + "\n" for name, ids in IAM_LARGE_WRITER.items()})
    if lists:
        write_files(root, iam_lists(lists))
    return root


def form(line_id: str) -> str:
    return line_id.rpartition("-")[0]


def write_iam_xml(root: Path, name: str, lines: list[IamLine]) -> None:
    rows = "".join(
        f'<line id="{line.line_id}" segmentation="{line.status}" text="{line.attribute}">'
        f'<word id="{line.line_id}-00" text="x"><cmp x="408" y="768" width="27" height="51"/></word></line>\n'
        for line in lines
    )
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE form SYSTEM "form-metadata-1.0.dtd">\n'
        f'<form id="{name}" writer-id="000" height="3542" width="2479">\n<machine-printed-part>\n'
        f'<machine-print-line text="printed"/>\n</machine-printed-part>\n<handwritten-part>\n{rows}'
        "</handwritten-part>\n</form>\n"
    )
    write_files(root, {f"xml/{name}.xml": text}, encoding="iso-8859-1")


def iam_lists(kind: str) -> dict[str, str]:
    """The papers' lists in one of the forms that users have; the first form lacks the last line feed."""
    ids = {split: [line.line_id for line in lines] for split, lines in IAM_LINES.items()}
    if kind == "ln":
        return {f"{SPLIT_WORDS[split]}.ln": "\n".join(f"{name}.png" for name in names) for split, names in ids.items()}
    if kind == "line_ids":
        ends = {"train": "tr.lst", "validation": "va.lst", "test": "te.lst"}
        return {ends[split]: "# Laia\n" + "\n".join(names) + "\n" for split, names in ids.items()}
    if kind == "form_ids":
        ends = {"train": "train.uttlist", "validation": "valid.uttlist", "test": "test.uttlist"}
        return {ends[split]: "\n".join(dict.fromkeys(map(form, names))) + "\n" for split, names in ids.items()}
    paths = {split: [f"/lines/{name[:3]}/{form(name)}_{name[-2:]}.png" for name in ids[split]] for split in ids}
    return {f"{SPLIT_WORDS[split]}.txt": "\n".join(names) + "\n" for split, names in paths.items()}


def pack(name: str, root: Path, target: Path) -> Path:
    """The archives of a release, made of its unpacked folders, in a new folder."""
    target.mkdir(parents=True)
    if name == "iam":
        pack_iam(root, target)
    elif name == "read2016":
        for top, archive in (("PublicData", "Train-And-Val-ICFHR-2016"), ("Test-ICFHR-2016", "Test-ICFHR-2016")):
            with tarfile.open(target / f"{archive}.tgz", "w:gz") as opened:
                opened.add(root / top, top)
    else:
        shutil.make_archive(str(target / name.upper()), "zip", root)
    return target


def pack_iam(root: Path, target: Path) -> None:
    """IAM's archives have no folder at their top; the papers' lists lie beside them."""
    for name in ("lines", "ascii", "xml"):
        with tarfile.open(target / f"{name}.tgz", "w:gz") as archive:
            for path in sorted((root / name).iterdir()):
                archive.add(path, path.name)
    task = root / "largeWriterIndependentTextLineRecognitionTask"
    with zipfile.ZipFile(target / f"{task.name}.zip", "w") as archive:
        for path in sorted(task.iterdir()):
            archive.write(path, path.name)
    for path in root.glob("*.ln"):
        shutil.copy(path, target)


LAM: Texts = {
    "train": {"002_02_00": "Perch\u00e8 mai, caro", "002_02_01": "Signor # mio", "094_4403_53": "a d\u00ec 12 maggio"},
    "validation": {"002_02_07": "far\u00e0 cos\u00ec | poi", "003_11_00": "\u00c8 vero\u00b7 s\u00ec"},
    "test": {"002_02_12": "Modena 1694.", "004_01_03": "n\u00b0 5 \u2013 pi\u00f9"},
}
LAM_SPLITS = ("basic", "leave_decade_out/leave_decade_1_out")


def write_lam(root: Path) -> Path:
    """LAM: the folder `LAM/` of the release, with every line in `lines/img/` and the splits as JSON lists."""
    base = root / "LAM"
    samples = {split: [lam_sample(base, name, text, split) for name, text in LAM[split].items()] for split in LAM}
    for folder in LAM_SPLITS:
        lists = {f"lines/split/{folder}/{SPLIT_WORDS[split]}.json": json.dumps(samples[split]) for split in LAM}
        write_files(base, lists)
    everything = [sample for split in samples.values() for sample in split]
    write_files(
        base,
        {
            "lines/transcriptions.json": json.dumps(everything, ensure_ascii=False),
            "full_pages/002/xml/002_02.xml": "<page/>",
            "utils/dummy_main.py": "# of the release\n",
        },
    )
    return root


def lam_sample(base: Path, name: str, text: str, split: str) -> dict[str, object]:
    path = base / "lines" / "img" / f"{name}.jpg"
    write_image(path, text, "RGB")
    with Image.open(path) as image:
        size = dict(zip(("width", "height"), image.size, strict=True))
    return {"img": path.name, "text": text, "decade_id": 1, "nameset": SPLIT_WORDS[split], **size}


class ReadPage(NamedTuple):
    """A page of READ2016: where it lies, and its lines with the not signs that the papers remove."""

    images: str
    name: str
    lines: list[str]


READ2016_PAGES = {
    "train": ReadPage("PublicData/Training/Images", "Seite0001", ["schafft. A\u016bch das Er\u00ac", "dermitl Aines"]),
    "validation": ReadPage("PublicData/Validation/Images", "Seite0002", ["Ersamen Rats.", "vnnd das\u00ac"]),
    "test": ReadPage("Test-ICFHR-2016", "Seite0003", ["B\u00fcrgermaister", "den 16 y\u0308"]),
}
READ2016: Texts = {
    "train": {"Seite0001_000": "schafft. A\u016bch das Er", "Seite0001_001": "dermitl Aines"},
    "validation": {"Seite0002_000": "Ersamen Rats.", "Seite0002_001": "vnnd das"},
    "test": {"Seite0003_000": "B\u00fcrgermaister", "Seite0003_001": "den 16 \u00ff"},
}
READ2016_LINE = (300, 40)


def write_read2016(root: Path, order: str = "<ReadingOrder><OrderedGroup id='g'/></ReadingOrder>") -> Path:
    """
    READ2016: pages with PAGE XML; `Images/*.JPG` beside `page/` but for the test set, links to them in `page/`.

    Args:
        root: Folder.
        order: First child of every Page; "" for none.
    """
    for page in READ2016_PAGES.values():
        images = root / page.images
        write_page_image(images / f"{page.name}.JPG", page.lines)
        folder = (images.parent if images.name == "Images" else images) / "page"
        write_files(folder, {f"{page.name}.xml": read2016_xml(page, order)})
        if images.name == "Images":
            (folder / f"{page.name}.JPG").symlink_to(f"../Images/{page.name}.JPG")
    return root


def write_page_image(path: Path, lines: list[str]) -> None:
    width, height = READ2016_LINE
    page = Image.new("RGB", (width + 40, 60 * len(lines) + 80), (PAPER, PAPER, PAPER - 20))
    font = ImageFont.load_default(size=26)
    for number, text in enumerate(lines):
        ImageDraw.Draw(page).text((25, 20 + 60 * number), text, font=font, fill=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, "JPEG", quality=90)


def read2016_xml(page: ReadPage, order: str) -> str:
    width, height = READ2016_LINE
    lines = []
    for number, text in enumerate([*page.lines, ""]):
        left, top, right, bottom = 20, 20 + 60 * number, 20 + width, 20 + 60 * number + height
        baseline = "" if number else f'<Baseline points="{left},{bottom - 8} {right},{bottom - 8}"/>'
        lines.append(
            f'<TextLine id="l{number}" custom="readingOrder {{index:{number};}}">'
            f'<Coords points="{left},{top} {right},{top + 4} {right},{bottom} {left},{bottom}"/>{baseline}'
            f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15">'
        '<Metadata><Creator>TRP</Creator><TranskribusMetadata docId="-1"/></Metadata>'
        f'<Page imageFilename="{page.name}.JPG" imageWidth="{width + 40}" imageHeight="{60 * len(page.lines) + 80}">'
        f'{order}<TextRegion id="r1"><Coords points="0,0 {width},0 {width},80 0,80"/>{"".join(lines)}</TextRegion>'
        '<TextRegion id="r2"><Coords points="0,0 9,0 9,9 0,9"/></TextRegion></Page></PcGts>'
    )


VNONDB_INK = {
    "train": {"20140603_0003_BCCTC": ["Ti\u00ea\u0301ng Vi\u00ea\u0323t", "hai"], "20151208_0146_7105_1": ["NA"]},
    "validation": {"20151209_0147_22117_2": ["nh\u00e0 \u0111\u1eb9p", "ba"]},
    "test": {"20160310_0200_7740": ["m\u01b0\u1eddi", "b\u1ed1n n\u0103m"]},
}
VNONDB: Texts = {
    "train": {
        "20140603_0003_BCCTC_tg_0_0": "Ti\u1ebfng Vi\u1ec7t",
        "20140603_0003_BCCTC_tg_0_1": "hai",
        "20151208_0146_7105_1_tg_0_0": "NA",
    },
    "validation": {
        "20151209_0147_22117_2_tg_0_0": "nh\u00e0 \u0111\u1eb9p",
        "20151209_0147_22117_2_tg_0_1": "ba",
    },
    "test": {"20160310_0200_7740_tg_0_0": "m\u01b0\u1eddi", "20160310_0200_7740_tg_0_1": "b\u1ed1n n\u0103m"},
}
VNONDB_LEVELS = ("word", "line", "paragraph")
VNONDB_SPLIT_FOLDERS = ("VNOnDB_ICFHR2018_dataSplit", ".", "data")


def write_vnondb(root: Path, namespace: str = "", split_folder: str = "VNOnDB_ICFHR2018_dataSplit") -> Path:
    """
    HANDS-VNOnDB: `InkData_word/`, `InkData_line/`, `InkData_paragraph/` with InkML, and the three lists of its files.

    Args:
        root: Folder.
        namespace: Attributes of the root element; the release has none, other files that of the W3C.
        split_folder: Where the lists lie, see `VNONDB_SPLIT_FOLDERS`.
    """
    for split, stems in VNONDB_INK.items():
        write_files(root / split_folder, {f"{split}_set.txt": "\n".join(f"{stem}.inkml" for stem in stems)})
        for stem, texts in stems.items():
            for level in VNONDB_LEVELS:
                write_files(root, {f"InkData_{level}/{stem}.inkml": inkml(texts, namespace, level)})
    return root


def inkml(texts: list[str], namespace: str, level: str) -> str:
    """An InkML file of one paragraph, its groups those of a level."""
    groups = {
        "word": [
            (f"tg_0_{row}_{place}", word) for row, line in enumerate(texts) for place, word in enumerate(line.split())
        ],
        "line": [(f"tg_0_{row}", text) for row, text in enumerate(texts)],
        "paragraph": [("tg_0", "\n".join(texts))],
    }[level]
    body = "".join(trace_group(identifier, text, number) for number, (identifier, text) in enumerate(groups))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ink{namespace}>\n <annotationXML>\n'
        "  <Description>Cursive online handwriting</Description>\n  <Content_Category>Text</Content_Category>\n"
        f"  <Language>Vietnamese</Language>\n  <SamplingRate>120</SamplingRate>\n </annotationXML>\n{body}</ink>\n"
    )


def trace_group(identifier: str, text: str, number: int) -> str:
    """Strokes as the tablet gives them: whole numbers, a blank before and a comma after the last point."""
    dice = random.Random(number)
    traces = []
    for stroke in range(4 * len(text)):
        left = 100 + 30 * stroke
        points = [f" {left + 6 * step} {1000 + dice.randint(-40, 40)}" for step in range(5)]
        traces.append(f'  <trace id="tr_{number}_{stroke}">{",".join(points[:3])},\n{",".join(points[3:])},</trace>\n')
    truth = f"<annotationXML><Tg_Truth>{text}</Tg_Truth></annotationXML>"
    return f' <traceGroup id="{identifier}">\n  {truth}\n{"".join(traces)} </traceGroup>\n'


def write_ln(root: Path, texts: Texts, suffix: str = ".png") -> Path:
    """The layout of the papers' code: `train.ln`, `val.ln`, `test.ln` without last line feed, and `lines/`."""
    for split, lines in texts.items():
        write_files(root, {f"{SPLIT_WORDS[split]}.ln": "\n".join(name + suffix for name in lines)})
        for name, text in lines.items():
            write_image(root / "lines" / (name + suffix), text)
            write_files(root, {f"lines/{name}.txt": text})
    return root

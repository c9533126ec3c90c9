# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""IAM: lines of the official release, with the split lists that users bring."""

import dataclasses
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from ...pages.finding_files import file_below, files_below
from ...pages.safe_xml import parse_xml
from ..formats.image_lists import image_lists, read_image_lists
from ..formats.tables import read_tables
from ..line import SPLITS, ImageFile, Line, Lines
from ..problems import Problems
from ..text_files import numbered_lines, read_text
from . import changed_options

LINE_ID = re.compile(r"[a-z]\d{2}-\d{3}[a-z]?-\d{2}")
FORM_ID = re.compile(r"[a-z]\d{2}-\d{3}[a-z]?")
ROW_NUMBER = re.compile(r"_(?:\d|[1-9]\d{2,})$")
CONTRACTION = re.compile(r" ('(?:s|d|ll|m|ve|t|re))\b", re.IGNORECASE)
LARGE_WRITER_INDEPENDENT = {
    "train": ("trainset.txt",),
    "validation": ("validationset1.txt", "validationset2.txt"),
    "test": ("testset.txt",),
}
LIST_STEMS = {
    "train": ("train", "tr", "train_lines"),
    "validation": ("val", "valid", "validation", "va"),
    "test": ("test", "te"),
}
LIST_SUFFIXES = (".ln", ".txt", ".lst", ".uttlist")
SPLIT_KINDS = ("aachen", "large_writer_independent")


def raw(transcription: str) -> str:
    return transcription.replace("|", " ")


def laia(transcription: str) -> str:
    return CONTRACTION.sub(r"\1", transcription.replace(" ", "").replace("|", " "))


def rwth(transcription: str) -> str:
    return re.sub(r" ([,.])", r"\1", transcription.replace(" ", "").replace("|", " "))


STYLES: dict[str, Callable[[str], str] | None] = {"rwth": rwth, "raw": raw, "laia": laia, "xml": None}


@dataclasses.dataclass(frozen=True)
class IamOptions:
    """
    Options of `load_lines("iam", ...)`.

    Args:
        split: "aachen", the lists of most papers (6482 / 976 / 2915 lines), which the release does not hold: put them
            into the data folder as `train`, `val` (or `valid`) and `test` with the ending `.ln`, `.txt`, `.lst` or
            `.uttlist`; or "large_writer_independent", the official `trainset.txt`, `validationset1.txt`,
            `validationset2.txt` and `testset.txt`. Results on the two are not comparable, and the validation sets of
            the one are in the test set of the other.
        transcription: "rwth" (the papers': only `.` and `,` are joined to the word before), "raw" (`|` becomes a
            space), "laia" (also contractions such as `'s` are joined), or "xml" (the natural text of `xml/*.xml`).
    """

    split: str = "aachen"
    transcription: str = "rwth"

    def __post_init__(self):
        for name, known in (("split", SPLIT_KINDS), ("transcription", STYLES)):
            if getattr(self, name) not in known:
                raise ValueError(f"Unknown {name} {getattr(self, name)!r} of IAM. Known: {', '.join(known)}.")


def read(root: Path, options: IamOptions, problems: Problems) -> Lines:
    """
    Lines of the unpacked release, of the layout with `.ln` lists and a `.txt` beside each image, or of TrOCR's archive
    (`IAM/gt_test.txt` with an image and its transcription on each line, beside `IAM/image/`).

    The release needs `lines.txt` (or `xml/` for the style "xml"), the folders of `lines.tgz` (`a01/a01-000u/`) and the
    lists, each anywhere below `root`. A list holds line ids, form ids, names or paths of images, one on each line.
    Lines whose words were segmented badly (`err`) are kept, as in the papers.
    """
    if image_lists(root) and any((root / "lines").glob("*.txt")):
        return read_image_lists(root, problems, changed_options(options))
    if found := table_folder(root):
        problems.refuse(found, changed_options(options), "for the official release, not for tables with texts")
        return read_tables(found, problems)
    lists = find_lists(root, options.split, problems)
    if missing := [split for split in SPLITS if split not in lists]:
        problems.add(root, f"no list for {', '.join(missing)} of the {options.split} split; see the option split")
        return {}
    entries = read_entries(root, options.transcription, problems)
    images = {path.stem: path for path in files_below(root, ".png") if LINE_ID.fullmatch(path.stem)}
    writers = read_writers(root, problems)
    forms: dict[str, list[str]] = {}
    for line_id in entries:
        forms.setdefault(form(line_id), []).append(line_id)
    return {
        split: [
            Line(line_id, entries[line_id], ImageFile(images[line_id]), form(line_id), writers.get(form(line_id)))
            for path in paths
            for line_id in listed_ids(path, entries, forms, images, problems)
        ]
        for split, paths in lists.items()
    }


def table_folder(root: Path) -> Path | None:
    """The folder that holds `gt_test.txt` or its like."""
    tables = (file_below(root, f"gt_{word}.txt") for word in ("test", "train", "valid", "val"))
    return next((path.parent for path in tables if path), None)


def form(line_id: str) -> str:
    return line_id.rpartition("-")[0]


def find_lists(root: Path, kind: str, problems: Problems) -> dict[str, list[Path]]:
    """Lists of a split by name, the shallowest of each name, anywhere below the folder."""
    paths = sorted(files_below(root, *LIST_SUFFIXES), key=lambda path: (len(path.parts), path))
    shallowest = {path.name: path for path in reversed(paths)}
    if kind == "aachen":
        return one_list_each(shallowest, problems)
    return whole_lists(root, shallowest, problems)


def one_list_each(lists: dict[str, Path], problems: Problems) -> dict[str, list[Path]]:
    """The first of the names that a split's list may have."""
    found = {}
    for split, stems in LIST_STEMS.items():
        names = [stem + suffix for stem in stems for suffix in LIST_SUFFIXES]
        present = [lists[name] for name in names if name in lists]
        for other in present[1:]:
            if other.read_bytes() != present[0].read_bytes():
                problems.warn(other, f"lists of the {split} split beside {present[0]}, which is taken")
        if present:
            found[split] = present[:1]
    return found


def whole_lists(root: Path, lists: dict[str, Path], problems: Problems) -> dict[str, list[Path]]:
    """All lists of each of the large writer independent splits."""
    found = {}
    for split, names in LARGE_WRITER_INDEPENDENT.items():
        present = [lists[name] for name in names if name in lists]
        if present:
            found[split] = present
            for name in sorted(set(names) - set(lists)):
                problems.add(root, f"no {name}, which is a part of the {split} split beside {present[0].name}")
    return found


def listed_ids(
    path: Path,
    entries: dict[str, str],
    forms: dict[str, list[str]],
    images: dict[str, Path],
    problems: Problems,
) -> Iterator[str]:
    rows = list(numbered_lines(path, problems))
    if any(ROW_NUMBER.search(Path(item.split()[0]).stem) for _, item in rows):
        problems.add(
            path,
            "its names end in row numbers of a list (a02-102_0), not in line numbers (a02-102-00); they "
            "cannot be told apart from the release. Take the list of the same forms with line numbers.",
        )
        return
    for number, item in rows:
        if not (identifiers := ids_of(item, forms)):
            problems.add(path, f"{item} is no known line or form", number)
        for line_id in identifiers:
            if line_id not in entries:
                problems.add(path, f"{line_id} has no transcription", number)
            elif line_id not in images:
                problems.add(path, f"there is no image {line_id}.png", number)
            else:
                yield line_id


def ids_of(item: str, forms: dict[str, list[str]]) -> list[str]:
    """The line ids that an item of a list names: a line, a form, or the name or path of an image."""
    name = Path(item.split()[0]).name
    name = name.rpartition(".")[0] if Path(name).suffix else name
    name = re.sub(r"_(\d{2})$", r"-\1", name)
    return forms.get(name, []) if FORM_ID.fullmatch(name) else [name] if LINE_ID.fullmatch(name) else []


def read_entries(root: Path, style: str, problems: Problems) -> dict[str, str]:
    """Transcriptions by line id in one of the `STYLES`."""
    apply = STYLES[style]
    if apply is None:
        return xml_entries(root, problems)
    path = file_below(root, "lines.txt")
    if path is None:
        problems.add(root, "no lines.txt (of ascii.tgz)")
        return {}
    entries: dict[str, str] = {}
    for number, line in numbered_lines(path, problems):
        fields = line.split(" ", 8)
        if len(fields) == 9 and LINE_ID.fullmatch(fields[0]):
            entries[fields[0]] = apply(fields[8])
        else:
            problems.add(path, "not a line id, 7 fields and a transcription", number)
    return entries


def xml_entries(root: Path, problems: Problems) -> dict[str, str]:
    """The attribute `text` of the lines of `xml/*.xml`, some of which are escaped twice."""
    entries: dict[str, str] = {}
    for _, tree in xml_forms(root, problems):
        lines = tree.findall("handwritten-part/line")
        entries |= {line.get("id", ""): html.unescape(line.get("text", "")) for line in lines}
    if not entries:
        problems.add(root, "no lines in xml/*.xml (of xml.tgz)")
    return entries


def xml_forms(root: Path, problems: Problems) -> Iterator[tuple[str, Element]]:
    """Names and trees of the forms in `xml/*.xml`."""
    for path in files_below(root, ".xml"):
        if FORM_ID.fullmatch(path.stem):
            try:
                yield path.stem, parse_xml(path)
            except ValueError as error:
                problems.add(path, str(error))


def read_writers(root: Path, problems: Problems) -> dict[str, str]:
    """Writers by form, from `forms.txt` (of ascii.tgz) or else from `xml/*.xml`, where there is one of the two."""
    path = file_below(root, "forms.txt")
    if path is None:
        # Who reads no text from these files is told of no damage to them.
        return {name: writer for name, tree in xml_forms(root, Problems(root)) if (writer := tree.get("writer-id"))}
    text = read_text(path, problems) or ""
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {row[0]: row[1] for row in rows if len(row) > 1}

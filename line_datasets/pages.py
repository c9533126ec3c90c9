"""Ground truth of whole pages: PAGE XML and ALTO with the images of the pages."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from .alto import parse_alto
from .cropping import CropOptions, Cut, PageCrop
from .line_folder import Lines
from .lines import IMAGE_SUFFIXES, Line, files_below, open_image, split_folders
from .page_layout import Page, PageLine, Point, baseline_angle
from .page_xml import parse_page_xml
from .problems import Problems
from .xml_files import local_name, read_xml

IMAGE_FOLDERS = (".", "..", "../Images", "../images", "../img", "../image", "Images", "images")
PLAIN_FOLDERS = ("Images", "images", "img", "image", "page", "alto")
OUTSIDE_TOLERANCE = 0.01
HEAD_BYTES = 65536
PARSERS = {"PcGts": parse_page_xml, "alto": parse_alto}


def read_pages(root: Path, problems: Problems, crop: CropOptions) -> Lines:
    """
    Lines of all pages below a folder, in `train/`, `val/`, `test/`; all are the train split without such folders.

    An XML file counts by its root element, whatever its folder is called; of several files for one image (PAGE beside
    ALTO) the first with a text counts, PAGE before ALTO. The image lies beside the XML, one folder up or in `Images/`.

    Args:
        root: Folder.
        problems: Takes what is wrong.
        crop: How lines are cut out.
    """
    folders = split_folders(root) or {"train": root}
    return {split: folder_lines(folder, problems, crop) for split, folder in folders.items()}


def has_pages(root: Path) -> bool:
    """Whether any file below a folder is PAGE XML or ALTO, by its beginning."""
    return any(root_name(path) in PARSERS for path in files_below(root, ".xml"))


def root_name(path: Path) -> str:
    """Name of the root element of an XML file, from its beginning; "" if there is none."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).replace(b"\0", b"").decode("utf-8", "ignore")
    declarations = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
    found = re.search(r"<(?:\w+:)?(\w+)", declarations.sub("", head))
    return found[1] if found else ""


def folder_lines(
    folder: Path, problems: Problems, crop: CropOptions, skip_first_child: bool = False
) -> Iterator[Line]:
    """
    Lines of all pages below one folder.

    Args:
        folder: Folder.
        problems: Takes what is wrong.
        crop: How lines are cut out.
        skip_first_child: Leave out the first element of a PAGE file's Page, be it the reading order or a region.
    """
    taken: set[Path] = set()
    for path in page_files(folder, problems):
        page = read_page(path, problems, skip_first_child)
        if page is None or not any(line.text.strip() for line in page.lines):
            continue
        image = page_image(path, page.image_name)
        if image is None:
            problems.add(path, f"its image {page.image_name} is neither beside it nor one folder up; is it published?")
        elif image.resolve() not in taken:
            taken.add(image.resolve())
            yield from page_lines(path, page, image, line_prefix(path, image, folder), problems, crop)


def page_files(folder: Path, problems: Problems) -> list[Path]:
    """PAGE files, then ALTO files; of each the ones with the shortest endings first."""
    found = [(path, root_name(path)) for path in files_below(folder, ".xml")]
    for path, name in found:
        if not name:
            problems.add(path, "malformed XML (no element)")
    pages = [(path, name) for path, name in found if name in PARSERS]
    return [path for path, name in sorted(pages, key=lambda pair: (pair[1] != "PcGts", len(pair[0].suffixes)))]


def line_prefix(path: Path, image: Path, folder: Path) -> str:
    """
    What the identifiers of a page's lines begin with: the image's name, after its folders below the split's, without
    one that only tells that there are images (`Images/`).
    """
    parent = image.parent if image.is_relative_to(folder.resolve()) else path.resolve().parent
    if parent != folder.resolve() and parent.name in PLAIN_FOLDERS:
        parent = parent.parent
    return (parent.relative_to(folder.resolve()) / image.stem).as_posix()


def page_lines(
    path: Path, page: Page, image: Path, prefix: str, problems: Problems, crop: CropOptions
) -> Iterator[Line]:
    width, height = page.width, page.height
    if not (width and height):
        try:
            with open_image(image, image) as opened:
                width, height = opened.size
        except ValueError as error:
            problems.add(path, str(error))
            return
    for index, line in enumerate(page.lines):
        if not line.text.strip():
            continue
        if wrong := wrong_outline(line.points, width, height):
            problems.add(path, f"line {line.identifier} {wrong}")
        else:
            cut = PageCrop(image, cut_of(line, width, height), crop)
            yield Line(f"{prefix}_{index:03d}", line.text, cut, page=image.stem)


def cut_of(line: PageLine, width: int, height: int) -> Cut:
    """Where a line lies on a page of `width` by `height` pixels."""
    return Cut(tuple(line.points), (width, height), baseline_angle(line.baseline))


def wrong_outline(points: list[Point], width: int, height: int) -> str:
    """
    What is wrong with an outline, or "".

    It may leave the page by a hundredth of the page's sides, as outlines along the edge do.
    """
    if len(points) < 2:
        return "has no outline"
    xs, ys = zip(*points, strict=True)
    across, down = OUTSIDE_TOLERANCE * width, OUTSIDE_TOLERANCE * height
    leaves = min(xs) < -across or min(ys) < -down or max(xs) > width + across or max(ys) > height + down
    if leaves or max(xs) <= 0 or max(ys) <= 0 or min(xs) >= width or min(ys) >= height:
        return f"lies outside the page of {width} x {height} pixels"
    return "has an outline without extent" if max(xs) - min(xs) < 1 or max(ys) - min(ys) < 1 else ""


def page_image(path: Path, name: str) -> Path | None:
    """The image that an XML file names, or else one with the XML's own name, beside it or near."""
    wanted = Path(name.replace("\\", "/")).name
    for folder in IMAGE_FOLDERS:
        near = path.parent / folder
        endings = [end for suffix in IMAGE_SUFFIXES for end in (suffix, suffix.upper())]
        for candidate in [wanted, *(stem + end for stem in (Path(wanted).stem, path.stem) for end in endings)]:
            if candidate and Path(candidate).suffix.lower() in IMAGE_SUFFIXES and (near / candidate).is_file():
                return (near / candidate).resolve()
    return None


def read_page(path: Path, problems: Problems, skip_first_child: bool = False) -> Page | None:
    """Page of a PAGE XML or ALTO file; None, noted as a problem, if it is neither or malformed."""
    root = read_xml(path, problems)
    try:
        return None if root is None else parse_page(root, skip_first_child)
    except ValueError as error:
        problems.add(path, str(error))
        return None


def parse_page(root: Element, skip_first_child: bool = False) -> Page:
    """
    The page of a PAGE XML or ALTO tree.

    Raises:
        ValueError: If it is neither, or not as expected.
    """
    name = local_name(root)
    if name not in PARSERS:
        raise ValueError(f"neither PAGE XML nor ALTO, but {name}")
    page = root.find("{*}Page")
    if skip_first_child and page is not None and len(page):
        page.remove(page[0])
    try:
        return PARSERS[name](root)
    except ValueError as error:
        raise ValueError(f"not {name} as expected ({error})") from error

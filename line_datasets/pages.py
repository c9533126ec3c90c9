"""Ground truth of whole pages: PAGE XML (2013, 2019) and ALTO (2, 4), as Transkribus and eScriptorium export them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from .cropping import CROPS, PageCrop, Point
from .line_folder import Lines
from .lines import IMAGE_SUFFIXES, Line, open_image, split_folders
from .problems import Problems

IMAGE_FOLDERS = (".", "..", "../Images", "../images", "../img", "../image", "Images", "images")
OUTSIDE_TOLERANCE = 0.01
UNORDERED = 10**9


class PageLine(NamedTuple):
    """A line of a page: its own and its region's identifier, its text, and its outline in pixels of the page."""

    identifier: str
    region: str
    text: str
    points: list[Point]
    position: int | None = None


class Page(NamedTuple):
    """A page as its XML tells it; `width` and `height` in pixels, 0 where not told. Lines are in reading order."""

    image_name: str
    width: int
    height: int
    lines: list[PageLine]


def read_pages(root: Path, problems: Problems, crop: str = "polygon") -> Lines:
    """
    Lines of all pages below a folder, in `train/`, `val/`, `test/`; all are the train split without such folders.

    An XML file counts by its root element, whatever its folder is called; of several files for one image (PAGE beside
    ALTO) the first with a text counts, PAGE before ALTO. The image lies beside the XML, one folder up or in `Images/`.

    Args:
        root: Folder.
        problems: Takes what is wrong.
        crop: "polygon" (the surroundings painted in the colour of the paper) or "box" (the box around the outline).
    """
    if crop not in CROPS:
        raise ValueError(f"Unknown crop {crop!r}. Known: {', '.join(CROPS)}.")
    folders = split_folders(root) or {"train": root}
    return {split: list(folder_lines(folder, problems, crop)) for split, folder in folders.items()}


def has_pages(root: Path) -> bool:
    """Whether any file below a folder is PAGE XML or ALTO, by the first kilobytes."""
    return any(page_format(path) for path in root.rglob("*.xml"))


def page_format(path: Path) -> str:
    """ "page", "alto" or "" from the beginning of a file."""
    with path.open("rb") as file:
        head = file.read(4096).decode("utf-8", "ignore").replace("\0", "")
    found = re.search(r"<(?:\w+:)?(PcGts|alto)[\s>]", head)
    return {"PcGts": "page", "alto": "alto"}[found[1]] if found else ""


def folder_lines(folder: Path, problems: Problems, crop: str) -> Iterator[Line]:
    paths = [path for path in sorted(folder.rglob("*.xml")) if page_format(path)]
    taken: set[Path] = set()
    for path in sorted(paths, key=lambda path: (page_format(path) != "page", len(path.suffixes))):
        page = read_page(path, problems)
        if page is None or not any(line.text.strip() for line in page.lines):
            continue
        image = page_image(path, page.image_name)
        if image is None:
            problems.add(path, f"its image {page.image_name} is neither beside it nor one folder up; is it published?")
        elif image.resolve() not in taken:
            taken.add(image.resolve())
            yield from page_lines(path, page, image, problems, crop)


def page_lines(path: Path, page: Page, image: Path, problems: Problems, crop: str) -> Iterator[Line]:
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
        if len(line.points) < 2:
            problems.add(path, f"line {line.identifier} has no outline")
        elif is_outside(line.points, width, height):
            problems.add(path, f"line {line.identifier} lies outside the page of {width} x {height} pixels")
        else:
            cut = PageCrop(image, tuple(line.points), (width, height), crop)
            yield Line(f"{image.stem}_{index:03d}", line.text, cut, page=image.stem)


def is_outside(points: list[Point], width: int, height: int) -> bool:
    """Whether an outline leaves the page by more than a hundredth of its sides, or lies beside it."""
    xs, ys = zip(*points, strict=True)
    across, down = OUTSIDE_TOLERANCE * width, OUTSIDE_TOLERANCE * height
    leaves = min(xs) < -across or min(ys) < -down or max(xs) > width + across or max(ys) > height + down
    return leaves or max(xs) <= 0 or max(ys) <= 0 or min(xs) >= width or min(ys) >= height


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


def parse_xml(path: Path, problems: Problems) -> Element | None:
    """Root of an XML file; None, noted as a problem, if it is malformed or declares entities."""
    try:
        return ElementTree.parse(path).getroot()
    except ParseError as error:
        problems.add(path, f"malformed XML ({error})")
    except DefusedXmlException as error:
        problems.add(path, f"refused, for it declares XML entities ({type(error).__name__})")
    except (OSError, ValueError, LookupError) as error:
        problems.add(path, f"unreadable ({error})")
    return None


def read_page(path: Path, problems: Problems) -> Page | None:
    """Page of a PAGE XML or ALTO file; None, noted as a problem, if it is neither or malformed."""
    root = parse_xml(path, problems)
    if root is None:
        return None
    try:
        return {"PcGts": parse_page_xml, "alto": parse_alto}[local_name(root)](root)
    except (KeyError, ValueError) as error:
        problems.add(path, f"not PAGE XML or ALTO as expected ({error})")
        return None


def local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def numbers(text: str | None) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text or "")]


def parse_points(text: str | None) -> list[Point]:
    """Points from "x,y x,y" or "x y x y"."""
    values = numbers(text)
    return list(zip(values[::2], values[1::2], strict=False))


def parse_page_xml(root: Element) -> Page:
    """A PAGE XML tree. The text of a line is that of its own TextEquiv (of several, the first by `index`)."""
    page = root.find("{*}Page")
    if page is None:
        raise ValueError("no element Page")
    order = [ref.get("regionRef", "") for ref in ordered_references(page.find("{*}ReadingOrder"))]
    lines = [page_xml_line(region, line) for region in page.iter() for line in region.findall("{*}TextLine")]
    width, height = (int(float(page.get(name) or 0)) for name in ("imageWidth", "imageHeight"))
    return Page(page.get("imageFilename", ""), width, height, in_reading_order(lines, order))


def page_xml_line(region: Element, line: Element) -> PageLine:
    equivalents = sorted(line.findall("{*}TextEquiv"), key=lambda element: int(element.get("index") or 0))
    text = equivalents[0].findtext("{*}Unicode") if equivalents else None
    coords = line.find("{*}Coords")
    index = re.search(r"readingOrder\s*\{\s*index\s*:\s*(\d+)", line.get("custom", ""))
    points = parse_points(coords.get("points")) if coords is not None else []
    if coords is not None and not points:
        points = [(float(point.get("x", 0)), float(point.get("y", 0))) for point in coords.findall("{*}Point")]
    return PageLine(line.get("id", "?"), region.get("id", ""), text or "", points, int(index[1]) if index else None)


def ordered_references(order: Element | None) -> list[Element]:
    """References of a ReadingOrder, groups unfolded, each group's members by their `index` where they have one."""
    if order is None:
        return []
    children = sorted(order, key=lambda element: int(element.get("index") or 0))
    return [ref for child in children for ref in (ordered_references(child) if len(child) else [child])]


def in_reading_order(lines: list[PageLine], order: list[str]) -> list[PageLine]:
    """Lines by the place of their region (or their own) in the order, then by their index; else as in the document."""
    place = {identifier: number for number, identifier in enumerate(order)}
    regions = {region: number for number, region in enumerate(dict.fromkeys(line.region for line in lines))}

    def key(line: PageLine) -> tuple[int, int, int]:
        ordered = place.get(line.identifier, place.get(line.region, UNORDERED))
        return ordered, regions[line.region], UNORDERED if line.position is None else line.position

    return sorted(lines, key=key)


def parse_alto(root: Element) -> Page:
    """An ALTO tree. A line's text is that of its String, SP and HYP; its outline the Shape, or else the box."""
    unit = root.findtext(".//{*}MeasurementUnit") or "pixel"
    if unit.strip() != "pixel":
        raise ValueError(f"MeasurementUnit is {unit}, not pixel")
    page = root.find(".//{*}Page")
    if page is None:
        raise ValueError("no element Page")
    order = [ref.get("REF", "") for ref in ordered_references(root.find(".//{*}ReadingOrder"))]
    lines = [alto_line(block, line) for block in page.iter() for line in block.findall("{*}TextLine")]
    width, height = (int(float(page.get(name) or 0)) for name in ("WIDTH", "HEIGHT"))
    return Page(root.findtext(".//{*}fileName") or "", width, height, in_reading_order(lines, order))


def alto_line(block: Element, line: Element) -> PageLine:
    parts = [(local_name(part), part.get("CONTENT", "")) for part in line]
    spaced = any(name == "SP" for name, _ in parts)
    strings = [" " if name == "SP" else text for name, text in parts if name in ("String", "SP", "HYP")]
    shape = line.find("{*}Shape/{*}Polygon")
    points = parse_points(shape.get("POINTS")) if shape is not None else []
    text = ("" if spaced else " ").join(strings)
    return PageLine(line.get("ID", "?"), block.get("ID", ""), text, points or box_points(line))


def box_points(line: Element) -> list[Point]:
    box = [line.get(name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    if None in box:
        return []
    left, top, width, height = (float(value or 0) for value in box)
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]

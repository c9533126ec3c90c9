"""Rows of a dataset, each a line or a whole page with its XML, as lines."""

import logging
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from .cropping import CropOptions, cut_line, oriented_page
from .image_folder import TEXT_COLUMNS
from .lines import FEATURES, IMAGE_SUFFIXES, open_image
from .pages import cut_of, parse_page, wrong_outline
from .problems import LineDataError, Problems
from .xml_files import parse_xml

logger = logging.getLogger(__name__)

IMAGE_COLUMNS = ("image", "img", *(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))
PAGE_COLUMNS = ("alto", "page_xml", "xml")
ID_COLUMNS = ("line_id", "id", "__key__", "file_name", "filename")

Row = dict[str, Any]


class RowReader(NamedTuple):
    """
    Makes lines of batches of rows; for `map` of a dataset.

    Attributes:
        source: Value of the column `source` where there is none.
        edit: Gives a transcription its final form.
        crop: How lines are cut out of rows that are pages.
        on_error: "raise" or "skip", see [`~builder.LineBuilderConfig`].
        image: Column of the image.
        text: Column of the transcription, or of a page's XML.
        line_id: Column of the identifier; None numbers the rows.
    """

    source: str
    edit: Callable[[str], str]
    crop: CropOptions
    on_error: str
    image: str = ""
    text: str = ""
    line_id: str | None = None

    def for_features(self, features: Mapping[str, Any]) -> "RowReader":
        """The same for the columns of a dataset; LineDataError if it has no image, or neither text nor XML."""
        image = first_column(features, IMAGE_COLUMNS)
        text = first_column(features, TEXT_COLUMNS) or first_column(features, PAGE_COLUMNS)
        problems = Problems(self.source)
        for found, names in ((image, IMAGE_COLUMNS), (text, TEXT_COLUMNS + PAGE_COLUMNS)):
            if not found:
                problems.add(self.source, f"none of the columns {', '.join(names)}; there are {', '.join(features)}")
        problems.raise_if_any()
        assert image and text
        return self._replace(image=image, text=text, line_id=first_column(features, ID_COLUMNS))

    @property
    def of_pages(self) -> bool:
        """Whether rows are pages."""
        return self.text in PAGE_COLUMNS

    def __call__(self, batch: dict[str, list[Any]], indices: list[int]) -> dict[str, list[Any]]:
        """
        Lines as columns of [`load_lines`].

        Raises:
            LineDataError: If anything is wrong with a row and `on_error` is "raise".
        """
        problems = Problems(self.source)
        made = list(self.lines(batch, indices, problems))
        if self.on_error == "raise":
            problems.raise_if_any()
        elif problems.found:
            logger.warning("Left out: %s", LineDataError(self.source, problems.found))
        return {name: [line[name] for line in made] for name in FEATURES}

    def lines(self, batch: dict[str, list[Any]], indices: list[int], problems: Problems) -> Iterator[Row]:
        """Lines of a batch; what is wrong is noted."""
        for place, index in enumerate(indices):
            row = {name: values[place] for name, values in batch.items()}
            identifier = str(row[self.line_id]) if self.line_id else str(index)
            try:
                if row[self.text] is None:
                    raise ValueError(f"no transcription ({self.text})")
                yield from self.lines_of_page(row, identifier) if self.of_pages else self.line(row, identifier)
            except (ValueError, OSError) as error:
                problems.add(f"{self.source}, row {index} ({identifier})", str(error))

    def line(self, row: Row, identifier: str) -> Iterator[Row]:
        with open_image(image_file(row[self.image]), "image"):
            text = row[self.text]
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else str(text)
        kept = {name: row.get(name) for name in ("page", "writer")} | {"source": row.get("source") or self.source}
        yield {"image": row[self.image], "text": self.edit(text), "line_id": identifier, **kept}

    def lines_of_page(self, row: Row, identifier: str) -> Iterator[Row]:
        page = parse_page(parse_xml(row[self.text]))
        with open_image(image_file(row[self.image]), "image") as opened:
            width, height = page.width or opened.width, page.height or opened.height
            scan = oriented_page(opened, (width, height), "image")
        name = Path(identifier).stem
        for number, line in enumerate(page.lines):
            if not line.text.strip():
                continue
            if wrong := wrong_outline(line.points, width, height):
                raise ValueError(f"line {line.identifier} {wrong}")
            image = {"bytes": cut_line(scan, cut_of(line, width, height), self.crop), "path": None}
            known = {"source": self.source, "page": name, "writer": None}
            yield {"image": image, "text": self.edit(line.text), "line_id": f"{name}_{number:03d}", **known}


def first_column(features: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in features), None)


def image_file(image: Row | None) -> BytesIO | str:
    """The file of an undecoded image; ValueError if there is none."""
    if not image or not (image["bytes"] or image["path"]):
        raise ValueError("no image")
    return BytesIO(image["bytes"]) if image["bytes"] else image["path"]

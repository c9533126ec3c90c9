# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Datasets that `datasets` reads itself (parquet, webdataset, repositories of the Hub): lines or pages as rows."""

import glob
import logging
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
from datasets import ClassLabel, Dataset, DatasetDict, Image, IterableDataset, IterableDatasetDict, load_dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from datasets.utils import tqdm
from pyarrow import parquet

from ...pages import CropOptions, cut_line, open_page_image, plan_page_image, read_pages
from ...pages.finding_files import IMAGE_SUFFIXES
from ..labels import LabelForm, oddities_of
from ..line import FEATURES, SPLIT_NAMES, SPLITS, open_image, split_folders
from ..problems import LineDataError, Problems, generation_failed
from .metadata import TEXT_COLUMNS
from .page_folders import as_png, cut_lines

logger = logging.getLogger(__name__)

HUB_PREFIX = "hf://datasets/"
IMAGE_COLUMNS = ("image", "img", *(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))
PAGE_COLUMNS = ("alto", "page_xml", "xml")
ID_COLUMNS = ("line_id", "id", "__key__", "file_name", "filename")
SPLIT_COLUMN = "split"
LINES_AT_ONCE = 100
PAGES_AT_ONCE = 1

Row = dict[str, Any]


def has_columns(root: Path) -> bool:
    """Whether the folder holds parquet files or webdataset shards."""
    folders = [root, root / "data", *split_folders(root).values()]
    return any(next(folder.glob(f"*{suffix}"), None) for folder in folders for suffix in (".parquet", ".tar"))


def load_columns(
    path: str | Path, reader: "RowReader", cache_dir: str | None, num_proc: int | None, streaming: bool
) -> DatasetDict | IterableDatasetDict:
    """
    Parquet files, webdataset shards, or a repository of the Hub, as lines.

    Args:
        path: A folder with `*.parquet` or `*.tar` in it or in `data/`, their names or folders naming the splits; or
            "hf://datasets/OWNER/NAME".
        reader: What makes lines of the rows.
        cache_dir: Cache of `datasets`; its default if None.
        num_proc: Processes that prepare the data.
        streaming: Read while iterating, without a cache; files are then checked no further than the first rows.

    Raises:
        ConnectionError: If the Hub cannot be reached or has no such repository.
        OSError: If the cache cannot be written.
        LineDataError: If a file is damaged or its text not UTF-8, there is no column that holds images or
            transcriptions, or a row lacks either.
    """
    if str(path).startswith(HUB_PREFIX):
        arguments: dict[str, Any] = {"path": str(path).removeprefix(HUB_PREFIX)}
    else:
        layout = "webdataset" if shards(Path(path), ".tar") else "parquet"
        arguments = {"path": layout, "data_files": data_files(Path(path), reader.on_error)}
    try:
        loaded = load_dataset(**arguments, cache_dir=cache_dir, num_proc=num_proc, streaming=streaming)
    except (DatasetGenerationError, pyarrow.ArrowException, tarfile.TarError, UnicodeDecodeError) as error:
        check_files(Path(path))
        raise generation_failed(path, error) from error
    except (ConnectionError, DatasetNotFoundError) as error:
        raise ConnectionError(
            f"{path} cannot be loaded from the Hub: {error}. Where there is no network, load it elsewhere and name "
            "its folder with data_dir."
        ) from error
    found = {SPLIT_NAMES.get(str(name).lower(), str(name)): split for name, split in loaded.items()}
    if len(found) < len(loaded):
        raise LineDataError(path, [f"{path}: two of its splits are one here: {', '.join(map(str, loaded))}"])
    known = [name for name in SPLITS if name in found]
    made = IterableDatasetDict if streaming else DatasetDict
    return made({name: as_lines(found[name], reader, num_proc) for name in dict.fromkeys((*known, *found))})


def check_files(root: Path) -> None:
    """
    Reads every shard to its end.

    Raises:
        LineDataError: If any is damaged; it names them all.
    """
    problems = Problems(root)
    for path in shards(root, ".parquet"):
        try:
            with parquet.ParquetFile(path) as rows:
                for _ in rows.iter_batches(LINES_AT_ONCE):
                    pass
        except (OSError, pyarrow.ArrowException) as error:
            problems.add(path, f"damaged parquet file ({error})")
    for path in shards(root, ".tar"):
        try:
            with tarfile.open(path) as opened:
                check_texts(path, opened, problems)
        except (OSError, EOFError, tarfile.TarError) as error:
            problems.add(path, f"damaged tar file ({error})")
    problems.raise_if_any()


def check_texts(path: Path, opened: tarfile.TarFile, problems: Problems) -> None:
    """Reads every member to its end; texts must be UTF-8."""
    for member in opened:
        content = opened.extractfile(member)
        if content is not None and member.name.endswith(".txt"):
            try:
                content.read().decode("utf-8")
            except UnicodeDecodeError as error:
                problems.add(path, f"{member.name}: not UTF-8 at byte {error.start}")


def shards(root: Path, suffix: str) -> list[Path]:
    return sorted(path for folder in (root, root / "data") for path in folder.glob(f"**/*{suffix}"))


def data_files(root: Path, on_error: str) -> dict[str, list[str]]:
    """
    Files by split, which a word of the name or a folder tells; all are the train split where none tells.

    Raises:
        LineDataError: If some files tell and others do not, and `on_error` is "raise".
    """
    files: dict[str, list[Path]] = {}
    for path in dict.fromkeys(shards(root, ".tar") or shards(root, ".parquet")):
        words = re.split(r"[\W_]+|(?<=[a-z])(?=\d)", str(path.relative_to(root).with_suffix("")).lower())
        files.setdefault(next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), ""), []).append(path)
    if set(files) == {""}:
        files = {"train": files[""]}
    problems = Problems(root)
    for path in files.pop("", []):
        problems.add(path, f"no word of its name tells its split, as with other files: {', '.join(SPLIT_NAMES)}")
    problems.end(on_error)
    # Else `datasets` takes a folder's brackets for a pattern.
    return {split: [glob.escape(str(path)) for path in paths] for split, paths in files.items()}


def as_lines(
    split: Dataset | IterableDataset, reader: "RowReader", num_proc: int | None = None
) -> Dataset | IterableDataset:
    """
    A split with the columns of [`load_lines`], whatever its image and text columns are called.

    Args:
        split: Split with a column of `IMAGE_COLUMNS` and one of `TEXT_COLUMNS` or, for pages, of `PAGE_COLUMNS`.
        reader: What makes lines of its rows.
        num_proc: Processes that do it; not for a streamed split.

    Raises:
        LineDataError: If there is no such column, or a row lacks an image or a transcription.
    """
    features = split.features or split._resolve_features().features
    reader = reader.for_features(features)
    split = split.cast_column(reader.image, Image(decode=False))
    batch_size = PAGES_AT_ONCE if reader.of_pages else LINES_AT_ONCE
    options: dict[str, Any] = {"batch_size": batch_size, "remove_columns": list(features)}
    if not isinstance(split, Dataset):  # A streamed split that is given features here never decodes its images.
        return split.map(reader, batched=True, with_indices=True, **options).cast(FEATURES)
    options |= {"features": FEATURES, "num_proc": num_proc, "desc": f"Lines of {reader.source}"}
    try:
        return split.map(reader, batched=True, with_indices=True, **options)
    except LineDataError:
        check_all(split, reader)
        raise


def check_all(split: Dataset, reader: "RowReader") -> None:
    """
    Reads every row in this process, so that one error names all that is wrong.

    Raises:
        LineDataError: If anything is.
    """
    problems = Problems(reader.source)
    for index, row in enumerate(tqdm(split, desc="Checking rows")):
        for _ in reader.lines({name: [value] for name, value in row.items()}, [index], problems):
            pass
    problems.raise_if_any()


class RowReader(NamedTuple):
    """
    Makes lines of batches of rows; for `map` of a dataset.

    Attributes:
        source: Value of the column `source` where there is none.
        form: How transcriptions become labels.
        edit: What is done to a transcription before that, if anything.
        crop: How lines are cut out of rows that are pages.
        text_index: See [`~page_xml.parse_page_xml`].
        on_error: "raise" or "skip", see [`~cache.LineBuilderConfig`].
        version: That of the cache; `datasets` knows what a reader holds, and not how it reads.
        image: Column of the image.
        text: Column of the transcription, or of a page's XML.
        line_id: Column of the identifier; None numbers the rows.
    """

    source: str
    form: LabelForm
    edit: Callable[[str], str] | None
    crop: CropOptions
    text_index: int | None
    on_error: str
    version: int
    image: str = ""
    text: str = ""
    line_id: str | None = None

    def for_features(self, features: Mapping[str, Any]) -> "RowReader":
        """The same for the columns of a dataset; LineDataError if it has no image, or neither text nor XML."""
        image = first_column(features, IMAGE_COLUMNS)
        # Kinds of images, by their numbers.
        classes = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
        texts = tuple(name for name in TEXT_COLUMNS if name not in classes)
        text = first_column(features, texts) or first_column(features, PAGE_COLUMNS)
        problems = Problems(self.source)
        for found, names in ((image, IMAGE_COLUMNS), (text, TEXT_COLUMNS + PAGE_COLUMNS)):
            if not found:
                problems.add(self.source, f"none of the columns {', '.join(names)}; there are {', '.join(features)}")
        problems.raise_if_any()
        if SPLIT_COLUMN in features:
            told = "is not read: names of files or folders, or a repository's own splits, tell the split"
            logger.warning("%s: its column %s %s", self.source, SPLIT_COLUMN, told)
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
        problems.end(self.on_error)
        return {name: [line[name] for line in made] for name in FEATURES}

    def lines(self, batch: dict[str, list[Any]], indices: list[int], problems: Problems) -> Iterator[Row]:
        """Lines of a batch; what is wrong is noted."""
        for place, index in enumerate(indices):
            row = {name: values[place] for name, values in batch.items()}
            identifier = str(row[self.line_id]) if self.line_id else str(index)
            where = f"{self.source}, row {index} ({identifier})"
            try:
                if row[self.text] is None:
                    raise ValueError(f"no transcription ({self.text})")
                read = self.lines_of_page if self.of_pages else self.line
                yield from read(row, identifier, where, problems)
            except (ValueError, OSError) as error:
                problems.add(where, str(error))

    def line(self, row: Row, identifier: str, where: str, problems: Problems) -> Iterator[Row]:
        with open_image(image_file(row[self.image]), "image"):
            text = row[self.text]
        if not isinstance(text, str | bytes | int | float):
            raise ValueError(f"{self.text} is no text, but {type(text).__name__}")
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else str(text)
        kept = {name: row.get(name) for name in ("page", "writer")} | {"source": row.get("source") or self.source}
        label = self.label(text, where, problems)
        yield {"image": row[self.image], "text": label, "line_id": identifier, **kept}

    def label(self, text: str, where: str, problems: Problems) -> str:
        text = self.edit(text) if self.edit else text
        label = self.form.label(text)
        for odd in oddities_of(text, label):
            problems.warn(where, odd)
        return label

    def lines_of_page(self, row: Row, identifier: str, where: str, problems: Problems) -> Iterator[Row]:
        page, *more = read_pages(row[self.text], self.text_index)
        if more:
            raise ValueError(f"{1 + len(more)} pages in the XML of one image")
        file = image_file(row[self.image])
        plan = plan_page_image(file, page)
        scan = open_page_image(file.getvalue() if isinstance(file, BytesIO) else file, plan)
        for odd in filter(None, (*page.warnings, plan.warning)):
            problems.warn(where, odd)
        ending = Path(identifier).suffix
        name = identifier.removesuffix(ending) if ending.lower() in (*IMAGE_SUFFIXES, ".xml") else identifier
        for number, text, cut in cut_lines(page, plan, problems, where):
            image = {"bytes": as_png(cut_line(scan, cut, self.crop)), "path": None}
            known = {"source": self.source, "page": name, "writer": None}
            label = self.label(text, where, problems)
            yield {"image": image, "text": label, "line_id": f"{name}_{number}", **known}


def first_column(features: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in features), None)


def image_file(image: Row | None) -> BytesIO | str:
    """The file of an undecoded image; ValueError if there is none."""
    if not image or not (image["bytes"] or image["path"]):
        raise ValueError("no image")
    return BytesIO(image["bytes"]) if image["bytes"] else image["path"]

"""Datasets that `datasets` reads itself (parquet, webdataset, repositories of the Hub), as lines."""

import tarfile
from pathlib import Path
from typing import Any

import pyarrow
from datasets import Dataset, DatasetDict, Image, IterableDataset, IterableDatasetDict, load_dataset
from datasets.exceptions import DatasetGenerationError
from datasets.utils import tqdm
from pyarrow import parquet

from .lines import FEATURES, SPLIT_NAMES, SPLITS
from .problems import LineDataError, Problems
from .rows import RowReader

HUB_PREFIX = "hf://datasets/"
LINES_AT_ONCE = 100
PAGES_AT_ONCE = 1


def load_columns(
    path: str | Path, reader: RowReader, cache_dir: str | None, num_proc: int | None, streaming: bool
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
        LineDataError: If a file is damaged or its text not UTF-8, there is no column that holds images or
            transcriptions, or a row lacks either.
    """
    if str(path).startswith(HUB_PREFIX):
        arguments: dict[str, Any] = {"path": str(path).removeprefix(HUB_PREFIX)}
    else:
        arguments = {"path": format_of(Path(path)), "data_files": data_files(Path(path))}
    try:
        loaded = load_dataset(**arguments, cache_dir=cache_dir, num_proc=num_proc, streaming=streaming)
    except (DatasetGenerationError, pyarrow.ArrowException, tarfile.TarError, UnicodeDecodeError):
        check_files(Path(path))
        raise
    found = {SPLIT_NAMES.get(str(name).lower(), str(name)): split for name, split in loaded.items()}
    known = [name for name in SPLITS if name in found]
    made = IterableDatasetDict if streaming else DatasetDict
    return made({name: as_lines(found[name], reader, num_proc) for name in dict.fromkeys((*known, *found))})


def check_files(root: Path) -> None:
    """
    Opens every shard.

    Raises:
        LineDataError: If any is damaged; it names them all.
    """
    problems = Problems(root)
    for path in shards(root, ".parquet"):
        try:
            parquet.read_metadata(path)
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


def format_of(root: Path) -> str:
    return "webdataset" if shards(root, ".tar") else "parquet"


def shards(root: Path, suffix: str) -> list[Path]:
    return sorted(path for folder in (root, root / "data") for path in folder.glob(f"**/*{suffix}"))


def data_files(root: Path) -> dict[str, list[str]]:
    """Files by split, which a word of the name or a folder tells; the train split otherwise."""
    files: dict[str, list[str]] = {}
    for path in dict.fromkeys(shards(root, ".tar") or shards(root, ".parquet")):
        words = "-".join(path.relative_to(root).with_suffix("").parts).lower().replace("_", "-").split("-")
        split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "train")
        files.setdefault(split, []).append(str(path))
    return files


def as_lines(
    split: Dataset | IterableDataset, reader: RowReader, num_proc: int | None = None
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


def check_all(split: Dataset, reader: RowReader) -> None:
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

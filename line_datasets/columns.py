"""Datasets that `datasets` reads itself (parquet, webdataset, repositories of the Hub), with the columns renamed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, Image, IterableDataset, IterableDatasetDict, load_dataset

from .image_folder import TEXT_COLUMNS
from .labels import normalize_text
from .lines import FEATURES, SPLIT_NAMES
from .problems import LineDataError

IMAGE_COLUMNS = ("image", "img", "jpg", "png", "jpeg", "tif", "webp")
ID_COLUMNS = ("line_id", "id", "__key__", "file_name")
HUB_PREFIX = "hf://datasets/"


def load_columns(
    path: str | Path,
    cache_dir: str | None,
    num_proc: int | None,
    streaming: bool,
    normal_form: str,
) -> DatasetDict | IterableDatasetDict:
    """
    Parquet files, webdataset shards, or a repository of the Hub, as lines.

    Args:
        path: A folder with `*.parquet` or `*.tar` in it or in `data/`, their names or folders naming the splits; or
            "hf://datasets/OWNER/NAME".
        cache_dir: Cache of `datasets`; its default if None.
        num_proc: Processes that prepare the data.
        streaming: Read while iterating, without a cache.
        normal_form: Unicode normal form of the transcriptions.

    Raises:
        LineDataError: If there is no column that holds images or transcriptions, or a transcription is missing.
    """
    if str(path).startswith(HUB_PREFIX):
        arguments: dict[str, Any] = {"path": str(path).removeprefix(HUB_PREFIX)}
    else:
        arguments = {"path": format_of(Path(path)), "data_files": data_files(Path(path))}
    loaded = load_dataset(**arguments, cache_dir=cache_dir, num_proc=num_proc, streaming=streaming)
    made = IterableDatasetDict if streaming else DatasetDict
    source = Path(str(path)).name
    return made(
        {
            SPLIT_NAMES.get(str(name).lower(), str(name)): as_lines(split, source, normal_form, num_proc)
            for name, split in loaded.items()
        }
    )


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
    split: Dataset | IterableDataset, source: str, normal_form: str = "NFC", num_proc: int | None = None
) -> Dataset | IterableDataset:
    """
    A split with the columns of [`load_lines`], whatever its image and text columns are called.

    Args:
        split: Split with a column of `IMAGE_COLUMNS` and one of `TEXT_COLUMNS`.
        source: Value of the column `source` where there is none.
        normal_form: Unicode normal form of the transcriptions.
        num_proc: Processes that do it; not for a streamed split.

    Raises:
        LineDataError: If there is no such column, or a transcription is missing.
    """
    features = split.features or split._resolve_features().features
    image, text = (first_column(features, names, source) for names in (IMAGE_COLUMNS, TEXT_COLUMNS))
    arguments = {
        "image": image,
        "text": text,
        "line_id": next((name for name in ID_COLUMNS if name in features), None),
        "kept": [name for name in ("page", "writer", "source") if name in features],
        "source": source,
        "normal_form": normal_form,
    }
    split = split.cast_column(image, Image(decode=False))
    options: dict[str, Any] = {"features": FEATURES, "fn_kwargs": arguments}
    if isinstance(split, Dataset):
        check_texts(split, text, source)
        options |= {"num_proc": num_proc, "desc": f"Columns of {source}"}
    return split.map(line_row, with_indices=True, remove_columns=list(features), **options)


def first_column(features: Mapping[str, Any], names: tuple[str, ...], source: str) -> str:
    column = next((name for name in names if name in features), None)
    if column is None:
        raise LineDataError(source, [f"none of the columns {', '.join(names)}; there are {', '.join(features)}"])
    return column


def check_texts(split: Dataset, column: str, source: str) -> None:
    missing = [row for row, text in enumerate(split[column]) if text is None]
    if missing:
        raise LineDataError(source, [f"row {row} has no transcription (column {column})" for row in missing])


def line_row(
    row: dict[str, Any],
    index: int,
    image: str,
    text: str,
    line_id: str | None,
    kept: list[str],
    source: str,
    normal_form: str,
) -> dict[str, Any]:
    value = row[text]
    value = value.decode("utf-8-sig") if isinstance(value, bytes) else value
    made = {"source": source, "page": None, "writer": None} | {name: row[name] for name in kept}
    return made | {
        "image": row[image],
        "text": normalize_text(str(value), normal_form),
        "line_id": str(row[line_id]) if line_id else str(index),
    }

"""One call for every source of lines."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from datasets import DatasetDict, IterableDatasetDict
from datasets.exceptions import DatasetGenerationError

from . import any_lines, iam, lam, read2016, vnondb
from .archives import unpacked
from .builder import LineBuilder, LineBuilderConfig, Reader, cache_key, check_images
from .columns import HUB_PREFIX, load_columns


class Source(NamedTuple):
    """Reader of a dataset, the dataclass of its options, and a copy on the Hub where one is known."""

    reader: Reader
    options: type
    mirror: str | None = None


SOURCES = {
    "lines": Source(any_lines.read, any_lines.LinesOptions),
    "iam": Source(iam.read, iam.IamOptions, "hf://datasets/Teklia/IAM-line"),
    "lam": Source(lam.read, lam.LamOptions),
    "read2016": Source(read2016.read, read2016.Read2016Options),
    "vnondb": Source(vnondb.read, vnondb.VnondbOptions),
}


def load_lines(
    name: str,
    data_dir: str | Path | None = None,
    *,
    normal_form: str = "NFC",
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
    streaming: bool = False,
    **options: Any,
) -> DatasetDict | IterableDatasetDict:
    """
    Lines of handwriting with their transcriptions.

    The lines are kept as Arrow in the cache of `datasets`; the next call finds them there, unless a file below
    `data_dir` was changed, added or removed, or an option is another.

    Args:
        name: "lines" for whatever [`any_lines.read`] knows; the other names of `SOURCES` for the published datasets.
        data_dir: Folder of the dataset, as it was downloaded; or "hf://datasets/OWNER/NAME", a repository of the Hub
            with columns for image and text. None takes the copy on the Hub where one is known.
        normal_form: Unicode normal form of the transcriptions ("none": as they are). Runs of blanks become one space.
        cache_dir: Cache of `datasets`; its default if None.
        num_proc: Processes that make the cache.
        streaming: Make lines while iterating, without a cache.
        options: Options of the source, documented at its dataclass.

    Returns:
        The splits `train`, `validation` and `test` as far as there are any, with columns `image`, `text`, `line_id`,
        `source` (the folder's name), `page` and `writer` (None where the source does not tell).

    Raises:
        FileNotFoundError: If there is no such folder.
        LineDataError: If files are missing, unreadable or contradict each other; its `problems` name every one.
        ValueError: If there is no such dataset or option.
    """
    if name not in SOURCES:
        raise ValueError(f"Unknown dataset {name!r}. Known: {', '.join(SOURCES)}.")
    source = SOURCES[name]
    location = str(data_dir or (source.mirror or ""))
    cache = str(cache_dir) if cache_dir else None
    if not location:
        raise ValueError(f"{name}: say where it is with data_dir; no copy on the Hub is known.")
    if location.startswith(HUB_PREFIX):
        return load_columns(location, cache, num_proc, streaming, normal_form)
    root = Path(location).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"No such folder: {root}.")
    if any_lines.has_columns(root):
        return load_columns(root, cache, num_proc, streaming, normal_form)
    if name != "lines":
        root = unpacked(root, cache)
    config = LineBuilderConfig(
        root=root, reader=source.reader, options=reader_options(name, source.options, options), normal_form=normal_form
    )
    return build(name, config, cache, num_proc, streaming)


def reader_options(name: str, made: type, options: dict[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(made)]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"{name}: unknown options {', '.join(unknown)}. Known: {', '.join(known) or 'none'}.")
    return made(**options)


def build(
    name: str, config: LineBuilderConfig, cache_dir: str | None, num_proc: int | None, streaming: bool
) -> DatasetDict | IterableDatasetDict:
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(LineBuilderConfig)}
    own = {key: settings[key] for key in ("root", "reader", "options", "normal_form")}
    builder = LineBuilder(
        cache_dir=cache_dir, dataset_name=name, config_name=name, config_id=cache_key(name, config), **own
    )
    if streaming:
        return builder.as_streaming_dataset()
    try:
        builder.download_and_prepare(num_proc=num_proc)
    except DatasetGenerationError:
        check_images(config)
        raise
    return builder.as_dataset()

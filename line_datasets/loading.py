"""One call for every source of lines."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasets import DatasetDict, IterableDatasetDict, concatenate_datasets
from datasets.exceptions import DatasetGenerationError

from . import any_lines, iam, lam, read2016, vnondb
from .archives import unpacked
from .builder import ON_ERROR, LineBuilder, LineBuilderConfig, Reader, cache_key, check_all
from .columns import HUB_PREFIX, load_columns
from .cropping import CropOptions
from .labels import NORMAL_FORMS, normalize_text
from .lines import SPLITS
from .problems import LineDataError
from .rows import RowReader


class Source(NamedTuple):
    """
    A dataset.

    Attributes:
        reader: Gives the lines of a folder.
        options: Dataclass of the reader's options.
        mirror: A copy on the Hub, where one is known.
        row_options: Options that act on a transcription or a page, and so also on such a copy.
    """

    reader: Reader
    options: type
    mirror: str | None = None
    row_options: tuple[str, ...] = ()


SOURCES = {
    "lines": Source(any_lines.read, any_lines.LinesOptions, row_options=("crop", "turn_above")),
    "iam": Source(iam.read, iam.IamOptions, "hf://datasets/Teklia/IAM-line"),
    "lam": Source(lam.read, lam.LamOptions, "hf://datasets/deepcopy/LAM-handwritten"),
    "read2016": Source(
        read2016.read,
        read2016.Read2016Options,
        "hf://datasets/SSamDav/icfhr-2016",
        row_options=("crop", "turn_above", "keep_not_sign"),
    ),
    "vnondb": Source(vnondb.read, vnondb.VnondbOptions),
}


@dataclasses.dataclass(frozen=True)
class Request:
    """What [`load_lines`] was asked for, for one folder."""

    name: str
    options: Any
    given: tuple[str, ...]
    normal_form: str
    on_error: str
    cache_dir: str | None
    num_proc: int | None
    streaming: bool


def load_lines(
    name: str,
    data_dir: str | Path | Sequence[str | Path] | None = None,
    *,
    normal_form: str = "NFC",
    on_error: str = "raise",
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
    streaming: bool = False,
    **options: Any,
) -> DatasetDict | IterableDatasetDict:
    """
    Lines of handwriting with their transcriptions.

    The lines are kept as Arrow in the cache of `datasets`; the next call finds them there, unless a file below
    `data_dir` was changed, added or removed, or an option is another. Image files are opened, not decoded: one that is
    cut short is found by [`report`], which decodes every pixel, or else when it is used.

    Args:
        name: "lines" for whatever [`any_lines.read`] knows; the other names of `SOURCES` for the published datasets.
        data_dir: Folder of the dataset, as it was downloaded (archives or unpacked); or "hf://datasets/OWNER/NAME", a
            repository of the Hub with columns for image and text. Several are joined split by split. None takes the
            copy on the Hub where one is known.
        normal_form: Unicode normal form of the transcriptions ("none": as they are). Runs of blanks become one space.
        on_error: "raise", one error that names every bad file; or "skip", the same as a warning, without those lines.
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
    for what, value, known in (
        ("dataset", name, SOURCES),
        ("normal_form", normal_form, NORMAL_FORMS),
        ("on_error", on_error, ON_ERROR),
    ):
        if value not in known:
            raise ValueError(f"Unknown {what} {value!r}. Known: {', '.join(known)}.")
    source = SOURCES[name]
    folders = [data_dir] if isinstance(data_dir, str | Path) else list(data_dir or filter(None, [source.mirror]))
    if not folders:
        raise ValueError(f"{name}: say where it is with data_dir; no copy on the Hub is known.")
    request = Request(
        name=name,
        options=reader_options(name, source.options, options),
        given=tuple(sorted(options)),
        normal_form=normal_form,
        on_error=on_error,
        cache_dir=str(cache_dir) if cache_dir else None,
        num_proc=num_proc,
        streaming=streaming,
    )
    return joined([load_folder(str(folder), request) for folder in folders])


def reader_options(name: str, made: type, options: dict[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(made)]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"{name}: unknown options {', '.join(unknown)}. Known: {', '.join(known) or 'none'}.")
    return made(**options)


def joined(parts: list[DatasetDict | IterableDatasetDict]) -> DatasetDict | IterableDatasetDict:
    """Datasets as one, split by split."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys((*SPLITS, *(name for part in parts for name in part)))
    splits = {name: [part[name] for part in parts if name in part] for name in names}
    return type(parts[0])({name: concatenate_datasets(found) for name, found in splits.items() if found})


def load_folder(location: str, request: Request) -> DatasetDict | IterableDatasetDict:
    if location.startswith(HUB_PREFIX):
        return load_rows(location, request)
    root = Path(location).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"No such folder: {root}. A repository of the Hub is {HUB_PREFIX}OWNER/NAME.")
    if request.name != "lines" or root.is_file():
        root = unpacked(root, request.cache_dir)
    if any_lines.has_columns(root):
        return load_rows(root, request)
    config = LineBuilderConfig(
        root=root,
        reader=SOURCES[request.name].reader,
        options=request.options,
        normal_form=request.normal_form,
        on_error=request.on_error,
    )
    return build(config, request)


def load_rows(location: str | Path, request: Request) -> DatasetDict | IterableDatasetDict:
    """Lines of a dataset with columns; only the options that act on a transcription or a page can apply to it."""
    if unfit := sorted(set(request.given) - set(SOURCES[request.name].row_options)):
        raise ValueError(f"{location} holds lines as columns, to which {', '.join(unfit)} cannot be applied.")
    options = request.options
    reader = RowReader(
        source=Path(str(location)).name,
        edit=functools.partial(final_text, options=options, normal_form=request.normal_form),
        crop=options if isinstance(options, CropOptions) else CropOptions(),
        on_error=request.on_error,
    )
    return load_columns(location, reader, request.cache_dir, request.num_proc, request.streaming)


def final_text(text: str, options: Any, normal_form: str) -> str:
    edited = options.edit(text) if isinstance(options, read2016.Read2016Options) else text
    return normalize_text(edited, normal_form)


def build(config: LineBuilderConfig, request: Request) -> DatasetDict | IterableDatasetDict:
    own = {key: getattr(config, key) for key in ("root", "reader", "options", "normal_form", "on_error")}
    builder = LineBuilder(
        cache_dir=request.cache_dir,
        dataset_name=request.name,
        config_name=request.name,
        config_id=cache_key(request.name, config),
        **own,
    )
    if request.streaming:
        return builder.as_streaming_dataset()
    try:
        builder.download_and_prepare(num_proc=request.num_proc)
    except (LineDataError, DatasetGenerationError):
        if request.on_error == "raise":
            check_all(config)
        raise
    return builder.as_dataset()

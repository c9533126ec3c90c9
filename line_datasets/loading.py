# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""One call for every source of lines."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict, IterableDatasetDict, concatenate_datasets
from datasets.exceptions import DatasetGenerationError

from ..pages import CropOptions
from . import formats
from .archives import unpacked
from .cache import CACHE_VERSION, ON_ERROR, LineBuilder, LineBuilderConfig, Reader, cache_key, read_all
from .formats.hub_datasets import HUB_PREFIX, RowReader, has_columns, load_columns
from .labels import NORMAL_FORMS, TEXT_ORDERS, LabelForm
from .line import FEATURES, SPLITS
from .problems import LineDataError, generation_failed
from .releases import iam, lam, read2016, vnondb


class Source(NamedTuple):
    """
    A dataset.

    Attributes:
        reader: Gives the lines of a folder.
        options: Dataclass of the reader's options.
        mirror: A copy on the Hub, where one is known.
        row_options: Options that act on a transcription or a page, and so also on such a copy.
        edit: What the options do to a transcription: `edit(options, text)`.
    """

    reader: Reader
    options: type
    mirror: str | None = None
    row_options: tuple[str, ...] = ()
    edit: Callable[[Any, str], str] | None = None


SOURCES = {
    "lines": Source(formats.read, formats.LinesOptions, row_options=("crop", "turn_above", "text_index")),
    "iam": Source(iam.read, iam.IamOptions, "hf://datasets/Teklia/IAM-line"),
    "lam": Source(lam.read, lam.LamOptions, "hf://datasets/deepcopy/LAM-handwritten"),
    "read2016": Source(
        read2016.read,
        read2016.Read2016Options,
        "hf://datasets/SSamDav/icfhr-2016",
        row_options=("crop", "turn_above", "keep_not_sign"),
        edit=read2016.Read2016Options.edit,
    ),
    "vnondb": Source(vnondb.read, vnondb.VnondbOptions),
}


# What an option takes, by the type of its field.
VALUES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    int | None: "a whole number",
    float: "a number",
    str: "a text",
}


@dataclasses.dataclass(frozen=True)
class Request:
    """What [`load_lines`] was asked for, for one folder."""

    name: str
    options: Any
    given: tuple[str, ...]
    form: LabelForm
    on_error: str
    cache_dir: str | None
    num_proc: int | None
    streaming: bool


def load_lines(
    name: str,
    data_dir: str | Path | Sequence[str | Path] | None = None,
    *,
    normal_form: str = "NFC",
    text_order: str = "logical",
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
    cut short is found by [`report`], which decodes every pixel, or else when it is used. What is odd about the files
    but read all the same is logged as one warning when the cache is made.

    Args:
        name: "lines" for whatever [`formats.read`] knows; the other names of `SOURCES` for the published datasets.
        data_dir: Folder of the dataset, as it was downloaded (archives or unpacked); or "hf://datasets/OWNER/NAME", a
            repository of the Hub with columns for image and text. Several are joined split by split. None takes the
            copy on the Hub where one is known.
        normal_form: Unicode normal form of the transcriptions ("none": as they are). Runs of white space become one
            space, and characters that cannot be seen are left out, see [`~labels.normalize_text`].
        text_order: "logical", the order of reading; or "visual", the order in which the characters stand on the line
            from left to right, which is another for Hebrew and Arabic. A model writes the order that it was trained
            on; CTC takes the characters to stand from left to right, which for such scripts is the visual order.
        on_error: "raise", one error that names every bad file; or "skip", the same as a warning, without those lines.
        cache_dir: Cache of `datasets`; its default if None.
        num_proc: Processes that make the cache.
        streaming: Make lines while iterating, without a cache.
        options: Options of the source, documented at its dataclass.

    Returns:
        The splits `train`, `validation` and `test` as far as there are any, with columns `image`, `text`, `line_id`,
        `source` (the folder's name; of folders that are called alike, with as much of their paths as tells them
        apart), `page` and `writer` (None where the source does not tell).

    Raises:
        FileNotFoundError: If there is no such folder.
        OSError: If the cache cannot be written.
        LineDataError: If files are missing, unreadable or contradict each other; its `problems` name every one.
        ValueError: If there is no such dataset or option.
        ImportError: If `text_order` is "visual" and python-bidi is not installed.
    """
    check_known("dataset", name, SOURCES)
    check_known("normal_form", normal_form, NORMAL_FORMS)
    check_known("text_order", text_order, TEXT_ORDERS)
    check_known("on_error", on_error, ON_ERROR)
    if num_proc is not None and not (fits(num_proc, int) and num_proc > 0):
        raise ValueError(f"num_proc takes a whole number from 1. Got {num_proc!r}.")
    if not fits(streaming, bool):
        raise ValueError(f"streaming takes true or false. Got {streaming!r}.")
    request = Request(
        name=name,
        options=reader_options(name, SOURCES[name].options, options),
        given=tuple(sorted(options)),
        form=LabelForm(normal_form, text_order),
        on_error=on_error,
        cache_dir=str(cache_dir) if cache_dir else None,
        num_proc=num_proc,
        streaming=streaming,
    )
    places = locations(name, data_dir)
    parts = [load_folder(location, request) for location in places]
    return joined([with_source(part, *names) for part, names in zip(parts, source_names(places), strict=True)])


def check_known(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"Unknown {what} {value!r}. Known: {', '.join(known)}.")


def oddities(
    name: str,
    data_dir: str | Path | Sequence[str | Path] | None = None,
    *,
    normal_form: str = "NFC",
    text_order: str = "logical",
    cache_dir: str | Path | None = None,
    **options: Any,
) -> list[str]:
    """
    What is odd about files that [`load_lines`] reads all the same, one sentence for each kind and folder.

    Args:
        name: See [`load_lines`].
        data_dir: See [`load_lines`]; copies of lines as columns are left out.
        normal_form: See [`load_lines`].
        text_order: See [`load_lines`].
        cache_dir: See [`load_lines`].
        options: Options of the source.
    """
    source = SOURCES[name]
    made = reader_options(name, source.options, options)
    found = []
    for location in locations(name, data_dir):
        root = None if location.startswith(HUB_PREFIX) else folder_of(location, name, cache_dir)
        if root and not has_columns(root):
            form = LabelForm(normal_form, text_order)
            config = LineBuilderConfig(root=root, reader=source.reader, options=made, form=form)
            found += read_all(config, images=False).warnings()
    return found


def locations(name: str, data_dir: str | Path | Sequence[str | Path] | None) -> list[str]:
    given = [data_dir] if isinstance(data_dir, str | Path) else list(data_dir or filter(None, [SOURCES[name].mirror]))
    if not given:
        raise ValueError(f"{name}: say where it is with data_dir; no copy on the Hub is known.")
    return [str(location) for location in given]


def reader_options(name: str, made: type, options: dict[str, Any]) -> Any:
    known = {field.name: field.type for field in dataclasses.fields(made)}
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"{name}: unknown options {', '.join(unknown)}. Known: {', '.join(known) or 'none'}.")
    for option, value in options.items():
        if not fits(value, known[option]):
            raise ValueError(f"{name}: the option {option} takes {VALUES[known[option]]}. Got {value!r}.")
    return made(**options)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a field's type: Python's true and false are whole numbers, too, and those are numbers."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def source_names(places: Sequence[str]) -> list[tuple[str, str]]:
    """Each location's name, and the name to tell its lines by from those of others that are called alike."""
    paths = [Path(place) if place.startswith(HUB_PREFIX) else Path(place).expanduser().resolve() for place in places]
    names = []
    for path in paths:
        others = [other for other in paths if other.name == path.name and other != path]
        tails = [path.parts[-length:] for length in range(1, len(path.parts) + 1)]
        own = next((tail for tail in tails if all(other.parts[-len(tail) :] != tail for other in others)), tails[0])
        names.append((path.name, "/".join(own)))
    return names


def with_source(part: DatasetDict | IterableDatasetDict, name: str, own: str) -> DatasetDict | IterableDatasetDict:
    """Lines whose source, if it is a folder's name, becomes one of its own."""
    if name == own:
        return part

    def named(source: str | None) -> str | None:
        return own if source == name else source

    if isinstance(part, IterableDatasetDict):
        rename = {"function": lambda line: {"source": named(line["source"])}, "features": FEATURES}
        return IterableDatasetDict({split: lines.map(**rename) for split, lines in part.items()})
    return DatasetDict(
        {
            split: lines.remove_columns("source").add_column(
                "source", list(map(named, lines["source"])), feature=FEATURES["source"]
            )
            for split, lines in part.items()
        }
    )


def joined(parts: list[DatasetDict | IterableDatasetDict]) -> DatasetDict | IterableDatasetDict:
    """Datasets as one, split by split."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys((*SPLITS, *(name for part in parts for name in part)))
    splits = {name: [part[name] for part in parts if name in part] for name in names}
    return type(parts[0])({name: concatenate_datasets(found) for name, found in splits.items() if found})


def take_split(splits: DatasetDict, name: str) -> Dataset:
    """A split; ValueError if there is none of the name."""
    if name not in splits:
        raise ValueError(f"The dataset has no split {name!r}; it has {', '.join(splits)}.")
    return splits[name]


def evenly_spread(lines: Dataset, number: int) -> Dataset:
    """So many of the lines, in their order; all if there are no more."""
    number = min(number, len(lines))
    return lines.select([place * len(lines) // number for place in range(number)])


def load_folder(location: str, request: Request) -> DatasetDict | IterableDatasetDict:
    if location.startswith(HUB_PREFIX):
        return load_rows(location, request)
    root = folder_of(location, request.name, request.cache_dir)
    if has_columns(root):
        return load_rows(root, request)
    config = LineBuilderConfig(
        root=root,
        reader=SOURCES[request.name].reader,
        options=request.options,
        form=request.form,
        on_error=request.on_error,
    )
    return build(config, request)


def folder_of(location: str, name: str, cache_dir: str | Path | None) -> Path:
    """The folder that a location on this computer names, its archives unpacked; FileNotFoundError if there is none."""
    root = Path(location).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"No such folder: {root}. A repository of the Hub is {HUB_PREFIX}OWNER/NAME.")
    return unpacked(root, str(cache_dir) if cache_dir else None) if name != "lines" or root.is_file() else root


def load_rows(location: str | Path, request: Request) -> DatasetDict | IterableDatasetDict:
    """Lines of a dataset with columns; only the options that act on a transcription or a page can apply to it."""
    source, options = SOURCES[request.name], request.options
    if unfit := sorted(set(request.given) - set(source.row_options)):
        raise ValueError(f"{location} holds lines as columns, to which {', '.join(unfit)} cannot be applied.")
    reader = RowReader(
        source=Path(str(location)).name,
        form=request.form,
        edit=functools.partial(source.edit, options) if source.edit else None,
        crop=options if isinstance(options, CropOptions) else CropOptions(),
        text_index=getattr(options, "text_index", None),
        on_error=request.on_error,
        version=CACHE_VERSION,
    )
    return load_columns(location, reader, request.cache_dir, request.num_proc, request.streaming)


def build(config: LineBuilderConfig, request: Request) -> DatasetDict | IterableDatasetDict:
    own = {key: getattr(config, key) for key in ("root", "reader", "options", "form", "on_error")}
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
    except (LineDataError, DatasetGenerationError) as error:
        if request.on_error == "raise":
            read_all(config).raise_if_any()
        if isinstance(error, LineDataError):
            raise
        raise generation_failed(config.root, error) from error
    return builder.as_dataset()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines as Arrow in the cache of `datasets`, made once for each state of the files they come from."""

import dataclasses
import hashlib
import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from datasets import DatasetInfo, SplitGenerator
from datasets.utils import tqdm

from .labels import LabelForm, oddities_of
from .line import FEATURES, SPLITS, Line, Lines
from .problems import LineDataError, Problems

# Part of every cache key. Raise it whenever the same files and options give other lines than before.
CACHE_VERSION = 7
ON_ERROR = ("raise", "skip")
CHUNK_LINES = 100
DIGEST_BYTES = 16

Reader = Callable[[Path, Any, Problems], Lines]


@dataclasses.dataclass
class LineBuilderConfig(datasets.BuilderConfig):
    """
    What to read, and how.

    Args:
        root: Folder of the dataset.
        reader: Gives the lines of the folder by split: `reader(root, options, problems)`.
        options: The options of the reader, a dataclass.
        form: How transcriptions become labels.
        on_error: "raise" ends the reading with one error that names all that is wrong; "skip" logs it as a warning and
            keeps the other lines.
    """

    root: Path = Path()
    reader: Reader | None = None
    options: Any = None
    form: LabelForm = LabelForm()
    on_error: str = "raise"


class LineBuilder(datasets.GeneratorBasedBuilder):
    """Makes the splits of one folder; its configuration says how to read it."""

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = LineBuilderConfig

    def _info(self) -> DatasetInfo:
        return DatasetInfo(features=FEATURES)

    def _split_generators(self, dl_manager) -> list[SplitGenerator]:
        self.spools = SharedFolder()
        splits = read_splits(self.config, Path(self.spools.name))
        return [SplitGenerator(name=name, gen_kwargs={"chunks": chunks}) for name, chunks in splits.items()]

    def _generate_examples(self, chunks: list["Chunk"]) -> Iterator[tuple[int, dict[str, Any]]]:
        problems = Problems(self.config.root)
        source = self.config.root.resolve().name
        for number, line in enumerate(line for chunk in chunks for line in chunk.lines()):
            if content := image_content(line, problems):
                yield (
                    number,
                    {
                        "image": {"bytes": content, "path": None},
                        "text": line.text,
                        "line_id": line.line_id,
                        "source": source,
                        "page": line.page,
                        "writer": line.writer,
                    },
                )
        problems.end(self.config.on_error)


class SharedFolder(tempfile.TemporaryDirectory):
    """There as long as any copy of its builder is: to join streams, `concatenate_datasets` copies what makes them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "SharedFolder":
        return self


def image_content(line: Line, problems: Problems) -> bytes | None:
    """The image file of a line; None, noted as a problem, if it cannot be had."""
    try:
        return line.image.encoded()
    except (OSError, ValueError) as error:
        problems.add(line.line_id, str(error))
        return None


def read_splits(config: LineBuilderConfig, folder: Path) -> dict[str, list["Chunk"]]:
    """
    Lines with their labels by split. A line whose transcription is empty stays, for training to refuse.

    Args:
        config: What to read.
        folder: Takes the lines, which need not fit into memory.

    Raises:
        LineDataError: If anything is wrong with the files, or there are no lines.
    """
    problems = Problems(config.root)
    splits = {split: list(write_chunks(lines, folder / split)) for split, lines in found_lines(config, problems)}
    problems.end(config.on_error)
    splits = {split: chunks for split, chunks in splits.items() if chunks}
    if not splits:
        raise LineDataError(config.root, problems.found or [f"{config.root}: no lines", *problems.warnings()])
    return splits


def found_lines(config: LineBuilderConfig, problems: Problems) -> Iterator[tuple[str, Iterator[Line]]]:
    """The lines that the reader finds, by split, as they come; what is wrong is noted meanwhile."""
    assert config.reader is not None
    found = config.reader(config.root, config.options, problems)
    for split in SPLITS:
        lines = tqdm(found.get(split, ()), desc=f"Reading {split} transcriptions", unit=" lines")
        yield split, labelled(lines, config.form, problems)


def labelled(lines: Iterable[Line], form: LabelForm, problems: Problems) -> Iterator[Line]:
    """Lines with labels for transcriptions."""
    for line in lines:
        label = form.label(line.text)
        if not label.isprintable():
            try:
                label.encode()
            except UnicodeEncodeError as error:
                problems.add(line.line_id, f"half a character in its transcription ({error.reason})")
                continue
        for odd in oddities_of(line.text, label):
            problems.warn(line.line_id, odd)
        yield line._replace(text=label)


def read_all(config: LineBuilderConfig, images: bool = True) -> Problems:
    """All that is wrong or odd: reads every transcription in this process and, if asked to, every image file."""
    problems = Problems(config.root)
    for _, lines in found_lines(config, problems):
        for line in lines:
            if images:
                image_content(line, problems)
    return problems


class Chunk(NamedTuple):
    """Some neighbouring lines, at an offset in bytes of a file: memory does not grow with the lines."""

    spool: Path
    offset: int

    def lines(self) -> list[Line]:
        """The lines."""
        with self.spool.open("rb") as file:
            file.seek(self.offset)
            return pickle.load(file)


def write_chunks(lines: Iterable[Line], spool: Path) -> Iterator[Chunk]:
    """Writes lines to a new file as they come; gives the chunks of `CHUNK_LINES` in which they can be had again."""
    left = iter(lines)
    with spool.open("xb") as file:
        while some := list(islice(left, CHUNK_LINES)):
            chunk = Chunk(spool, file.tell())
            pickle.dump(some, file)
            yield chunk


def cache_key(name: str, config: LineBuilderConfig) -> str:
    """Name of the dataset in the cache: its files (path, size, time of change), options, and the cache's version."""
    described = dataclasses.asdict(config.options) if config.options is not None else {}
    settings = [CACHE_VERSION, str(config.root.resolve()), described, config.form, config.on_error]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update(files_digest(config.root).to_bytes(DIGEST_BYTES, "big"))
    return f"{name}-{digest.hexdigest()[:32]}"


def files_digest(folder: str | Path, prefix: str = "") -> int:
    """
    Digest of path, size and time of change of all files below a folder, hidden ones left out.

    It is a sum over the files, so that neither their order nor a list of them is needed.
    """
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                total += files_digest(entry.path, f"{name}/")
            elif entry.is_file():
                state = entry.stat()
                described = f"{name}\0{state.st_size}\0{state.st_mtime_ns}".encode("utf-8", "surrogateescape")
                total += int.from_bytes(hashlib.blake2b(described, digest_size=DIGEST_BYTES).digest(), "big")
    return total % 2 ** (8 * DIGEST_BYTES)

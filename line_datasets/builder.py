"""Lines as Arrow in the cache of `datasets`, made once for each state of the files they come from."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
from datasets import DatasetInfo, SplitGenerator

from .labels import normalize_text
from .line_folder import Lines
from .lines import FEATURES, SPLITS, Line
from .problems import Problems

Reader = Callable[[Path, Any, Problems], Lines]


@dataclasses.dataclass
class LineBuilderConfig(datasets.BuilderConfig):
    """
    What to read, and how.

    Args:
        root: Folder of the dataset.
        reader: Gives the lines of the folder by split: `reader(root, options, problems)`.
        options: The options of the reader, a dataclass.
        normal_form: Unicode normal form of the transcriptions, see [`~labels.normalize_text`].
    """

    root: Path = Path()
    reader: Reader | None = None
    options: Any = None
    normal_form: str = "NFC"


class LineBuilder(datasets.GeneratorBasedBuilder):
    """Makes the splits of one folder; its configuration says how to read it."""

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = LineBuilderConfig

    def _info(self) -> DatasetInfo:
        return DatasetInfo(features=FEATURES)

    def _split_generators(self, dl_manager) -> list[SplitGenerator]:
        splits = read_splits(self.config)
        return [SplitGenerator(name=name, gen_kwargs={"lines": lines}) for name, lines in splits.items()]

    def _generate_examples(self, lines: list[Line]) -> Iterator[tuple[int, dict[str, Any]]]:
        problems = Problems(self.config.root)
        source = self.config.root.resolve().name
        for number, line in enumerate(lines):
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
        problems.raise_if_any()


def image_content(line: Line, problems: Problems) -> bytes | None:
    """The image file of a line; None, noted as a problem, if it cannot be had."""
    try:
        return line.image.encoded()
    except (OSError, ValueError) as error:
        problems.add(line.line_id, str(error))
        return None


def read_splits(config: LineBuilderConfig) -> Lines:
    """
    Lines with normalised transcriptions by split. A line whose transcription is empty stays, for training to refuse.

    Raises:
        LineDataError: If anything is wrong with the files, or there are no lines.
    """
    assert config.reader is not None
    problems = Problems(config.root)
    lines = config.reader(config.root, config.options, problems)
    problems.raise_if_any()
    splits = {split: normalized(lines[split], config.normal_form) for split in SPLITS if lines.get(split)}
    if not splits:
        problems.add(config.root, "no lines")
        problems.raise_if_any()
    return splits


def normalized(lines: list[Line], normal_form: str) -> list[Line]:
    return [line._replace(text=normalize_text(line.text, normal_form)) for line in lines]


def check_images(config: LineBuilderConfig) -> None:
    """
    Opens the image of every line in this process, so that one error names all that cannot be read.

    Raises:
        LineDataError: If there are any.
    """
    problems = Problems(config.root)
    for lines in read_splits(config).values():
        for line in lines:
            image_content(line, problems)
    problems.raise_if_any()


def cache_key(name: str, config: LineBuilderConfig) -> str:
    """Name of the dataset in the cache: its files (path, size, time of change), options, and this code."""
    digest = hashlib.sha256(code_digest())
    described = dataclasses.asdict(config.options) if config.options is not None else {}
    settings = [str(config.root.resolve()), described, config.normal_form]
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for path, size, changed in input_files(config.root):
        digest.update(f"{path}\0{size}\0{changed}\n".encode("utf-8", "surrogateescape"))
    return f"{name}-{digest.hexdigest()[:32]}"


def code_digest() -> bytes:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()


def input_files(root: Path) -> Iterator[tuple[str, int, int]]:
    """Path, size in bytes and time of change in nanoseconds of all files below a folder, hidden ones left out."""
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = sorted(name for name in names if not name.startswith("."))
        with os.scandir(folder) as entries:
            found = {entry.name: entry for entry in entries}
        for name in sorted(files):
            if not name.startswith(".") and found[name].is_file():
                state = found[name].stat()
                yield os.path.join(folder, name), state.st_size, state.st_mtime_ns

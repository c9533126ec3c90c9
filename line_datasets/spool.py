"""Lines on disk between reading the transcriptions and making the images, so that memory does not grow with them."""

import pickle
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from .lines import Line

CHUNK_LINES = 100


class Chunk(NamedTuple):
    """Some neighbouring lines, at an offset in bytes of a spool."""

    spool: Path
    offset: int

    def lines(self) -> list[Line]:
        """The lines."""
        with self.spool.open("rb") as file:
            file.seek(self.offset)
            return pickle.load(file)


def write_chunks(lines: Iterable[Line], spool: Path) -> Iterator[Chunk]:
    """Writes lines to a new spool as they come; gives the chunks of `CHUNK_LINES` in which they can be had again."""
    left = iter(lines)
    with spool.open("xb") as file:
        while some := list(islice(left, CHUNK_LINES)):
            chunk = Chunk(spool, file.tell())
            pickle.dump(some, file)
            yield chunk

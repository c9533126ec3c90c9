# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Images that lie in two splits, as one photo under two names: what is learnt by heart is measured on."""

from collections import defaultdict
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets import Image as ImageFeature

DIGEST_BYTES = 16
SHOWN_IMAGES = 3


def shared_images(splits: Mapping[str, Dataset]) -> list[str]:
    """
    One sentence for each combination of splits that share images (files of equal bytes): how many, and some of them.

    Args:
        splits: Lines of [`load_lines`].
    """
    if len(splits) < 2:
        return []
    names: dict[bytes, dict[str, str]] = defaultdict(dict)
    for split, lines in splits.items():
        for row in undecoded(lines.select_columns(["image", "line_id"])):
            names[digest(row["image"])].setdefault(split, row["line_id"])
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name_in in names.values():
        if len(name_in) > 1:
            found[tuple(sorted(name_in))].append(" is ".join(f"{name} ({split})" for split, name in name_in.items()))
    return [
        f"{len(same)} images lie in {' and '.join(shared)}: {', '.join(same[:SHOWN_IMAGES])}"
        + (f" and {len(same) - SHOWN_IMAGES} more" if len(same) > SHOWN_IMAGES else "")
        for shared, same in found.items()
    ]


def undecoded(split: Dataset) -> Dataset:
    """Lines whose images are their files."""
    return split.cast_column("image", ImageFeature(decode=False))


def digest(image: Mapping[str, Any]) -> bytes:
    return blake2b(image["bytes"] or Path(image["path"]).read_bytes(), digest_size=DIGEST_BYTES).digest()

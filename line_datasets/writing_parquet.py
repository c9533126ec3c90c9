# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Lines as a dataset repository of the Hub in a folder: parquet files that hold the images, and a dataset card."""

from pathlib import Path

from datasets import Dataset, DatasetDict
from datasets.table import embed_table_storage
from huggingface_hub import DatasetCard, DatasetCardData

from .labels import vocabulary

LINES_PER_FILE = 10_000
EMBEDDED_AT_ONCE = 100
CARD = """---
{metadata}
---

# {title}

Lines of handwriting with their transcriptions, for handwritten text recognition.

| split | lines | characters |
|---|---|---|
{counts}

## Columns

- `image`: the line.
- `text`: its transcription.
- `line_id`: its name in the source.
- `source`: the folder or repository that it comes from.
- `page`: the page that it was cut out of, where known.
- `writer`: who wrote it, where known.

## Characters

{characters} different ones in the train split:

```
{alphabet}
```

## How it was made

{made}

```python
from datasets import load_dataset

lines = load_dataset("{name}")
```
"""


def write_hub_folder(
    splits: DatasetDict,
    folder: str | Path,
    *,
    name: str,
    license: str,
    language: list[str] | None = None,
    made: str = "",
    lines_per_file: int = LINES_PER_FILE,
) -> Path:
    """
    Writes `data/<split>-00000-of-00001.parquet` and `README.md`, which `load_dataset(folder)` reads, as the Hub does.

    Args:
        splits: Result of [`load_lines`], with a train split.
        folder: Folder, new or empty.
        name: Name of the repository, "OWNER/NAME".
        license: Identifier of the licence of the images and transcriptions, as the Hub lists them ("cc-by-4.0").
        language: ISO 639 codes of the languages.
        made: How the lines were made, for the card.
        lines_per_file: Lines in a parquet file at most.

    Raises:
        FileExistsError: If there is something in the folder.
        ValueError: If there is no train split; nothing is written then.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty. Choose another folder, or remove it first.")
    card = card_text(splits, name, license, language, made)
    (folder / "data").mkdir(parents=True)
    for split, lines in splits.items():
        write_parquet(lines, folder / "data", split, lines_per_file)
    DatasetCard(card).save(folder / "README.md")
    return folder


def write_parquet(lines: Dataset, folder: Path, split: str, lines_per_file: int) -> None:
    """Writes the lines of a split, with the bytes of images that are only named so far."""
    files = max(1, -(-len(lines) // lines_per_file))
    for number in range(files):
        part = lines.shard(files, number, contiguous=True).with_format("arrow")
        part = part.map(embed_table_storage, batched=True, batch_size=EMBEDDED_AT_ONCE, keep_in_memory=False)
        part.with_format(None).to_parquet(folder / f"{split}-{number:05d}-of-{files:05d}.parquet")


def card_text(splits: DatasetDict, name: str, license: str, language: list[str] | None, made: str) -> str:
    """The card: metadata for the Hub as YAML, and what to know about the lines."""
    characters = vocabulary(splits)
    data_files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    metadata = DatasetCardData(
        license=license,
        language=language,
        task_categories=["image-to-text"],
        tags=["handwritten-text-recognition", "htr"],
        pretty_name=name.rpartition("/")[2],
        configs=[{"config_name": "default", "data_files": data_files}],
    )
    counts = [
        f"| {split} | {len(lines)} | {sum(characters.counts[split].values())} |" for split, lines in splits.items()
    ]
    return CARD.format(
        metadata=metadata.to_yaml(),
        title=name.rpartition("/")[2],
        counts="\n".join(counts),
        characters=len(characters.alphabet),
        alphabet=characters.alphabet,
        made=made,
        name=name,
    )

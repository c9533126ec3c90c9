# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Uploads a complete model folder to the Hugging Face Hub, in one commit.

python -m htr_convtext.hub_upload.push FOLDER USER/NAME [--private]

Of a training's folder, the checkpoints and other models in it stay here, and so do its reports, which show lines.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from transformers.dynamic_module_utils import get_relative_imports

from ..console import errors_as_sentences, hub_errors, print_any_character

REQUIRED = ("config.json", "model.safetensors", "processor_config.json", "tokenizer_config.json", "README.md")
HIDDEN_OR_CACHED = (".", "__pycache__")
# What a training leaves beside the last model: its other models and states, and the lines with their pictures.
OF_TRAINING = (
    *("checkpoint-*", "best_*er", "left-*", "*.incomplete"),
    *("*_predictions.json", "*_report.html", "trainer_state.json", "training_args.bin"),
)


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="model folder, as save_pretrained or convert_original writes it")
    parser.add_argument("repository", help="USER/NAME on the Hub; created if it does not exist")
    parser.add_argument("--private", action="store_true", help="create the repository as a private one")
    parser.add_argument("--message", default="Upload model, processor and code", help="commit message")
    options = parser.parse_args(arguments)
    with errors_as_sentences(parser.prog, ValueError):
        operations = upload_operations(options.folder)
    with errors_as_sentences(f"{parser.prog}: {options.repository} was not uploaded", *hub_errors()):
        api = HfApi()
        api.create_repo(options.repository, private=options.private, exist_ok=True)
        others = not_of_folder(api.list_repo_files(options.repository), operations)
        commit = api.create_commit(options.repository, operations, commit_message=options.message)
    if others:
        # Somebody may have put them there by hand: deleting is theirs.
        print(
            f"On the Hub, but not in {options.folder}: {', '.join(others)}. What is of an earlier upload may be "
            f"loaded with this one; to delete it: hf repos delete-files {options.repository} NAME ..."
        )
    print(f'{commit.commit_url}\nPin it: from_pretrained("{options.repository}", revision="{commit.oid}")')


def upload_operations(folder: Path) -> list[CommitOperationAdd]:
    """
    What a commit of the folder adds; links are uploaded as the files that they point to.

    Args:
        folder: A model folder. Of a training's folder, what is not of its last model stays.

    Returns:
        One operation for each file, sorted by name.

    Raises:
        ValueError: If the folder lacks a file that loading the model needs; the message names them all.
    """
    check_folder(folder)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not stays(path.relative_to(folder))]
    return [
        CommitOperationAdd(path_in_repo=path.relative_to(folder).as_posix(), path_or_fileobj=str(path.resolve()))
        for path in files
    ]


def not_of_folder(on_hub: Iterable[str], operations: Sequence[CommitOperationAdd]) -> list[str]:
    """Files of a repository that a commit did not add, but for those of git, which the Hub makes."""
    added = {operation.path_in_repo for operation in operations}
    return [name for name in sorted(on_hub) if name not in added and not name.startswith(".git")]


def stays(path: Path) -> bool:
    """Whether a file, by its place in the folder, is no part of the model."""
    hidden = any(part.startswith(HIDDEN_OR_CACHED) for part in path.parts)
    return hidden or any(fnmatch(part, pattern) for part in path.parts for pattern in OF_TRAINING)


def check_folder(folder: Path) -> None:
    """Refuses a folder that would not load from the Hub: files missing, or code that it needs missing."""
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if "config.json" not in missing:
        missing += [name for name in needed_code(folder) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} is not a complete model folder. It lacks {', '.join(missing)}.")


def needed_code(folder: Path) -> list[str]:
    """The Python files that config.json sends the Auto classes and the pipeline to, and those that these import."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    references = list(config.get("auto_map", {}).values())
    references += [task["impl"] for task in config.get("custom_pipelines", {}).values()]
    names = sorted({reference.split(".")[0] + ".py" for reference in references})
    for name in names:  # grows while it is gone through
        imported = get_relative_imports(folder / name) if (folder / name).is_file() else []
        names += [f"{module}.py" for module in sorted(imported) if f"{module}.py" not in names]
    return names


if __name__ == "__main__":
    main()

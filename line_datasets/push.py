# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Lines as a dataset of the Hub: a folder of parquet files with a card, uploaded if a repository is given.

    python -m htr_convtext.line_datasets.push lines --data_dir my_lines --license cc-by-4.0 --folder hub_lines
    python -m htr_convtext.line_datasets.push lines --data_dir my_lines --license cc-by-4.0 --folder hub_lines \\
        --repo_id OWNER/NAME --private

Look at the folder first; `datasets.load_dataset("hub_lines")` loads it as it will load the repository. Whether you may
publish the lines is for their licence to say: those of IAM, LAM and HANDS-VNOnDB restrict their use.
"""

import argparse
import shlex
import sys
from pathlib import Path

from datasets import DatasetDict
from huggingface_hub import HfApi

from ..console import at_least_one, errors_as_sentences, folder_to_write, hub_errors, print_any_character
from .command_line import add_source_arguments, source_arguments
from .loading import load_lines
from .writing_parquet import LINES_PER_FILE, write_hub_folder


def main(arguments: list[str] | None = None) -> int:
    """Writes the folder and uploads it; status 1 if the lines cannot be loaded."""
    print_any_character()
    options = parse(arguments)
    try:
        splits = load_lines(options.name, **source_arguments(options))
        folder = write_folder(splits, how_made(options), options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    upload_if_asked(folder, options)
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m htr_convtext.line_datasets.push",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_arguments(parser)
    add_target_arguments(parser)
    return parser.parse_args(arguments)


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where lines go."""
    parser.add_argument(
        "--folder", type=folder_to_write, required=True, help="new folder for the parquet files and the card"
    )
    parser.add_argument("--license", required=True, help="licence of the lines, as the Hub calls it (cc-by-4.0)")
    parser.add_argument("--language", nargs="+", help="ISO 639 codes of the languages")
    parser.add_argument("--repo_id", help="OWNER/NAME of the dataset repository to upload to; default: no upload")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument(
        "--lines_per_file", type=at_least_one, default=LINES_PER_FILE, help="lines in a parquet file at most"
    )


def write_folder(splits: DatasetDict, made: str, options: argparse.Namespace) -> Path:
    """Writes lines as the options of [`add_target_arguments`] say; for errors see [`write_hub_folder`]."""
    return write_hub_folder(
        splits,
        options.folder,
        name=options.repo_id or options.folder.name,
        license=options.license,
        language=options.language,
        made=made,
        lines_per_file=options.lines_per_file,
    )


def upload_if_asked(folder: Path, options: argparse.Namespace) -> None:
    print(f"Folder: {folder}")
    if options.repo_id:
        with errors_as_sentences(f"{options.repo_id} was not uploaded; {folder} is whole", *hub_errors()):
            print(f"Repository: {upload(folder, options.repo_id, options.private)}")


def how_made(options: argparse.Namespace) -> str:
    """The options that say what the lines are; folders of this machine by their last name only."""
    folders = [Path(folder).name for folder in options.data_dir or []]
    chosen = "".join(f" --option {shlex.quote(option)}" for option in options.option)
    return f"By `htr_convtext.line_datasets`: `{options.name} --data_dir {' '.join(folders) or '(Hub)'}{chosen}`."


def upload(folder: Path, repo_id: str, private: bool) -> str:
    """
    Makes the repository if there is none, and uploads the folder in the place of lines that are there; the address of
    the repository.
    """
    api = HfApi()
    address = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
    api.upload_folder(
        folder_path=folder,
        repo_id=repo_id,
        repo_type="dataset",
        commit_message="Lines with card",
        delete_patterns="data/*.parquet",  # Files of an earlier push; their names hold how many they were.
    )
    return str(address)


if __name__ == "__main__":
    raise SystemExit(main())

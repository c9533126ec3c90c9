# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a project gives away: texts and files of its pages, its corrected lines, its model, each as one ZIP."""

import shutil
import zipfile
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from ..hub_upload.push import check_folder
from ..pages import TranscribedPage
from ..pages.outputs import COLLECTION_FORMATS, DOCUMENT_FORMATS, write_collection, write_document
from ..pages.whole_files import whole_file
from ..training.checkpoints import whole_folder
from .dataset import corrected_lines, kept_pages, write_lines
from .project import Project, ProjectError, now
from .reading import model_path

FORMATS = {
    "txt": "Text",
    "page": "PAGE XML",
    "alto": "ALTO",
    "csv": "Table (CSV)",
    "pdf": "Searchable PDF",
    "html": "HTML",
    "jsonl": "JSON lines",
}
OF_PAGE, OF_DOCUMENT = ("page", "alto"), ("txt", "html", "pdf")
README = """Lines of handwriting and their transcriptions, corrected by people in the workbench of HTR-ConvText.

    accelerate launch train_hf.py recipes/finetune.yaml --data_dir THIS_FOLDER --output_dir runs/mine

`train.ln` and, of pages kept for scoring, `val.ln` name the images in `lines/`; beside each is its text.
"""


def pack_pages(project: Project, formats: Sequence[str]) -> Path:
    """
    The pages of a project in some formats, with what is corrected and what is not, as `takeaway/pages.zip`.

    Args:
        project: The project.
        formats: Some of `FORMATS`; pictures come along with PAGE and ALTO.

    Raises:
        ProjectError: If no format is chosen, or there are no pages.
    """
    known = [name for name in (*DOCUMENT_FORMATS, *COLLECTION_FORMATS) if name in formats and name in FORMATS]
    if not known:
        raise ProjectError("Choose at least one format.")
    with project.lock:
        pages = [(page.document, project.transcribed(page)) for page in project.pages()]
    if not pages:
        raise ProjectError("There are no pages yet. Read some in the tab Read first.")
    of_page, of_document = ([name for name in names if name in known] for names in (OF_PAGE, OF_DOCUMENT))
    folder = project.folder / "takeaway" / "pages"
    with whole_folder(folder) as staging:
        for _, page in pages:
            write_document([page], [*of_page, "image"] if of_page else [], staging, now())
        # Another document's page may stand between two of one, for pages are sorted by their own names.
        for document, group in groupby(sorted(pages, key=itemgetter(0)), itemgetter(0)):
            numbered = [page_of_document(page, document, number) for number, (_, page) in enumerate(group)]
            write_document(numbered, of_document, staging, now())
        write_collection((page for _, page in pages), known, staging)
    return pack(folder)


def page_of_document(page: TranscribedPage, document: str, number: int) -> TranscribedPage:
    return page._replace(source=page.source._replace(document_name=document, number=number))


def pack_lines(project: Project) -> Path:
    """
    The corrected lines as a dataset, as `takeaway/lines.zip`; those of the pages that are kept for scoring, or that
    would be, are its validation split.
    """
    folder = project.folder / "takeaway" / "lines"
    with whole_folder(folder) as staging:
        write_lines(project, staging, kept_pages(project, corrected_lines(project)))
        (staging / "README.md").write_text(README, encoding="utf-8")
    return pack(folder)


def pack_model(project: Project) -> Path:
    """
    The model in use as `takeaway/NAME.zip`, a folder that loads as it lies and can be uploaded to the Hub.

    Raises:
        ProjectError: If it is not complete, or is on the Hub already.
    """
    model = Path(model_path(project))
    if not model.is_dir():
        raise ProjectError(f"The model {model} is on the Hub already. Teach it, and take the taught one.")
    try:
        check_folder(model)
    except ValueError as error:
        raise ProjectError(str(error)) from error
    folder = project.folder / "takeaway" / model.name
    with whole_folder(folder) as staging:
        shutil.copytree(model, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return pack(folder)


def pack(folder: Path) -> Path:
    """A folder as a ZIP beside it."""
    path = folder.with_name(f"{folder.name}.zip")
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, file.relative_to(folder.parent).as_posix())
    return path

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
A Hugging Face Space that reads pages and lines of handwriting: the tab Read of the workbench, without a project.

Here, with a model's folder in place of the Hub:

    HTR_CONVTEXT_MODEL=hub_upload/htr-convtext-fr python hub_upload/space/app.py
"""

import datetime
import html
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import gradio as gr

from htr_convtext import HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor
from htr_convtext.pages import PageSource, TranscribedPage, find_pages, transcribe
from htr_convtext.pages.finding_files import IMAGE_SUFFIXES
from htr_convtext.pages.outputs import write_document
from htr_convtext.pages.outputs.html_page import write_html
from htr_convtext.pages.page_images import image_size

# The name of the model's repository on the Hub, or its folder.
MODEL = os.environ.get("HTR_CONVTEXT_MODEL", "OWNER/htr-convtext-fr")
KINDS = [*IMAGE_SUFFIXES, ".pdf", ".xml"]
MAX_FILE_SIZE, MAX_PIXELS, MAX_PAGES = "20mb", 50_000_000, 10
FORMATS = ("txt", "page", "alto", "pdf")
BATCH_SIZE = 4  # Small, so that the first pages come soon.
HELP = "Drop pictures of pages or lines, PDFs, or PAGE XML or ALTO with their pictures; then press Read."


@lru_cache(maxsize=1)
def recognizer() -> HTRConvTextPipeline:
    """The pipeline that reads lines, loaded once."""
    processor = HTRConvTextProcessor.from_pretrained(MODEL)
    return HTRConvTextForCTC.from_pretrained(MODEL).optimize_for_inference().as_pipeline(processor)


def read(files: list[str] | None) -> Iterator[tuple[str, str, list[str]]]:
    """
    Reads what was dropped.

    Yields:
        A sentence on how far it is; the pages read so far as HTML; at the end the files to be downloaded.
    """
    folder = Path(tempfile.mkdtemp(prefix="pages_"))  # Of what is given to be downloaded, Gradio keeps a copy.
    try:
        sources, problems = pages_of(files or [], folder / "uploads")
        pages: list[TranscribedPage] = []
        started = time.monotonic()
        if not sources:
            yield " ".join(["Nothing was read.", *problems, HELP]), "", []
            return
        yield f"Reading {len(sources)} pages.", "", []
        for page in transcribe(sources, recognizer(), batch_size=BATCH_SIZE, model_name=MODEL):
            if page.error:
                problems.append(f"{page.source.document.name}: {page.error}.")
                continue
            pages.append(page)
            lines, seconds = sum(len(each.lines) for each in pages), time.monotonic() - started
            pace = f"{len(pages) / seconds:.2f} pages and {lines / seconds:.1f} lines a second"
            yield f"{len(pages)} of {len(sources)} pages read, {pace}.", shown(pages, folder), []
        said = " ".join([f"Done: {len(pages)} pages." if pages else "Nothing was read.", *problems])
        yield said, shown(pages, folder), written(pages, folder)
    except ValueError as error:
        yield f"{error} {HELP}", "", []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pages_of(files: list[str], folder: Path) -> tuple[list[PageSource], list[str]]:
    """The pages in uploads, which are copied into one folder, and a sentence for each file that is left out."""
    if not files:
        raise ValueError("There is nothing to read.")
    folder.mkdir(parents=True)
    problems = []
    for file in map(Path, files):
        size = image_size(file) if file.suffix.lower() in IMAGE_SUFFIXES else (1, 1)
        if file.suffix.lower() not in KINDS or size is None:
            problems.append(f"{file.name} is no picture, PDF, PAGE XML or ALTO.")
        elif size[0] * size[1] > MAX_PIXELS:
            problems.append(f"{file.name} has more than {MAX_PIXELS // 10**6} megapixels. Save it smaller.")
        elif (folder / file.name).exists():
            problems.append(f"{file.name} was dropped twice. Rename one of the two.")
        else:
            shutil.copyfile(file, folder / file.name)
    found = find_pages([folder], within=folder)
    problems += [f"{Path(where).name}: {what}." for where, what, _ in found.problems]
    if len(found.sources) > MAX_PAGES:
        problems.append(f"Only the first {MAX_PAGES} pages are read here. The workbench, on your computer, reads all.")
    return found.sources[:MAX_PAGES], problems


def shown(pages: list[TranscribedPage], folder: Path) -> str:
    """Pages beside their text, in a frame of their own: no script of it reaches this page."""
    if not pages:
        return ""
    page = write_html(pages, folder / "shown.html", datetime.datetime.now(datetime.UTC)).read_text(encoding="utf-8")
    style = "width: 100%; height: 80vh; border: 0"
    return f'<iframe title="Pages" sandbox="allow-scripts" style="{style}" srcdoc="{html.escape(page)}"></iframe>'


def written(pages: list[TranscribedPage], folder: Path) -> list[str]:
    """Text, PAGE XML, ALTO and PDF of each document, in a ZIP."""
    if not pages:
        return []
    for _, document in groupby(pages, lambda page: page.source.document_name):
        write_document(list(document), FORMATS, folder / "read")
    return [shutil.make_archive(str(folder / "archive" / "read"), "zip", folder / "read")]


with gr.Blocks(title="HTR-ConvText", analytics_enabled=False, delete_cache=(3600, 3600)) as demo:
    gr.Markdown(
        f"# Read handwriting\n\n{HELP} The model is `{Path(MODEL).name}`; words are shaded where it is unsure."
    )
    uploads = gr.File(label="Pages or lines", file_count="multiple", file_types=KINDS, height=140)
    with gr.Row():
        start, stop = gr.Button("Read", variant="primary"), gr.Button("Stop")
    status = gr.Markdown()
    pages_shown = gr.HTML()
    download = gr.File(label="Text, PAGE XML, ALTO and PDF", file_count="multiple", interactive=False)
    reading = start.click(read, uploads, [status, pages_shown, download], api_name="read")
    stop.click(lambda: "Stopped. Press Read to begin again.", None, status, cancels=reading, api_visibility="private")

if __name__ == "__main__":
    demo.launch(max_file_size=MAX_FILE_SIZE, ssr_mode=False, theme=gr.themes.Default(font=["system-ui", "sans-serif"]))

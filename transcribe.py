# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reads pages of handwriting: images of pages or of single lines, TIFFs and PDFs of several pages, PAGE XML and ALTO with
their images, in files and folders.

    python transcribe.py scans/ letter.pdf --model hub_upload/htr-convtext-fr --output read
    accelerate launch transcribe.py scans/ --model hub_upload/htr-convtext-fr --output read --format alto csv --resume

Lines that XML tells are read; on other pages they are found (extra [pages]). The exit status is 1 if any page failed.
"""

import argparse
import contextlib
import datetime
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from htr_convtext import HTRConvTextDecoder, HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor
from htr_convtext.console import errors_as_sentences, only_writer
from htr_convtext.extras import needing

with needing("transcribe.py"):
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs, gather_object
    from tqdm import tqdm

    from htr_convtext.pages import PageSource, TranscribedPage, find_pages, transcribe
    from htr_convtext.pages.command_line import parse_arguments, settings_of
    from htr_convtext.pages.kept_pages import KeptPages
    from htr_convtext.pages.page_sources import FoundPages
    from htr_convtext.pages.results import (
        documents_of,
        may_be_replaced,
        prepare_output,
        problems_of,
        summary,
        write_as_read,
        write_outputs,
        write_tables,
    )
    from htr_convtext.pages.transcript import Problem
    from htr_convtext.pages.transcription import unknown_types

# Of one process for another that still reads, or writes the PDF of a book. PyTorch's own are 10 and 30 minutes, which
# end the run.
LONGEST_WAIT = datetime.timedelta(days=30)
LOCK_FILE = ".transcribe.lock"
# Errors that tell what users can set right.
SAID = (OSError, ValueError, ImportError)


def main() -> None:
    options = parse_arguments(__doc__, sys.argv[1:])
    accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)])
    with contextlib.ExitStack() as run:
        with errors_as_sentences("transcribe.py", *SAID):
            found = find_pages(options.inputs, options.output)
            if accelerator.is_main_process:
                run.enter_context(only_writer(options.output, LOCK_FILE, "run of transcribe.py", "--output"))
        has_failed = read_and_write(found, options, accelerator)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    # The launcher ends all processes as soon as one fails: it is the first, which has seen to everything by then.
    sys.exit(accelerator.is_main_process and has_failed)


def read_and_write(found: FoundPages, options: argparse.Namespace, accelerator: Accelerator) -> bool:
    """The whole run; whether any page failed."""
    documents = documents_of(found.sources)
    kept = KeptPages(options.output, settings_of(options))
    with errors_as_sentences("transcribe.py", *SAID):
        accelerator.wait_for_everyone()  # What tells results from inputs is removed next.
        if accelerator.is_main_process:
            prepare_output(options.output, documents, options.format, kept, options.mode)
        accelerator.wait_for_everyone()
        recognizer = load_recognizer(options, accelerator.device)
        decoder = load_decoder(options.language_model, recognizer)
    early, late = early_and_late(documents, options.output, accelerator.num_processes)
    problems = read_share(found.sources, early, recognizer, decoder, kept, options, accelerator)
    accelerator.wait_for_everyone()
    problems += write_share(late, kept, options, accelerator)
    if accelerator.is_main_process:
        problems += write_tables(found.sources, options.format, options.output, kept)
    problems = gather_object(problems)
    if accelerator.is_main_process:
        problems = [*found.problems, *unknown_types(found.sources, options.reading), *problems]
        print(*summary(problems, found.ignored), sep="\n", file=sys.stderr)
    return any(problem.is_failure for problem in problems)


def early_and_late(
    documents: list[list[PageSource]], output: Path, processes: int
) -> tuple[list[list[PageSource]], list[list[PageSource]]]:
    """
    The documents that are written as soon as they are read, and those that wait until all are: several processes read
    them, or their files may be replaced.
    """
    early: list[list[PageSource]] = []
    late: list[list[PageSource]] = []
    for document in documents:
        is_shared = processes > 1 and len(document) > 1
        (late if is_shared or may_be_replaced(document, output) else early).append(document)
    return early, late


def read_share(
    sources: list[PageSource],
    early: list[list[PageSource]],
    recognizer: HTRConvTextPipeline,
    decoder: HTRConvTextDecoder | None,
    kept: KeptPages,
    options: argparse.Namespace,
    accelerator: Accelerator,
) -> list[Problem]:
    """Reads and keeps this process's share of the pages, writes documents that it has read, tells what went wrong."""
    share = sources[accelerator.process_index :: accelerator.num_processes]
    running = {"batch_size": options.batch_size, "num_workers": options.num_workers, "model_name": options.model}
    pages = transcribe(share, recognizer, options.reading, decoder=decoder, kept=kept, **running)
    pages = with_progress(pages, len(share), accelerator)
    written = write_as_read(pages, early, options.format, options.output, kept)
    return [problem for page, wrong in written for problem in (*problems_of(page), *wrong)]


def write_share(
    documents: list[list[PageSource]], kept: KeptPages, options: argparse.Namespace, accelerator: Accelerator
) -> list[Problem]:
    """Writes this process's share of some documents."""
    share = documents[accelerator.process_index :: accelerator.num_processes]
    return [problem for each in share for problem in write_outputs(each, options.format, options.output, kept)]


def load_recognizer(options: argparse.Namespace, device: torch.device) -> HTRConvTextPipeline:
    """The pipeline that reads lines, in inference mode."""
    dtype = getattr(torch, options.dtype)
    if options.backend == "torch":
        model = HTRConvTextForCTC.from_pretrained(options.model, dtype=torch.float32).to(device)
        model.optimize_for_inference(dtype)
    else:
        from htr_convtext.export import ExportedHTRConvText

        model = ExportedHTRConvText.from_pretrained(options.model, dtype)
    # It asks for many files, and the Hub out of reach costs half a minute for each: the network has said so by now.
    return model.as_pipeline(HTRConvTextProcessor.from_pretrained(options.model))


def load_decoder(name: str | None, recognizer: HTRConvTextPipeline) -> HTRConvTextDecoder | None:
    """The language model that was asked for."""
    try:
        return recognizer.processor.resolve_decoder(name)
    except (OSError, ValueError) as error:
        raise ValueError(f"--language_model {name}: {error}") from error


def with_progress(
    pages: Iterable[TranscribedPage], number: int, accelerator: Accelerator
) -> Iterator[TranscribedPage]:
    """The pages of this process, with a progress bar on the first one of all."""
    started, lines = time.monotonic(), 0
    description = "pages" if accelerator.num_processes == 1 else f"pages of process 1 of {accelerator.num_processes}"
    with tqdm(total=number, desc=description, unit="page", disable=not accelerator.is_main_process) as bar:
        for page in pages:
            lines += len(page.lines)
            bar.set_postfix_str(f"{lines / (time.monotonic() - started):.1f} lines/s", refresh=False)
            bar.update()
            yield page


if __name__ == "__main__":
    main()

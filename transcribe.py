# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Reads pages of handwriting: images of pages or of single lines, TIFFs and PDFs of several pages, PAGE XML and ALTO with
their images, in files and folders.

    python transcribe.py scans/ letter.pdf --model hub_upload/htr-convtext-fr --output read
    accelerate launch transcribe.py scans/ --model hub_upload/htr-convtext-fr --output read --format alto csv --resume

Lines that PAGE XML or ALTO tells are read; on other pages they are found, which needs the extra [pages]. The exit
status is 1 if any page could not be read; all others are.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from htr_convtext import HTRConvTextDecoder, HTRConvTextForCTC, HTRConvTextPipeline, HTRConvTextProcessor
from htr_convtext.pages import TranscribedPage, find_pages, transcribe
from htr_convtext.pages.command_line import parse_arguments, settings_of
from htr_convtext.pages.kept_pages import KeptPages
from htr_convtext.pages.outputs import write_collection
from htr_convtext.pages.results import documents_of, prepare_output, problems_of, summary, write_outputs
from htr_convtext.pages.transcription import unknown_types


def main() -> None:
    # 1. Options, pages, model
    options = parse_arguments(__doc__, sys.argv[1:])
    accelerator = Accelerator()
    rank, processes = accelerator.process_index, accelerator.num_processes
    try:
        found = find_pages(options.inputs, options.output)
        documents = documents_of(found.sources)
        kept = KeptPages(options.output, settings_of(options))
        if accelerator.is_main_process:
            prepare_output(options.output, documents, options.format, kept, options.mode)
        accelerator.wait_for_everyone()
        recognizer = load_recognizer(options, accelerator.device)
        decoder = load_decoder(options.language_model, recognizer)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f"transcribe.py: {error}") from error

    # 2. Reading: every process reads its share of the pages, and keeps each as it is read
    share = found.sources[rank::processes]
    pages = transcribe(
        share,
        recognizer,
        options.reading,
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        decoder=decoder,
        kept=kept,
        model_name=options.model,
    )
    problems = [*found.problems, *unknown_types(found.sources, options.reading)] if accelerator.is_main_process else []
    for page in with_progress(pages, len(share), accelerator):
        problems += problems_of(page)
    accelerator.wait_for_everyone()

    # 3. Writing: every process writes its share of the documents; the tables of all lines are one file each
    for document in documents[rank::processes]:
        problems += write_outputs(document, options.format, options.output, kept)
    problems = gather_object(problems)
    if accelerator.is_main_process:
        kept_pages = (page for page in map(kept.of_this_run, found.sources) if page is not None)
        write_collection(kept_pages, options.format, options.output)
        print(*summary(problems, found.ignored), sep="\n", file=sys.stderr)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    # The launcher ends all processes as soon as one fails: it is the first, which has seen to everything by then.
    sys.exit(accelerator.is_main_process and any(problem.is_failure for problem in problems))


def load_recognizer(options: argparse.Namespace, device: torch.device) -> HTRConvTextPipeline:
    """The pipeline that reads lines, in inference mode."""
    processor = HTRConvTextProcessor.from_pretrained(options.model)
    dtype = getattr(torch, options.dtype)
    if options.backend == "torch":
        model = HTRConvTextForCTC.from_pretrained(options.model, dtype=torch.float32).to(device)
        return model.optimize_for_inference(dtype).as_pipeline(processor)
    from htr_convtext.export import ExportedHTRConvText

    return ExportedHTRConvText.from_pretrained(options.model, dtype).as_pipeline(processor)


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

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The workbench in the browser: four tabs over an open project, made with Gradio."""

import html
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..pages.html_layout import plural
from .dataset import Offer, corrected_lines, offer_pages
from .project import ORDERS, LineChanged, Project, ProjectError
from .reading import Reader
from .same_origin import SameOrigin
from .takeaway import FORMATS, pack_lines, pack_model, pack_pages
from .teaching import PREPARING, ROUNDS, SCORED, TRAINING, Teaching
from .uploads import KINDS, MAX_BYTES, add_uploads, unread_pages
from .views import counts, line_payload, page_html, reading_html, teaching_html

HERE = Path(__file__).resolve().parent
SECONDS = 1.5  # Between two looks at what is going on.
MOST_ROUNDS = 200
LONGEST_TEXT = 2000
FONTS = ["system-ui", "sans-serif"]  # Gradio's own would be fetched from the network.


def asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


class Workbench:
    """
    A project with what is done to it; one for all browser tabs.

    Args:
        project: The project.
        training_options: Further options of train_hf.py.
    """

    def __init__(self, project: Project, training_options: Sequence[str] = ()):
        self.project = project
        self.reader = Reader(project)
        self.teaching = Teaching(project, training_options)
        self.known: dict[str, tuple[Any, Any]] = {}

    def lately(self, make: Callable[[Project], Any], stamp_of: Callable[[Project], Any] = Project.stamp) -> Any:
        """
        What a function tells of the project, which is often asked.

        Args:
            make: The function.
            stamp_of: Gives what changes whenever what the function tells may have changed.
        """
        stamp = stamp_of(self.project)
        if self.known.get(make.__name__, (None,))[0] != stamp:
            self.known[make.__name__] = stamp, make(self.project)
        return self.known[make.__name__][1]

    # What the script of the tab Correct calls. Arguments come from the browser, so they may be anything.

    def next_line(self, order: str) -> dict[str, Any]:
        """The first line of the queue."""
        return self.answer(lambda: self.first(order))

    def open_line(self, page: str, number: int) -> dict[str, Any]:
        """A line that was chosen on its page."""
        return self.answer(lambda: {"line": line_payload(self.project, self.project.line(str(page), int(number)))})

    def accept(self, page: str, number: int, text: str, seen: str, order: str) -> dict[str, Any]:
        """Accepts a line and gives the next."""

        def do() -> dict[str, Any]:
            if len(str(text)) > LONGEST_TEXT:
                raise ProjectError(f"A line has at most {LONGEST_TEXT} characters. Shorten the text.")
            line = self.project.accept(str(page), int(number), str(text), str(seen))
            return self.first(order, f"Line {line.place} of page {line.page} is saved.")

        return self.answer(do)

    def skip(self, page: str, number: int, seen: str, order: str) -> dict[str, Any]:
        """Skips a line and gives the next."""

        def do() -> dict[str, Any]:
            line = self.project.skip(str(page), int(number), str(seen))
            return self.first(order, f"Line {line.place} of page {line.page} comes back after the others.")

        return self.answer(do)

    def undo(self) -> dict[str, Any]:
        """Takes back what was done last, and gives its line."""

        def do() -> dict[str, Any]:
            line = self.project.undo()
            if line is None:
                raise ProjectError("There is nothing to undo.")
            said = f"Line {line.place} of page {line.page} is as it was before."
            return {"message": said, "line": line_payload(self.project, line)}

        return self.answer(do)

    def suggest(self, page: str, number: int) -> list[dict[str, Any]]:
        """What the doubtful words of a line may be instead; none where that cannot be found out."""
        try:
            return self.reader.suggestions(str(page), int(number))
        except (ProjectError, ImportError, OSError, ValueError):
            return []

    def first(self, order: str, said: str = "") -> dict[str, Any]:
        """The line that is next, and what to say: what was done, and what to do if there is none."""
        queue = self.project.queue(order if order in ORDERS else ORDERS[0])
        if queue:
            return {"message": said, "line": line_payload(self.project, queue[0])}
        advice = "There are no lines yet. Drop pages in the tab Read, and read them."
        if self.project.pages():
            advice = "Every line has a text that counts. Go on in the tab Teach, or take the pages away."
        return {"message": f"{said} {advice}".strip()}

    def answer(self, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What the browser is told; an error with the line of now, if it has changed."""
        try:
            answer = do()
        except LineChanged as error:
            answer = {"error": str(error), "line": line_payload(self.project, error.line)}
        except ProjectError as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"error": f"It could not be saved ({error}). Make room on the disk, and accept the line again."}
        except (ValueError, TypeError) as error:
            answer = {"error": f"That cannot be done ({error}). Reload this page and try again."}
        return answer | {"counts": counts(self.project)}


def build(workbench: Workbench) -> gr.Blocks:
    """The interface."""
    with gr.Blocks(title="HTR-ConvText workbench", analytics_enabled=False) as blocks:
        gr.Markdown(f"# Workbench: {workbench.project.folder.name}")
        timer = gr.Timer(SECONDS)
        with gr.Tabs():
            with gr.Tab("Read") as tab:
                read_tab(workbench, blocks, timer, tab)
            with gr.Tab("Correct"):
                correct_tab(workbench)
            with gr.Tab("Teach"):
                teach_tab(workbench, blocks, timer)
            with gr.Tab("Take away"):
                take_away_tab(workbench)
    return blocks


def read_tab(workbench: Workbench, blocks: gr.Blocks, timer: gr.Timer, tab: gr.Tab) -> None:
    project, reader = workbench.project, workbench.reader
    # Side by side, so that a page and its text are in the first screen; one below the other in a narrow window.
    with gr.Row():
        with gr.Column(scale=0, min_width=300, elem_id="controls"):
            files = gr.File(
                label="Pages or lines", file_count="multiple", file_types=list(KINDS), height=140, elem_id="files"
            )
            with gr.Row():
                read = gr.Button("Read", variant="primary", size="md", min_width=60)
                stop = gr.Button("Stop", size="md", min_width=60)
                again = gr.Button("Read again", size="md", min_width=110, scale=2)
            keep = gr.Checkbox(True, label="Keep the texts that came with the pages", elem_id="keep")
            notes = gr.State([])
            status = gr.HTML(elem_id="reading")
            chosen = gr.Dropdown([], label="Page", interactive=True, elem_id="pages")
        with gr.Column(min_width=560):
            shown = gr.HTML(js_on_load=asset("page_view.js"), elem_id="page")

    def upload(paths: list[str] | None, said: list[str]):
        if not paths:
            return gr.skip(), gr.skip(), gr.skip()
        added = add_uploads(project, map(Path, paths))
        return None, added.problems, status_html(added.problems)

    def status_html(said: list[str]) -> str:
        state = reader.status()  # First: what it says to be done must not be among what waits.
        # All that was dropped is opened for it, so not after each line that is accepted.
        unread = workbench.lately(unread_pages, Project.stamp_of_names)
        names = workbench.lately(page_names)
        problems = [*said, *unread.problems, *workbench.lately(Project.problems)]
        return reading_html(state, len(unread.sources), len(names), problems)

    def start(said: list[str], keep_texts: bool) -> tuple[list[str], str]:
        reader.start(only_missing=keep_texts)
        return [], status_html([])

    def start_again(said: list[str]) -> tuple[list[str], str]:
        reader.start(again=True)
        return [], status_html([])

    def end(said: list[str]) -> str:
        reader.stop()
        return status_html(said)

    def look(said: list[str], page: str | None, before: Any) -> tuple[Any, ...]:
        """The status and the list of pages, each only if it is another than before: a list may be open just now."""
        fresh, names = status_html(said), workbench.lately(page_names)
        old, offered, was_reading = before or (None, None, False)
        value = page if page in names else next(iter(names), None)
        choice = gr.skip() if names == offered else gr.Dropdown(names, value=value)
        reading = reader.status()["state"] in ("running", "stopping")
        view = show(value) if was_reading and not reading else gr.skip()
        return gr.skip() if fresh == old else fresh, choice, view, (fresh, names, reading)

    def show(page: str | None) -> str:
        if page is None:
            return ""
        try:
            return page_html(project, project.page(page))
        except (ProjectError, OSError, ValueError) as error:
            return reading_html({"state": "failed", "error": f"The page cannot be shown: {error}"}, 0, 0)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    files.upload(upload, [files, notes], [files, notes, status], **quiet)
    read.click(start, [notes, keep], [notes, status], **quiet)
    again.click(start_again, [notes], [notes, status], **quiet)
    stop.click(end, [notes], status, **quiet)
    seen = gr.State(None)
    gr.on([blocks.load, timer.tick], look, [notes, chosen, seen], [status, chosen, shown, seen], **quiet)
    gr.on([chosen.change, tab.select], show, chosen, shown, **quiet)


def correct_tab(workbench: Workbench) -> None:
    functions: list[Callable] = [workbench.next_line, workbench.open_line, workbench.accept, workbench.skip]
    functions += [workbench.undo, workbench.suggest]
    gr.HTML(
        html_template=asset("correct.html"),
        js_on_load=asset("correct.js"),
        server_functions=[as_function(function) for function in functions],
        elem_id="correct",
    )


def as_function(method: Callable) -> Callable:
    """A method as a function of the list of its arguments, which is what the browser sends, with its name."""

    def call(arguments: list[Any]) -> Any:
        try:
            return method(*arguments)
        except TypeError as error:
            return {"error": f"That cannot be done ({error}). Reload this page and try again."}

    call.__name__ = method.__name__
    return call


def teach_tab(workbench: Workbench, blocks: gr.Blocks, timer: gr.Timer) -> None:
    project, teaching = workbench.project, workbench.teaching
    with gr.Row():
        kept = gr.Dropdown([], multiselect=True, label="Pages kept for scoring", min_width=300, elem_id="kept")
        label = "How often each line is learnt"
        rounds = gr.Slider(1, MOST_ROUNDS, ROUNDS, step=1, label=label, min_width=300, elem_id="rounds")
    with gr.Row():
        start = gr.Button("Teach", variant="primary")
        stop = gr.Button("Stop", elem_id="stop_teaching", interactive=False)
        go_on = gr.Button("Go on", interactive=False)
        use = gr.Button("Use this model", interactive=False)
    said = gr.HTML(elem_id="teaching_said")
    status = gr.HTML(elem_id="teaching")

    def do(action: Callable[[], Any]) -> tuple[Any, ...]:
        """Does something, and gives what went wrong and what is shown."""
        sentence = ""
        try:
            action()
        except (ProjectError, OSError, ValueError) as error:
            sentence = html.escape(str(error))
        return (sentence, *shown_now())

    def shown_now() -> tuple[Any, ...]:
        state = teaching.status()
        training = state["state"] in (PREPARING, TRAINING)
        can_use = state["state"] == SCORED and state["score"]["better"] and not state["used"]
        return (
            teaching_html(state, workbench.lately(corrected_lines).number),
            gr.Button(interactive=not teaching.is_busy()),
            gr.Button(interactive=training),
            gr.Button(interactive=bool(state.get("can_go_on"))),
            gr.Button(interactive=bool(can_use)),
        )

    def look(before: Any) -> tuple[Any, ...]:
        """What is shown, if it is another than before."""
        status = teaching.status()
        fresh = (status, teaching.is_busy(), workbench.lately(corrected_lines).number)
        return (*shown_now(), fresh) if fresh != before else (*[gr.skip()] * 5, fresh)

    def offer(chosen: list[str], before: Offer | None) -> tuple[Any, Any]:
        """The pages with corrected lines, if they are others than before."""
        lines = workbench.lately(corrected_lines)
        if before is not None and lines.of_page == before.of_page:
            return gr.skip(), before
        fresh = offer_pages(project, lines, chosen or [], before)
        choices = [(f"{name} ({plural(number, 'line')})", name) for name, number in fresh.of_page.items()]
        return gr.Dropdown(choices, value=fresh.kept), fresh

    def use_model() -> tuple[Any, ...]:
        return do(lambda: teaching.use(last_run(teaching)))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    shown = [status, start, stop, go_on, use]
    start.click(
        lambda pages, number: do(lambda: teaching.start(pages, int(number))), [kept, rounds], [said, *shown], **quiet
    )
    stop.click(lambda: do(teaching.stop), None, [said, *shown], **quiet)
    go_on.click(lambda: do(teaching.go_on), None, [said, *shown], **quiet)
    use.click(use_model, None, [said, *shown], **quiet)
    seen, offered = gr.State(None), gr.State(None)
    gr.on([blocks.load, timer.tick], look, seen, [*shown, seen], **quiet)
    gr.on([blocks.load, timer.tick], offer, [kept, offered], [kept, offered], **quiet)


def page_names(project: Project) -> list[str]:
    return [page.name for page in project.pages()]


def last_run(teaching: Teaching) -> Path:
    run = teaching.last()
    if run is None:
        raise ProjectError("Nothing was taught yet. Press Teach first.")
    return run


def take_away_tab(workbench: Workbench) -> None:
    project = workbench.project
    chosen = gr.CheckboxGroup(
        [(told, name) for name, told in FORMATS.items()], value=["txt", "page"], label="Pages as"
    )
    with gr.Row():
        pages, lines, model = (gr.Button(each) for each in ("Pages", "Corrected lines", "Model"))
    said = gr.HTML(elem_id="taken")
    file = gr.File(label="To be downloaded", interactive=False, elem_id="download")

    def pack(make: Callable[[], Path], what: str) -> tuple[str, str | None]:
        try:
            path = make()
        except (ProjectError, OSError, ValueError) as error:
            return html.escape(str(error)), None
        said = f"{what} Choose the file below; it is in the project, too, as takeaway/{html.escape(path.name)}."
        return said, str(path)

    private: dict[str, Any] = {"api_visibility": "private"}
    pages.click(
        lambda names: pack(lambda: pack_pages(project, names), "The pages are packed."),
        chosen,
        [said, file],
        **private,
    )
    lines.click(lambda: pack(lambda: pack_lines(project), "The lines are packed."), None, [said, file], **private)
    model.click(lambda: pack(lambda: pack_model(project), "The model is packed."), None, [said, file], **private)


def launch(
    workbench: Workbench, host: str, port: int | None, inbrowser: bool = False, block: bool = True
) -> gr.Blocks:
    """
    Serves the workbench.

    Of the disk, Gradio serves what it was itself given to keep (uploads and downloads of the present run, in a folder
    that goes with it) and `takeaway/`; nothing else of the project.

    Args:
        workbench: The workbench.
        host: Address to listen at; 127.0.0.1 is this computer alone.
        port: Port; None takes a free one from 7860 on.
        inbrowser: Whether to open the browser.
        block: Whether to wait until it ends.
    """
    uploads = tempfile.mkdtemp(prefix="workbench_")
    os.environ["GRADIO_TEMP_DIR"] = uploads
    blocks = build(workbench)
    try:
        blocks.launch(
            server_name=host,
            server_port=port,
            inbrowser=inbrowser,
            share=False,
            ssr_mode=False,
            prevent_thread_lock=True,
            quiet=True,
            allowed_paths=[str(workbench.project.folder / "takeaway")],
            max_file_size=MAX_BYTES,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            app_kwargs={"middleware": [Middleware(SameOrigin, host=host)]},
            theme=gr.themes.Default(font=FONTS, font_mono=["monospace"]),
            css=asset("style.css"),
        )
        print(f"The workbench is at {blocks.local_url} until you press Ctrl+C here.", flush=True)
        if block:
            blocks.block_thread()
    finally:
        if block:
            shutil.rmtree(uploads, ignore_errors=True)
    return blocks

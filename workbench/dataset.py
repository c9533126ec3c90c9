# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The corrected lines of a project as a folder that [`~line_datasets.load_lines`] and train_hf.py read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..line_datasets.formats.page_folders import as_png
from ..pages import CropOptions, cut_line, plan_cut
from ..pages.geometry import any_right_to_left, wrong_outline
from ..pages.whole_files import write_whole
from .project import DONE, PageFiles, Project, ProjectError, WorkLine

LINES, TRAIN, KEPT = "lines", "train.ln", "val.ln"
# The share of the lines that are kept for scoring if nobody says which pages.
SHARE_KEPT = 0.15


class CorrectedLines(NamedTuple):
    """How many corrected lines each page has that can be trained on, by the page's name."""

    of_page: dict[str, int]

    @property
    def number(self) -> int:
        return sum(self.of_page.values())


def corrected_lines(project: Project) -> CorrectedLines:
    counts = {page.name: len(trainable(project, page)) for page in project.pages()}
    return CorrectedLines({name: number for name, number in counts.items() if number})


def trainable(project: Project, page: PageFiles) -> list[WorkLine]:
    """The lines of a page that people wrote and that can be cut out."""
    size = (page.page.width, page.page.height)
    return [
        line
        for line in project.lines(page)
        if line.state in DONE and line.text and not (line.line.problem or wrong_outline(line.line.polygon, *size))
    ]


def suggested_pages(lines: CorrectedLines) -> list[str]:
    """Pages to keep for scoring: the last ones, until they have their share of the lines; never all."""
    kept: list[str] = []
    for name in list(lines.of_page)[:0:-1]:
        if sum(lines.of_page[each] for each in kept) >= SHARE_KEPT * lines.number:
            break
        kept.insert(0, name)
    return kept


def kept_pages(project: Project, lines: CorrectedLines) -> list[str]:
    """The pages that were kept for scoring when the model was taught last, or else those that are suggested."""
    return [name for name in project.settings["kept"] if name in lines.of_page] or suggested_pages(lines)


class Offer(NamedTuple):
    """
    The pages that may be kept for scoring.

    Attributes:
        of_page: How many corrected lines each has.
        kept: Those that are chosen.
        is_own: Whether the user chose them.
    """

    of_page: dict[str, int]
    kept: list[str]
    is_own: bool = False


def offer_pages(project: Project, lines: CorrectedLines, chosen: list[str], before: Offer | None) -> Offer:
    """
    Args:
        project: The project.
        lines: Its corrected lines.
        chosen: The pages that are chosen now; they stay if the user chose them.
        before: What was offered before, if anything was.
    """
    is_own = before is not None and (before.is_own or chosen != before.kept)
    own = [name for name in chosen if name in lines.of_page] if is_own else []
    return Offer(lines.of_page, own or kept_pages(project, lines), is_own)


def write_lines(
    project: Project, folder: Path, kept: Sequence[str], tell: Callable[[int], None] = lambda number: None
) -> dict[str, list[str]]:
    """
    Cuts the corrected lines out of their pages.

    Args:
        project: The project.
        folder: Where to: images and texts go into `lines/`, the lists `train.ln` and `val.ln` beside it.
        kept: The pages whose lines are for scoring, `val.ln`; all others are for training.
        tell: Is called before each line with the number of those that are written. What it raises ends the writing.

    Returns:
        The names of the images in each list.

    Raises:
        ProjectError: If there are no lines.
    """
    lists: dict[str, list[str]] = {TRAIN: [], KEPT: []}
    for page in project.pages():
        names = lists[KEPT if page.name in kept else TRAIN]
        leftwards = any_right_to_left(line.text for line in project.lines(page))
        for line in trainable(project, page):
            tell(sum(map(len, lists.values())))
            name = f"{page.name.replace('/', '_')}_{line.place:03d}.png"
            cut, _ = plan_cut(line.line, (page.page.width, page.page.height), leftwards)
            write_whole(folder / LINES / name, as_png(cut_line(project.picture(page), cut, CropOptions())))
            write_whole((folder / LINES / name).with_suffix(".txt"), f"{line.text}\n".encode())
            names.append(name)
    if not any(lists.values()):
        raise ProjectError("No line is corrected yet. Accept some in the tab Correct first.")
    for list_name, names in lists.items():
        if names:
            write_whole(folder / list_name, "".join(f"{name}\n" for name in names).encode())
    return lists

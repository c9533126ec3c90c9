# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The model card of a taught model: what it was taught from, and how well it reads the kept pages."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from ..hub_upload.model_card import model_card

UNKNOWN_LANGUAGE, UNKNOWN_LICENSE = "und", "other"


def write_card(folder: Path, state: dict[str, Any]) -> Path:
    """
    Writes `README.md` into the folder of a taught model.

    Args:
        folder: The folder.
        state: That of its run, with its `score`.
    """
    base = Path(state["model"])
    language, license = base_terms(base)
    card = model_card(
        name=folder.name,
        summary=(
            f"Reads handwriting: the model `{base.name}`, taught with {state['lines']} corrected lines in the "
            "workbench of HTR-ConvText."
        ),
        language=language,
        license=license,
        results=[],
        sections={"Figures": figures(state), "Data": data(base, license)},
    )
    path = folder / "README.md"
    card.save(path)
    return path


def base_terms(base: Path) -> tuple[str | list[str], str]:
    """Language and licence of the model that was taught, as its card tells them."""
    if not (base / "README.md").is_file():
        return UNKNOWN_LANGUAGE, UNKNOWN_LICENSE
    told = ModelCard.load(base / "README.md", ignore_metadata_errors=True).data
    return told.get("language") or UNKNOWN_LANGUAGE, told.get("license") or UNKNOWN_LICENSE


def figures(state: dict[str, Any]) -> str:
    score, kept = state["score"], ", ".join(state["kept"])
    return (
        f"Character error rate on {state['kept_lines']} lines that it did not learn ({kept}): "
        f"{100 * score['before']:.2f} % before, {100 * score['after']:.2f} % after {state['steps']} steps at most. "
        "The same lines chose the step, so that other pages may be read a little worse. So few lines say little about "
        "other hands."
    )


def data(base: Path, license: str) -> str:
    text = (
        f"The lines are those of a project of the workbench, and not part of this model. It began from `{base.name}`."
    )
    if license == UNKNOWN_LICENSE:
        text += " The terms of its weights are those of that model; put them here before you publish it."
    return text

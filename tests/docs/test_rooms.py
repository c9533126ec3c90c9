# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Arrows between the rooms run one way, and the page that draws them is up to date."""

import re
from pathlib import Path

import pytest


def test_no_room_imports_one_that_is_not_before_it(rooms, root):
    assert list(rooms.wrong_imports(root)) == []


def test_the_graph_is_up_to_date(rooms, root):
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = rooms.GRAPH.search(page)
    assert found and found[0] == rooms.graph(root), "Run: python docs/rooms.py --write"


def house(folder: Path, **modules: str) -> Path:
    """A package of the given modules; `training__trainer` is `training/trainer.py`."""
    (folder / "__init__.py").touch()
    for name, text in modules.items():
        path = folder / (name.replace("__", "/", 1) + ".py")
        if path.parent != folder:
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").touch()
        path.write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    "modules",
    [
        {"training__sam": "", "line_datasets__iam": "from ..training.sam import perturbed"},
        {"training__sam": "", "line_datasets__iam": "from htr_convtext.training import sam"},
        {"training__sam": "", "line_datasets__iam": "def load():\n    import htr_convtext.training"},
        {"train_hf": "", "training__sam": "from htr_convtext import train_hf"},
        {"train_hf": "", "training__sam": "from .. import train_hf"},
        {"training__sam": "", "modeling_htr_convtext": "from .training import sam"},
        {
            "pipeline_htr_convtext": "",
            "modeling_htr_convtext": "from .pipeline_htr_convtext import HTRConvTextPipeline",
        },
        {"configuration_htr_convtext": "from . import HTRConvTextConfig"},
        {"export__runner": "", "hub_upload__push": "from ..export import runner"},
    ],
)
def test_an_arrow_the_other_way_is_named(rooms, tmp_path, modules):
    (wrong,) = rooms.wrong_imports(house(tmp_path, **modules))
    assert re.match(r"\w+(/\w+)?\.py:\d: \w+ must not import \w+", wrong)


def test_a_new_room_needs_a_place(rooms, tmp_path):
    (wrong, *_) = rooms.wrong_imports(house(tmp_path, attic__box="x = 1"))
    assert "'attic' has no place in the order" in wrong


def test_what_the_order_allows(rooms, tmp_path):
    folder = house(
        tmp_path,
        configuration_htr_convtext="import torch",
        pipeline_htr_convtext="from .configuration_htr_convtext import X",
        generation_htr_convtext="def as_pipeline():\n    from .pipeline_htr_convtext import HTRConvTextPipeline",
        training__sam="from .. import HTRConvTextConfig\nfrom .ema import decay",
        training__ema="decay = 1",
        decoding_htr_convtext="if TYPE_CHECKING:\n    from .pipeline_htr_convtext import HTRConvTextPipeline",
    )
    assert list(rooms.wrong_imports(folder)) == []
    assert "training --> htr_convtext" in rooms.graph(folder)


def test_arrows_that_others_imply_are_not_drawn(rooms, tmp_path):
    folder = house(
        tmp_path,
        configuration_htr_convtext="",
        modeling_htr_convtext="from .configuration_htr_convtext import X",
        processing_htr_convtext="from .modeling_htr_convtext import Y\nfrom .configuration_htr_convtext import X",
    )
    assert rooms.graph(folder) == "    modeling --> configuration\n    processing --> modeling\n"

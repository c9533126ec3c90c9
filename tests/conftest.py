# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every test: the golden numbers, real handwriting where it is at hand, the second transformers."""

import gc
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # No test may depend on the network.

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
OLDEST_TRANSFORMERS = Path(sys.prefix) / "transformers-4.57"


# Files that take longest, by a run with --durations. They go first, so that none is left to one worker at the end.
LONGEST = (
    "test_train_hf.py",
    "export/test_export.py",
    "training/test_trainer.py",
    "workbench/test_browser.py",
    "test_pipeline_htr_convtext.py",
    "training/test_golden_sam.py",
    "training/test_time_limit.py",
    "test_loading_htr_convtext.py",
    "hub_upload/test_convert_original.py",
    "training/test_precision.py",
    "hub_upload/test_space.py",
    "test_modeling_htr_convtext.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--examples", type=int, help="other damaged files for each kind of file than always the same 20")
    parser.addoption(
        "--kills", type=int, default=15, help="kills at random points, of transcribe.py and train_hf.py, with -m slow"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first. Leaves browser tests out where there is no Chromium, and says so in the summary."""
    rank = {TESTS / file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    if shutil.which("chromium"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="browser test left out: no chromium on the PATH"))


def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """
    Frees what a file's tests leave in cycles and compiled graphs: a worker has gigabytes of it in the end. What is
    left then, above all the modules imported so far, need not be looked through again: that took a fifth of all time.
    """
    yield
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout, which is also the package."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden numbers; see its README.md."""
    return TESTS / "golden"


@pytest.fixture(scope="session")
def grey(golden: Path) -> np.ndarray:
    """A real line as 8-bit grey pixels."""
    return np.asarray(Image.open(golden / "images" / "line.jpg").convert("L"))


@pytest.fixture
def image_processor():
    from htr_convtext import HTRConvTextImageProcessor

    return HTRConvTextImageProcessor()


@pytest.fixture
def shut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Takes away the right to open a folder, for root as well."""
    scandir = os.scandir

    def take_away(shut: Path) -> None:
        def refusing(folder):
            if folder == shut:
                raise PermissionError(13, "Permission denied", str(folder))
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", refusing)

    return take_away


def load_module(path: Path) -> ModuleType:
    """A module of the tests that is no test itself."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden_weights(golden: Path) -> ModuleType:
    """The module that draws the golden weights from their names."""
    return load_module(golden / "weights.py")


@pytest.fixture(scope="session")
def miniatures() -> ModuleType:
    """The module that makes miniatures of the datasets' releases, and knows the lines in them."""
    return load_module(TESTS / "line_datasets" / "miniatures.py")


@pytest.fixture(scope="session")
def drawn_pages() -> ModuleType:
    """The module that draws pages with PAGE XML and ALTO."""
    return load_module(TESTS / "pages" / "drawn_pages.py")


@pytest.fixture
def iam_release(tmp_path: Path, miniatures: ModuleType) -> Path:
    """A miniature of IAM, unpacked, with the papers' lists; `miniatures.IAM` are its lines."""
    return miniatures.write_iam(tmp_path / "iam")


@pytest.fixture
def lam_release(tmp_path: Path, miniatures: ModuleType) -> Path:
    """A miniature of LAM; `miniatures.LAM` are the lines of its basic split."""
    return miniatures.write_lam(tmp_path / "lam")


@pytest.fixture
def read2016_release(tmp_path: Path, miniatures: ModuleType) -> Path:
    """A miniature of READ2016; `miniatures.READ2016` are its lines."""
    return miniatures.write_read2016(tmp_path / "read2016")


@pytest.fixture
def vnondb_release(tmp_path: Path, miniatures: ModuleType) -> Path:
    """A miniature of HANDS-VNOnDB; `miniatures.VNONDB` are its lines."""
    return miniatures.write_vnondb(tmp_path / "vnondb")


@pytest.fixture(scope="session")
def shared_lines() -> Path:
    """Real handwritten lines beside the checkout; a test that wants them is skipped where they are absent."""
    path = ROOT.parent / "shared" / "lines"
    if not path.is_dir():
        pytest.skip(f"no handwritten lines at {path}")
    return path


@pytest.fixture(scope="session")
def oldest_transformers() -> Path:
    """A folder with transformers 4.57 and what it needs, for the PYTHONPATH of a subprocess."""
    if not (OLDEST_TRANSFORMERS / "transformers").is_dir():
        pytest.skip(f"no transformers 4.57 at {OLDEST_TRANSFORMERS}: `make test` installs it")
    return OLDEST_TRANSFORMERS


@pytest.fixture(scope="session")
def run_without_package(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Callable]:
    """Runs a script where the package and most others are not installed, as `WithoutPackage.run` does."""
    module = load_module(TESTS / "without_package.py")
    started = {}

    def run(script: str | Path, *arguments: object, folder: Path, oldest: bool = False) -> str:
        if oldest not in started:
            path = request.getfixturevalue("oldest_transformers") if oldest else None
            started[oldest] = module.WithoutPackage(tmp_path_factory.mktemp("without_package"), path)
        return started[oldest].run(script, *arguments, folder=folder)

    yield run
    for processes in started.values():
        processes.close()


@pytest.fixture(scope="session")
def line_images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """
    Paths of 32 line images, narrower and wider than 512 pixels at height 64: real handwriting where it is at hand,
    or else pieces of the examples.
    """
    try:
        lines = request.getfixturevalue("shared_lines")
    except pytest.skip.Exception:
        return cut_examples(tmp_path_factory.mktemp("lines"), count=32)
    return [str(path) for path in sorted((lines / "peraire" / "lines").glob("*.jpg"))[:32]]


def cut_examples(folder: Path, count: int) -> list[str]:
    examples = [Image.open(path).convert("L") for path in sorted((ROOT / "examples").glob("*.jpg"))]
    strip = np.hstack([np.asarray(example) for example in examples])
    random = np.random.default_rng(0)
    paths = [str(folder / f"line_{number:02}.png") for number in range(count)]
    for path in paths:
        width = random.integers(150, 1200)
        start = random.integers(0, strip.shape[1] - width)
        Image.fromarray(strip[:, start : start + width]).save(path)
    return paths


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Makes a folder that takes long for all of pytest-xdist's workers: the first writes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, write: Callable[[Path], None]) -> Path:
        folder, unfinished = shared / name, shared / f"{name}_unfinished"
        with FileLock(shared / f"{name}.lock"):
            if not folder.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
                write(unfinished)
                unfinished.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def model_folder(line_images: list[str], made_once) -> Path:
    """A folder with a tiny network and its processor. It was never trained, but each line reads differently."""
    return made_once("tiny", partial(write_model, line_images=line_images, num_hidden_layers=3))


SHALLOW = {"num_hidden_layers": 2, "backbone_depths": (1, 1, 1), "backbone_mobilevit": (False, False, True)}


@pytest.fixture(scope="session")
def shallow_folder(line_images: list[str], made_once) -> Path:
    """The same with one layer of each kind: an export takes its time for every layer."""
    return made_once("shallow", partial(write_model, line_images=line_images, **SHALLOW))


@pytest.fixture(scope="session")
def quick_folder(line_images: list[str], made_once) -> Path:
    """The same, and wide enough to read each of the lines differently in either mode."""
    sizes = {"hidden_size": 32, "backbone_head_dim": 8}
    return made_once("quick", partial(write_model, line_images=line_images, **SHALLOW, **sizes))


def write_model(folder: Path, line_images: list[str], **options) -> None:
    import htr_convtext

    torch.manual_seed(0)
    alphabet = htr_convtext.ALPHABETS["iam"] + "<>|\u0301"
    processor = htr_convtext.HTRConvTextProcessor(
        htr_convtext.HTRConvTextImageProcessor(), htr_convtext.HTRConvTextTokenizer.from_alphabet(alphabet)
    )
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "backbone_head_dim": 4, **options}
    config = htr_convtext.HTRConvTextConfig(vocab_size=processor.tokenizer.vocab_size, **sizes)
    model = htr_convtext.HTRConvTextForCTC(config)
    spread_readings(model, processor(images=line_images[:4], return_tensors="pt").pixel_values)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@torch.no_grad()
def spread_readings(model: torch.nn.Module, pixel_values: torch.Tensor) -> None:
    """Fits the batch norms to real lines and draws a head that hears every feature: readings vary with the ink."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(pixel_values)
    features = model.eval()(pixel_values).last_hidden_state.flatten(0, 1)
    model.ctc_head.weight.normal_().div_(features.std(0))
    model.ctc_head.bias.copy_(-model.ctc_head.weight @ features.mean(0))
    model.ctc_head.bias[0] += 8


@pytest.fixture(scope="session")
def exported_folder(shallow_folder: Path, made_once) -> Callable[[str], Path]:
    """Gives the folder of that network and its processor, exported to a format."""
    return lambda export_format: made_once(export_format, partial(write_export, shallow_folder, export_format))


def write_export(model_folder: Path, export_format: str, folder: Path) -> None:
    from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor
    from htr_convtext.export import export_model

    # From inference mode, which must not end up in the graph.
    model = HTRConvTextForCTC.from_pretrained(model_folder).optimize_for_inference()
    export_model(model, export_format).save_pretrained(folder)
    HTRConvTextProcessor.from_pretrained(model_folder).save_pretrained(folder)

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Copies of the datasets on the Hub, in exactly their form but on disk; shards that stream; and lines published."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDatasetDict, Value, load_dataset
from datasets import Image as ImageFeature
from huggingface_hub import DatasetCard
from PIL import Image

from htr_convtext.line_datasets import LineDataError, load_lines, push
from htr_convtext.line_datasets.line import FEATURES

SHARD = "{}-00000-of-00001.parquet"
MIRRORS = {  # Columns, names of the splits, and names of the files, as each repository has them.
    "iam-Teklia": ("iam", {"image": "image", "text": "text"}, ("train", "validation", "test"), "{}.parquet"),
    "iam-corto-ai": ("iam", {"text": "text", "image": "image"}, ("train", "valid", "test"), SHARD),
    "iam-vklinhhh": ("iam", {"image": "image", "label": "text"}, ("train",), SHARD),
    "lam-deepcopy": ("lam", {"image": "image", "text": "text"}, ("train", "val", "test"), SHARD),
}  # fmt: skip
NORMAL = {"valid": "validation", "val": "validation"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def image_bytes(width: int, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("L", (width, 20), 200).save(content, kind)
    return content.getvalue()


def write_parquet(path: Path, columns: dict[str, list], features: Features) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=features).to_parquet(path)


@pytest.mark.parametrize("mirror", MIRRORS)
def test_mirrors_of_lines(tmp_path, mirror):
    name, columns, splits, file_name = MIRRORS[mirror]
    features = Features({key: ImageFeature() if kind == "image" else Value("string") for key, kind in columns.items()})
    for number, split in enumerate(splits):
        images = [{"bytes": image_bytes(30 + number, "JPEG"), "path": "x.jpg"}] * 2
        values = {"image": images, "text": [f"{split} one", f"{split}  two"]}
        rows = {key: values[kind] for key, kind in columns.items()}
        write_parquet(tmp_path / "mirror" / "data" / file_name.format(split), rows, features)
    found = load_lines(name, data_dir=tmp_path / "mirror")
    assert list(found) == [NORMAL.get(split, split) for split in splits]
    for number, split in enumerate(splits):
        lines = found[NORMAL.get(split, split)]
        assert lines.features == FEATURES
        assert list(lines["text"]) == [f"{split} one", f"{split} two"]
        assert lines[0]["image"].size == (30 + number, 20) and lines[0]["source"] == "mirror"


@pytest.mark.parametrize("more", [{"ground_truth": Value("string")}, {}])
def test_numbers_of_classes_are_no_transcriptions(tmp_path, more):
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["letter", "list"]), **more})
    rows = {"image": [{"bytes": image_bytes(9), "path": None}], "label": [1], **dict.fromkeys(more, ["one"])}
    write_parquet(tmp_path / "mirror" / "train.parquet", rows, features)
    if more:
        assert list(load_lines("lines", data_dir=tmp_path / "mirror")["train"]["text"]) == ["one"]
    else:
        with pytest.raises(LineDataError, match="none of the columns text, transcription, label"):
            load_lines("lines", data_dir=tmp_path / "mirror")


def test_option_that_a_mirror_cannot_have(tmp_path):
    features = Features({"image": ImageFeature(), "text": Value("string")})
    rows = {"image": [{"bytes": image_bytes(9), "path": None}], "text": ["x"]}
    write_parquet(tmp_path / "mirror" / "data" / "train.parquet", rows, features)
    with pytest.raises(ValueError, match="holds lines as columns, to which transcription cannot be applied"):
        load_lines("iam", data_dir=tmp_path / "mirror", transcription="laia")


def write_text_rows(path: Path, *texts: str) -> None:
    features = Features({"image": ImageFeature(), "text": Value("string")})
    images = [{"bytes": image_bytes(9), "path": None}] * len(texts)
    write_parquet(path, {"image": images, "text": list(texts)}, features)


@pytest.mark.parametrize("name", ["test.v2", "testing", "test0", "data/lines.test", "data/Test-00000-of-00001"])
def test_files_of_the_test_split_are_not_trained_on(tmp_path, name):
    root = tmp_path / "lines [2]"  # No pattern.
    for file in ("train.v2", name):
        write_text_rows(root / f"{file}.parquet", file)
    found = load_lines("lines", data_dir=root)
    assert {split: list(lines["text"]) for split, lines in found.items()} == {"train": ["train.v2"], "test": [name]}


def test_lines_of_another_version_are_made_anew(tmp_path, monkeypatch):
    write_text_rows(tmp_path / "lines" / "train.parquet", "one")
    before = load_lines("lines", data_dir=tmp_path / "lines")["train"].cache_files
    assert load_lines("lines", data_dir=tmp_path / "lines")["train"].cache_files == before
    monkeypatch.setattr("htr_convtext.line_datasets.loading.CACHE_VERSION", 0)
    assert load_lines("lines", data_dir=tmp_path / "lines")["train"].cache_files != before


def test_file_that_tells_no_split_beside_others_that_do_is_named(tmp_path, caplog):
    for name in ("train", "held_back"):
        write_text_rows(tmp_path / "lines" / f"{name}.parquet", name)
    with pytest.raises(LineDataError, match="held_back.parquet: no word of its name tells its split"):
        load_lines("lines", data_dir=tmp_path / "lines")
    assert list(load_lines("lines", data_dir=tmp_path / "lines", on_error="skip")["train"]["text"]) == ["train"]
    assert "Left out" in caplog.text
    (tmp_path / "lines" / "train.parquet").unlink()
    assert list(load_lines("lines", data_dir=tmp_path / "lines")["train"]["text"]) == ["held_back"]


def test_column_of_splits_that_is_not_read_is_a_warning(tmp_path, caplog):
    features = Features({"image": ImageFeature(), "text": Value("string"), "split": Value("string")})
    rows = {"image": [{"bytes": image_bytes(9), "path": None}], "text": ["one"], "split": ["test"]}
    write_parquet(tmp_path / "lines" / "0000.parquet", rows, features)
    assert list(load_lines("lines", data_dir=tmp_path / "lines")) == ["train"]
    assert "lines: its column split is not read" in caplog.text


def test_two_splits_of_a_repository_that_are_one_here_are_named(monkeypatch):
    splits = DatasetDict({name: Dataset.from_dict({"text": []}) for name in ("train", "valid", "validation")})
    monkeypatch.setattr("htr_convtext.line_datasets.formats.hub_datasets.load_dataset", lambda **arguments: splits)
    with pytest.raises(LineDataError, match="two of its splits are one here: train, valid, validation"):
        load_lines("lines", data_dir="hf://datasets/me/lines")


ALTO = """<?xml version="1.0"?><alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description>
<MeasurementUnit>pixel</MeasurementUnit></Description><Layout><Page WIDTH="200" HEIGHT="100"><PrintSpace>
<TextBlock ID="b">
<TextLine ID="l0" BASELINE="10,30 110,30" HPOS="10" VPOS="10" WIDTH="100" HEIGHT="30">
<Shape><Polygon POINTS="10,10 110,10 110,40 10,40"/></Shape><String CONTENT="Aines Er\u00ac"/></TextLine>
<TextLine ID="l1" BASELINE="10,70 90,70" HPOS="10" VPOS="50" WIDTH="80" HEIGHT="30">
<Shape><Polygon POINTS="{polygon}"/></Shape><String CONTENT="samen"/></TextLine>
</TextBlock></PrintSpace></Page></Layout></alto>"""


def write_read2016_mirror(root: Path, polygon: str = "10,50 90,50 90,80 10,80") -> Path:
    """Whole pages, with their ALTO as a string."""
    features = Features({"image": ImageFeature(), "alto": Value("string"), "filename": Value("string")})
    content = io.BytesIO()
    Image.new("RGB", (200, 100), (200, 190, 180)).save(content, "JPEG")
    for number, split in enumerate(("train", "val", "test"), start=1):
        rows = {
            "image": [{"bytes": content.getvalue(), "path": None}],
            "alto": [ALTO.replace("{polygon}", polygon)],
            "filename": [f"Seite000{number}.JPG"],
        }
        write_parquet(root / "data" / f"{split}-00000-of-00001.parquet", rows, features)
    return root


def test_mirror_of_pages(tmp_path):
    mirror = write_read2016_mirror(tmp_path / "mirror")
    found = load_lines("read2016", data_dir=mirror)
    assert list(found) == ["train", "validation", "test"]
    lines = found["validation"]
    assert list(lines["line_id"]) == ["Seite0002_000", "Seite0002_001"] and lines["page"][0] == "Seite0002"
    assert list(lines["text"]) == ["Aines Er", "samen"]
    assert [image.size for image in lines["image"]] == [(101, 31), (81, 31)]
    kept = load_lines("read2016", data_dir=mirror, keep_not_sign=True)
    assert kept["train"]["text"][0] == "Aines Er\u00ac"


def test_bad_page_of_a_mirror_is_named(tmp_path):
    mirror = write_read2016_mirror(tmp_path / "mirror", polygon="10,50 900,50 900,80")
    with pytest.raises(LineDataError, match=r"row 0 \(Seite0001.JPG\): line l1 lies outside the page"):
        load_lines("read2016", data_dir=mirror)


def write_shards(root: Path, text: bytes = b"line \xc3\xa9") -> None:
    """Two shards for training and one for testing, two lines in each."""
    root.mkdir()
    for name in ("train-000000", "train-000001", "test-000000"):
        with tarfile.open(root / f"{name}.tar", "w") as archive:
            for number in range(2):
                for ending, content in (("png", image_bytes(30 + number)), ("txt", text)):
                    member = tarfile.TarInfo(f"{name}-{number}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("streaming", [False, True])
def test_webdataset_shards(tmp_path, streaming):
    write_shards(tmp_path / "shards")
    found = load_lines("lines", data_dir=tmp_path / "shards", streaming=streaming)
    assert isinstance(found, IterableDatasetDict if streaming else DatasetDict)
    assert found["train"].features == FEATURES
    lines = list(found["train"])
    assert [line["line_id"] for line in lines] == [
        f"train-00000{shard}-{number}" for shard in (0, 1) for number in (0, 1)
    ]
    assert lines[3]["text"] == "line \u00e9" and lines[3]["image"].size == (31, 20)
    assert len(list(found["test"])) == 2


@pytest.mark.parametrize("streaming", [False, True])
def test_shard_with_text_that_is_not_utf8(tmp_path, streaming):
    write_shards(tmp_path / "shards", text=b"caf\xe9")
    with pytest.raises(LineDataError, match="train-000000-0"):
        list(load_lines("lines", data_dir=tmp_path / "shards", streaming=streaming)["train"])


def test_damaged_shard_is_named(tmp_path):
    write_shards(tmp_path / "shards")
    whole = (tmp_path / "shards" / "train-000001.tar").read_bytes()
    (tmp_path / "shards" / "train-000001.tar").write_bytes(whole[:700])
    with pytest.raises(LineDataError, match="train-000001.tar: damaged tar file"):
        load_lines("lines", data_dir=tmp_path / "shards")


def test_damaged_rows_of_a_parquet_file_are_named(tmp_path):
    features = Features({"image": ImageFeature(), "text": Value("string")})
    rows = {"image": [{"bytes": image_bytes(9), "path": None}], "text": ["x"]}
    for split in ("train", "test"):
        write_parquet(tmp_path / "mirror" / f"{split}.parquet", rows, features)
    damaged = tmp_path / "mirror" / "train.parquet"
    content = bytearray(damaged.read_bytes())
    content[4:24] = bytes(20)  # The header of the first page; the footer stays whole.
    damaged.write_bytes(content)
    with pytest.raises(LineDataError, match="train.parquet: damaged parquet file") as caught:
        load_lines("lines", data_dir=tmp_path / "mirror")
    assert len(caught.value.problems) == 1


class Hub:
    """What the command asks of the Hub, kept on disk."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.made: dict[str, object] = {}

    def create_repo(self, repo_id: str, **options: object) -> str:
        self.made = {"repo_id": repo_id, **options}
        return f"https://huggingface.co/datasets/{repo_id}"

    def upload_folder(
        self, folder_path: Path, repo_id: str, repo_type: str, commit_message: str, delete_patterns: str
    ) -> None:
        assert (repo_id, repo_type) == (self.made["repo_id"], "dataset") and commit_message
        for path in self.folder.glob(delete_patterns):
            path.unlink()
        shutil.copytree(folder_path, self.folder, dirs_exist_ok=True)


def push_arguments(data: Path, folder: Path, *more: str) -> list[str]:
    chosen = ["--license", "cc-by-4.0", "--language", "fr", "--folder", str(folder)]
    return ["lines", "--data_dir", str(data), *chosen, *more]


def write_pairs(root: Path) -> Path:
    for split, number in (("train", 5), ("test", 1)):
        (root / split).mkdir(parents=True)
        for index in range(number):
            (root / split / f"{index}.png").write_bytes(image_bytes(20 + index))
            (root / split / f"{index}.gt.txt").write_text(f"line {index} \u00e9", encoding="utf-8")
    return root


def test_published_lines_load_again(tmp_path, monkeypatch, capsys):
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(push, "HfApi", lambda: hub)
    data = write_pairs(tmp_path / "data")
    more = ("--repo_id", "me/lines", "--private", "--lines_per_file", "2")
    assert push.main(push_arguments(data, tmp_path / "folder", *more)) == 0
    assert hub.made == {"repo_id": "me/lines", "repo_type": "dataset", "private": True, "exist_ok": True}
    assert "Repository: https://huggingface.co/datasets/me/lines" in capsys.readouterr().out
    original = load_lines("lines", data_dir=data)
    shutil.rmtree(data)  # The images must lie in the parquet files.
    shutil.rmtree(tmp_path / "folder")
    published = load_dataset(str(hub.folder))
    assert list(published) == ["train", "test"]
    for split, lines in original.items():
        assert published[split].features == lines.features
        stored = [row.cast_column("image", ImageFeature(decode=False)) for row in (lines, published[split])]
        assert stored[0].to_list() == stored[1].to_list()
    assert len(list((hub.folder / "data").glob("train-*-of-00003.parquet"))) == 3


def test_lines_published_again_take_the_place_of_the_old_ones(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub")
    monkeypatch.setattr(push, "HfApi", lambda: hub)
    data = write_pairs(tmp_path / "data")
    for number in ("2", "3"):
        more = ("--repo_id", "me/lines", "--lines_per_file", number)
        assert push.main(push_arguments(data, tmp_path / number, *more)) == 0
    assert load_dataset(str(hub.folder)).num_rows == {"train": 5, "test": 1}


def test_card_of_published_lines(tmp_path):
    assert push.main(push_arguments(write_pairs(tmp_path / "data"), tmp_path / "folder")) == 0
    card = DatasetCard.load(tmp_path / "folder" / "README.md")
    assert card.data.license == "cc-by-4.0" and card.data.language == ["fr"]
    assert card.data.task_categories == ["image-to-text"]
    assert "| train | 5 | 40 |" in card.text and "| test | 1 | 8 |" in card.text
    assert "11 different ones in the train split" in card.text and str(tmp_path) not in card.text


def test_nothing_is_written_of_lines_that_have_no_training_split(tmp_path, capsys):
    data = write_pairs(tmp_path / "data")
    shutil.rmtree(data / "train")
    assert push.main(push_arguments(data, tmp_path / "folder")) == 1
    assert "the dataset has test" in capsys.readouterr().err and not (tmp_path / "folder").exists()


def test_nothing_is_written_over(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    assert push.main(push_arguments(write_pairs(tmp_path / "data"), tmp_path / "folder")) == 1
    assert "is not empty" in capsys.readouterr().err

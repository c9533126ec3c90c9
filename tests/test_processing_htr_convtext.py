# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Images of every kind to pixels, characters to classes and back, frames to readings; and what is refused, and how."""

import itertools
import json
import random
import re
import shutil
from types import SimpleNamespace

import numpy as np
import PIL
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

from htr_convtext import (
    ALPHABETS,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
)

GREY_LEVEL = 1 / 255
# Pillow 12 resizes one of the golden images a level further off than Pillow 13.
GOLDEN_LEVELS = 1 if int(PIL.__version__.split(".")[0]) >= 13 else 2
GOLDEN_IMAGES = [
    "bilevel.png",
    "line.jpg",
    "long_gray.png",
    "palette.png",
    "rgba.png",
    "short_rgb.png",
    "tall_gray.png",
]


@pytest.fixture
def aspect() -> HTRConvTextImageProcessor:
    size = {"height": 64, "width": 1024}
    return HTRConvTextImageProcessor(size=size, keep_aspect_ratio=True, pad_to_multiple_of=64)


# Preprocessing


@pytest.mark.parametrize("name", GOLDEN_IMAGES)
def test_golden_preprocessing(golden, image_processor, name):
    expected = np.load(golden / "preprocessing.npz")[name.replace(".", "_")]
    pixel_values = image_processor(golden / "images" / name, return_tensors="np").pixel_values
    assert pixel_values.shape == (1, 1, 64, 512) and pixel_values.dtype == np.float32
    assert np.abs(pixel_values[0, 0] - expected).max() <= GOLDEN_LEVELS * GREY_LEVEL + 1e-6


def test_every_golden_image_is_tested(golden):
    assert sorted(path.name for path in (golden / "images").iterdir()) == GOLDEN_IMAGES


@pytest.mark.parametrize("layout", ["list", "channels first", "channels last", "torch", "nested"])
def test_batches(image_processor, grey, layout):
    lines = [grey, 255 - grey, grey[:, ::-1]]
    batch = {
        "list": lines,
        "channels first": np.stack(lines)[:, None],
        "channels last": np.stack([np.stack([line] * 3, axis=-1) for line in lines]),
        "torch": torch.from_numpy(np.stack(lines)[:, None]),
        "nested": [[lines[0]], (lines[1], lines[2])],
    }[layout]
    pixel_values = image_processor(batch, return_tensors="pt").pixel_values
    assert pixel_values.shape == (3, 1, 64, 512) and pixel_values.dtype == torch.float32
    for line, expected in zip(pixel_values.numpy(), lines, strict=True):
        np.testing.assert_array_equal(line, image_processor.preprocess_line(Image.fromarray(expected.copy())))


# Lines that keep their aspect ratio


@pytest.mark.parametrize(
    ("height", "width", "padded"),
    [(64, 1, 64), (64, 64, 64), (64, 65, 128), (96, 350, 256), (32, 500, 1024), (64, 5000, 1024), (128, 1025, 512)],
)
def test_widths_of_their_own(aspect, height, width, padded):
    image = Image.new("L", (width, height), 100)
    assert aspect.padded_width(height, width) == padded
    pixel_values = aspect.preprocess_line(image)
    assert pixel_values.shape == (1, 64, padded)
    resized = aspect.resized_width(height, width)
    assert (pixel_values[..., resized:] == 1).all()
    np.testing.assert_allclose(pixel_values[..., :resized], 100 / 255, atol=1e-6)


def test_another_multiple():
    narrow = HTRConvTextImageProcessor(keep_aspect_ratio=True, pad_to_multiple_of=32)
    assert [narrow.padded_width(64, width) for width in (32, 33, 500, 900)] == [32, 64, 512, 512]
    between = narrow.with_options(size={"height": 64, "width": 500})
    lines = [np.zeros((64, width), dtype=np.uint8) for width in (100, 900)]
    assert between(lines, padding="max_length", return_tensors="np").pixel_values.shape == (2, 1, 64, 512)


def test_a_line_does_not_depend_on_its_batch(aspect, grey):
    lines = [grey, grey[:, :200], np.hstack([grey, grey])]
    together = aspect(lines).pixel_values
    assert len({line.shape for line in together}) > 1
    for line, pixel_values in zip(lines, together, strict=True):
        np.testing.assert_array_equal(aspect.preprocess_line(line), pixel_values)
    same_width = aspect([grey, 255 - grey], return_tensors="pt").pixel_values
    np.testing.assert_array_equal(same_width[0].numpy(), together[0])


def test_autocontrast_makes_paper_white_and_faint_ink_dark(grey, tmp_path):
    faint = 170 + grey // 10
    HTRConvTextImageProcessor(autocontrast_cutoff=(1, 50)).save_pretrained(tmp_path)
    image_processor = HTRConvTextImageProcessor.from_pretrained(tmp_path)
    line = image_processor.preprocess_line(faint)
    assert np.median(line) > 0.98 and line.min() < 0.1
    dark = image_processor.preprocess_line(grey)
    assert np.corrcoef(line.ravel(), dark.ravel())[0, 1] > 0.95
    blank = np.full_like(grey, 170)
    np.testing.assert_array_equal(
        image_processor.preprocess_line(blank), HTRConvTextImageProcessor().preprocess_line(blank)
    )


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
def test_mixed_widths_are_no_array(aspect, grey, return_tensors):
    with pytest.raises(ValueError, match=r"several widths, \[.*\].*Batch lines of equal padded_width"):
        aspect([grey, grey[:, :100]], return_tensors=return_tensors)


@pytest.mark.parametrize(
    "options",
    [
        {"size": {"height": 64}},
        {"size": {"height": 0, "width": 512}},
        {"pad_to_multiple_of": 0},
        {"autocontrast_cutoff": [1]},
        {"autocontrast_cutoff": [50, 50]},
        {"autocontrast_cutoff": [-1, 5]},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        HTRConvTextImageProcessor(**options)


# Extreme and bad images


@pytest.mark.parametrize("size", [(1, 1), (20000, 3), (64, 1), (1, 64)])
@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
def test_odd_sizes_are_read(tmp_path, size, keep_aspect_ratio):
    image_processor = HTRConvTextImageProcessor(keep_aspect_ratio=keep_aspect_ratio)
    Image.new("RGB", size, "white").save(tmp_path / "odd.png")
    pixel_values = image_processor.preprocess_line(str(tmp_path / "odd.png"))
    assert pixel_values.shape[:2] == (1, 64) and (pixel_values == 1).all()


# Eight bits


@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
def test_eight_bits_are_what_the_network_reads(grey, keep_aspect_ratio):
    image_processor = HTRConvTextImageProcessor(
        keep_aspect_ratio=keep_aspect_ratio, autocontrast_cutoff=(1, 50), padding_value=1.0
    )
    line = image_processor.resize_line(grey)
    assert line.dtype == np.uint8 and line.shape == (64, image_processor.padded_width(*grey.shape))
    expected = image_processor.preprocess_line(grey)
    np.testing.assert_array_equal(line.astype(np.float32)[None] * np.float32(1 / 255), expected)


@pytest.mark.parametrize(("value", "nearest"), [(0.0, 0), (0.5, 128), (1.0, 255), (2.0, 255)])
def test_padding_in_eight_bits_is_the_nearest_grey(grey, value, nearest):
    image_processor = HTRConvTextImageProcessor(padding_value=value)
    assert image_processor.resize_line(grey[:, :100])[0, -1] == nearest
    assert image_processor.preprocess_line(grey[:, :100])[0, 0, -1] == value


# transformers' processing keywords


def test_lines_of_several_widths_are_padded(aspect, grey):
    lines = [grey, grey[:, :200], grey[:, :90], grey[:, :400]]
    alone = [aspect.preprocess_line(line) for line in lines]
    assert len({line.shape for line in alone}) == 4
    for padding in (True, "longest", "max_length"):
        batch = aspect(lines, return_tensors="pt", padding=padding).pixel_values.numpy()
        assert batch.shape[-1] == (1024 if padding == "max_length" else max(line.shape[-1] for line in alone))
        for line, expected in zip(batch, alone, strict=True):
            np.testing.assert_array_equal(line[..., : expected.shape[-1]], expected)
            assert (line[..., expected.shape[-1] :] == 1).all()
    with pytest.raises(ValueError, match="padding must be one of"):
        aspect(lines, padding="widest")


def test_options_of_one_call(image_processor, grey):
    size = {"height": 32, "width": 256}
    expected = HTRConvTextImageProcessor(size=size, keep_aspect_ratio=True)(grey, return_tensors="np").pixel_values
    found = image_processor(grey, return_tensors="np", size=size, keep_aspect_ratio=True).pixel_values
    np.testing.assert_array_equal(found, expected)
    assert image_processor.size == {"height": 64, "width": 512}


TRUE_OPTIONS = {"do_resize": True, "do_rescale": True, "do_normalize": False, "do_convert_rgb": True, "do_pad": True}
TRUE_OPTIONS |= {"device": torch.device("cpu")}


def test_options_that_are_true_change_nothing(image_processor, grey):
    expected = image_processor(grey, return_tensors="np").pixel_values
    found = image_processor(grey, return_tensors="np", image_mean=[0, 0, 0], image_std=[1], **TRUE_OPTIONS)
    np.testing.assert_array_equal(found.pixel_values, expected)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_channels_are_where_the_caller_says(image_processor, grey, kind):
    """Of three rows of as many columns as there are channels, the shape alone does not tell."""
    colours = np.stack([grey[:3, :3], grey[3:6, :3], grey[6:9, :3]])
    expected = image_processor(np.moveaxis(colours, 0, -1), input_data_format="channels_last")
    found = image_processor(kind(colours), input_data_format="channels_first")
    np.testing.assert_array_equal(found.pixel_values, expected.pixel_values)
    assert not np.array_equal(found.pixel_values, image_processor(kind(colours)).pixel_values)
    with pytest.raises(ValueError, match="input_data_format.*'rows_first'"):
        image_processor(kind(colours), input_data_format="rows_first")


@pytest.mark.parametrize(
    "option",
    [{"do_resize": False}, {"do_rescale": False}, {"do_normalize": True}, {"image_mean": [0.5]}, {"crop_size": 5}]
    + [{"do_pad": False}, {"data_format": "channels_last"}, {"do_center_crop": True}, {"size": 64}],
)
def test_options_that_cannot_be_followed(image_processor, tmp_path, grey, option):
    image_processor.save_pretrained(tmp_path)
    (name,) = option
    for ask in (
        lambda: image_processor(grey, **option),
        lambda: HTRConvTextImageProcessor(**option),
        lambda: HTRConvTextImageProcessor.from_pretrained(tmp_path, **option),
        lambda: AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=True, **option),
    ):
        with pytest.raises(ValueError, match=name):
            ask()


def test_options_that_do_not_exist(image_processor, tmp_path, grey):
    image_processor.save_pretrained(tmp_path)
    for ask in (
        lambda: image_processor(grey, nonsense=1),
        lambda: HTRConvTextImageProcessor(nonsense=1),
        lambda: AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=True, nonsense=1),
        lambda: HTRConvTextProcessor.from_pretrained(tmp_path, nonsense=1),
        lambda: HTRConvTextProcessor.for_dataset("iam")(grey, nonsense=1),
        lambda: HTRConvTextProcessor.for_dataset("iam")(text="a", text_kwargs={"nonsense": 1}),
    ):
        with pytest.raises(TypeError, match="no option nonsense"):
            ask()


def test_options_of_a_folder_are_checked_and_changed(image_processor, tmp_path):
    image_processor.save_pretrained(tmp_path)
    for option in ({"autocontrast_cutoff": (90, 90)}, {"pad_to_multiple_of": 0}):
        with pytest.raises(ValueError, match=next(iter(option))):
            AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=True, **option)
    changed = AutoImageProcessor.from_pretrained(tmp_path, trust_remote_code=True, keep_aspect_ratio=True)
    assert changed.keep_aspect_ratio and changed.size == {"height": 64, "width": 512}
    loaded, unused = HTRConvTextImageProcessor.from_pretrained(tmp_path, nonsense=1, return_unused_kwargs=True)
    assert unused == {"nonsense": 1} and loaded.to_dict()["size"] == image_processor.size


@pytest.mark.parametrize("convert", [False, True])
def test_a_step_that_is_named_is_an_attribute(image_processor, tmp_path, convert):
    image_processor.save_pretrained(tmp_path)
    loaded = HTRConvTextImageProcessor.from_pretrained(tmp_path, do_convert_rgb=convert)
    loaded.save_pretrained(tmp_path)
    assert loaded.do_convert_rgb is HTRConvTextImageProcessor.from_pretrained(tmp_path).do_convert_rgb is convert


def test_options_for_other_parts_reach_those(tmp_path):
    processor = HTRConvTextProcessor.for_dataset("iam")
    processor.save_pretrained(tmp_path)
    other = HTRConvTextImageProcessor(keep_aspect_ratio=True)
    for load in (HTRConvTextProcessor.from_pretrained, AutoProcessor.from_pretrained):
        options = {"trust_remote_code": True} if load == AutoProcessor.from_pretrained else {}
        load(tmp_path, local_files_only=True, cache_dir=tmp_path, **options)
        padded = load(tmp_path, max_length=5, padding="max_length", **options)
        assert padded(text="aab")["labels"] == [processor.tokenizer.encode("aab") + [-100] * 2]
        assert load(tmp_path, image_processor=other, **options).image_processor.keep_aspect_ratio
        changed = load(tmp_path, calibration={"line": [2.0, 0.5]}, keep_aspect_ratio=True, **options)
        assert changed.calibration["line"] == [2.0, 0.5] and changed.image_processor.keep_aspect_ratio


def test_a_processor_says_the_same_before_and_after_saving(tmp_path):
    processor = HTRConvTextProcessor.for_dataset("iam")
    before = processor.to_dict()
    assert before["auto_map"] == {"AutoProcessor": "processing_htr_convtext.HTRConvTextProcessor"}
    processor.save_pretrained(tmp_path)
    saved, loaded = processor.to_dict(), HTRConvTextProcessor.from_pretrained(tmp_path).to_dict()
    assert saved == loaded and loaded["auto_map"] == before["auto_map"]


def test_an_image_processor_saved_into_a_model_s_folder_is_the_one_that_is_loaded(tmp_path):
    HTRConvTextProcessor.for_dataset("iam").save_pretrained(tmp_path)
    HTRConvTextImageProcessor({"height": 64, "width": 768}, keep_aspect_ratio=True).save_pretrained(tmp_path)
    processor = HTRConvTextProcessor.from_pretrained(tmp_path)
    for found in (processor.image_processor, HTRConvTextImageProcessor.from_pretrained(tmp_path)):
        assert found.size["width"] == 768 and found.keep_aspect_ratio
    assert processor.to_dict()["auto_map"] == {"AutoProcessor": "processing_htr_convtext.HTRConvTextProcessor"}


def test_what_other_versions_write_loads(image_processor, tmp_path):
    image_processor.save_pretrained(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    written = json.loads(path.read_text())
    more = {"_processor_class": None, "feature_extractor_type": "X", "processor_class": "P", "a_later_key": [1]}
    path.write_text(json.dumps({**written, **more}))
    loaded = HTRConvTextImageProcessor.from_pretrained(tmp_path)
    assert loaded.size == image_processor.size and loaded.a_later_key == [1]


# Tokenizer


def test_alphabets(golden):
    assert json.loads((golden / "alphabets.json").read_text(encoding="utf-8")) == ALPHABETS


HARD_TEXTS = [
    "",
    "aab",
    "bookkeeper",
    " space at both edges ",
    "two  spaces   three",
    "a|b||",
    "e\u0301e\u0301 \u0304a",
    "<blank>",
    "a<blank>b",
    "<pad></s>[UNK]",
    "\t tab \n",
    "\u0710\u0712 \U0001f58b \u200d",
]


@pytest.fixture(scope="module")
def tokenizer() -> HTRConvTextTokenizer:
    return HTRConvTextTokenizer.from_texts(HARD_TEXTS)


@pytest.fixture(scope="module")
def reloaded(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_texts_come_back_as_they_went_in(tokenizer, reloaded, text):
    ids = tokenizer.encode(text)
    assert len(ids) == len(text) and 0 not in ids
    assert reloaded.encode(text) == ids == reloaded(text).input_ids
    assert tokenizer.decode(ids) == reloaded.decode(ids, skip_special_tokens=True) == text
    padded = torch.tensor([ids + [0] * 3, [0] * (len(ids) + 3)])
    assert reloaded.batch_decode(padded, skip_special_tokens=True) == [text, ""]


@pytest.mark.parametrize("name", ALPHABETS)
def test_random_texts_of_every_alphabet(name):
    tokenizer = HTRConvTextProcessor.for_dataset(name).tokenizer
    assert tokenizer.vocab_size == len(tokenizer) == len(ALPHABETS[name]) + 1
    assert tokenizer.encode(ALPHABETS[name]) == list(range(1, tokenizer.vocab_size))
    rng = random.Random(name)
    texts = ["".join(rng.choices(ALPHABETS[name], k=rng.randrange(60))) for _ in range(20)]
    assert tokenizer.batch_decode([tokenizer.encode(text) for text in texts]) == texts


def test_blank_is_the_padding(reloaded, tokenizer):
    assert reloaded.alphabet == tokenizer.alphabet
    assert reloaded.get_vocab() == tokenizer.get_vocab()
    assert reloaded.pad_token_id == 0 and reloaded.pad_token == reloaded.convert_ids_to_tokens(0) == "<blank>"
    for outside in (-1, len(tokenizer)):
        with pytest.raises(ValueError, match=f"Class {outside} is not in the vocabulary of {len(tokenizer)} classes"):
            reloaded.convert_ids_to_tokens(outside)
    batch = reloaded(["a", "aab"], padding=True)
    assert batch.input_ids[0][1:] == [0, 0] and reloaded.batch_decode(batch.input_ids, True) == ["a", "aab"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("caf\u00e9", ["'\u00e9'", "U+00E9", "LATIN SMALL LETTER E WITH ACUTE", "position 3", "'caf\u00e9'"]),
        ("a\u0301", ["U+0301", "COMBINING ACUTE ACCENT"]),
        ("a\x07", ["U+0007"]),
    ],
)
def test_unknown_characters_are_named(text, parts):
    tokenizer = HTRConvTextTokenizer.from_alphabet("abcdef")
    with pytest.raises(ValueError) as raised:
        tokenizer.encode(text)
    for part in parts:
        assert part in str(raised.value)


def test_from_texts_sorts_the_characters():
    assert HTRConvTextTokenizer.from_texts(["ba", "ab c"]).alphabet == " abc"


@pytest.mark.parametrize("make", [HTRConvTextTokenizer.from_alphabet, HTRConvTextTokenizer.from_texts])
def test_an_empty_vocabulary_is_refused(make):
    with pytest.raises(ValueError, match="needs a vocabulary"):
        make("")


def test_a_doubled_character_is_refused():
    with pytest.raises(ValueError, match=r"'b' \(U\+0062 LATIN SMALL LETTER B\) is twice"):
        HTRConvTextTokenizer.from_alphabet("abcb")


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ({"<blank>": 0, "a": 2}, "without a gap"),
        ({"a": 0}, "<blank>"),
        ({"<blank>": 0, "ab": 1}, "'ab'"),
        ({"<blank>": 0, "a": "1"}, "gives each character its class"),
        (["<blank>", "a"], "gives each character its class"),
    ],
)
def test_a_bad_vocabulary_file_is_named(tmp_path, vocabulary, message):
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps(vocabulary))
    with pytest.raises(ValueError, match=message) as raised:
        HTRConvTextTokenizer(str(path))
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("index", [4, -100])
def test_a_class_outside_the_vocabulary_is_refused(index):
    with pytest.raises(ValueError, match=f"Class {index} is not in the vocabulary of 4 classes"):
        HTRConvTextTokenizer.from_alphabet("abc").decode([1, index])


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
@pytest.mark.parametrize("group_tokens", [None, True])
def test_logits_are_no_token_ids(shape, group_tokens):
    with pytest.raises(ValueError, match=r"decode logits\.argmax\(-1\)"):
        HTRConvTextTokenizer.from_alphabet("abc").batch_decode(torch.rand(shape), group_tokens=group_tokens)


FRAMES = [0, 1, 1, 0, 1, 2, 2, 0, 0]


@pytest.mark.parametrize("skip_special_tokens", [False, True])
def test_frames_are_collapsed_as_with_wav2vec2(skip_special_tokens):
    tokenizer = HTRConvTextTokenizer.from_alphabet("abc")
    for batch in ([FRAMES], torch.tensor([FRAMES]), np.array([FRAMES])):
        assert tokenizer.batch_decode(batch, skip_special_tokens) == ["aab"]
    assert tokenizer.decode(torch.tensor(FRAMES), skip_special_tokens) == "aab"
    assert tokenizer.decode([2, 2, 0, 1, 1], skip_special_tokens) == "ba"
    # What one line of a batch shows is true of all.
    assert tokenizer.batch_decode([FRAMES, [1, 1, 1, 2, 2, 2, 0, 0, 0]], skip_special_tokens) == ["aab", "ab"]


def test_doubled_letters_stay_where_there_are_no_frames():
    tokenizer = HTRConvTextTokenizer.from_alphabet("abc")
    padded = [[1, 1, 2, 0, 0], [3, 3, 3, 3, 3]]
    assert tokenizer.batch_decode(padded, skip_special_tokens=True) == ["aab", "ccccc"]
    assert tokenizer.batch_decode(padded, group_tokens=True) == ["ab", "c"]
    assert tokenizer.decode(FRAMES, True, group_tokens=False) == "aaabb"
    assert tokenizer.decode(2) == "b" and tokenizer.convert_ids_to_tokens([0, 3]) == ["<blank>", "c"]
    assert tokenizer.batch_decode(torch.tensor([[1, 1, -100, -100]]), skip_special_tokens=True) == ["aa"]
    assert tokenizer.batch_decode([]) == [] and tokenizer.batch_decode([[]]) == [""] and tokenizer.decode([]) == ""
    with pytest.raises(TypeError, match="output_char_offsets.*post_process_text_recognition"):
        tokenizer.decode([1], output_char_offsets=True)


def test_tokens_cannot_be_added_in_silence():
    tokenizer = HTRConvTextTokenizer.from_alphabet("abc")
    assert tokenizer.add_tokens(["a", "<blank>"]) == 0 and len(tokenizer) == 4
    for add in (
        lambda: tokenizer.add_tokens(["\u00df"]),
        lambda: tokenizer.add_tokens("\u00df"),
        lambda: tokenizer.add_special_tokens({"bos_token": "\u00df"}),
        lambda: tokenizer.convert_tokens_to_ids("\u00df"),
    ):
        with pytest.raises(ValueError, match="\u00df"):
            add()
    with pytest.raises(ValueError, match=r"pad_token='\[PAD\]'"):
        HTRConvTextTokenizer(alphabet="abc", pad_token="[PAD]")
    assert tokenizer.encode("abc") == [1, 2, 3] and len(tokenizer) == 4


def test_words_are_not_joined_without_their_spaces():
    tokenizer = HTRConvTextTokenizer.from_alphabet(" abc")
    assert tokenizer(" a b ").input_ids == tokenizer([" a b "]).input_ids[0] == [1, 2, 1, 3, 1]
    for encode in (tokenizer, tokenizer.encode):
        with pytest.raises(ValueError, match='is_split_into_words=True .*" ".join'):
            encode([" a", "b "], is_split_into_words=True)
    with pytest.raises(ValueError, match="is_split_into_words=True"):
        tokenizer([["a", "b"], ["c"]], is_split_into_words=True)


def test_an_alphabet_beside_another_vocabulary_is_refused(tmp_path):
    HTRConvTextTokenizer.from_alphabet("abc").save_pretrained(tmp_path)
    assert HTRConvTextTokenizer.from_pretrained(tmp_path, alphabet="abc").alphabet == "abc"
    with pytest.raises(ValueError, match="alphabet='xyz' is not that of .*vocab.json: 'abc'"):
        HTRConvTextTokenizer.from_pretrained(tmp_path, alphabet="xyz")


# Processor


def test_what_a_trainer_gathers_is_decoded():
    processor = HTRConvTextProcessor.for_dataset("iam")
    ids = np.full((2, 5), -100)
    ids[0, :3], ids[1] = processor.tokenizer.encode("aab"), processor.tokenizer.encode("  ll ")
    for gathered in (ids, torch.from_numpy(ids), ids.tolist()):
        assert processor.batch_decode(gathered, skip_special_tokens=True) == ["aab", "  ll "]
    with pytest.raises(ValueError, match="Class -100"):
        processor.batch_decode(ids)


def test_keywords_of_texts(grey):
    processor = HTRConvTextProcessor.for_dataset("iam")
    assert set(processor.model_input_names) == set(processor(images=grey, text="aab"))
    wanted = processor.tokenizer.encode("aab") + [-100] * 2
    for options in (
        {"padding": "max_length", "max_length": 5},
        {"text_kwargs": {"padding": "max_length", "max_length": 5}},
        {"common_kwargs": {"padding": "max_length"}, "max_length": 5, "truncation": True},
    ):
        assert processor(text="aab", return_tensors="pt", **options)["labels"].tolist() == [wanted]
        assert processor(text=["aab"], **options)["labels"] == [wanted]
    # max_length says nothing to other padding, and where nothing is to be cut.
    for options in ({"padding": True}, {"padding": "longest", "truncation": "do_not_truncate"}):
        padded = processor(text=["aab", ""], max_length=2, **options)["labels"]
        assert padded == [wanted[:3], [-100] * 3]
    assert processor(text=["aab", ""])["labels"] == [wanted[:3], []]
    with pytest.raises(ValueError, match="would cut 'aab' to 2 characters"):
        processor(text=["", "ab", "aab", "b"], max_length=2, truncation=True)
    common = processor(grey, "aab", common_kwargs={"return_tensors": "np"}, images_kwargs={"do_rescale": True})
    assert common["labels"].shape == (1, 3) and common["pixel_values"].shape == (1, 1, 64, 512)
    for options, message in (
        ({"max_length": 2, "truncation": True}, "would cut 'aab' to 2 characters"),
        ({"padding": "max_length"}, "needs max_length"),
        ({"return_attention_mask": True}, "return_attention_mask"),
        ({"padding_side": "left"}, "padding_side"),
        ({"max_length": 5, "text_kwargs": {"max_length": 5}}, "max_length is given twice"),
        ({"audio": [1]}, "audio"),
    ):
        with pytest.raises(ValueError, match=message):
            processor(text="aab", **options)


def test_images_and_labels(grey):
    processor = HTRConvTextProcessor.for_dataset("iam")
    batch = processor(images=[grey, grey], text=["aab", ""], return_tensors="pt")
    assert batch["pixel_values"].shape == (2, 1, 64, 512)
    assert batch["labels"].tolist() == [processor.tokenizer.encode("aab"), [-100] * 3]
    assert batch["labels"].dtype == torch.int64
    lists = processor(images=[grey], text="aab")
    assert lists["labels"] == [processor.tokenizer.encode("aab")] and len(lists["pixel_values"]) == 1
    with pytest.raises(ValueError, match="images, text or both"):
        processor()


def test_unknown_dataset():
    with pytest.raises(ValueError, match="'rimes'.*iam, lam, read2016, vnondb"):
        HTRConvTextProcessor.for_dataset("rimes")


ALPHABET = "abc "


@pytest.fixture
def processor() -> HTRConvTextProcessor:
    return HTRConvTextProcessor(HTRConvTextImageProcessor(), HTRConvTextTokenizer.from_alphabet(ALPHABET))


def outputs_of(*lines: str, logit: float = 5.0) -> SimpleNamespace:
    """Frames that show these characters, "-" for the blank, each with the same probability."""
    classes = torch.tensor([["-abc ".index(character) for character in line] for line in lines])
    return SimpleNamespace(logits=torch.nn.functional.one_hot(classes, len(ALPHABET) + 1) * logit)


def probability(logit: float) -> float:
    return np.exp(logit) / (np.exp(logit) + len(ALPHABET))


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ("--aa-b-", "ab"),
        ("aabbcc", "abc"),
        ("a-aab-b", "aabb"),
        (" a  - b ", " a  b "),
        ("-------", ""),
        ("a", "a"),
    ],
)
def test_greedy_reading(processor, frames, text):
    (reading,) = processor.post_process_text_recognition(outputs_of(frames))
    assert reading["text"] == text
    assert [word["word"] for word in reading["words"]] == text.split()
    assert "".join(character["character"] for character in reading["characters"]) == text
    assert type(reading["score"]) is float and (0.9 < reading["score"] < 1 if text else reading["score"] == 0)


def test_positions_in_the_network_input_and_in_the_image(processor):
    outputs = outputs_of("-aab- -cc" + "-" * 7)
    (reading,) = processor.post_process_text_recognition(outputs)
    spans = [(item["character"], item["start"], item["end"]) for item in reading["characters"]]
    assert spans == [("a", 4, 12), ("b", 12, 16), (" ", 20, 24), ("c", 28, 36)]
    assert [(item["word"], item["start"], item["end"]) for item in reading["words"]] == [("ab", 4, 16), ("c", 28, 36)]
    # 16 frames of 4 pixels; the image was 32 pixels high, so it was doubled.
    (reading,) = processor.post_process_text_recognition(outputs, target_sizes=[(32, 32)])
    spans = [(item["character"], item["start"], item["end"]) for item in reading["characters"]]
    assert spans == [("a", 2, 6), ("b", 6, 8), (" ", 10, 12), ("c", 14, 18)]
    numbers = [item[key] for item in reading["characters"] + reading["words"] for key in ("score", "start", "end")]
    assert {type(number) for number in numbers} == {float}


def test_positions_in_a_line_that_was_squeezed(processor):
    (reading,) = processor.post_process_text_recognition(outputs_of("a" + "-" * 126 + "b"), target_sizes=[(64, 5120)])
    assert [(item["start"], item["end"]) for item in reading["characters"]] == [(0, 40), (5080, 5120)]


@pytest.mark.parametrize("size", [(96, 350), (64, 512), (30, 3000), (1, 1)])
def test_positions_rise_and_stay_in_the_image(processor, size):
    generator = torch.Generator().manual_seed(0)
    outputs = SimpleNamespace(logits=torch.randn(1, 128, 5, generator=generator))
    (reading,) = processor.post_process_text_recognition(outputs, target_sizes=[size])
    edges = [edge for item in reading["characters"] for edge in (item["start"], item["end"])]
    assert len(edges) > 100 and edges == sorted(edges)
    assert edges[0] >= 0 and edges[-1] <= size[1]


def test_scores(processor):
    outputs = outputs_of("aa-b")
    outputs.logits[0, 0] *= 0.5
    outputs.logits[0, 3] *= 0.2
    (reading,) = processor.post_process_text_recognition(outputs)
    scores = [character["score"] for character in reading["characters"]]
    assert scores == pytest.approx([probability(5.0), probability(1.0)])
    # All paths that read "ab", the line's only word; the line counts it for two characters and the end.
    frames = outputs.logits[0].double().softmax(-1).numpy()
    paths = [path for path in itertools.product(range(5), repeat=4) if read_slowly(path) == [1, 2]]
    word = sum(frames[range(4), path].prod() for path in paths)
    assert reading["words"][0]["score"] == pytest.approx(word)
    assert reading["score"] == pytest.approx(word ** (1 / 3))


def read_slowly(path: tuple[int, ...]) -> list[int]:
    return [index for index, _ in itertools.groupby(path) if index]


def test_a_calibration_is_kept_and_changes_scores(processor, tmp_path):
    outputs = outputs_of("aa-b c-")
    (before,) = processor.post_process_text_recognition(outputs)
    HTRConvTextProcessor(
        processor.image_processor, processor.tokenizer, calibration={"word": [1.0, -1.0], "line": [0.5, 0.0]}
    ).save_pretrained(tmp_path)
    loaded = HTRConvTextProcessor.from_pretrained(tmp_path)
    assert loaded.calibration == {"character": [1.0, 0.0], "word": [1.0, -1.0], "line": [0.5, 0.0]}
    (after,) = loaded.post_process_text_recognition(outputs)
    assert after["text"] == before["text"] and after["characters"] == before["characters"]
    assert after["score"] < before["score"]
    for word, softened in zip(before["words"], after["words"], strict=True):
        assert softened["score"] < word["score"]
    with pytest.raises(ValueError, match="The calibration of a word is a positive slope"):
        HTRConvTextProcessor(processor.image_processor, processor.tokenizer, calibration={"word": [0, 0]})


def test_lines_and_words_below_a_threshold_are_flagged(processor):
    outputs = outputs_of("aa-b c-")
    outputs.logits[0, 3] *= 0.2
    (reading,) = processor.post_process_text_recognition(outputs, threshold=0.8)
    assert [(word["word"], word["check"]) for word in reading["words"]] == [("ab", True), ("c", False)]
    assert reading["check"] is (reading["score"] < 0.8)
    (plain,) = processor.post_process_text_recognition(outputs)
    assert "check" not in plain and "check" not in plain["words"][0]
    for lowest in (0, 1):
        assert processor.post_process_text_recognition(outputs, threshold=lowest)[0]["check"] is bool(lowest)
    for outside in (-0.01, 1.01):
        with pytest.raises(ValueError, match=f"threshold must be from 0 to 1. Got {outside}"):
            processor.post_process_text_recognition(outputs, threshold=outside)


def test_half_precision_outputs(processor):
    outputs = outputs_of("-ab-", "cc c")
    outputs.logits = outputs.logits.bfloat16().requires_grad_()
    readings = processor.post_process_text_recognition(outputs)
    assert [reading["text"] for reading in readings] == ["ab", "c c"]


@pytest.mark.parametrize("classes", [len(ALPHABET), len(ALPHABET) + 2])
def test_the_processor_of_another_model_is_refused(processor, classes):
    outputs = SimpleNamespace(logits=torch.zeros(1, 8, classes))
    with pytest.raises(ValueError, match=f"{classes} classes and the tokenizer {len(ALPHABET) + 1}: .*two models"):
        processor.post_process_text_recognition(outputs)


def test_a_size_for_each_line(processor):
    with pytest.raises(ValueError, match="target_sizes has 1 sizes for 2 lines"):
        processor.post_process_text_recognition(outputs_of("a-", "-b"), target_sizes=[(64, 512)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": {"height": "64", "width": 512}}, "both whole and at least 1"),
        ({"size": 64}, "size must be an object. Got 64"),
        ({"keep_aspect_ratio": "yes"}, "keep_aspect_ratio must be true or false. Got 'yes'"),
        ({"pad_to_multiple_of": "16"}, "pad_to_multiple_of must be a whole number"),
        ({"autocontrast_cutoff": [1, "50"]}, "autocontrast_cutoff must be a list, and each part of it a number"),
    ],
)
def test_settings_of_another_type_are_named(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        HTRConvTextImageProcessor(**options)


def test_a_processor_file_without_settings_of_images_is_named():
    with pytest.raises(ValueError, match="settings of the image processor must be an object"):
        HTRConvTextImageProcessor.from_dict(["size"])


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("processor_config.json", "image_processor", {"auto_map": 7}),
        ("processor_config.json", "image_processor", "x"),
        ("tokenizer_config.json", "auto_map", {"AutoTokenizer": []}),
        ("tokenizer_config.json", "tokenizer_class", {}),
        ("tokenizer_config.json", "added_tokens_decoder", {"0": {"content": "<blank>", "special": "x"}}),
    ],
)
def test_a_value_that_transformers_stumbles_over_is_a_sentence(root, tmp_path, file, name, value):
    for path in (root / "hub_upload" / "htr-convtext-fr").glob("*.json"):
        shutil.copy(path, tmp_path)
    content = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(content | {name: value}))
    with pytest.raises((OSError, ValueError), match="transformers cannot use a value in|must be"):
        HTRConvTextProcessor.from_pretrained(tmp_path)

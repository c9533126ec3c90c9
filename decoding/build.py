# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Builds a character language model for a model's alphabet, from text files, from transcriptions, or from both.

    python -m htr_convtext.decoding.build --model MODEL --data_dir LINES --output MODEL/language_model
    python -m htr_convtext.decoding.build book.txt --model MODEL --data_dir LINES --output DIR --max_megabytes 10

Transcriptions come from the train split, with the `--dataset_option` that the model was trained with; of those,
`text_order=visual` is for text files and words, too. Each line of a text file is a line; those that are longer than
`--line_length` are broken between words. What the alphabet lacks is replaced by a sign like it (another apostrophe,
quotation mark or dash) if the alphabet has one; no n-gram reaches over the other characters. Written into
MODEL/language_model, the language model is the model's own, decoder=True; tune its weights next:
python -m htr_convtext.decoding.tune.
"""

import argparse
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..console import at_least_one, errors_as_sentences, folder_to_write, print_any_character
from ..extras import needing
from ..language_model_htr_convtext import HTRConvTextDecoder
from ..processing_htr_convtext import HTRConvTextProcessor
from .ngrams import estimate, thresholds_of, write_arpa

with needing("Building a language model", "train"):
    from ..line_datasets.command_line import named_options
    from ..line_datasets.labels import NORMAL_FORMS, TEXT_ORDERS, LabelForm, normalize_text
    from .reading import add_data_options, load_split

# Signs that stand for each other; the alphabet's first one is taken.
ALIKE = (
    "'\u2019\u02bc\u2018`\u00b4",
    '"\u201c\u201d\u201e\u00ab\u00bb',
    "-\u2010\u2011\u2012\u2013\u2014\u2212\u00ac",
)
# A text with more characters outside the alphabet than this share is another language, or in another normal form.
MOST_UNKNOWN = 0.1
PRUNING_STEPS = 40


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    options = parse_options(arguments)
    with errors_as_sentences("build", ValueError, OSError, ImportError):
        build(options)


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, nargs="*", metavar="TEXT", help="text file, UTF-8")
    parser.add_argument("--model", required=True, help="model folder whose alphabet the language model is for")
    add_data_options(parser, "folders of lines whose transcriptions are text too")
    parser.add_argument(
        "--repeat", type=at_least_one, default=1, help="how many times each transcription counts beside texts"
    )
    parser.add_argument("--output", type=folder_to_write, required=True, help="folder to write the decoder to")
    parser.add_argument("--order", type=at_least_one, default=6, help="characters of the longest n-grams")
    help_prune = "leave out n-grams that are no more frequent; by order"
    parser.add_argument("--prune", type=int, nargs="+", default=[0], help=help_prune)
    parser.add_argument("--max_megabytes", type=float, help="prune the longer n-grams until the file is smaller")
    parser.add_argument("--words", type=Path, help="file of words that a reading gets a bonus for")
    parser.add_argument(
        "--line_length", type=at_least_one, default=60, help="characters of the longest lines of a text file"
    )
    parser.add_argument("--normal_form", choices=NORMAL_FORMS, default="NFC")
    parser.add_argument(
        "--replace", nargs=2, action="append", default=[], metavar=("OLD", "NEW"), help='in text files: "\'" "\u2019"'
    )
    options = parser.parse_args(arguments)
    if not options.text and options.data_dir is None:
        parser.error("There is no text: name text files, or --data_dir of lines, or both.")
    named = named_options(options.dataset_option)
    options.text_order = named.pop("text_order", "logical")
    if options.text_order not in TEXT_ORDERS:
        parser.error(f"--dataset_option text_order must be {' or '.join(TEXT_ORDERS)}. Got {options.text_order!r}.")
    if named and options.data_dir is None:
        parser.error(f"--dataset_option {min(named)} is for transcriptions: name their folders, --data_dir.")
    if options.repeat > 1 and options.data_dir is None:
        parser.error("--repeat counts transcriptions: name their folders, --data_dir.")
    return options


def build(options: argparse.Namespace) -> None:
    alphabet = HTRConvTextProcessor.from_pretrained(options.model).tokenizer.alphabet
    form = LabelForm(options.normal_form, options.text_order)
    lines: list[str] = []
    for path in options.text:
        text = read_text(path, options.normal_form, options.line_length, options.replace)
        lines += fit(map(form.label, text), alphabet, str(path))
    if options.data_dir is not None:
        texts = load_split(options.dataset, options.data_dir, "train", options=options.dataset_option)["text"]
        name = ", ".join(options.data_dir)
        own = fit([normalize_text(text, options.normal_form) for text in texts], alphabet, name)
        lines += own * options.repeat
    words = map(form.label, read_words(options.words, options.normal_form, alphabet)) if options.words else ()
    arpa = arpa_of_size(lines, alphabet, options.order, options.prune, options.max_megabytes)
    decoder = HTRConvTextDecoder(alphabet, arpa, words, normal_form=options.normal_form)
    decoder.save_pretrained(options.output)
    print(f"Wrote {options.output}: {len(arpa) / 1e6:.2f} MB.")


def read_text(path: Path, normal_form: str, line_length: int, replace: Sequence[Sequence[str]]) -> list[str]:
    """
    Lines of a text file, none of them empty or longer than `line_length` unless a word is.

    Raises:
        ValueError: If the file is not UTF-8; the message names it and the place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from error
    for old, new in replace:
        text = text.replace(old, new)
    whole = (normalize_text(line, normal_form) for line in text.splitlines())
    return [part for line in whole for part in wrapped(line, line_length)]


def read_words(path: Path, normal_form: str, alphabet: str) -> list[str]:
    """
    Words of a file, in an alphabet's own signs.

    Raises:
        ValueError: If the file is not UTF-8; the message names it and the place.
    """
    lines = read_text(path, normal_form, sys.maxsize, ())
    signs: dict[str, str | int | None] = dict(replacements(alphabet))
    return " ".join(lines).translate(str.maketrans(signs)).split()


def wrapped(line: str, length: int) -> list[str]:
    if len(line) <= length:
        return [line] if line else []
    return textwrap.wrap(line, length, break_long_words=False, break_on_hyphens=False)


def fit(lines: Iterable[str], alphabet: str, name: str) -> list[str]:
    """
    Lines in an alphabet's own signs; prints what the alphabet lacks.

    Raises:
        ValueError: If it lacks much; the message names the text and the characters.
    """
    table = str.maketrans(dict(replacements(alphabet)))
    fitted = [line.translate(table) for line in lines]
    counts = Counter(character for line in fitted for character in line)
    unknown = Counter({character: number for character, number in counts.items() if character not in alphabet})
    share = unknown.total() / max(counts.total(), 1)
    most = ", ".join(f"{character!r} {number}" for character, number in unknown.most_common(20))
    if share > MOST_UNKNOWN:
        raise ValueError(
            f"{name}: {share:.0%} of its characters are not in the model's alphabet, most often {most}. Is it in "
            "another language, or the alphabet in another normal form (--normal_form)?"
        )
    print(
        f"{name}: {len(fitted)} lines, {counts.total()} characters"
        + (f"; not in the alphabet: {most}" if most else "")
    )
    return fitted


def replacements(alphabet: str) -> Iterator[tuple[str, str]]:
    """Signs that an alphabet lacks, with the sign of its own that stands for each."""
    for group in ALIKE:
        own = next((sign for sign in group if sign in alphabet), None)
        if own is not None:
            yield from ((sign, own) for sign in group if sign not in alphabet)


def arpa_of_size(
    lines: Sequence[str], alphabet: str, order: int, prune: Sequence[int], max_megabytes: float | None
) -> bytes:
    """
    A language model's ARPA file. If it would be too large, the thresholds of the orders above 3 rise, one by one.

    Raises:
        ValueError: If it cannot be made that small.
    """
    prune = thresholds_of(prune, order)
    for _ in range(PRUNING_STEPS):
        model = estimate(lines, alphabet, order, prune)
        arpa = write_arpa(model)
        sizes = ", ".join(str(len(one.keys)) for one in model.orders)
        print(f"n-grams of orders 1 to {order}: {sizes}; pruned {prune}; {len(arpa) / 1e6:.2f} MB")
        if max_megabytes is None or len(arpa) <= 1e6 * max_megabytes:
            return arpa
        prune = [threshold + (length > 3) for length, threshold in enumerate(prune, start=1)]
    raise ValueError(f"The language model does not get smaller than {max_megabytes} MB: choose a lower --order.")


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Model cards of HTR-ConvText models, with the metadata that the Hub reads."""

from collections.abc import Mapping

from huggingface_hub import EvalResult, ModelCard, ModelCardData

PAPER = "https://arxiv.org/abs/2512.05021"

USAGE = """\
## Reading a line

```python
from transformers import pipeline

read = pipeline("image-to-text", model="{model}", trust_remote_code=True, revision="COMMIT_HASH")
read("line.png")  # [{{"generated_text": "...", "score": 0.97}}]
```

`trust_remote_code=True` runs the Python files of this repository on your machine. Read them first, and give `revision`
the hash of the commit that you read: a pinned revision stays what you checked, whatever is uploaded later.
"""

CITATION = """\
## Citation

The network and its training are those of *HTR-ConvText: Leveraging Convolution and Textual Information for Handwritten
Text Recognition* ([arXiv 2512.05021](https://arxiv.org/abs/2512.05021)).
"""


# What the Hub shows beside a rate, which tells the two ways of counting words apart.
RATE_NAMES = {
    "cer": ("cer", "CER (percent)"),
    "wer": ("wer", "WER (percent, punctuation marks are words)"),
    "wer_whitespace": ("wer", "WER (percent, words as white space parts them)"),
}


def error_rates(
    dataset: str,
    dataset_type: str,
    rates: Mapping[str, float],
    source: str | None = None,
    source_name: str | None = None,
    split: str = "test",
) -> list[EvalResult]:
    """
    Error rates as `model-index` entries.

    Args:
        dataset: Name of the dataset for people.
        dataset_type: Its identifier, such as `iam`.
        rates: Error rates in percent, by the names of `RATE_NAMES`.
        source: Address of where the figures were published; none for figures of our own.
        source_name: What is published there.
        split: Split that they were measured on.

    Returns:
        One entry for each rate.
    """
    return [
        EvalResult(
            task_type="image-to-text",
            task_name="Handwritten text recognition",
            dataset_type=dataset_type,
            dataset_name=dataset,
            dataset_split=split,
            metric_type=RATE_NAMES[rate][0],
            metric_name=RATE_NAMES[rate][1],
            metric_value=value,
            source_name=source_name,
            source_url=source,
        )
        for rate, value in rates.items()
    ]


def model_card(
    name: str,
    summary: str,
    language: str | list[str] | None,
    license: str | None,
    results: list[EvalResult],
    sections: dict[str, str],
    base_model: str | None = None,
) -> ModelCard:
    """
    The card of one model.

    Args:
        name: Name of the model, the card's title and the name in its `model-index`.
        summary: First paragraph: what it reads, and what it was trained on.
        language: Language code or codes of what it reads.
        license: Licence identifier of the weights as the Hub spells it; `other` needs a section that explains it.
        results: Error rates, from `error_rates`.
        sections: Headings and texts between the usage and the citation, in order: data, figures, limits.
        base_model: Hub name of the model that it was fine-tuned from.

    Returns:
        The card; `.save(folder / "README.md")` writes it.
    """
    data = ModelCardData(
        language=language,
        license=license,
        library_name="transformers",
        pipeline_tag="image-to-text",
        tags=["htr", "handwriting", "ocr", "ctc", "htr_convtext", "custom_code"],
        model_name=name,
        eval_results=results,
        base_model=base_model,
    )
    usage = USAGE.format(model=name)
    texts = [f"## {heading}\n\n{text.strip()}\n" for heading, text in sections.items()]
    body = "\n".join([f"# {name}\n\n{summary.strip()}\n", usage, *texts, CITATION])
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")

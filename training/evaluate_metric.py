# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The error rates as a metric for `evaluate` that needs no network."""

import datasets
import evaluate

from .metrics import all_error_rates


class HTRConvTextErrorRates(evaluate.Metric):
    """The error rates as a metric: `evaluate.load("training/evaluate_metric.py")`, or construct it directly."""

    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="Error rates of handwriting recognition, by the protocol of HTR-ConvText.",
            citation="HTR-ConvText, arXiv 2512.05021",
            inputs_description=all_error_rates.__doc__,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions, references):
        return all_error_rates(predictions, references)

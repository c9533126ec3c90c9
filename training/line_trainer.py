# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What no recipe changes: lines evaluated at their own width, the average, the best models, checkpoints."""

import json
import math
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints
from transformers.utils import logging

from ..modeling_htr_convtext import HTRConvTextForCTC
from .checkpoints import (
    WRITE_ERRORS,
    load_training_weights,
    replace_folder,
    save_training_weights,
    whole_folder,
)
from .collator import LineCollator
from .ema import ExponentialMovingAverage
from .evaluation import LineScorer

logger = logging.get_logger(__name__)

SCORES_FILE = "scores.json"
STAGING_DIR = ".incomplete"


class LineTrainer(Trainer):
    """
    Trainer of a [`HTRConvTextWithTCM`]: reads lines for evaluation and writes folders that are whole or not there.

    Args:
        model: The module to train.
        args: Options.
        processing_class ([`HTRConvTextProcessor`]): The recogniser's processor, saved with it.
        **kwargs: Passed to Trainer. Datasets come from [`prepare_lines`].

    Attributes:
        ema: The average of the weights, which evaluation and saving use, or `None`.
        scorer: What was read last, and how it is scored.
    """

    def __init__(self, model: nn.Module, args, processing_class, **kwargs):
        self.scorer = LineScorer(processing_class)
        kwargs.setdefault("data_collator", LineCollator(processing_class))
        kwargs.setdefault("compute_metrics", self.scorer)
        super().__init__(model=model, args=args, processing_class=processing_class, **kwargs)
        self.label_names = ["index"]
        self.ema: ExponentialMovingAverage | None = None
        self.staging_dir: str | None = None

    @property
    def recognizer(self) -> HTRConvTextForCTC:
        """The model that is trained, without the TCM and whatever wraps it."""
        return self.model.model

    # Evaluation

    def _get_eval_sampler(self, eval_dataset) -> list[int]:
        """Lines from wide to narrow, so that many of a batch have the same width."""
        if "width" not in eval_dataset.column_names:
            return list(range(len(eval_dataset)))
        return np.argsort(-np.asarray(eval_dataset["width"]), kind="stable").tolist()

    def evaluation_loop(self, dataloader, *args, **kwargs):
        """As Trainer's, with the averaged weights where there are any."""
        self.scorer.dataset = dataloader.dataset
        with self.averaged_weights():
            return super().evaluation_loop(dataloader, *args, **kwargs)

    def averaged_weights(self):
        """Context in which the recogniser has the average of its weights, if one is kept."""
        return nullcontext() if self.ema is None else self.ema.applied_to(self.recognizer)

    @torch.no_grad()
    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """
        Reads each line at its own padded width, so that what is read does not depend on the batch.

        Returns:
            No loss; the best class of each frame, `(batch_size, frames)`, -100 padded; the lines' `index`.
        """
        inputs = self._prepare_inputs(inputs)
        pixel_values, widths = inputs["pixel_values"], inputs["widths"]
        frames = self.recognizer.config.frames(pixel_values.shape[-1])
        classes = torch.full((len(widths), frames), -100, device=pixel_values.device)
        for width in widths.unique().tolist():
            rows = (widths == width).nonzero()[:, 0]
            best = model(pixel_values=self.of_one_width(pixel_values[rows, :, :, :width]))["logits"].argmax(-1)
            classes[rows, : best.shape[1]] = best
        return None, classes, inputs["index"]

    def of_one_width(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """The batch, compiled for its width alone: torch 2.13 cannot order strides that hold half a width."""
        if self.args.torch_compile:
            torch._dynamo.mark_static(pixel_values, 3)
        return pixel_values

    def evaluate(self, *args, **kwargs):
        """As Trainer's; during training the models with the best CER and the best WER so far are kept."""
        metrics = super().evaluate(*args, **kwargs)
        if self.is_in_train:
            for name in ("cer", "wer"):
                self.keep_best(name, metrics)
        return metrics

    def keep_best(self, name: str, metrics: dict[str, float]) -> None:
        """Saves the model to `best_<name>` in the output folder if its `eval_<name>` is the lowest so far."""
        score = metrics.get(f"eval_{name}", math.nan)
        folder = Path(self.args.output_dir) / f"best_{name}"
        if not score < self.best_score(folder, name) or not self.args.should_save:
            return
        try:
            with whole_folder(folder) as staging:
                self._save(str(staging))
                scores = {"step": self.state.global_step, **metrics}
                (staging / SCORES_FILE).write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        except WRITE_ERRORS as error:
            logger.error("The best model could not be written to %s and training goes on: %s", folder, error)

    def best_score(self, folder: Path, name: str) -> float:
        """Best score so far; a later step's does not count, which a run that was resumed earlier has yet to reach."""
        try:
            scores = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return math.inf
        return scores[f"eval_{name}"] if scores["step"] < self.state.global_step else math.inf

    # Checkpoints

    def _save(self, output_dir=None, state_dict=None):
        """Writes a folder that the pipeline loads: the recogniser, its average if one is kept, and its processor."""
        if not self.args.should_save:
            return
        output_dir = output_dir or self.args.output_dir
        with self.averaged_weights():
            self.recognizer.save_pretrained(output_dir)
        self.processing_class.save_pretrained(output_dir)

    def _get_output_dir(self, trial):
        return self.staging_dir or super()._get_output_dir(trial)

    def _save_checkpoint(self, model, trial):
        """As Trainer's, into a folder that is renamed when whole; a full disk does not end the training."""
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        output_dir = Path(super()._get_output_dir(trial))
        staging = output_dir / STAGING_DIR
        error = None
        try:
            self.staging_dir = str(staging)
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                save_training_weights(staging / name, self.recognizer, self.model.tcm, self.ema)
        except WRITE_ERRORS as write_error:
            error = write_error
            logger.error("Checkpoint %s could not be written and training goes on: %s", name, error)
        finally:
            self.staging_dir = None
        self._finish_checkpoint(staging, output_dir / name, error)

    def _finish_checkpoint(self, staging: Path, checkpoint: Path, error: Exception | None) -> None:
        failures = self.accelerator.reduce(torch.tensor(float(error is not None), device=self.args.device), "sum")
        if self.args.should_save:
            if not failures:
                replace_folder(staging / checkpoint.name, checkpoint)
                rotate_checkpoints(
                    str(checkpoint.parent), save_total_limit=self.args.save_total_limit, use_mtime=False
                )
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        """Weights, average and TCM; Trainer restores optimiser, schedule, order and random numbers."""
        folder = Path(resume_from_checkpoint)
        load_training_weights(folder, self.recognizer, self.model.tcm, self.ema)

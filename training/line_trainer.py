# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What no recipe changes: lines evaluated at their own width, the average, the best models, checkpoints."""

import copy
import json
import math
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import broadcast
from datasets import Dataset
from torch import nn
from transformers import Trainer, TrainerControl
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints
from transformers.utils import logging

from ..modeling_htr_convtext import HTRConvTextForCTC
from ..processing_htr_convtext import LABEL_PADDING
from .arguments import is_error_rate
from .checkpoints import (
    LEFT_PREFIX,
    WRITE_ERRORS,
    check_alphabet,
    damage_as_a_sentence,
    load_training_weights,
    replace_folder,
    save_training_weights,
    whole_folder,
)
from .collator import LineCollator
from .ema import ExponentialMovingAverage, copy_tensors
from .evaluation import LineScorer, rate_names

logger = logging.get_logger(__name__)

SCORES_FILE = "scores.json"
# Error rates by which the best models are kept.
BEST_BY = ("cer", "wer")
STAGING_DIR = ".incomplete"
# Options of torch's optimisers that say how a step is computed and not what it is; versions of torch add to them.
IMPLEMENTATION_OPTIONS = {"foreach", "fused", "maximize", "capturable", "differentiable", "decoupled_weight_decay"}


class LineTrainer(Trainer):
    """
    Trainer of a [`HTRConvTextWithTCM`]: reads lines for evaluation and writes folders that are whole or not there.

    Args:
        model: The module to train.
        args: Options.
        processing_class ([`HTRConvTextProcessor`]): The recogniser's processor, saved with it.
        **kwargs: Passed to Trainer. Datasets come from [`prepare_lines`]; of several evaluation datasets (a
            dictionary) the mean of their error rates counts. A `compute_metrics` of your own gives `cer` or `wer`, by
            which the best models are kept; by another metric, `metric_for_best_model` keeps the best checkpoint.

    Attributes:
        ema: The average of the weights, which evaluation and saving use, or `None`.
        scorer: What was read last, and how it is scored.
    """

    control: TrainerControl

    def __init__(self, model: nn.Module, args, processing_class, **kwargs):
        self.scorer = LineScorer(processing_class)
        collator = kwargs.pop("data_collator", None) or LineCollator(processing_class)
        if isinstance(collator, LineCollator) and not collator.identify_lines:
            collator = copy.copy(collator)
            collator.identify_lines = True
        kwargs["data_collator"] = collator
        kwargs.setdefault("compute_metrics", self.scorer)
        super().__init__(model=model, args=args, processing_class=processing_class, **kwargs)
        self._check_metric()
        self.label_names = ["index"]
        self.ema: ExponentialMovingAverage | None = None
        self.staging_dir: str | None = None

    @property
    def recognizer(self) -> HTRConvTextForCTC:
        """The model that is trained, without the TCM and whatever wraps it."""
        return self.model.model

    # Evaluation

    def _check_metric(self) -> None:
        """
        Raises:
            ValueError: If the lines have no such rate, which Trainer would only say when it has evaluated them.
        """
        metric, lines = self.args.metric_for_best_model, self.eval_dataset
        if metric is None or self.compute_metrics is not self.scorer or not isinstance(lines, Dataset):
            return
        names = rate_names(lines)
        if metric.removeprefix("eval_") not in names:
            raise ValueError(
                f"--metric_for_best_model {metric}: evaluating these lines gives {', '.join(sorted(names))}."
            )

    def _get_eval_sampler(self, eval_dataset) -> list[int]:
        """Lines from wide to narrow, so that many of a batch have the same width."""
        if "width" not in eval_dataset.column_names:
            return list(range(len(eval_dataset)))
        return np.argsort(-np.asarray(eval_dataset["width"]), kind="stable").tolist()

    def evaluation_loop(self, dataloader, *args, **kwargs):
        """As Trainer's, in every process with what the first one would save: averaged weights where there are any."""
        self.scorer.dataset = dataloader.dataset
        with self.averaged_weights(), self.statistics_of_first_process(), self.weights_as_they_are():
            return super().evaluation_loop(dataloader, *args, **kwargs)

    def averaged_weights(self):
        """Context in which the recogniser has the average of its weights, if one is kept."""
        return nullcontext() if self.ema is None else self.ema.applied_to(self.recognizer)

    @contextmanager
    @torch.no_grad()
    def statistics_of_first_process(self) -> Iterator[None]:
        """
        Context in which all processes have the batch norms' statistics of the first: in training, each one's are of
        lines of its own, and what is read would depend on which process reads it.
        """
        buffers = list(self.recognizer.buffers())
        own = [buffer.clone() for buffer in buffers]
        for buffer in buffers:
            buffer.copy_(broadcast(buffer.clone()))
        try:
            yield
        finally:
            copy_tensors(buffers, own)

    @contextmanager
    def weights_as_they_are(self) -> Iterator[None]:
        """
        Context after which the weights are those of before: for `--bf16_full_eval` and `--fp16_full_eval`, Trainer
        rounds the model itself, and would go on with it and save it.
        """
        parameters = [(parameter, parameter.data) for parameter in self.model.parameters()]
        buffers = [(module, dict(module._buffers)) for module in self.model.modules()]
        try:
            yield
        finally:
            for parameter, own in parameters:
                parameter.data = own
            for module, own in buffers:
                module._buffers.update(own)

    @torch.no_grad()
    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """
        Reads each line at its own padded width, so that what is read does not depend on the batch.

        Returns:
            No loss; the best class of each frame, `(batch_size, frames)`, -100 padded; the lines' `index`.

        Raises:
            ValueError: If the collator does not say which lines these are.
        """
        if missing := {"widths", "index"} - set(inputs):
            raise ValueError(
                f"The batch has no {' and no '.join(sorted(missing))}, without which evaluation does not know its "
                "lines. Use LineCollator with datasets from prepare_lines, or give the same from your collator."
            )
        inputs = self._prepare_inputs(inputs)
        pixel_values, widths = inputs["pixel_values"], inputs["widths"]
        frames = self.recognizer.config.frames(pixel_values.shape[-1])
        classes = torch.full((len(widths), frames), LABEL_PADDING, device=pixel_values.device)
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

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """
        As Trainer's. Several datasets add the means of their error rates, `eval_cer` and so on. During training the
        models with the best CER and the best WER so far are kept.
        """
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        datasets = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(datasets, dict):
            metrics |= self.log_means(metrics, list(datasets), metric_key_prefix)
        if self.is_in_train and metric_key_prefix == "eval":
            self.warn_without_best(metrics)
            for name in BEST_BY:
                self.keep_best(name, metrics)
        return metrics

    def log_means(self, metrics: dict[str, float], datasets: list[str], prefix: str) -> dict[str, float]:
        """Means over the datasets of the error rates that all of them have, logged and shown to the callbacks."""
        of_dataset = [f"{prefix}_{name}_" for name in datasets]
        rates = {
            key.removeprefix(of_dataset[0]) for key in metrics if key.startswith(of_dataset[0]) and is_error_rate(key)
        }
        means = {
            f"{prefix}_{rate}": statistics.fmean(metrics[name + rate] for name in of_dataset)
            for rate in sorted(rates)
            if all(name + rate in metrics for name in of_dataset)
        }
        self.log(dict(means))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics | means)
        return means

    def warn_without_best(self, metrics: dict[str, float]) -> None:
        """Says once that the user's own `compute_metrics` gives nothing by which a model would be the best."""
        known = any(f"eval_{name}" in metrics for name in BEST_BY)
        if not known and self.args.metric_for_best_model is None and self.args.should_save:
            logger.warning_once(
                f"compute_metrics gives no {' and no '.join(BEST_BY)}, and no best model is kept. Let it give one of "
                "them, or name another metric as metric_for_best_model, by which the best checkpoint is kept."
            )

    def keep_best(self, name: str, metrics: dict[str, float]) -> None:
        """
        Saves the model to `best_<name>` in the output folder if its `eval_<name>` is the lowest so far. One of a later
        step, which a run that was resumed earlier has yet to reach, does not count, but is set aside if it was lower.
        """
        score = metrics.get(f"eval_{name}", math.nan)
        folder = Path(self.args.output_dir) / f"best_{name}"
        kept, step = score_and_step(folder, name)
        later = step >= self.state.global_step
        if not score < (math.inf if later else kept) or not self.args.should_save:
            return
        try:
            with whole_folder(folder) as staging:
                self._save(str(staging))
                scores = {"step": self.state.global_step, **metrics}
                (staging / SCORES_FILE).write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
                if later and kept < score:
                    left = folder.with_name(LEFT_PREFIX + folder.name)
                    replace_folder(folder, left)
                    logger.warning(f"{left} is the best model of step {step}, before which the run was resumed.")
        except WRITE_ERRORS as error:
            logger.error("The best model could not be written to %s and training goes on: %s", folder, error)

    def warn_of_no_gain(self) -> None:
        """Says if no evaluation was better than the one before the first step (`eval_on_start`)."""
        for name in BEST_BY:
            folder = Path(self.args.output_dir) / f"best_{name}"
            if self.state.global_step and score_and_step(folder, name)[1] == 0:
                logger.warning(
                    f"No evaluation gave a lower {name.upper()} than the one before the first step: {folder} holds "
                    "the model that the training began with. Train longer, at a lower rate, or on more lines."
                )

    # Checkpoints

    def _save(self, output_dir=None, state_dict=None):
        """Writes a folder that the pipeline loads: the recogniser, its average if one is kept, and its processor."""
        if not self.args.should_save:
            return
        output_dir = output_dir or self.args.output_dir
        with self.averaged_weights():
            self.recognizer.save_pretrained(output_dir)
        self.processing_class.save_pretrained(output_dir)

    def save_model(self, output_dir=None, _internal_call=False):
        """As Trainer's; OSError that says what is lost, which is little, if the folder cannot be written."""
        try:
            super().save_model(output_dir, _internal_call)
        except WRITE_ERRORS as error:
            if _internal_call:  # For a checkpoint, without which training goes on.
                raise
            raise OSError(
                f"The model could not be written to {output_dir or self.args.output_dir} and is not whole there: "
                f"{error}. Checkpoints and best models in {self.args.output_dir} are whole, if there are any. Make "
                "room, then repeat the command with --resume_from_checkpoint."
            ) from error

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
                self.save_training_state(staging / name)
            if self.state.best_model_checkpoint == str(staging / name):
                self.state.best_model_checkpoint = str(output_dir / name)
                if self.args.should_save:
                    self.state.save_to_json(str(staging / name / TRAINER_STATE_NAME))
        except WRITE_ERRORS as write_error:
            error = write_error
            logger.error("Checkpoint %s could not be written and training goes on: %s", name, error)
        finally:
            self.staging_dir = None
        self._finish_checkpoint(staging, output_dir / name, error)

    def save_training_state(self, folder: Path) -> None:
        """Writes what resuming needs beside what Trainer writes."""
        save_training_weights(folder, self.recognizer, self.model.tcm, self.ema)

    def _finish_checkpoint(self, staging: Path, checkpoint: Path, error: Exception | None) -> None:
        failures = self.accelerator.reduce(torch.tensor(float(error is not None), device=self.args.device), "sum")
        if self.args.should_save:
            if not failures:
                replace_folder(staging / checkpoint.name, checkpoint)
                rotate_checkpoints(
                    str(checkpoint.parent), self.args.save_total_limit, self.state.best_model_checkpoint
                )
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        """Weights, average and TCM; Trainer restores optimiser, schedule, order and random numbers."""
        folder = Path(resume_from_checkpoint)
        check_alphabet(folder, self.processing_class.tokenizer)
        load_training_weights(folder, self.recognizer, self.model.tcm, self.ema)

    def _load_rng_state(self, checkpoint):
        with damage_as_a_sentence(checkpoint or ""):
            super()._load_rng_state(checkpoint)

    def _init_training_state(self, max_steps, *args, **kwargs):
        """As Trainer's, but logging, evaluation and checkpoints come at the steps asked for now."""
        progress = super()._init_training_state(max_steps, *args, **kwargs)
        self.state.compute_steps(self.args, max_steps)
        return progress

    def _run_epoch(self, *args, **kwargs):
        """As Trainer's, which would take one step more in a run that has had its steps when it is resumed."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **kwargs)
            return
        logger.warning(f"The run has had its {self.state.max_steps} steps and takes no more.")
        self.control.should_training_stop = True

    def _load_optimizer_and_scheduler(self, checkpoint):
        """As Trainer's, but learning rates, weight decay and whatever else is an option are those asked for now."""
        if checkpoint is None or self.is_deepspeed_enabled or not self._created_lr_scheduler:
            with damage_as_a_sentence(checkpoint or ""):
                super()._load_optimizer_and_scheduler(checkpoint)
            return
        options = [
            {name: value for name, value in group.items() if name != "params"} for group in self.optimizer.param_groups
        ]
        base_lrs = self.lr_scheduler.base_lrs
        with damage_as_a_sentence(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)
        check_same_optimizer(self.optimizer.param_groups, options, checkpoint)
        for group, asked in zip(self.optimizer.param_groups, options, strict=True):
            group.update(asked)
        scheduler = self.lr_scheduler
        scheduler.base_lrs = base_lrs
        scheduler._last_lr = [
            rate * factor(scheduler.last_epoch) for rate, factor in zip(base_lrs, scheduler.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, scheduler._last_lr, strict=True):
            group["lr"] = rate


def score_and_step(folder: Path, name: str) -> tuple[float, int]:
    """Score of a best model and the step that it is of; of none, the worst and the earliest."""
    try:
        scores = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return math.inf, -1
    return scores[f"eval_{name}"], scores["step"]


def check_same_optimizer(loaded: list[dict], asked: list[dict], checkpoint: str) -> None:
    """
    Raises:
        ValueError: If the state of the checkpoint is another optimiser's, by the names of its options.
    """
    for old, new in zip(loaded, asked, strict=True):
        if (set(old) ^ set(new)) - {"params", *IMPLEMENTATION_OPTIONS}:
            raise ValueError(
                f"{checkpoint} was trained with another optimiser (--optim, --muon). Resume with the one it was "
                "started with."
            )

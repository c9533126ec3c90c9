# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The Trainer of the paper's recipe: CTC and TCM losses, SAM, EMA, and evaluation of lines at their own width."""

import json
import math
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import DistributedType
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, IntervalStrategy, SaveStrategy, rotate_checkpoints
from transformers.utils import logging

from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from .arguments import CLOCKS, HTRConvTextTrainingArguments
from .checkpoints import (
    WRITE_ERRORS,
    find_checkpoint,
    load_training_weights,
    replace_folder,
    save_training_weights,
    whole_folder,
)
from .collator import LineCollator
from .ema import EMACallback, ExponentialMovingAverage
from .evaluation import LineScorer
from .joint_model import HTRConvTextWithTCM
from .sam import perturbed
from .sampler import EpochCallback, LineSampler
from .schedule import make_scheduler

logger = logging.get_logger(__name__)

SCORES_FILE = "scores.json"
STAGING_DIR = ".incomplete"


class HTRConvTextTrainer(Trainer):
    """
    Trains a recogniser by the paper's recipe inside transformers' Trainer.

    Args:
        model: The recogniser.
        args: Options.
        processing_class ([`HTRConvTextProcessor`]): Its processor, saved with it.
        tcm: The Textual Context Module to start from; by default a new one, unless `args.tcm_weight` is 0. Its
            parameters are optimised, checkpoints keep it in a file of its own, and the saved model never has it.
        **kwargs: Passed to Trainer. Datasets come from [`prepare_lines`].
    """

    # compute_loss divides by the lines and positions of the whole accumulated global batch.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: HTRConvTextForCTC,
        args: HTRConvTextTrainingArguments,
        processing_class,
        tcm: HTRConvTextTCM | None = None,
        **kwargs,
    ):
        check_devices(args)
        if args.tcm_weight and tcm is None:
            tcm = HTRConvTextTCM(model.config)
        joint = HTRConvTextWithTCM(model, tcm if args.tcm_weight else None, args.freeze_batch_norm)
        if args.sync_batch_norm:
            joint = nn.SyncBatchNorm.convert_sync_batchnorm(joint)
        kwargs.setdefault("data_collator", LineCollator(processing_class))
        self.scorer = LineScorer(processing_class)
        kwargs.setdefault("compute_metrics", self.scorer)
        super().__init__(model=joint, args=args, processing_class=processing_class, **kwargs)
        self.label_names = ["index"]
        self.augmentation = args.make_augmentation()
        self.ema: ExponentialMovingAverage | None = None
        self.loss_sums: dict[str, torch.Tensor] = {}
        self.loss_steps = 0
        self.micro_batches: list = []
        self.in_second_pass = False
        self.clock = CLOCKS[args.time_limit_clock]
        self.train_started = 0.0
        self.staging_dir: str | None = None
        if args.max_train_minutes:
            self.add_callback(TimeLimitCallback(self))

    @property
    def recognizer(self) -> HTRConvTextForCTC:
        """The model that is trained, without the TCM and whatever wraps it."""
        return self.model.model

    # Training

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """As Trainer's, but from whole checkpoints only, with the average of the weights kept."""
        self.train_started = self.clock()
        if resume_from_checkpoint:
            resume_from_checkpoint = find_checkpoint(resume_from_checkpoint, self.args.output_dir)
        if self.args.ema_decay:
            self.ema = ExponentialMovingAverage(self.recognizer, self.args.ema_decay)
            self.remove_callback(EMACallback)
            self.add_callback(EMACallback(self))
        return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """Augments the batches of an optimiser step, and counts its lines and real positions over all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.micro_batches = [self._augment(self._prepare_inputs(batch), i) for i, batch in enumerate(batches)]
        counts = [(len(batch["labels"]), int((batch["labels"] >= 0).sum())) for batch in self.micro_batches]
        totals = torch.tensor(counts, dtype=torch.float64).sum(0).to(torch.float32).to(device)
        return self.micro_batches, self.accelerator.reduce(totals, "sum")

    def _augment(self, batch, number):
        if self.augmentation is None:
            return batch
        # Seeded by the place in the training, so that it does not depend on workers and goes on after a resume.
        place = (self.args.seed, self.state.global_step, number, self.args.process_index)
        seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1)
        generator = torch.Generator().manual_seed(seed)
        return {**batch, "pixel_values": self.augmentation(batch["pixel_values"], generator)}

    def training_step(self, model, inputs, num_items_in_batch=None):
        """One forward and backward pass; after a step's last one, SAM's second pass over all accumulated batches."""
        try:
            loss = super().training_step(model, inputs, num_items_in_batch)
            self._check_loss(loss, inputs)
            if self.args.sam_rho and self.accelerator.gradient_state.sync_gradients:
                self._sharpness_step(model, num_items_in_batch)
        except (RuntimeError, MemoryError) as error:
            if self.args.auto_find_batch_size or not should_reduce_batch_size(error):
                raise
            raise MemoryError(self._memory_advice(inputs)) from error
        return loss

    def _sharpness_step(self, model, num_items_in_batch):
        """
        Replaces the accumulated gradient by the one at the perturbed point (paper's recipe; arXiv 2010.01412).

        With several processes the perturbation uses the averaged gradient, which is the same everywhere, so that n
        processes compute what one would with the whole batch. Batch norm statistics move and dropout is drawn in both
        passes, as in the recipe.
        """
        with perturbed(self.model.parameters(), self.args.sam_rho) as moved:
            if not moved:
                return  # The overflow is still in the gradient, and the gradient scaler leaves this step out.
            model.zero_grad()
            self.in_second_pass = True
            try:
                for i, inputs in enumerate(self.micro_batches):
                    last = i == len(self.micro_batches) - 1
                    with nullcontext() if last else self.accelerator.no_sync(model=model):
                        super().training_step(model, inputs, num_items_in_batch)
            finally:
                self.in_second_pass = False

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """
        `ctc_weight * CTC + tcm_weight * TCM`: the mean over the lines, and that over the real positions, of the global
        batch. The sums are multiplied by the number of processes, because gradients are averaged over them.
        """
        losses = model(pixel_values=inputs["pixel_values"], labels=inputs["labels"])
        lines, positions = num_items_in_batch
        world_size = self.accelerator.num_processes
        if self.recognizer.config.ctc_loss_reduction == "sum":
            lines = torch.ones_like(lines)
        ctc = losses["ctc"] * world_size / lines
        tcm = losses["tcm"] * world_size / positions
        if not self.in_second_pass:
            self._add_losses(ctc=ctc, tcm=tcm)
        return self.args.ctc_weight * ctc + self._tcm_weight() * tcm

    def _tcm_weight(self) -> float:
        warmup = self.args.tcm_warmup_steps
        ramp = min((self.state.global_step + 1) / (warmup + 1), 1.0)
        return self.args.tcm_weight * ramp

    def _add_losses(self, **losses):
        for name, loss in losses.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0.0) + loss.detach()
        self.loss_steps += bool(self.accelerator.gradient_state.sync_gradients)

    def log(self, logs, start_time=None):
        """Adds the two losses, each before its weight, to what Trainer logs of training."""
        if "loss" in logs and self.loss_steps:
            for name, total in self.loss_sums.items():
                logs[f"{name}_loss"] = self.accelerator.reduce(total, "mean").item() / self.loss_steps
            self.loss_sums, self.loss_steps = {}, 0
        super().log(logs, start_time)

    def _check_loss(self, loss, inputs):
        if torch.isfinite(loss):
            return
        dataset = self.train_dataset
        row_of = {value: row for row, value in enumerate(dataset["index"])} if "index" in inputs else {}
        lines = [dataset[row_of[int(value)]]["line_id"] for value in inputs.get("index", [])]
        images = "finite" if torch.isfinite(inputs["pixel_values"]).all() else "not finite (NaN or infinity)"
        raise FloatingPointError(
            f"The loss of step {self.state.global_step + 1} is {loss.item()}; the batch's images are {images}. "
            f"Checkpoints in {self.args.output_dir} are untouched. Check these lines, or train with a lower "
            f"--learning_rate or with --max_grad_norm 1: {', '.join(lines)}"
        )

    def _memory_advice(self, inputs) -> str:
        shape = tuple(inputs["pixel_values"].shape)
        return (
            f"Out of memory at step {self.state.global_step + 1} with a batch of shape {shape}. Checkpoints in "
            f"{self.args.output_dir} are untouched. Lower --per_device_train_batch_size (now "
            f"{self.args.per_device_train_batch_size}) and raise --gradient_accumulation_steps by as much, or use "
            "--bf16 or --activation_checkpointing; then go on with --resume_from_checkpoint."
        )

    # Optimiser, schedule, order

    def get_decay_parameter_names(self, model):
        """All of them: the recipe decays every parameter."""
        return [name for name, _ in model.named_parameters()]

    def create_scheduler(self, num_training_steps, optimizer=None):
        """The recipe's schedule instead of Trainer's."""
        if self.lr_scheduler is None:
            self.lr_scheduler = make_scheduler(
                optimizer or self.optimizer,
                num_training_steps,
                self.args.get_warmup_steps(num_training_steps),
                self.args.min_learning_rate,
                self.args.lr_schedule,
                self.time_used,
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def time_used(self) -> float:
        """Share of `max_train_minutes` that has passed; 0 without a limit."""
        if not self.args.max_train_minutes:
            return 0.0
        return min((self.clock() - self.train_started) / (60 * self.args.max_train_minutes), 1.0)

    def _get_train_sampler(self, train_dataset=None) -> Sampler | None:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        strategy = self.args.train_sampling_strategy
        if strategy not in ("random", "group_by_length"):
            return super()._get_train_sampler(dataset)
        column = self.args.length_column_name
        grouped = strategy == "group_by_length" and column in dataset.column_names
        sampler = LineSampler(
            len(dataset),
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            widths=list(dataset[column]) if grouped else None,
            batch_size=self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size,
        )
        self.remove_callback(EpochCallback)
        self.add_callback(EpochCallback(sampler))
        return sampler

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
            best = model(pixel_values=pixel_values[rows, :, :, :width])["logits"].argmax(-1)
            classes[rows, : best.shape[1]] = best
        return None, classes, inputs["index"]

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
            remove_folder(staging)
        self.accelerator.wait_for_everyone()

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        """Weights, average and TCM; Trainer restores optimiser, schedule, order and random numbers."""
        folder = Path(resume_from_checkpoint)
        load_training_weights(folder, self.recognizer, self.model.tcm, self.ema)


class TimeLimitCallback(TrainerCallback):
    """
    Ends training when its time is used up.

    Args:
        trainer: The trainer, which knows the time.
    """

    def __init__(self, trainer: HTRConvTextTrainer):
        self.trainer = trainer

    def on_step_end(self, args, state, control, **kwargs):
        if self.trainer.time_used() >= 1.0:
            control.should_training_stop = control.should_log = True
            control.should_evaluate = args.eval_strategy != IntervalStrategy.NO
            control.should_save = args.save_strategy != SaveStrategy.NO


def check_devices(args: HTRConvTextTrainingArguments) -> None:
    """
    Raises:
        ValueError: If the options ask for something that does not work on these devices.
    """
    if args.n_gpu > 1:
        raise ValueError(
            f"{args.n_gpu} GPUs are visible to one process. Start one process for each with `accelerate launch "
            "--multi_gpu`, or choose one with CUDA_VISIBLE_DEVICES."
        )
    if args.sync_batch_norm and args.device.type != "cuda":
        raise ValueError(f"--sync_batch_norm works on GPUs only; this is {args.device}.")
    distributed = args.distributed_state.distributed_type if args.distributed_state is not None else None
    if args.sam_rho and distributed in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise ValueError(f"SAM does not work with {distributed}. Launch with --multi_gpu (DDP), or set --sam_rho 0.")


def remove_folder(folder: Path) -> None:
    """Removes a folder with all that is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)

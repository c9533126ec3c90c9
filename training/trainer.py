# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The Trainer of the paper's recipe: losses, SAM, EMA, augmentation, learning rates, order of the lines."""

from contextlib import nullcontext

import numpy as np
import torch
from accelerate.utils import DistributedType
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn
from torch.utils.data import Sampler
from transformers.utils import logging

from ..decoding_htr_convtext import frames_needed
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from .arguments import DRAWING_STRATEGIES, HTRConvTextTrainingArguments
from .checkpoints import LEFT_PREFIX, find_checkpoint, leave_later_checkpoints
from .ema import EMACallback, ExponentialMovingAverage
from .fast_modules import made_fast
from .joint_model import HTRConvTextWithTCM
from .line_trainer import LineTrainer
from .muon import MuonAdamW
from .precision import cpu_has_bfloat16
from .sam import perturbed
from .sampler import EpochCallback, LineSampler, line_weights
from .schedule import make_scheduler
from .time_limit import TimeLimitCallback

logger = logging.get_logger(__name__)


class HTRConvTextTrainer(LineTrainer):
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
        if hasattr(model, "peft_config"):
            raise ValueError(
                "The model has adapters (PEFT), without which its checkpoints and best models would be no whole ones. "
                "Train them with transformers' Trainer and LineCollator, or make them part of the weights first: "
                "model.merge_and_unload()."
            )
        if kwargs.get("compute_loss_func") is not None:
            raise ValueError("The losses are CTC and TCM: compute_loss_func is not supported. Override compute_loss.")
        if args.bf16 and args.device.type == "cpu" and not cpu_has_bfloat16():
            logger.warning(
                "--bf16: this processor has no units for bfloat16 and will train several times slower than without."
            )
        if args.tcm_weight and tcm is None:
            tcm = HTRConvTextTCM(model.config)
        joint = HTRConvTextWithTCM(model, tcm if args.tcm_weight else None, args.freeze_batch_norm)
        if args.sync_batch_norm:
            joint = nn.SyncBatchNorm.convert_sync_batchnorm(joint)
        super().__init__(model=joint, args=args, processing_class=processing_class, **kwargs)
        self.augmentation = args.make_augmentation()
        self.loss_sums: dict[str, torch.Tensor] = {}
        self.loss_steps = 0
        self.micro_batches: list = []
        self.in_second_pass = False
        self.time_limit = TimeLimitCallback(self.accelerator, args.max_train_minutes, args.time_limit_clock)
        self.add_callback(self.time_limit)

    # Training

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """As Trainer's, but from whole checkpoints only, with the average of the weights kept."""
        if resume_from_checkpoint:
            resume_from_checkpoint = find_checkpoint(resume_from_checkpoint, self.args.output_dir)
            self._leave_later_checkpoints(resume_from_checkpoint)
        self.time_limit.start(resume_from_checkpoint or None)
        if self.args.ema_decay:
            self.ema = ExponentialMovingAverage(self.recognizer, self.args.ema_decay, self.args.ema_warmup)
            self.remove_callback(EMACallback)
            self.add_callback(EMACallback(self))
        on_cpu = self.args.device.type == "cpu" and not self.args.torch_compile
        with made_fast(self.model) if on_cpu else nullcontext():
            return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    def _leave_later_checkpoints(self, checkpoint: str) -> None:
        if self.args.should_save and (left := leave_later_checkpoints(checkpoint, self.args.output_dir)):
            logger.warning(
                f"The run goes on from {checkpoint}. What came after it is set aside under the names "
                f"{', '.join(LEFT_PREFIX + name for name in left)} in {self.args.output_dir} and may be deleted."
            )

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
        # Of a line with fewer frames than its label needs, CTC has no loss, and nothing would be learnt from it.
        labels = ([token_id for token_id in label if token_id >= 0] for label in batch["labels"].tolist())
        frames = max(map(frames_needed, labels))
        least_width = frames * self.recognizer.config.frame_stride
        return {**batch, "pixel_values": self.augmentation(batch["pixel_values"], generator, least_width)}

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
        losses = model(pixel_values=self.of_one_width(inputs["pixel_values"]), labels=inputs["labels"])
        lines, positions = num_items_in_batch
        world_size = self.accelerator.num_processes
        ctc = losses["ctc"] * world_size / self.model.lines_averaged(lines)
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

    def save_training_state(self, folder):
        super().save_training_state(folder)
        self.time_limit.save(folder)

    def _init_training_state(self, max_steps, *args, **kwargs):
        """As Trainer's, but shares of a training that time is to end are of its time, too."""
        progress = super()._init_training_state(max_steps, *args, **kwargs)
        self.time_limit.take_shares(self.args, self.state)
        return progress

    def _run_epoch(self, *args, **kwargs):
        """As Trainer's, which would take one step more in a run that has had its time when it is resumed."""
        if self.time_limit.share_used() < 1.0:
            super()._run_epoch(*args, **kwargs)
            return
        self.time_limit.has_ended_run = True
        self.control.should_training_stop = True

    # Optimiser, schedule, order

    def get_decay_parameter_names(self, model):
        """All of them: the recipe decays every parameter."""
        return [name for name, _ in model.named_parameters()]

    def create_optimizer(self, model=None):
        """Muon where it is asked for; else Trainer's."""
        if self.args.muon and self.optimizer is None:
            self.optimizer = MuonAdamW(
                self.model,
                self.recognizer.ctc_head.weight,
                dtype=torch.bfloat16 if self.args.bf16 else torch.float32,
                lr=self.args.learning_rate,
                betas=(self.args.adam_beta1, self.args.adam_beta2),
                eps=self.args.adam_epsilon,
                weight_decay=self.args.weight_decay,
            )
        return super().create_optimizer(model)

    def create_scheduler(self, num_training_steps, optimizer=None):
        """The recipe's schedule instead of Trainer's."""
        if self.lr_scheduler is None:
            warmup_steps = self.args.get_warmup_steps(num_training_steps)
            if self.args.warmup_steps >= num_training_steps:
                logger.warning(
                    f"--warmup_steps {warmup_steps} are all of the {num_training_steps} steps, and the learning rate "
                    "never falls. A share, such as --warmup_steps 0.1, fits any length."
                )
            self.lr_scheduler = make_scheduler(
                optimizer or self.optimizer,
                num_training_steps,
                warmup_steps,
                self.args.min_learning_rate,
                self.args.lr_schedule,
                self.time_limit.share_used,
                warmup_is_share=self.args.warmup_steps < 1,
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset=None) -> Sampler | None:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        strategy = self.args.train_sampling_strategy
        if strategy not in DRAWING_STRATEGIES:
            return super()._get_train_sampler(dataset)
        column = self.args.length_column_name
        grouped = strategy == "group_by_length" and column in dataset.column_names
        if strategy == "group_by_length" and not grouped:
            logger.warning(
                f"The training lines have no column {column!r} (--length_column_name), so that batches hold lines of "
                "any width."
            )
        sampler = LineSampler(
            len(dataset),
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            widths=list(dataset[column]) if grouped else None,
            batch_size=self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size,
            weights=self._line_weights(dataset),
        )
        self.remove_callback(EpochCallback)
        self.add_callback(EpochCallback(sampler))
        return sampler

    def _line_weights(self, dataset) -> list[float] | None:
        """How often each line is drawn, where that differs: by its source and writer as far as the lines tell them."""
        columns = [name for name in ("source", "writer") if name in dataset.column_names]
        if self.args.source_temperature == 1 or not columns:
            return None
        nobody = [None] * len(dataset)
        sources, writers = (list(dataset[name]) if name in columns else nobody for name in ("source", "writer"))
        return line_weights(sources, writers, self.args.source_temperature)


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
    if args.fp16 and args.device.type == "cpu":
        raise ValueError("--fp16 works on GPUs only; on a CPU accelerate would leave it out. Use --bf16 or neither.")
    if args.sync_batch_norm and args.device.type != "cuda":
        raise ValueError(f"--sync_batch_norm works on GPUs only; this is {args.device}.")
    distributed = args.distributed_state.distributed_type if args.distributed_state is not None else None
    if args.sam_rho and distributed in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise ValueError(f"SAM does not work with {distributed}. Launch with --multi_gpu (DDP), or set --sam_rho 0.")

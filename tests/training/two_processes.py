# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Two runs of train_hf.py for one `accelerate launch`, which takes long to start: as it is, and where each process has a
clock of its own speed. Of the second, each process writes the learning rates and the weights that it trained with, and
the batch norms' statistics that it evaluates with although its own are others: rank_0.safetensors, rank_1.safetensors.

accelerate launch ... two_processes.py train_hf.py PLAIN.json CLOCKS.json, each a list of the run's options
"""

import itertools
import json
import runpy
import sys
from pathlib import Path
from unittest import mock

import torch
from accelerate import Accelerator, PartialState
from safetensors.torch import save_file
from transformers import TrainerCallback

from htr_convtext.training import HTRConvTextTrainer
from htr_convtext.training.time_limit import CLOCKS


class RateRecorder(TrainerCallback):
    def __init__(self):
        self.rates: list[float] = []

    def on_step_begin(self, args, state, control, optimizer=None, **kwargs):
        self.rates.append(optimizer.param_groups[0]["lr"])


class TellingTrainer(HTRConvTextTrainer):
    def train(self, **kwargs):
        recorder = RateRecorder()
        self.add_callback(recorder)
        result = super().train(**kwargs)
        told = {name: tensor.detach().contiguous() for name, tensor in self.model.named_parameters()}
        told["rates"] = torch.tensor(recorder.rates, dtype=torch.float64)
        for buffer in (*self.recognizer.buffers(), *self.ema.module.buffers()):
            buffer.add_(self.args.process_index)
        self.evaluate(self.train_dataset)
        told |= self.evaluated_with
        save_file(told, Path(self.args.output_dir) / f"rank_{self.args.process_index}.safetensors")
        return result

    def prediction_step(self, *args, **kwargs):
        self.evaluated_with = {name: buffer.clone() for name, buffer in self.recognizer.named_buffers()}
        return super().prediction_step(*args, **kwargs)


def run(script: str, options: str) -> None:
    sys.argv = [script, *json.loads(Path(options).read_text(encoding="utf-8"))]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    import htr_convtext.training as training

    script, plain, clocks = sys.argv[1:]
    with mock.patch.object(Accelerator, "end_training"):  # It would leave no processes for the second run.
        run(script, plain)
    # Every look at the clock costs a second in the first process, and three in the second.
    CLOCKS["wall"] = itertools.count(0, 1 + 2 * PartialState().process_index).__next__
    training.HTRConvTextTrainer = TellingTrainer
    run(script, clocks)

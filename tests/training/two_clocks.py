# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
train_hf.py for `accelerate launch`, where each process has a clock of its own speed. Each writes the learning rates
and the weights that it trained with: rank_0.safetensors, rank_1.safetensors.
"""

import itertools
import runpy
import sys
from pathlib import Path

import torch
from accelerate import PartialState
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
        save_file(told, Path(self.args.output_dir) / f"rank_{self.args.process_index}.safetensors")
        return result


if __name__ == "__main__":
    import htr_convtext.training as training

    # Every look at the clock costs a second in the first process, and three in the second.
    CLOCKS["wall"] = itertools.count(0, 1 + 2 * PartialState(cpu=True).process_index).__next__
    training.HTRConvTextTrainer = TellingTrainer
    script, *sys.argv[1:] = sys.argv[1:]
    runpy.run_path(script, run_name="__main__")

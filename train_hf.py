# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Trains or fine-tunes HTR-ConvText on lines of handwriting, by the paper's recipe, inside transformers' Trainer.

    accelerate launch train_hf.py --dataset lines --data_dir my_lines --size tiny --output_dir runs/mine --bf16
    accelerate launch train_hf.py recipes/paper.yaml --dataset iam --data_dir path/to/iam --output_dir runs/iam

A recipe, a YAML or JSON file, sets any option; what follows on the command line wins. `--help` lists the options.
Without --do_train, --do_eval or --do_predict it trains.
"""

import json
import logging
import sys
from pathlib import Path

import transformers
from transformers import set_seed

from htr_convtext.console import print_any_character
from htr_convtext.extras import needing

with needing("train_hf.py", "train"):
    from datasets import Dataset

    from htr_convtext.hub_upload.draft_card import write_draft_cards
    from htr_convtext.training import (
        DataArguments,
        HTRConvTextTrainer,
        HTRConvTextTrainingArguments,
        ModelArguments,
        check_output_dir,
        ending_with_a_sentence,
        keep_freed_memory,
        load_model,
        load_splits,
        parse_arguments,
        prepare_splits,
        settle_validation,
        taken,
        write_evaluation,
        write_learning_curves,
    )


def main() -> None:
    model_args, data_args, args = parse_arguments(sys.argv[1:])
    set_up_process(args)
    with ending_with_a_sentence(args), taken(args):
        run(model_args, data_args, args)


def run(model_args: ModelArguments, data_args: DataArguments, args: HTRConvTextTrainingArguments) -> None:
    # 1. Lines, vocabulary, model
    check_output_dir(args)
    lines = load_splits(data_args)
    settle_validation(lines, args)
    processor, model, tcm = load_model(model_args, data_args, args, lines)
    prepared = prepare_splits(lines, processor, model.config, data_args, args)

    # 2. Trainer
    trainer = HTRConvTextTrainer(
        model=model,
        args=args,
        processing_class=processor,
        tcm=tcm,
        train_dataset=prepared.get("train"),
        eval_dataset=prepared.get("validation"),
    )

    # 3. Training
    if args.do_train:
        train(trainer, args)

    # 4. Evaluation
    measured = [split for split, wanted in (("validation", args.do_eval), ("test", args.do_predict)) if wanted]
    for split in measured:
        evaluate(trainer, prepared[split], lines[split], split)

    # 5. A draft of the model's card, which sharing it needs
    if args.do_train and trainer.is_world_process_zero():
        data = (data_args.data_dir if data_args.dataset == "lines" else []) or [data_args.dataset]
        numbers = lines.num_rows | {"train": len(prepared["train"])}
        write_draft_cards(Path(args.output_dir), model_args.model_name_or_path, data, numbers, sys.argv, measured)
    if trainer.time_limit.has_ended_run and trainer.is_world_process_zero():
        print(trainer.time_limit.last_words(trainer.state))
    trainer.accelerator.end_training()


def set_up_process(args: HTRConvTextTrainingArguments) -> None:
    print_any_character()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    transformers.utils.logging.set_verbosity(args.get_process_log_level())
    set_seed(args.seed)
    if args.device.type == "cpu":
        keep_freed_memory()


def train(trainer: HTRConvTextTrainer, args: HTRConvTextTrainingArguments) -> None:
    """Trains, and writes the model, its metrics and its learning curves."""
    result = trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()
    result.metrics["train_samples"] = len(trainer.train_dataset)
    trainer.log_metrics("train", result.metrics)
    trainer.save_metrics("train", result.metrics)
    trainer.save_state()
    if trainer.is_world_process_zero():
        write_learning_curves(trainer.state.log_history, args.output_dir)
        trainer.warn_of_no_gain()


def evaluate(trainer: HTRConvTextTrainer, prepared: Dataset, lines: Dataset, split: str) -> None:
    """Reads a split and writes its metrics, every line's reading, and the report."""
    metrics = trainer.predict(prepared, metric_key_prefix=split).metrics
    trainer.log_metrics(split, metrics)
    trainer.save_metrics(split, metrics)
    if trainer.is_world_process_zero():
        folder = Path(trainer.args.output_dir)
        write_evaluation(folder, split, trainer.scorer.lines, lines, metrics)
        rates = {name: metrics[f"{split}_{name}"] for name in ("cer", "wer", "wer_whitespace")}
        print(json.dumps({"split": split, **rates}))


if __name__ == "__main__":
    main()

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Trains or fine-tunes HTR-ConvText on lines of handwriting, by the paper's recipe, inside transformers' Trainer.

    accelerate launch train_hf.py --dataset lines --data_dir my_lines --size tiny --output_dir runs/mine --bf16
    accelerate launch train_hf.py recipes/iam.yaml --data_dir path/to/iam --output_dir runs/iam

A YAML file sets any option; what follows on the command line wins. `--help` lists the options. Without --do_train,
--do_eval or --do_predict it trains.
"""

import json
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path

import transformers
import yaml
from datasets import Dataset, DatasetDict
from transformers import HfArgumentParser, set_seed

from htr_convtext import (
    ALPHABETS,
    SIZES,
    HTRConvTextConfig,
    HTRConvTextForCTC,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTCM,
    HTRConvTextTokenizer,
)
from htr_convtext.line_datasets import load_lines
from htr_convtext.line_datasets.command_line import named_options
from htr_convtext.training import (
    HTRConvTextTrainer,
    HTRConvTextTrainingArguments,
    checkpoints,
    extend_vocabulary,
    keep_freed_memory,
    load_tcm,
    prepare_lines,
    write_evaluation,
    write_learning_curves,
)

logger = logging.getLogger(__name__)


@dataclass
class ModelArguments:
    """What to train."""

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Model to start from, with its processor; by default a new one of --size."}
    )
    size: str = field(default="base", metadata={"help": "Size of a new model.", "choices": list(SIZES)})
    extend_alphabet: bool = field(
        default=False,
        metadata={"help": "Give characters that --model_name_or_path does not know classes of their own."},
    )
    keep_aspect_ratio: bool = field(
        default=False, metadata={"help": "New model: lines keep a width of their own instead of 512 pixels."}
    )
    image_width: int = field(default=512, metadata={"help": "New model: largest width in pixels."})
    pad_to_multiple_of: int = field(
        default=64, metadata={"help": "New model, --keep_aspect_ratio: widths are padded to a multiple of this."}
    )
    autocontrast_cutoff: list[float] | None = field(
        default=None,
        metadata={"help": "New model: percent of a line's darkest and lightest pixels that become ink and paper."},
    )
    hidden_dropout_prob: float = field(default=0.1, metadata={"help": "New model: dropout."})
    attention_probs_dropout_prob: float = field(default=0.1, metadata={"help": "New model: on attention weights."})
    drop_path_rate: float = field(default=0.1, metadata={"help": "New model: stochastic depth of the last layer."})
    tcm_context_size: int = field(default=5, metadata={"help": "New model: characters of context on either side."})
    tcm_dropout_prob: float = field(default=0.1, metadata={"help": "New model: dropout in the TCM."})


@dataclass
class DataArguments:
    """What to train on."""

    dataset: str = field(default="lines", metadata={"help": "lines (folders of images), iam, lam, read2016, vnondb."})
    data_dir: list[str] = field(
        default_factory=list, metadata={"help": "Folder of the dataset, or several; default: its copy on the Hub."}
    )
    dataset_option: list[str] = field(
        default_factory=list, metadata={"help": "Options of the dataset as NAME=VALUE, such as transcription=laia."}
    )
    max_train_lines: int | None = field(default=None, metadata={"help": "Train on the first lines only."})
    max_eval_lines: int | None = field(default=None, metadata={"help": "Evaluate on the first lines only."})
    preprocessing_num_workers: int | None = field(
        default=None, metadata={"help": "Processes that decode and resize the images before training."}
    )


def main() -> None:
    model_args, data_args, training_args = parse_arguments(sys.argv[1:])
    # 1. Logging, and the folder of another run
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    transformers.utils.logging.set_verbosity(training_args.get_process_log_level())
    check_output_dir(training_args)
    set_seed(training_args.seed)

    if training_args.device.type == "cpu":
        keep_freed_memory()

    # 2. Lines, vocabulary, model
    lines = load_splits(data_args)
    if training_args.do_train and "validation" not in lines:
        logger.warning("The data has no validation split: nothing tells how good the model gets.")
        training_args.do_eval, training_args.eval_strategy, training_args.eval_on_start = False, "no", False
    processor, model, tcm = load_model(model_args, data_args, training_args, lines)
    prepared = prepare_splits(lines, processor, model.config, data_args, training_args)

    # 3. Trainer
    trainer = HTRConvTextTrainer(
        model=model,
        args=training_args,
        processing_class=processor,
        tcm=tcm,
        train_dataset=prepared.get("train"),
        eval_dataset=prepared.get("validation"),
    )

    # 4. Training
    if training_args.do_train:
        train(trainer, training_args)

    # 5. Evaluation
    for split, wanted in (("validation", training_args.do_eval), ("test", training_args.do_predict)):
        if wanted:
            evaluate(trainer, prepared[split], lines[split], split)
    trainer.accelerator.end_training()


def parse_arguments(arguments: list[str]) -> tuple[ModelArguments, DataArguments, HTRConvTextTrainingArguments]:
    """Options from an optional leading YAML file and the command line, which wins."""
    parser = HfArgumentParser((ModelArguments, DataArguments, HTRConvTextTrainingArguments))
    asked = {argument.removeprefix("--").partition("=")[0] for argument in arguments}
    if arguments and arguments[0].endswith((".yaml", ".yml")):
        path = arguments.pop(0)
        options = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        known = {action.dest for action in parser._actions}
        if unknown := sorted(set(options) - known):
            raise SystemExit(f"{path}: unknown options {', '.join(unknown)}. See train_hf.py --help.")
        parser.set_defaults(**options)
        asked.update(options)
    model_args, data_args, args = parser.parse_args_into_dataclasses(arguments)
    args.do_train = args.do_train or not asked & {"do_train", "do_eval", "do_predict"}
    return model_args, data_args, args


def check_output_dir(args: HTRConvTextTrainingArguments) -> None:
    """Refuses to mix a new run into the folder of another."""
    used = checkpoints(args.output_dir) or list(Path(args.output_dir).glob("best_*er"))
    if args.do_train and used and not args.resume_from_checkpoint:
        raise SystemExit(
            f"{args.output_dir} holds another run ({used[-1].name}). Choose another --output_dir; to go on with that "
            "run, give its options and --resume_from_checkpoint."
        )


def load_splits(args: DataArguments) -> DatasetDict:
    """Lines of all data folders, split by split."""
    try:
        splits = load_lines(args.dataset, data_dir=args.data_dir, **named_options(args.dataset_option))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"--dataset {args.dataset}: {error}") from error
    limits = {"train": args.max_train_lines, "validation": args.max_eval_lines, "test": args.max_eval_lines}
    return DatasetDict({name: first_lines(split, limits.get(name)) for name, split in splits.items()})


def first_lines(split: Dataset, limit: int | None) -> Dataset:
    return split if limit is None else split.select(range(min(limit, len(split))))


def load_model(
    model_args: ModelArguments,
    data_args: DataArguments,
    args: HTRConvTextTrainingArguments,
    lines: DatasetDict,
) -> tuple[HTRConvTextProcessor, HTRConvTextForCTC, HTRConvTextTCM | None]:
    """Processor and model to start from, and a trained TCM where the model's folder has one."""
    train_lines = lines["train"].select_columns(["line_id", "text"]) if args.do_train else None
    if model_args.model_name_or_path is None:
        tokenizer = new_tokenizer(data_args.dataset, [] if train_lines is None else train_lines["text"])
        processor = HTRConvTextProcessor(new_image_processor(model_args), tokenizer)
        config = HTRConvTextConfig(
            vocab_size=len(processor.tokenizer),
            hidden_dropout_prob=model_args.hidden_dropout_prob,
            attention_probs_dropout_prob=model_args.attention_probs_dropout_prob,
            drop_path_rate=model_args.drop_path_rate,
            tcm_context_size=model_args.tcm_context_size,
            tcm_dropout_prob=model_args.tcm_dropout_prob,
            **SIZES[model_args.size],
        )
        return processor, HTRConvTextForCTC(config), None
    processor = HTRConvTextProcessor.from_pretrained(model_args.model_name_or_path)
    model = HTRConvTextForCTC.from_pretrained(model_args.model_name_or_path)
    if train_lines is not None and (unknown := unknown_characters(train_lines, processor.tokenizer.alphabet)):
        if not model_args.extend_alphabet:
            raise SystemExit(
                f"{model_args.model_name_or_path} does not know these characters of the training lines: {unknown}. "
                "Correct the transcriptions, or give them classes of their own with --extend_alphabet."
            )
        logger.info("New characters get classes of their own: %s", unknown)
        processor, model = extend_vocabulary(processor, model, train_lines["text"])
    tcm = load_tcm(model_args.model_name_or_path, model.config) if args.do_train and args.tcm_weight else None
    return processor, model, tcm


def unknown_characters(lines: Dataset, alphabet: str) -> str:
    """The characters outside the alphabet, each with the first line that has it."""
    first: dict[str, str] = {}
    for line in lines:
        for character in set(line["text"]) - set(alphabet):
            first.setdefault(character, line["line_id"])
    return ", ".join(f"{char!r} (U+{ord(char):04X}, first in {line_id})" for char, line_id in sorted(first.items()))


def new_image_processor(args: ModelArguments) -> HTRConvTextImageProcessor:
    return HTRConvTextImageProcessor(
        size={"height": 64, "width": args.image_width},
        keep_aspect_ratio=args.keep_aspect_ratio,
        pad_to_multiple_of=args.pad_to_multiple_of,
        autocontrast_cutoff=args.autocontrast_cutoff,
    )


def new_tokenizer(dataset: str, texts: list[str]) -> HTRConvTextTokenizer:
    """The alphabet of one of the paper's datasets, or else of the training lines."""
    if dataset in ALPHABETS:
        return HTRConvTextTokenizer.from_alphabet(ALPHABETS[dataset])
    if not texts:
        raise SystemExit("There are no training lines to take the alphabet from. Evaluate with --model_name_or_path.")
    return HTRConvTextTokenizer.from_texts(texts)


def prepare_splits(
    lines: DatasetDict,
    processor: HTRConvTextProcessor,
    config: HTRConvTextConfig,
    data_args: DataArguments,
    args: HTRConvTextTrainingArguments,
) -> dict[str, Dataset]:
    """The splits that this run needs, decoded and checked, by one process of each machine first."""
    wanted = {
        "train": args.do_train,
        "validation": args.do_eval or (args.do_train and args.eval_strategy != "no"),
        "test": args.do_predict,
    }
    prepared = {}
    with args.main_process_first(desc="preparing lines"):
        for name in (name for name, needed in wanted.items() if needed):
            if name not in lines:
                raise SystemExit(f"The dataset has no split {name!r}; it has {', '.join(lines)}.")
            try:
                prepared[name] = prepare_lines(
                    lines[name], processor, config, name == "train", data_args.preprocessing_num_workers
                )
            except ValueError as error:
                raise SystemExit(f"Split {name}: {error}") from error
    return prepared


def train(trainer: HTRConvTextTrainer, args: HTRConvTextTrainingArguments) -> None:
    """Trains, and writes the model, its metrics and its learning curves."""
    resume = True if args.resume_from_checkpoint == "last" else args.resume_from_checkpoint
    result = trainer.train(resume_from_checkpoint=resume)
    trainer.save_model()
    result.metrics["train_samples"] = len(trainer.train_dataset)
    trainer.log_metrics("train", result.metrics)
    trainer.save_metrics("train", result.metrics)
    trainer.save_state()
    if trainer.is_world_process_zero():
        write_learning_curves(trainer.state.log_history, args.output_dir)


def evaluate(trainer: HTRConvTextTrainer, prepared: Dataset, lines: Dataset, split: str) -> None:
    """Reads a split and writes its metrics, every line's reading, and the report."""
    metrics = trainer.predict(prepared, metric_key_prefix=split).metrics
    trainer.log_metrics(split, metrics)
    trainer.save_metrics(split, metrics)
    if trainer.is_world_process_zero():
        folder = Path(trainer.args.output_dir)
        write_evaluation(folder, split, trainer.scorer.lines, lines, metrics)
        print(json.dumps({"split": split, "cer": metrics[f"{split}_cer"], "wer": metrics[f"{split}_wer"]}))


if __name__ == "__main__":
    main()

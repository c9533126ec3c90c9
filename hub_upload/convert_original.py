# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Converts a checkpoint of the paper's authors into a model folder for transformers.

python -m htr_convtext.hub_upload.convert_original --checkpoint best_CER.pth --dataset iam --output DIR
"""

import argparse
import hashlib
import itertools
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from ..configuration_htr_convtext import TCM_FILE, HTRConvTextConfig
from ..console import errors_as_sentences, folder_to_write, print_any_character
from ..modeling_htr_convtext import HTRConvTextForCTC, HTRConvTextTCM
from ..processing_htr_convtext import ALPHABETS, HTRConvTextProcessor
from .model_card import PAPER, error_rates, model_card

# The authors' names to ours, by the beginning of a name; what follows it stays. {stage} and {conv} count from 1 in
# their names and from 0 in ours; {block} and {layer} count from 0 in both (NUMBERS).
NETWORK_NAMES = {
    "patch_embed.conv1": "htr_convtext.backbone.stem.convolution",
    "patch_embed.bn1": "htr_convtext.backbone.stem.normalization",
    "patch_embed.layer{stage}.{block}.conv{conv}": "{stages}.layers.{block}.layer.{conv}.convolution",
    "patch_embed.layer{stage}.{block}.bn{conv}": "{stages}.layers.{block}.layer.{conv}.normalization",
    "patch_embed.layer{stage}.{block}.downsample.0": "{stages}.layers.{block}.shortcut.convolution",
    "patch_embed.layer{stage}.{block}.downsample.1": "{stages}.layers.{block}.shortcut.normalization",
    "{mobilevit}.local_rep.conv_3x3.block.0": "{stages}.mobilevit.conv_kxk.convolution",
    "{mobilevit}.local_rep.conv_3x3.block.1": "{stages}.mobilevit.conv_kxk.normalization",
    "{mobilevit}.local_rep.conv_1x1.block.0": "{stages}.mobilevit.conv_1x1",
    "{mobilevit}.global_rep.0.norm1": "{stages}.mobilevit.transformer.0.layernorm_before",
    "{mobilevit}.global_rep.0.attn.qkv": "{stages}.mobilevit.transformer.0.attention.qkv_proj",
    "{mobilevit}.global_rep.0.attn.proj": "{stages}.mobilevit.transformer.0.attention.out_proj",
    "{mobilevit}.global_rep.0.norm2": "{stages}.mobilevit.transformer.0.layernorm_after",
    "{mobilevit}.global_rep.0.mlp.fc1": "{stages}.mobilevit.transformer.0.mlp.0",
    "{mobilevit}.global_rep.0.mlp.fc2": "{stages}.mobilevit.transformer.0.mlp.2",
    "{mobilevit}.pos_pe.proj.0": "{stages}.mobilevit.position_encoding",
    "{mobilevit}.global_rep.1": "{stages}.mobilevit.layernorm",
    "{mobilevit}.conv_proj.block.0": "{stages}.mobilevit.conv_projection.convolution",
    "{mobilevit}.conv_proj.block.1": "{stages}.mobilevit.conv_projection.normalization",
    "blocks.{layer}.attn.rel_pos_bias.bias": "{layers}.relative_position_bias",
    "blocks.{layer}.attn.qkv": "{layers}.self_attn.qkv_proj",
    "blocks.{layer}.attn.proj": "{layers}.self_attn.out_proj",
    "blocks.{layer}.ffn1.lin1": "{layers}.feed_forward1.linear1",
    "blocks.{layer}.ffn1.lin2": "{layers}.feed_forward1.linear2",
    "blocks.{layer}.conv.pw1": "{layers}.conv.pointwise_conv1",
    "blocks.{layer}.conv.dw": "{layers}.conv.depthwise_conv",
    "blocks.{layer}.conv.gn": "{layers}.conv.norm",
    "blocks.{layer}.conv.pw2": "{layers}.conv.pointwise_conv2",
    "blocks.{layer}.ffn2.lin1": "{layers}.feed_forward2.linear1",
    "blocks.{layer}.ffn2.lin2": "{layers}.feed_forward2.linear2",
    "blocks.{layer}.postln_attn": "{layers}.residual_self_attn.layer_norm",
    "blocks.{layer}.postln_ffn1": "{layers}.residual_feed_forward1.layer_norm",
    "blocks.{layer}.postln_conv": "{layers}.residual_conv.layer_norm",
    "blocks.{layer}.postln_ffn2": "{layers}.residual_feed_forward2.layer_norm",
    "blocks.{layer}.ls_attn.gamma": "{layers}.residual_self_attn.scale",
    "blocks.{layer}.ls_ffn1.gamma": "{layers}.residual_feed_forward1.scale",
    "blocks.{layer}.ls_conv.gamma": "{layers}.residual_conv.scale",
    "blocks.{layer}.ls_ffn2.gamma": "{layers}.residual_feed_forward2.scale",
    "down1.dw": "htr_convtext.encoder.downsample.depthwise_conv",
    "down1.pw": "htr_convtext.encoder.downsample.pointwise_conv",
    "up1.proj": "htr_convtext.encoder.upsample.pointwise_conv",
    "norm": "htr_convtext.encoder.layer_norm",
    "head": "ctc_head",
}
TCM_NAMES = {
    "dir_left": "left_direction",
    "dir_right": "right_direction",
    "emb": "embed_characters",
    "ctx_conv": "context_conv",
    "txt_proj": "query_proj",
    "q_norm": "query_norm",
    "kv_norm": "key_value_norm",
    "classifier": "classifier",
}
SHORTHANDS = {
    "{mobilevit}": "patch_embed.mobilevit_block{stage}",
    "{stages}": "htr_convtext.backbone.stages.{stage}",
    "{layers}": "htr_convtext.encoder.layers.{layer}",
}
NUMBERS = {"stage": range(1, 4), "block": range(2), "conv": range(1, 3), "layer": range(8)}
# Of an optional masking of the token sequence that no published recipe switches on.
LEFT_OUT = {"mask_token"}

DATASETS = {  # name, language, test CER and WER in percent as published in the paper
    "iam": ("IAM", "en", 4.0, 12.9),
    "lam": ("LAM", "it", 2.7, 7.0),
    "read2016": ("READ2016", "de", 3.6, 15.7),
    "vnondb": ("HANDS-VNOnDB", "vi", 3.45, 8.9),
}


def main(arguments: list[str] | None = None) -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="the authors' .pth file")
    parser.add_argument("--dataset", choices=sorted(DATASETS), required=True, help="whose alphabet it was trained on")
    parser.add_argument(
        "--output", type=folder_to_write, required=True, help="model folder to write; must be new or empty"
    )
    parser.add_argument("--license", default="other", help="licence of the weights, as the Hub spells it")
    options = parser.parse_args(arguments)
    with errors_as_sentences(parser.prog, OSError, ValueError):
        convert(options.checkpoint, options.dataset, options.output, options.license)
    print(f"Wrote {options.output}")


def convert(checkpoint: Path, dataset: str, output: Path, license: str = "other") -> None:
    """
    Writes a complete model folder: model, processor, `tcm.safetensors` where the checkpoint has a TCM, and a card.

    Nothing is written before everything has been checked.

    Args:
        checkpoint: File written by the authors' training.
        dataset: `iam`, `lam`, `read2016` or `vnondb`: the alphabet that the checkpoint was trained on.
        output: Folder to write; must be new or empty.
        license: Licence of the weights, for the card.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        FileExistsError: If `output` has files in it.
        ValueError: If the file is no such checkpoint, needs unsafe unpickling, was trained on another alphabet, or has
            missing, unknown or misshapen tensors; the message names them.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output} exists and is not an empty folder. Name a new one with --output.")
    content = load_checkpoint(checkpoint)
    kind = "state_dict_ema" if content.get("state_dict_ema") else "model"
    weights = strip_module_prefix(content[kind])
    config = HTRConvTextConfig(vocab_size=len(ALPHABETS[dataset]) + 1)
    check_alphabet(weights, dataset, checkpoint)
    model = HTRConvTextForCTC(config).eval()
    load_renamed(model, weights, NETWORK_NAMES, checkpoint)
    tcm = None
    if content.get("tcm_head"):
        tcm = HTRConvTextTCM(config)
        load_renamed(tcm, strip_module_prefix(content["tcm_head"]), TCM_NAMES, checkpoint)

    model.save_pretrained(output)
    HTRConvTextProcessor.for_dataset(dataset).save_pretrained(output)
    if tcm is not None:
        save_file(tcm.state_dict(), output / TCM_FILE, metadata={"format": "pt"})
    converted_card(checkpoint, dataset, kind, license, tcm is not None).save(output / "README.md")


def load_checkpoint(path: Path) -> dict:
    """Unpickles tensors, numbers and numpy's random state; refuses whatever else could run code."""
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}.")
    try:
        with torch.serialization.safe_globals(numpy_globals()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Of a damaged file the unpickler says whatever it meets, such as an IndexError.
        # PyTorch's message goes on to advise loading without weights_only, which would run what the file says.
        unsafe = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds a {unsafe[1]}" if unsafe else f"{type(error).__name__} while reading it"
        raise ValueError(f"{path} cannot be loaded as a checkpoint of tensors and numbers alone: {reason}.") from error
    if not isinstance(content, dict) or not (content.get("state_dict_ema") or content.get("model")):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path} is not a training checkpoint with 'state_dict_ema' or 'model'. It holds {found}.")
    for part in ("state_dict_ema", "model", "tcm_head"):
        weights = content.get(part) or {}
        if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
            raise ValueError(f"{path}: {part!r} is not a dictionary of tensors.")
    return content


def numpy_globals() -> list:
    """What numpy's random state and scalars need to be unpickled, as written by numpy 1 and 2."""
    reconstruct = np.zeros(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(name)) for name in ("uint32", "int32", "int64", "float32", "float64")]
    return [
        np.ndarray,
        np.dtype,
        *dtypes,
        *((reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    ]


def strip_module_prefix(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Takes off the prefix that training on several devices leaves on every name, and what the network never uses."""
    stripped = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in stripped.items() if name not in LEFT_OUT}


def check_alphabet(weights: dict[str, torch.Tensor], dataset: str, path: Path) -> None:
    """Refuses a checkpoint whose classes are not those of the dataset's alphabet."""
    if "head.bias" not in weights:
        return  # Named among the missing tensors.
    classes, expected = len(weights["head.bias"]), len(ALPHABETS[dataset]) + 1
    if classes == expected:
        return
    fitting = [name for name, alphabet in ALPHABETS.items() if len(alphabet) + 1 == classes]
    advice = f"Try --dataset {fitting[0]}." if fitting else "It was trained on none of the four published alphabets."
    raise ValueError(
        f"{path} has {classes} classes, but {dataset!r} has {expected}: {expected - 1} characters and the blank. "
        f"{advice}"
    )


def load_renamed(module: nn.Module, weights: dict[str, torch.Tensor], names: dict[str, str], path: Path) -> None:
    """Loads every tensor under its new name, or raises a ValueError that names all that do not fit."""
    table = spell_out(names)
    original = {rename(theirs, table): theirs for theirs in weights}
    tensors = {ours: weights[theirs] for ours, theirs in original.items()}
    expected = module.state_dict()
    their_names = {ours: theirs for theirs, ours in table.items()}
    problems = [f"missing: {rename(name, their_names)}" for name in expected if name not in tensors]
    problems += [f"unknown: {name}" for name in weights if name not in {original.get(ours) for ours in expected}]
    for name in [name for name in expected if name in tensors]:
        found, wanted = tuple(tensors[name].shape), tuple(expected[name].shape)
        if found == (1, 1, *wanted):  # The authors keep the TCM's directions so.
            tensors[name] = tensors[name].flatten()
        elif found != wanted:
            problems.append(f"misshapen: {original[name]} is {found}, not {wanted}")
    if problems:
        raise ValueError(f"{path} does not fit the network:\n  " + "\n  ".join(problems))
    module.load_state_dict(tensors)


def spell_out(names: dict[str, str]) -> dict[str, str]:
    """One of the tables above with every number filled in."""
    table = {}
    for theirs, ours in names.items():
        for shorthand, prefix in SHORTHANDS.items():
            theirs, ours = theirs.replace(shorthand, prefix), ours.replace(shorthand, prefix)
        placeholders = [name for name in NUMBERS if f"{{{name}}}" in theirs]
        for numbers in itertools.product(*(NUMBERS[name] for name in placeholders)):
            their_numbers = dict(zip(placeholders, numbers, strict=True))
            our_numbers = {name: number - NUMBERS[name].start for name, number in their_numbers.items()}
            table[theirs.format(**their_numbers)] = ours.format(**our_numbers)
    return table


def rename(name: str, table: dict[str, str]) -> str:
    """A tensor's name after a spelled-out table, for the name itself or all but its last part; else unchanged."""
    if name in table:
        return table[name]
    beginning, _, leaf = name.rpartition(".")
    return f"{table[beginning]}.{leaf}" if beginning in table else name


def converted_card(checkpoint: Path, dataset: str, kind: str, license: str, has_tcm: bool):
    """Card of a converted checkpoint: whose weights they are, which file they came from, what the paper reports."""
    name, language, cer, wer = DATASETS[dataset]
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    weights = "the exponential moving average" if kind == "state_dict_ema" else "the raw weights (there is no average)"
    origin = f"Converted from the authors' checkpoint `{checkpoint.name}` (SHA-256 `{digest}`), {weights}."
    if has_tcm:
        origin += f" `{TCM_FILE}` holds the Textual Context Module, which only training uses."
    sections = {
        "Origin": origin,
        "Figures": f"The paper reports a CER of {cer}% and a WER of {wer}% (punctuation marks are words) on the test "
        f"split of {name}. These are the paper's figures; the conversion did not measure them again.",
        "Licence": "The weights are their authors' and come under the terms on which the checkpoint was published. "
        "The code beside them is Apache-2.0.",
    }
    return model_card(
        name=f"htr-convtext-base-{dataset}",
        summary=f"HTR-ConvText (65.9M parameters) for lines of handwriting as in {name}: the paper's weights, "
        "readable by Hugging Face transformers.",
        language=language,
        license=license,
        results=error_rates(name, dataset, {"cer": cer, "wer": wer}, PAPER, "HTR-ConvText, arXiv 2512.05021"),
        sections=sections,
    )


if __name__ == "__main__":
    main()

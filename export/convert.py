# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Exports a model folder for ONNX Runtime or OpenVINO, in float32 or int8, for any batch and any width of whole patches
(a multiple of 8 pixels, as every width that the image processor pads to by default).

    python -m htr_convtext.export.convert --model hub_upload/htr-convtext-fr --format openvino --output openvino
    python -m htr_convtext.export.convert --model hub_upload/htr-convtext-fr --format onnx --output onnx-int8 \\
        --int8 --data_dir LINES

int8 needs lines of handwriting to see how large activations get (`--data_dir`, a folder that
`htr_convtext.line_datasets` reads; lines of its training split are taken). The output folder has the processor too, so
that `ExportedHTRConvText.from_pretrained(folder).as_pipeline(processor)` reads.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.export import Dim

from .. import HTRConvTextForCTC, HTRConvTextProcessor
from ..console import add_dataset_options, at_least_one, folder_to_write, print_any_character
from ..extras import needing
from .requirements import check_dataset_options, load_or_exit, load_split_or_exit

with needing("Exporting", "export"):
    import openvino
    from nncf import AdvancedQuantizationParameters
    from nncf.quantization.advanced_parameters import QuantizationParameters
    from openvino import opset13
    from transformers.exporters import (
        ExportedModel,
        NNCFOpenVINOQuantizer,
        NNCFQuantizationConfig,
        OnnxConfig,
        OnnxExporter,
        OnnxRuntimeQuantizer,
        OnnxRuntimeStaticConfig,
        OpenVINOConfig,
        OpenVINOExporter,
    )
    from transformers.exporters.metadata import ExportMetadata

    from .runner import width_multiple

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS = ("onnx", "openvino")
# What the network is traced at; neither size may be 1, which tracing takes for a constant.
TRACED_BATCH_SIZE = 2
TRACED_WIDTH = 512


def main() -> None:
    print_any_character()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder, or a name on the Hub")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--output", type=folder_to_write, required=True)
    parser.add_argument("--int8", action="store_true")
    parser.add_argument(
        "--data_dir", action="extend", nargs="+", default=[], help="line folders whose training splits calibrate int8"
    )
    add_dataset_options(parser)
    parser.add_argument("--calibration_lines", type=at_least_one, default=300, help="from each folder, at most")
    options = parser.parse_args()
    if options.int8 and not options.data_dir:
        parser.error("--int8 needs --data_dir: lines of handwriting to calibrate on")
    if options.data_dir and not options.int8:
        parser.error("--data_dir is for --int8, which it calibrates; without it, the network stays in float32")
    check_dataset_options(parser, options)

    model = load_or_exit("--model", options.model, partial(HTRConvTextForCTC.from_pretrained, dtype=torch.float32))
    processor = load_or_exit("--model", options.model, HTRConvTextProcessor.from_pretrained)
    lines = None
    if options.int8:
        splits = [
            load_split_or_exit(options.dataset, folder, "train", options.dataset_option) for folder in options.data_dir
        ]
        lines = [line for split in splits for line in calibration_lines(split, processor, options.calibration_lines)]
    export_model(model, options.format, lines).save_pretrained(options.output)
    processor.save_pretrained(options.output)
    print(f"{options.output}: {options.format}, {'int8' if options.int8 else 'float32'}")


def export_model(
    model: HTRConvTextForCTC, export_format: str, calibration_lines: list[torch.Tensor] | None = None
) -> ExportedModel:
    """
    Args:
        model: The network, in float32.
        export_format: "onnx" or "openvino".
        calibration_lines: Preprocessed lines of shape `(1, channels, height, width)`; with them, the network becomes
            int8: weights and activations of convolutions and matrix products.

    Returns:
        The exported network for any batch and any multiple of `width_multiple`; `save_pretrained` writes it.

    Raises:
        ValueError: If the format is unknown.
    """
    if export_format not in FORMATS:
        raise ValueError(f"export_format must be one of {FORMATS}. Got {export_format!r}.")
    config = model.config
    # Both name their dimensions: with `dynamic` alone, height and channels would be taken for free as well. That the
    # width is a multiple keeps its halves and quarters simple expressions, whose simplification takes minutes else.
    width = width_multiple(config) * Dim("columns")
    options = {"dynamic": True, "dynamic_shapes": {"pixel_values": {0: Dim.AUTO, 3: width}}}
    samples = [{"pixel_values": line} for line in calibration_lines or []]
    traced = torch.rand(TRACED_BATCH_SIZE, config.num_channels, config.image_height, TRACED_WIDTH)
    # train() ends inference mode, whose folded weights would be traced instead of the model's own.
    model = model.train().eval()
    if export_format == "onnx":
        onnx_quantizer = OnnxRuntimeQuantizer(onnx_int8(), samples) if samples else None
        return OnnxExporter().export(model, {"pixel_values": traced}, OnnxConfig(quantizer=onnx_quantizer, **options))
    quantizer = NNCFOpenVINOQuantizer(openvino_int8(len(samples)), samples) if samples else None
    return WholeSizesOpenVINOExporter().export(
        model, {"pixel_values": traced}, OpenVINOConfig(quantizer=quantizer, **options)
    )


class WholeSizesOpenVINOExporter(OpenVINOExporter):
    """Divides sizes as whole numbers; OpenVINO's frontend divides them as floats, and bfloat16 rounds 511 to 512."""

    def export_program(self, *args: Any, **kwargs: Any) -> tuple[openvino.Model, ExportMetadata]:
        program, metadata = super().export_program(*args, **kwargs)
        for node in program.get_ordered_ops():
            if node.get_type_name() == "Floor":
                divide_as_whole_numbers(node)
        program.validate_nodes_and_infer_types()
        return program, metadata


def divide_as_whole_numbers(floor: openvino.Node) -> None:
    """Replaces a whole number's conversion to float, product with 1 / n, floor and conversion back by its quotient."""
    product = floor.input_value(0).get_node()
    users = [target.get_node() for target in floor.output(0).get_target_inputs()]
    if product.get_type_name() != "Multiply" or any(user.get_type_name() != "Convert" for user in users):
        return
    converted, factor = (value.get_node() for value in product.input_values())
    if converted.get_type_name() != "Convert" or factor.get_type_name() != "Constant":
        return
    size = converted.input_value(0)
    divisor = opset13.constant(round(1 / factor.data.item()), size.get_element_type())
    quotient = opset13.divide(size, divisor)
    for user in users:
        user.output(0).replace(quotient.output(0))


def openvino_int8(calibration_lines: int) -> NNCFQuantizationConfig:
    # One scale for all channels of an activation: OpenVINO 2026.4 cannot shape the scales that NNCF gives each channel
    # before a depthwise convolution, and stops at the first line.
    parameters = AdvancedQuantizationParameters(
        activations_quantization_params=QuantizationParameters(per_channel=False)
    )
    # The slow correction of biases, layer after layer: the fast one leaves nearly twice the error in the logits.
    return NNCFQuantizationConfig(
        subset_size=calibration_lines, fast_bias_correction=False, advanced_parameters=parameters
    )


def onnx_int8() -> OnnxRuntimeStaticConfig:
    # What computes least, as norms, softmax and sums do, loses most by rounding.
    return OnnxRuntimeStaticConfig(per_channel=True, op_types_to_quantize=["Conv", "Gemm", "MatMul"])


def calibration_lines(lines: "Dataset", processor: HTRConvTextProcessor, number: int) -> Iterator[torch.Tensor]:
    """Lines spread evenly over a split, each of shape (1, channels, height, width)."""
    from ..line_datasets.loading import evenly_spread  # The extra [train], without which there are no lines.

    for line in evenly_spread(lines, number):
        yield processor(images=line["image"], return_tensors="pt").pixel_values


if __name__ == "__main__":
    main()

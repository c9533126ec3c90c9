# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What scripts of transformers' users expect of a recogniser, around the network: `generate` as of an autoregressive one,
so that code written for TrOCR runs unchanged, inference mode, the pipeline, and folders that load wherever they are.
"""

import contextlib
import difflib
import inspect
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError
from transformers import GenerationConfig, GenerationMixin
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import ModelOutput, logging

from .configuration_htr_convtext import naming_damaged_files
from .decoding_htr_convtext import collapse_frames

if TYPE_CHECKING:
    from .modeling_htr_convtext import HTRConvTextForCTC
    from .pipeline_htr_convtext import HTRConvTextPipeline
    from .processing_htr_convtext import HTRConvTextProcessor

logger = logging.get_logger(__name__)

# Options that change what is read, with the values that ask for nothing; an empty list asks for nothing either.
REFUSED_OPTIONS: dict[str, tuple] = {
    "do_sample": (False,),
    "num_return_sequences": (1,),
    "num_beam_groups": (1,),
    "diversity_penalty": (0.0,),
    "guidance_scale": (1, 1.0),
    "penalty_alpha": (0.0,),
    **dict.fromkeys(
        (
            "assistant_model", "bad_words_ids", "begin_suppress_tokens", "constraints", "custom_generate",
            "decoder_input_ids", "dola_layers", "forced_decoder_ids", "force_words_ids", "input_ids",
            "logits_processor", "negative_prompt_ids", "prefix_allowed_tokens_fn", "prompt_lookup_num_tokens",
            "sequence_bias", "stopping_criteria", "stop_strings", "streamer", "suppress_tokens",
            "watermarking_config",
        ),
        (),
    ),
}  # fmt: skip
# Options of generate that its configuration does not have, or no longer has, and what a collator brings along.
IGNORED_OPTIONS = {
    "attention_mask", "decoder_attention_mask", "early_stopping", "labels", "length_penalty", "max_time",
    "no_repeat_ngram_size", "output_attentions", "output_hidden_states", "return_dict", "tokenizer",
}  # fmt: skip


@dataclass
class HTRConvTextGenerateOutput(ModelOutput):
    """
    Output of `generate` with `return_dict_in_generate=True`.

    Args:
        sequences (`torch.Tensor` of shape `(batch_size, longest_text)`): Token ids, padded with 0, the blank.
        scores (tuple, with `output_scores=True`): For each position of `sequences`, log probabilities of shape
            `(batch_size, vocab_size)` at the first frame of the character. Behind a text's end, the blank is certain.
        logits (tuple, with `output_logits=True`): The same, before they are normalised.
    """

    sequences: torch.Tensor | None = None
    scores: tuple[torch.Tensor, ...] | None = None
    logits: tuple[torch.Tensor, ...] | None = None


@contextlib.contextmanager
def naming_damaged_weights(name: str | os.PathLike = "the model") -> Iterator[None]:
    """What transformers lets through of safetensors becomes an `OSError`, as of every other file of a model."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(f"{name}: its weights (model.safetensors) are damaged: {error}") from error


class HTRConvTextGenerationMixin(GenerationMixin):
    """Gives a network with a CTC head what transformers' autoregressive models have."""

    # The weights' type before `optimize_for_inference` rounded them.
    _rounded_from: torch.dtype | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Not inherited: a class that no Auto class was told of is saved as the network that it derives from.
        cls._auto_class = None

    def train(self, mode: bool = True) -> "HTRConvTextGenerationMixin":
        """
        As PyTorch's; but a batch norm whose weights are frozen, as those around adapters (PEFT) are, keeps its
        statistics: they are saved with the weights, and not with adapters, which would be read with others.
        """
        super().train(mode)  # type: ignore[misc]
        for module in self.modules():  # type: ignore[attr-defined]
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and not module.weight.requires_grad:
                module.eval()
        return self

    def save_pretrained(self, save_directory: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Saves as every transformers model does, unless `optimize_for_inference` rounded the weights."""
        if self._rounded_from is not None:
            raise ValueError(
                f"optimize_for_inference(dtype=...) rounded the weights from {self._rounded_from} to {self.dtype}; "
                "saved, they would pass for the model's own. Load the model again to save it."
            )
        if self._auto_class is None:
            network = next((base for base in type(self).__mro__ if getattr(base, "_auto_class", None)), None)
            if network is not None:
                os.makedirs(save_directory, exist_ok=True)
                custom_object_save(network, save_directory)
        super().save_pretrained(save_directory, *args, **kwargs)

    def adjust_generation_fn(self, *args: Any, **kwargs: Any) -> None:
        # transformers 5 reads generation_config.json here; 4 does in from_pretrained, and raises what it raises.
        with naming_damaged_files(self.name_or_path, "generation_config.json"):
            super().adjust_generation_fn(*args, **kwargs)

    @torch.no_grad()
    def generate(
        self,
        pixel_values: torch.Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        *,
        inputs: torch.Tensor | None = None,
        **options: Any,
    ) -> torch.Tensor | HTRConvTextGenerateOutput:
        """
        Reads lines by greedy decoding.

        Args:
            pixel_values: Line images of shape `(batch_size, num_channels, image_height, width)`; also as `inputs`.
            generation_config: Options, as a configuration.
            inputs: Another name for `pixel_values`.
            **options: Options of transformers' `generate`. `return_dict_in_generate`, `output_scores` and
                `output_logits` do what they do there. Those that mean nothing to CTC, such as `max_new_tokens`,
                `num_beams` and `use_cache`, are ignored.

        Returns:
            Token ids of shape `(batch_size, longest_text)`, padded on the right with 0, the blank, for
            `processor.batch_decode(ids, skip_special_tokens=True)`, or an output that has them as `sequences`.

        Raises:
            ValueError: If an option would change what is read, such as `do_sample=True`.
            TypeError: If an option is unknown, or there are no images.
        """
        pixel_values = inputs if pixel_values is None else pixel_values
        if pixel_values is None:
            raise TypeError("generate() needs line images: pass pixel_values as the processor returns them.")
        check_names(options)
        configs = [getattr(self, "generation_config", None), generation_config]
        options = {**configured_options(*configs), **{k: value for k, value in options.items() if value is not None}}
        check_greedy(options)
        logits = self(pixel_values=pixel_values).logits
        token_ids = logits.argmax(dim=-1)  # (batch, frames)
        sequences = collapse_frames(token_ids, self.config.pad_token_id)
        if not options.get("return_dict_in_generate"):
            return sequences
        output = HTRConvTextGenerateOutput(sequences=sequences)
        if options.get("output_scores"):
            output.scores = at_characters(logits.float().log_softmax(-1), token_ids, self.config.pad_token_id)
        if options.get("output_logits"):
            output.logits = at_characters(logits.float(), token_ids, self.config.pad_token_id)
        return output

    def optimize_for_inference(
        self, dtype: torch.dtype | Literal["auto"] | None = None, compile: bool | str = False
    ) -> "HTRConvTextForCTC":
        """
        Inference mode, in place: the same readings, faster. The weights stay as they are; `train()` and loading
        weights end the mode, and gradients use the weights themselves. Call it again after changing weights in place.

        Args:
            dtype: Type to compute in, such as `torch.bfloat16`; `"auto"` is bfloat16 where the device has units for
                its matrix products. `None` keeps the present type. Another type than the weights' rounds the weights,
                after fusing them in float32, and the model can no longer be saved.
            compile: Whether to compile with `torch.compile`, or its mode: `"reduce-overhead"` uses CUDA graphs. Worth
                it on a GPU for many batches of few shapes.

        Returns:
            The model itself, in evaluation mode.
        """
        from .inference_htr_convtext import optimize_for_inference

        return optimize_for_inference(self, dtype, compile)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> torch.nn.Module:
        """Leaves the head as it is, or refuses: a new class needs a character, and lines to learn it from."""
        if new_num_tokens not in (None, self.config.vocab_size):
            raise ValueError(
                f"The network has {self.config.vocab_size} classes, each of them a character of the tokenizer or the "
                f"blank. Got {new_num_tokens}. To add characters, train with train_hf.py --extend_alphabet."
            )
        return self.get_input_embeddings()

    @property
    def is_optimized_for_inference(self) -> bool:
        """Whether the model is in inference mode."""
        from .inference_htr_convtext import is_optimized_for_inference

        return is_optimized_for_inference(self)

    def as_pipeline(self: Any, processor: "HTRConvTextProcessor", **kwargs: Any) -> "HTRConvTextPipeline":
        """
        Args:
            processor ([`HTRConvTextProcessor`]): The model's processor.
            **kwargs: Options of the pipeline, such as `device` and `batch_size`.

        Returns:
            The "image-to-text" pipeline that reads lines.
        """
        # save_pretrained copies only files that a relative import names: this one brings the pipeline along.
        from .pipeline_htr_convtext import HTRConvTextPipeline

        return HTRConvTextPipeline(model=self, processor=processor, task="image-to-text", **kwargs)


def configured_options(*configs: GenerationConfig | None) -> dict[str, Any]:
    """What generation configurations ask for; later ones win."""
    options: dict[str, Any] = {}
    for config in configs:
        if config is not None:
            options |= config.to_diff_dict()
    return options


def check_names(options: Mapping[str, Any], callee: str = "generate()", own: Collection[str] = ()) -> None:
    """
    Refuses what is neither an option of any `generate` nor one of the callee's own: a misspelt one would be ignored in
    silence.
    """
    names = vars(GenerationConfig()).keys() | inspect.signature(GenerationMixin.generate).parameters.keys()
    names = {name for name in names if not name.startswith("_")} | REFUSED_OPTIONS.keys() | IGNORED_OPTIONS | set(own)
    for name in options:
        if name not in names:
            similar = difflib.get_close_matches(name, names, n=1)
            advice = f" Did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"{callee} got an unexpected option {name!r}.{advice}")


def check_greedy(options: Mapping[str, Any]) -> None:
    """Refuses options that ask for another reading than greedy decoding's."""
    for name, neutral in REFUSED_OPTIONS.items():
        value = options.get(name)
        nothing = value is None or (hasattr(value, "__len__") and len(value) == 0)
        if not nothing and not any(value is other or value == other for other in neutral):
            raise ValueError(
                f"generate() decodes greedily and cannot honour {name}={value!r}. Leave {name!r} out, or decode the "
                "logits of the model yourself."
            )
    if (options.get("num_beams") or 1) > 1:
        logger.warning_once("generate() decodes greedily: num_beams is ignored.")


def at_characters(frames: torch.Tensor, token_ids: torch.Tensor, blank_id: int) -> tuple[torch.Tensor, ...]:
    """
    Args:
        frames: Log probabilities or logits of every frame, of shape `(batch_size, frames, vocab_size)`.
        token_ids: The best class of every frame, of shape `(batch_size, frames)`.
        blank_id: Class of the blank.

    Returns:
        For each character of the longest text, `(batch_size, vocab_size)` at the character's first frame; behind a
        text's end 0 for the blank and minus infinity for the rest.
    """
    changes = token_ids.diff(dim=1, prepend=token_ids.new_full((len(token_ids), 1), -1)) != 0
    numbers = torch.arange(1, token_ids.shape[1] + 1, device=token_ids.device)
    first_frames = (numbers * changes).cummax(dim=1).values  # of each frame's run, counted from 1
    first_frames = collapse_frames(first_frames.masked_fill(token_ids == blank_id, 0))  # (batch, longest), 0 behind
    end = frames.new_full((len(frames), 1, frames.shape[-1]), -torch.inf)
    end[..., blank_id] = 0
    rows = torch.cat([end, frames], dim=1)
    return rows.gather(1, first_frames[..., None].expand(-1, -1, rows.shape[-1])).unbind(dim=1)


__all__ = ["HTRConvTextGenerateOutput", "HTRConvTextGenerationMixin"]

# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Ways in which transformers, accelerate and peft load, move, save and train a model, tried on a folder's remote code.

python ways_of_loading.py FOLDER LINE.png ANSWER.json WAY..., run by test_loading_htr_convtext.py
"""

import concurrent.futures
import copy
import json
import multiprocessing
import pickle
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCTC, AutoProcessor, pipeline

REMOTE = {"trust_remote_code": True}
CHANGED = 1e-3  # more than rounding


class Way:
    """One model as it loads from its folder, what it says of a line, and a place to write, new for each way."""

    workplace: Path

    def __init__(self, folder: str, line: str):
        self.folder = Path(folder)
        self.line = line
        self.processor = AutoProcessor.from_pretrained(folder, **REMOTE)
        self.pixel_values = self.processor(images=line, return_tensors="pt").pixel_values
        self.labels = torch.tensor([self.processor.tokenizer.encode("le moulin")])
        # In some versions of transformers a process's first load has a class of its own.
        self.first = model = self.load()
        self.logits = logits_of(model, self.pixel_values)
        self.text = self.processor.batch_decode(model.generate(self.pixel_values), skip_special_tokens=True)[0]
        self.reading = model.as_pipeline(self.processor)(line)[0]

    def load(self, folder=None, **kwargs):
        return AutoModel.from_pretrained(folder or self.folder, **REMOTE, **kwargs)

    def assert_same(self, model):
        """The model says what the plain one says: its logits, twice, its `generate` and in the pipeline."""
        for _ in range(2):
            torch.testing.assert_close(logits_of(model, self.pixel_values), self.logits, atol=1e-4, rtol=1e-4)
        ids = model.generate(self.pixel_values)
        assert self.processor.batch_decode(ids, skip_special_tokens=True)[0] == self.text
        self.assert_reads_the_same(model.as_pipeline(self.processor)(self.line)[0])

    def assert_reads_the_same(self, reading):
        assert reading["generated_text"] == self.reading["generated_text"]
        assert abs(reading["score"] - self.reading["score"]) < 1e-3

    def network_with_mobilevit(self):
        """An untrained small network with every kind of layer, always the same."""
        sizes = {"hidden_size": 32, "num_attention_heads": 4, "backbone_hidden_sizes": [8, 16, 32]}
        kinds = {"backbone_head_dim": 8, "backbone_mobilevit": [True] * 3, "num_hidden_layers": 3}
        depths = {"downsample_after_layer": 1, "upsample_after_layer": 2, "intermediate_size": 64}
        config = AutoConfig.from_pretrained(self.folder, **REMOTE, **sizes, **kinds, **depths)
        torch.manual_seed(0)
        return AutoModel.from_config(config, **REMOTE)


@torch.no_grad()
def logits_of(model, pixel_values):
    return model.eval()(pixel_values).logits.float()


def device_map_with(way, part):
    """A device map of parts that do not overlap, as transformers makes them: this one on disk, the rest on the CPU."""
    names = part.split(".")
    above = {".".join(names[:length]) for length in range(len(names))}
    modules = [name for name, _ in way.load().named_modules() if name not in above]
    parts = [name for name in modules if name.rpartition(".")[0] in above]
    return {**dict.fromkeys(parts, "cpu"), part: "disk"}


def loads_on_disk(way):
    for part in ("htr_convtext.backbone", "htr_convtext.encoder", "htr_convtext.encoder.layers.0", "ctc_head"):
        device_map = device_map_with(way, part)
        way.assert_same(way.load(device_map=device_map, offload_folder=tempfile.mkdtemp(dir=way.workplace)))


def loads_what_does_not_fit_on_disk(way):
    options = {"device_map": "auto", "max_memory": {"cpu": 8_000_000}}
    model = way.load(offload_folder=str(way.workplace / "offload"), **options)
    assert "disk" in model.hf_device_map.values() and "cpu" in model.hf_device_map.values(), model.hf_device_map
    way.assert_same(model)


def reads_from_disk_in_the_pipeline(way):
    options = {"device_map": device_map_with(way, "htr_convtext.encoder")}
    options["offload_folder"] = str(way.workplace / "offload")
    read = pipeline("image-to-text", model=str(way.folder), model_kwargs=options, **REMOTE)
    way.assert_reads_the_same(read(way.line)[0])


def offloads_to_the_cpu(way):
    import accelerate

    for buffers in (False, True):
        model = way.load()
        accelerate.cpu_offload(model, execution_device="cpu", offload_buffers=buffers)
        way.assert_same(model)


def offloads_to_disk(way):
    import accelerate

    model = way.load()
    accelerate.disk_offload(model, str(way.workplace / "offload"), execution_device="cpu")
    way.assert_same(model)


def loads_into_empty_weights(way):
    import accelerate

    with accelerate.init_empty_weights():
        model = AutoModel.from_config(AutoConfig.from_pretrained(way.folder, **REMOTE), **REMOTE)
    weights = str(way.folder / "model.safetensors")
    way.assert_same(accelerate.load_checkpoint_and_dispatch(model, weights, device_map={"": "cpu"}))


def replica_on_the_cpu(model):
    """What `nn.DataParallel` runs on each device: real replicas, with copies in place of what a GPU would be sent."""
    # The function that replicates has its module's name, which hides it as an attribute of torch.nn.parallel.
    module = sys.modules["torch.nn.parallel.replicate"]

    def send(tensors, devices, detach=False):
        return [[tensor.detach().clone() if detach else tensor * 1 for tensor in tensors] for _ in devices]

    with mock.patch.object(module, "_broadcast_coalesced_reshape", send):
        return module.replicate(model, [0])[0]


def replicates_for_data_parallel(way):
    model = way.load().eval()
    torch.testing.assert_close(logits_of(replica_on_the_cpu(model), way.pixel_values), way.logits)
    model.optimize_for_inference()
    logits = logits_of(replica_on_the_cpu(model), way.pixel_values)
    torch.testing.assert_close(logits, way.logits, atol=1e-4, rtol=1e-4)
    model.train()
    for parameter in model.parameters():
        parameter.grad = None
    replica_on_the_cpu(model)(way.pixel_values, labels=way.labels).loss.backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not without, f"no gradient came back to {without}"


LORA_TARGETS = {
    "attention": ["qkv_proj", "out_proj"],
    "pointwise convolutions": ["pointwise_conv1", "pointwise_conv2", "pointwise_conv"],
    "backbone": r".*\.(convolution|conv_1x1)",
    "all linear": "all-linear",
}


def trains_lora(way):
    import peft

    for targets in LORA_TARGETS.values():
        torch.manual_seed(0)
        config = peft.LoraConfig(target_modules=targets, modules_to_save=["ctc_head"], r=4)
        model = peft.get_peft_model(way.load(), config)
        train_steps(model, way, learning_rate=1e-2)
        adapters = {name: value for name, value in model.named_parameters() if "lora_B" in name}
        unused = [name for name, value in adapters.items() if not value.any()]
        assert adapters and not unused, f"the adapters {unused} never learnt"
        logits = logits_of(model, way.pixel_values)
        assert (logits - way.logits).abs().max() > CHANGED
        # Inference mode, saved and loaded, merged: always with what was learnt.
        model.get_base_model().optimize_for_inference()
        torch.testing.assert_close(logits_of(model, way.pixel_values), logits, atol=1e-3, rtol=1e-3)
        adapter = tempfile.mkdtemp(dir=way.workplace)
        model.save_pretrained(adapter)
        again = peft.PeftModel.from_pretrained(way.load(), adapter)
        torch.testing.assert_close(logits_of(again, way.pixel_values), logits, atol=1e-3, rtol=1e-3)
        merged = again.merge_and_unload()
        torch.testing.assert_close(logits_of(merged, way.pixel_values), logits, atol=1e-3, rtol=1e-3)


def train_steps(model, way, learning_rate=1e-3, steps=2):
    """Loss of each step; batch norms stay as they are, so that only what is trained changes."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = model.eval()(pixel_values=way.pixel_values, labels=way.labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def loads_quantized_by_torchao(way):
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    model = way.load(quantization_config=TorchAoConfig(Int8WeightOnlyConfig()))
    kinds = {type(module.weight).__name__ for module in model.modules() if isinstance(module, torch.nn.Linear)}
    assert kinds != {"Parameter"}, "nothing was quantized"
    difference = (logits_of(model, way.pixel_values) - way.logits).abs().mean() / way.logits.std()
    assert 0 < difference < 0.1, difference
    reading = model.as_pipeline(way.processor)(way.line)[0]
    assert reading["generated_text"][:4] == way.reading["generated_text"][:4], reading


def loads_without_batch_counters(way):
    weights = load_file(way.folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    assert len(kept) < len(weights)
    folder = copy_of(way, weights=kept)
    model = way.load(folder)
    for name, value in model.state_dict().items():
        if name in kept:
            assert torch.equal(value, weights[name]), name
    way.assert_same(model)


def copy_of(way, weights=None, name="copy"):
    folder = way.workplace / name
    shutil.copytree(way.folder, folder)
    if weights is not None:
        (folder / "model.safetensors").unlink()
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def keeps_the_rest_with_a_new_head(way):
    model = way.load(vocab_size=7, ignore_mismatched_sizes=True)
    weights = load_file(way.folder / "model.safetensors")
    for name, value in model.state_dict().items():
        if not name.startswith("ctc_head"):
            assert torch.equal(value, weights[name]), name
    assert model.ctc_head.weight.shape[0] == 7 and model.ctc_head.weight.std() > 0.01


def pickles(way):
    model = way.first
    way.assert_same(pickle.loads(pickle.dumps(model)))
    torch.save(model, way.workplace / "model.pt")
    way.assert_same(torch.load(way.workplace / "model.pt", weights_only=False))
    read = pickle.loads(pickle.dumps(model.as_pipeline(way.processor)))
    way.assert_reads_the_same(read(way.line)[0])


def loads_the_same_each_time(way):
    facts = []
    for number, model in enumerate((way.first, way.load(), way.load())):
        model.save_pretrained(way.workplace / str(number))
        facts.append((model.can_generate(), sorted(path.name for path in (way.workplace / str(number)).iterdir())))
    assert facts[0] == facts[1] == facts[2], facts


def copies_deeply(way):
    model = way.load()
    twin = copy.deepcopy(model.optimize_for_inference())
    way.assert_same(twin)
    with torch.no_grad():
        model.ctc_head.bias.add_(1)
    way.assert_same(twin)
    way.assert_reads_the_same(copy.deepcopy(twin.as_pipeline(way.processor))(way.line)[0])


def read_elsewhere(model, processor, line):
    torch.set_num_threads(1)
    return model.as_pipeline(processor)(line)[0]


def crosses_processes(way):
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as processes:
            reading = processes.submit(read_elsewhere, way.first, way.processor, way.line).result(timeout=300)
        way.assert_reads_the_same(reading)


def loads_from_a_subfolder(way):
    parent = way.workplace / "several"
    shutil.copytree(way.folder, parent / "french")
    # transformers looks for code beside the subfolder's configuration in some versions, at the root in others.
    for code in way.folder.glob("*.py"):
        shutil.copy(code, parent)
    for auto_class in (AutoModel, AutoModelForCTC):
        way.assert_same(auto_class.from_pretrained(parent, subfolder="french", **REMOTE))
    processor = AutoProcessor.from_pretrained(parent, subfolder="french", **REMOTE)
    assert processor.tokenizer.get_vocab() == way.processor.tokenizer.get_vocab()
    assert processor.image_processor.to_dict() == way.processor.image_processor.to_dict()


def saves_a_subclass(way):
    base = type(way.load())
    # As in a notebook, and as in a module of the user's own.
    code = "def subclass(base):\n    class Mine(base):\n        pass\n\n    return Mine\n"
    (way.workplace / "my_models.py").write_text(code)
    sys.path.insert(0, str(way.workplace))
    import my_models

    for mine in (type("Mine", (base,), {"__module__": "__main__"}), my_models.subclass(base)):
        folder = tempfile.mkdtemp(dir=way.workplace)
        mine.from_pretrained(way.folder).save_pretrained(folder)
        way.processor.save_pretrained(folder)
        assert type(mine.from_pretrained(folder)) is mine
        way.assert_same(mine.from_pretrained(folder))
        way.assert_same(way.load(folder))
        way.assert_reads_the_same(pipeline("image-to-text", model=folder, **REMOTE)(way.line)[0])


def saves_in_shards(way):
    way.load().save_pretrained(way.workplace / "shards", max_shard_size="3MB")
    assert len(list((way.workplace / "shards").glob("model-*.safetensors"))) > 1
    way.assert_same(way.load(way.workplace / "shards"))


def loads_in_bfloat16(way):
    model = way.load(dtype=torch.bfloat16)
    assert {value.dtype for value in model.state_dict().values()} == {torch.bfloat16, torch.int64}
    difference = (logits_of(model, way.pixel_values) - way.logits).abs().mean() / way.logits.std()
    assert 0 < difference < 0.1, difference
    model.save_pretrained(way.workplace / "half")
    assert way.load(way.workplace / "half", dtype="auto").dtype == torch.bfloat16
    read = pipeline("image-to-text", model=str(way.folder), dtype=torch.bfloat16, **REMOTE)
    assert read(way.line)[0]["generated_text"][:4] == way.reading["generated_text"][:4]


def checkpoints_gradients(way):
    expected = trained_with_checkpointing(way, None)
    for reentrant in (False, True):
        found = trained_with_checkpointing(way, reentrant)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, msg=f"{name}, use_reentrant={reentrant}")


def trained_with_checkpointing(way, reentrant):
    """Losses, gradients and all that the network keeps, after two steps of training with dropout."""
    model = way.network_with_mobilevit().train()
    if reentrant is not None:
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    torch.manual_seed(1)
    found = {}
    for step in range(2):
        loss = model(way.pixel_values.repeat(2, 1, 1, 1), labels=way.labels.repeat(2, 1)).loss
        loss.backward()
        found[f"loss {step}"] = loss.detach()
    found.update({f"gradient of {name}": parameter.grad for name, parameter in model.named_parameters()})
    found.update(model.state_dict())
    assert found["htr_convtext.backbone.stages.0.mobilevit.conv_kxk.normalization.num_batches_tracked"] == 2
    return found


def reads_as_an_object_in_the_pipeline(way):
    try:
        read = pipeline("image-to-text", model=way.load(), processor=way.processor)
    except (TypeError, ValueError) as error:
        assert "as_pipeline" in str(error), error
    else:
        try:
            way.assert_reads_the_same(read(way.line)[0])
        except (TypeError, ValueError) as error:
            assert "as_pipeline" in str(error), error


def main(folder: str, line: str, answer: str, *names: str) -> None:
    torch.set_num_threads(1)
    way = Way(folder, line)
    found: dict[str, str] = {}
    for name in names:
        way.workplace = Path(tempfile.mkdtemp())
        try:
            globals()[name](way)
            found[name] = "right"
        except ModuleNotFoundError as error:
            found[name] = f"missing {error.name}"
        except Exception:
            found[name] = traceback.format_exc()
        Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

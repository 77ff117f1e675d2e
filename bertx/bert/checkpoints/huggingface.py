"""Hugging Face directories: `config.json`, weights and tokenizer files.

The names of tensors in files of Hugging Face differ from the attributes of `bertx.bert.model`, which follow
the paper; the table below is the only place that knows both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bertx.atomic import replacing, write_json
from bertx.bert.checkpoints.formats import read_tensors
from bertx.bert.lora import lora_layers
from bertx.bert.pretrained import Saved
from bertx.bert.tokenization.tokenizer import BertTokenizer
from bertx.errors import CheckpointError, ConfigError

# `#` stands for the number of a layer. Where weight and bias of a module are apart, they are named in full.
NAMES: Mapping[str, str] = {
    "embeddings.word": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.token_type": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
    "layers.#.attention.query": "encoder.layer.#.attention.self.query",
    "layers.#.attention.key": "encoder.layer.#.attention.self.key",
    "layers.#.attention.value": "encoder.layer.#.attention.self.value",
    "layers.#.attention.output": "encoder.layer.#.attention.output.dense",
    "layers.#.attention_norm": "encoder.layer.#.attention.output.LayerNorm",
    "layers.#.cross_attention.query": "encoder.layer.#.crossattention.self.query",
    "layers.#.cross_attention.key": "encoder.layer.#.crossattention.self.key",
    "layers.#.cross_attention.value": "encoder.layer.#.crossattention.self.value",
    "layers.#.cross_attention.output": "encoder.layer.#.crossattention.output.dense",
    "layers.#.cross_attention_norm": "encoder.layer.#.crossattention.output.LayerNorm",
    "layers.#.feed_forward.intermediate": "encoder.layer.#.intermediate.dense",
    "layers.#.feed_forward.output": "encoder.layer.#.output.dense",
    "layers.#.feed_forward_norm": "encoder.layer.#.output.LayerNorm",
    "pooler.dense": "pooler.dense",
    "head.dense": "cls.predictions.transform.dense",
    "head.norm": "cls.predictions.transform.LayerNorm",
    "head.decoder.weight": "cls.predictions.decoder.weight",  # unless it is the word embedding's
    "head.decoder.bias": "cls.predictions.bias",
    "next_sentence": "cls.seq_relationship",
    "classifier": "classifier",
    "qa_outputs": "qa_outputs",
    "projection": "enc_to_dec_proj",
}
# Our modules' prefixes: an encoder and a decoder in one model, and the encoder below a head.
PREFIX = re.compile(r"(encoder\.|decoder\.)?(bert\.)?")

TIED_WEIGHT = "cls.predictions.decoder.weight"
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
BIAS = "cls.predictions.bias"
TIED_BIAS = "cls.predictions.decoder.bias"  # another name of the same; where both are there, this one counts
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
# What pretrained encoders are published with and without, and what a decoder has beyond them.
HEADS = ("pooler.", "cls.", "classifier.", "qa_outputs.", "crossattention.")
SHOWN_NAMES = 3


@dataclass(frozen=True)
class LoadReport:
    """What became of the tensors of a file; names are those of Hugging Face, without `bert.`.

    Attributes:
        loaded: Tensors of the module that were read.
        new: Tensors of the module that the file lacks; they keep their fresh values.
        unexpected: Tensors of the file that the module has no place for.
        misshapen: Tensors of the module that have another shape in the file; they keep their fresh values.
    """

    loaded: tuple[str, ...]
    new: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...] = ()

    def summary(self) -> str:
        """Says it in one line: `loaded 197/199 tensors; new: pooler.dense.bias, pooler.dense.weight`."""
        total = len(self.loaded) + len(self.new) + len(self.misshapen)
        parts = [f"loaded {len(self.loaded)}/{total} tensors"]
        for words, names in (
            ("new", self.new),
            ("new, since of another shape", self.misshapen),
            ("not used", self.unexpected),
        ):
            if names:
                parts.append(f"{words}: {_listed(names)}")
        return "; ".join(parts)


def load_weights(
    module: nn.Module,
    folder: Path,
    *,
    may_be_new: Sequence[str] = HEADS,
    ignore_mismatched_sizes: bool = False,
) -> LoadReport:
    """Reads pretrained weights into a module, in place and in the module's own precision.

    Args:
        module: The encoder, or a model that has it.
        folder: A checkpoint in any format of `bertx.bert.checkpoints.formats`, such as a folder with
            `model.safetensors` or `pytorch_model.bin`, or either in shards.
        may_be_new: Parts of names of tensors (as in files, without `bert.`) that the file may lack; they
            keep their fresh values. By default all heads, the pooler and a decoder's cross-attention.
        ignore_mismatched_sizes: Whether tensors of another shape keep their fresh values, too.

    Raises:
        CheckpointError: There are no readable weights, or a tensor is missing or has the wrong shape; then
            the module is as it was.
    """
    path, tensors = read_tensors(folder)
    return load_tensors(
        module,
        path,
        tensors,
        may_be_new=may_be_new,
        ignore_mismatched_sizes=ignore_mismatched_sizes,
        take_over=True,
    )


def load_tensors(
    module: nn.Module,
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    may_be_new: Sequence[str] = HEADS,
    ignore_mismatched_sizes: bool = False,
    take_over: bool = False,
) -> LoadReport:
    """Does what `load_weights` does, with the tensors of a file by their names in files of Hugging Face.

    With `take_over` the module goes on with the memory of the tensors where their precision is the same: a
    file that is mapped into memory is read when it is needed, and only once. Nothing else may use them then.

    Raises:
        CheckpointError: As in `load_weights`; `path` is named in it.
    """
    wanted = parameters_by_name(module)
    found = with_present_names(path, tensors)
    _check_tied(path, found, wanted)
    new = tuple(sorted(wanted.keys() - found.keys()))
    missing = [name for name in new if not any(part in name for part in may_be_new)]
    if missing:
        raise CheckpointError(
            f"{path}: {_count(missing, 'tensor')} missing: {_listed(missing)}; "
            f"expected the {len(wanted)} tensors of a BERT encoder as config.json describes it"
        )
    common = sorted(wanted.keys() & found.keys())
    misshapen = tuple(name for name in common if found[name].shape != wanted[name].shape)
    if misshapen and not ignore_mismatched_sizes:
        name = misshapen[0]
        raise CheckpointError(
            f"{path}: {_count(misshapen, 'tensor')} of the wrong shape, e.g. {name} is "
            f"{tuple(found[name].shape)}, expected {tuple(wanted[name].shape)}"
        )
    loaded = tuple(name for name in common if name not in misshapen)
    for name in loaded:
        if not found[name].is_floating_point():
            raise CheckpointError(
                f"{path}: {name} holds {found[name].dtype}; expected floating-point numbers"
            )
    with torch.no_grad():
        for name in loaded:
            is_alike = (found[name].dtype, found[name].device) == (wanted[name].dtype, wanted[name].device)
            if take_over and is_alike:
                wanted[name].data = found[name]
            else:
                wanted[name].copy_(found[name])
    return LoadReport(loaded, new, tuple(sorted(found.keys() - wanted.keys())), misshapen)


def save_weights(module: nn.Module, folder: Path) -> None:
    """Writes `model.safetensors` with the names of Hugging Face; a shared tensor is written once.

    Raises:
        ValueError: The model has LoRA updates, which have no names there: others would read it without them.
    """
    if any(True for _ in lora_layers(module)):
        raise ValueError("the model has LoRA updates; call merge_lora(model) first, or write_adapter")
    tensors = {
        _file_name(name): parameter.detach().cpu().contiguous()
        for name, parameter in module.named_parameters()
    }
    # Where the weight is not the word embedding, transformers reads the bias under its other name.
    for name in [name for name in tensors if name.endswith(TIED_WEIGHT)]:
        owner = name.removesuffix(TIED_WEIGHT)
        tensors[owner + TIED_BIAS] = tensors[owner + BIAS].clone()
    with replacing(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})  # transformers refuses files without format


def write_directory(module: Saved, folder: Path, tokenizer: BertTokenizer | None = None) -> None:
    """Writes config.json, weights and tokenizer files, as `transformers` and `load_weights` read them.

    Raises:
        ConfigError: The config holds a function, which no file can.
    """
    settings = module.settings() | {"architectures": [module.architecture]}
    if callable(settings.get("hidden_act")):
        raise ConfigError("hidden_act is a function, which config.json cannot hold; name an activation")
    # transformers loads weights in the precision that config.json names, whatever that of the file.
    for key in settings.keys() & {"dtype", "torch_dtype"}:
        settings[key] = str(next(module.parameters()).dtype).removeprefix("torch.")
    save_weights(module, folder)
    write_json(folder / "config.json", settings)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def parameters_by_name(module: nn.Module) -> dict[str, nn.Parameter]:
    """Returns each parameter once, by its name in files, without `bert.`."""
    return {_present_name(_file_name(name)): parameter for name, parameter in module.named_parameters()}


def _file_name(name: str) -> str:
    """Returns what files of Hugging Face call a parameter: `bert.layers.0.attention.key.bias` and so on."""
    prefix = PREFIX.match(name)
    start = prefix.end() if prefix else 0
    owner, _, kind = name[start:].rpartition(".")
    if name[start:] in NAMES:
        return name[:start] + NAMES[name[start:]]
    number = re.search(r"\d+", owner)
    pattern = owner.replace(number[0], "#") if number else owner
    return f"{name[:start]}{NAMES[pattern]}.{kind}".replace("#", number[0] if number else "")


def _check_tied(path: Path, found: dict[str, Tensor], wanted: Mapping[str, nn.Parameter]) -> None:
    """Takes away the output layer's weights where the module has the word embedding in their place."""
    for name in [name for name in found if name.endswith(TIED_WEIGHT) and name not in wanted]:
        embedding = name.removesuffix(TIED_WEIGHT) + WORD_EMBEDDINGS
        has_head = name.replace(TIED_WEIGHT, BIAS) in wanted
        if has_head and not _equal(found[name], found.get(embedding, found[name])):
            raise CheckpointError(
                f"{path}: {name} is not the word embedding; set tie_word_embeddings to false in config.json"
            )
        if has_head:
            del found[name]


def with_present_names(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives tensors by their names without prefixes, in present spelling; buffers are left out."""
    renamed: dict[str, Tensor] = {}
    both = {name.removesuffix(TIED_BIAS) + BIAS for name in tensors if name.endswith(TIED_BIAS)}
    for name, tensor in tensors.items():
        present = _present_name(name)
        if name in both or present.endswith(BUFFERS):
            continue
        if present in renamed and not _equal(renamed[present], tensor):
            raise CheckpointError(
                f"{path}: {present} is there twice, under different names and with different values"
            )
        renamed[present] = tensor
    return renamed


def _present_name(name: str) -> str:
    name = name.removeprefix("module.")  # torch.nn.DataParallel
    name = re.sub(r"^(decoder\.)?bert\.", r"\1", name)
    name = re.sub(r"\bLayerNorm\.gamma$", "LayerNorm.weight", name)  # as in TensorFlow
    name = re.sub(r"\bLayerNorm\.beta$", "LayerNorm.bias", name)
    return name.removesuffix(TIED_BIAS) + BIAS if name.endswith(TIED_BIAS) else name


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _count(names: Sequence[str], noun: str) -> str:
    return f"1 {noun} is" if len(names) == 1 else f"{len(names)} {noun}s are"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"

"""Hugging Face directories: `config.json`, weights and tokenizer files.

The names of tensors in files of Hugging Face differ from the attributes of `bertx.bert.model`, which follow
the paper; the two tables below are the only place that knows both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bertx.atomic import replacing, write_json
from bertx.bert.checkpoints.weight_files import read_tensors
from bertx.bert.model import BertForMaskedLM, BertModel
from bertx.bert.tokenizer import BertTokenizer
from bertx.errors import CheckpointError

# `#` stands for the number of a layer.
ENCODER_NAMES: Mapping[str, str] = {
    "embeddings.word": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.token_type": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
    "layers.#.attention.query": "encoder.layer.#.attention.self.query",
    "layers.#.attention.key": "encoder.layer.#.attention.self.key",
    "layers.#.attention.value": "encoder.layer.#.attention.self.value",
    "layers.#.attention.output": "encoder.layer.#.attention.output.dense",
    "layers.#.attention_norm": "encoder.layer.#.attention.output.LayerNorm",
    "layers.#.feed_forward.intermediate": "encoder.layer.#.intermediate.dense",
    "layers.#.feed_forward.output": "encoder.layer.#.output.dense",
    "layers.#.feed_forward_norm": "encoder.layer.#.output.LayerNorm",
    "pooler.dense": "pooler.dense",
}
HEAD_NAMES: Mapping[str, str] = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "decoder": "cls.predictions",  # its weight is the word embedding's, only its bias is in the file
}

TIED_WEIGHT = "cls.predictions.decoder.weight"
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
HEADS = ("pooler.", "cls.predictions.")  # what pretrained encoders are published with and without
SHOWN_NAMES = 3


@dataclass(frozen=True)
class LoadReport:
    """What became of the tensors of a file; names are those of Hugging Face, without `bert.`.

    Attributes:
        loaded: Tensors of the module that were read.
        new: Tensors of the module that the file lacks; they keep their fresh values.
        unexpected: Tensors of the file that the module has no place for.
    """

    loaded: tuple[str, ...]
    new: tuple[str, ...]
    unexpected: tuple[str, ...]

    def summary(self) -> str:
        """Says it in one line: `loaded 197/199 tensors; new: pooler.dense.bias, pooler.dense.weight`."""
        parts = [f"loaded {len(self.loaded)}/{len(self.loaded) + len(self.new)} tensors"]
        if self.new:
            parts.append(f"new: {_listed(self.new)}")
        if self.unexpected:
            parts.append(f"not used: {_listed(self.unexpected)}")
        return "; ".join(parts)


def load_weights(
    module: BertModel | BertForMaskedLM, folder: Path, *, may_be_new: Sequence[str] = HEADS
) -> LoadReport:
    """Reads pretrained weights into a module, in place and in the module's own precision.

    Args:
        module: The encoder, or the encoder with its masked language model head.
        folder: Holds `model.safetensors` or `pytorch_model.bin`, or either in shards.
        may_be_new: Prefixes of names of tensors (as in files, without `bert.`) that the file may lack; they
            keep their fresh values. By default the pooler and the masked language model's head.

    Raises:
        CheckpointError: There are no readable weights, or a tensor is missing or has the wrong shape; then
            the module is as it was.
    """
    path, in_file = read_tensors(folder)
    found = _with_present_names(path, in_file)
    wanted = dict(_parameters(module))
    tied = found.pop(TIED_WEIGHT, None) if isinstance(module, BertForMaskedLM) else None
    if tied is not None and not _equal(tied, found.get(WORD_EMBEDDINGS, tied)):
        raise CheckpointError(
            f"{path}: {TIED_WEIGHT} is not the word embedding; untied weights are not supported"
        )
    new = tuple(sorted(wanted.keys() - found.keys()))
    missing = [name for name in new if not name.startswith(tuple(may_be_new))]
    if missing:
        raise CheckpointError(
            f"{path}: {_count(missing, 'tensor')} missing: {_listed(missing)}; "
            f"expected the {len(wanted)} tensors of a BERT encoder as config.json describes it"
        )
    loaded = tuple(sorted(wanted.keys() & found.keys()))
    _compare_shapes(path, {name: (found[name], wanted[name]) for name in loaded})
    with torch.no_grad():
        for name in loaded:
            wanted[name].copy_(found[name])
    return LoadReport(loaded, new, tuple(sorted(found.keys() - wanted.keys())))


def save_weights(module: BertModel | BertForMaskedLM, folder: Path) -> None:
    """Writes `model.safetensors` with the names of Hugging Face; a shared tensor is written once."""
    prefix = "bert." if isinstance(module, BertForMaskedLM) else ""
    tensors = {
        name if name.startswith("cls.") else prefix + name: parameter.detach().cpu().contiguous()
        for name, parameter in _parameters(module)
    }
    with replacing(folder / "model.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})  # transformers refuses files without format


def write_directory(
    module: BertModel | BertForMaskedLM, folder: Path, tokenizer: BertTokenizer | None = None
) -> None:
    """Writes config.json, weights and tokenizer files, as `transformers` and `load_weights` read them."""
    encoder = module.bert if isinstance(module, BertForMaskedLM) else module
    settings = encoder.config.to_dict() | {"architectures": [type(module).__name__]}
    # transformers loads weights in the precision that config.json names, whatever that of the file.
    for key in settings.keys() & {"dtype", "torch_dtype"}:
        settings[key] = str(next(module.parameters()).dtype).removeprefix("torch.")
    save_weights(module, folder)
    write_json(folder / "config.json", settings)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def _parameters(module: BertModel | BertForMaskedLM) -> Iterator[tuple[str, nn.Parameter]]:
    """Gives each parameter once, with its name in files, without `bert.`."""
    if isinstance(module, BertModel):
        yield from ((_name_in_file(name, ENCODER_NAMES), value) for name, value in module.named_parameters())
        return
    yield from _parameters(module.bert)
    for name, value in module.head.named_parameters():
        if value is not module.bert.embeddings.word.weight:
            yield _name_in_file(name, HEAD_NAMES), value


def _name_in_file(name: str, names: Mapping[str, str]) -> str:
    owner, _, kind = name.rpartition(".")
    number = re.search(r"\d+", owner)
    if number is None:
        return f"{names[owner]}.{kind}"
    return f"{names[owner.replace(number[0], '#')]}.{kind}".replace("#", number[0])


def _with_present_names(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives tensors by their names without prefixes, in present spelling; buffers are left out."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        present = _present_name(name)
        if present in BUFFERS:
            continue
        if present in renamed and not _equal(renamed[present], tensor):
            raise CheckpointError(
                f"{path}: {present} is there twice, under different names and with different values"
            )
        renamed[present] = tensor
    return renamed


def _present_name(name: str) -> str:
    name = name.removeprefix("module.")  # torch.nn.DataParallel
    name = name.removeprefix("bert.")
    name = re.sub(r"\bLayerNorm\.gamma$", "LayerNorm.weight", name)  # as in TensorFlow
    name = re.sub(r"\bLayerNorm\.beta$", "LayerNorm.bias", name)
    return "cls.predictions.bias" if name == "cls.predictions.decoder.bias" else name


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _compare_shapes(path: Path, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    misshapen = [name for name, (found, wanted) in pairs.items() if found.shape != wanted.shape]
    if misshapen:
        found, wanted = pairs[misshapen[0]]
        raise CheckpointError(
            f"{path}: {_count(misshapen, 'tensor')} of the wrong shape, e.g. {misshapen[0]} is "
            f"{tuple(found.shape)}, expected {tuple(wanted.shape)}"
        )
    for name, (found, _) in pairs.items():
        if not found.is_floating_point():
            raise CheckpointError(f"{path}: {name} holds {found.dtype}; expected floating-point numbers")


def _count(names: Sequence[str], noun: str) -> str:
    return f"1 {noun} is" if len(names) == 1 else f"{len(names)} {noun}s are"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"

"""LoRA as Keras computes it in attention: one small matrix for each head, and one that all heads share.

For a kernel W of (hidden, heads, head_size) the update is Σ_r A[hidden, head, r] B[r, head_size]. That is
another family of updates than in Hu et al. 2021, where B has an output for each head.

Source: Keras 3.15, keras/src/layers/core/einsum_dense.py, and KerasHub 0.32, models/backbone.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bertx.bert.attention import BertAttention
from bertx.bert.checkpoints.huggingface import parameters_by_name
from bertx.bert.checkpoints.keras_h5 import read_weights_file, write_weights_file
from bertx.bert.model import BertModel
from bertx.errors import CheckpointError

SUFFIX = ".lora.h5"
DEFAULT_TARGETS = ("query", "value")
# Where KerasHub's list of layers with weights has the matrices of layer 0; each layer adds ten to the list.
NUMBERS: Mapping[str, int] = {"value": 11, "key": 12, "query": 13}
LAYERS_PER_LAYER = 10


class SharedLoraLinear(nn.Linear):
    """A linear layer of attention whose matrix is frozen, and its trainable update; alpha is the rank.

    It has the weights of the layer it takes the place of, under the same names.

    Args:
        linear: The layer.
        rank: The rank of the update.
        num_heads: The number of heads that its output is made of.
    """

    def __init__(self, linear: nn.Linear, rank: int, num_heads: int) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(True)
        head_size = linear.out_features // num_heads
        new = linear.weight.new_empty
        self.lora_a = nn.Parameter(new(linear.in_features, num_heads, rank))
        self.lora_b = nn.Parameter(new(rank, head_size).zero_())
        # He et al. 2015 with the fan-in that Keras counts for this shape: heads times inputs.
        bound = math.sqrt(6 / (num_heads * linear.in_features))
        nn.init.uniform_(self.lora_a, -bound, bound)
        self.train(linear.training)

    @property
    def rank(self) -> int:
        """The rank of the update."""
        return len(self.lora_b)

    def forward(self, input: Tensor) -> Tensor:
        """Returns float (..., out_features) for (..., in_features)."""
        low = torch.einsum("...i,ihr->...hr", input, self.lora_a)  # (..., heads, rank)
        return super().forward(input) + (low @ self.lora_b).flatten(-2)

    def merged_weight(self) -> Tensor:
        """Returns the matrix with its update, (out_features, in_features)."""
        update = torch.einsum("ihr,rs->hsi", self.lora_a, self.lora_b)  # (heads, head_size, inputs)
        return (self.weight + update.flatten(0, 1)).detach()


def add_shared_lora(encoder: BertModel, rank: int, targets: Sequence[str] | None = None) -> None:
    """Freezes an encoder and gives matrices of its attention trainable updates, in place.

    Raises:
        ValueError: The rank is not positive, there are updates already, or there is no such matrix.
    """
    chosen = DEFAULT_TARGETS if targets is None else tuple(targets)
    if rank < 1:
        raise ValueError(f"rank is {rank}; expected at least 1")
    if wrong := [name for name in chosen if name not in NUMBERS] or ["nothing"] * (not chosen):
        raise ValueError(f"target_layer_names: {wrong[0]}; expected some of {', '.join(NUMBERS)}")
    if any(_updated(encoder)):
        raise ValueError("LoRA is enabled already; that can be done once")
    encoder.requires_grad_(False)
    for attention in _attentions(encoder):
        linear = {"query": attention.query, "key": attention.key, "value": attention.value}
        for name in chosen:
            attention.set_submodule(name, SharedLoraLinear(linear[name], rank, len(attention.heads)))


def merged_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Returns weights with their updates, by their names in files of Hugging Face without `bert.`."""
    merged = {
        id(layer.weight): layer.merged_weight()
        for layer in module.modules()
        if isinstance(layer, SharedLoraLinear)
    }
    return {
        name: merged.get(id(parameter), parameter.detach()).cpu()
        for name, parameter in parameters_by_name(module).items()
        if not name.endswith((".lora_a", ".lora_b"))
    }


def write_lora(encoder: BertModel, path: Path) -> None:
    """Writes the updates of an encoder.

    Raises:
        ValueError: There are none, or the name of the file does not end in `.lora.h5`.
        DataError: The file cannot be written.
    """
    layers = dict(_updated(encoder))
    if not layers:
        raise ValueError("there are no updates to save; call enable_lora(rank) first")
    if not path.name.endswith(SUFFIX):
        raise ValueError(f"{path}: expected a name that ends in {SUFFIX}")
    variables = {"lora/vars/rank": torch.tensor(next(iter(layers.values())).rank)}
    for number, layer in layers.items():
        variables[f"lora/{number}/vars/lora_kernel_a"] = layer.lora_a.detach().cpu()
        variables[f"lora/{number}/vars/lora_kernel_b"] = layer.lora_b.detach().cpu()
    write_weights_file(path, variables)


def read_lora(encoder: BertModel, path: Path) -> None:
    """Reads updates into an encoder, which gets places for them where it has none.

    Raises:
        CheckpointError: The file is damaged, or its updates belong to another encoder; then the encoder
            computes what it did.
    """
    variables = read_weights_file(path)
    if "lora/vars/rank" not in variables or variables["lora/vars/rank"].numel() != 1:
        raise CheckpointError(f"{path}: has no lora/vars/rank; expected a file of save_lora_weights")
    found = {name: tensor for name, tensor in variables.items() if re.fullmatch(r"lora/\d+/vars/.+", name)}
    if not any(_updated(encoder)):
        numbers = {int(name.split("/")[1]) for name in found}
        targets = [name for name, first in NUMBERS.items() if first in numbers]
        _compare(path, found, _shapes(encoder, int(variables["lora/vars/rank"]), targets))
        add_shared_lora(encoder, int(variables["lora/vars/rank"]), targets)
    wanted = _variables(encoder)
    _compare(path, found, {name: tuple(tensor.shape) for name, tensor in wanted.items()})
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(found[name])


def _attentions(encoder: BertModel) -> list[BertAttention]:
    return [module for module in encoder.modules() if isinstance(module, BertAttention)]


def _updated(encoder: BertModel) -> Iterator[tuple[int, SharedLoraLinear]]:
    """Yields the layers that have updates, with their numbers in KerasHub's list, in its order."""
    for place, attention in enumerate(_attentions(encoder)):
        for name, first in NUMBERS.items():
            linear = attention.get_submodule(name)
            if isinstance(linear, SharedLoraLinear):
                yield first + place * LAYERS_PER_LAYER, linear


def _variables(encoder: BertModel) -> dict[str, Tensor]:
    return {
        f"lora/{number}/vars/lora_kernel_{part}": tensor
        for number, layer in _updated(encoder)
        for part, tensor in (("a", layer.lora_a), ("b", layer.lora_b))
    }


def _shapes(encoder: BertModel, rank: int, targets: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the variables that an encoder's updates would have."""
    hidden, heads = encoder.config.hidden_size, encoder.config.num_attention_heads
    shapes: dict[str, tuple[int, ...]] = {}
    for place in range(len(encoder.layers)):
        for target in targets:
            start = f"lora/{NUMBERS[target] + place * LAYERS_PER_LAYER}/vars/lora_kernel_"
            shapes |= {f"{start}a": (hidden, heads, rank), f"{start}b": (rank, hidden // heads)}
    return shapes


def _compare(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> None:
    advice = "the updates belong to another encoder, or to one with LoRA of another rank"
    names = sorted(found.keys() ^ wanted.keys())
    if names or not wanted:
        where = "missing" if names and names[0] in wanted else "not the model's"
        raise CheckpointError(f"{path}: {names[0] if names else 'everything'} is {where}; {advice}")
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise CheckpointError(f"{path}: {name} is {tuple(found[name].shape)}, expected {shape}; {advice}")

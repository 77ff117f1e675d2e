"""Matrices in int8, as Keras computes with them: `quantize("int8")`.

Each output of a linear layer and each row of an embedding has a scale of its own; what goes into a linear
layer is made int8 as well, with a scale for each vector. Positions and layer normalisation stay as they are.

Source: Keras 3.15, keras/src/layers/core/dense.py and embedding.py, keras/src/quantizers/quantizers.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertx.bert.embeddings import BertEmbeddings
from bertx.keras_style.lora import SharedLoraLinear

LARGEST = 127
EPSILON = 1e-7  # keras.config.epsilon()


class Int8Linear(nn.Module):
    """A linear layer with an int8 matrix, for prediction only.

    Args:
        linear: The layer whose place it takes.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = rounded(linear.weight.detach())
        self.register_buffer("weight", weight)  # (outputs, inputs)
        self.register_buffer("scale", scale[:, 0])  # (outputs,)
        self.register_buffer("bias", linear.bias.detach())

    def forward(self, input: Tensor) -> Tensor:
        """Returns float (..., outputs) for (..., inputs)."""
        whole, scale = rounded(input)  # (..., inputs), (..., 1)
        product = F.linear(whole.to(input.dtype), self.weight.to(input.dtype))  # (..., outputs)
        return product / (scale * self.scale) + self.bias


class Int8Embedding(nn.Module):
    """An embedding with an int8 matrix, for prediction only.

    Args:
        embedding: The layer whose place it takes.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weight, scale = rounded(embedding.weight.detach())
        self.register_buffer("weight", weight)  # (rows, hidden)
        self.register_buffer("scale", scale)  # (rows, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Returns float (..., hidden) for ids, int (...)."""
        return F.embedding(input, self.weight).to(self.scale.dtype) / F.embedding(input, self.scale)


def rounded(values: Tensor) -> tuple[Tensor, Tensor]:
    """Scales each vector of the last dimension so that its largest value becomes 127, and rounds.

    Returns:
        int8 of the same shape, and the scales, float, with a last dimension of 1.
    """
    scale = LARGEST / (values.abs().amax(dim=-1, keepdim=True) + EPSILON)
    return (values * scale).round().clamp(-LARGEST, LARGEST).to(torch.int8), scale


def quantize(module: nn.Module, mode: str) -> None:
    """Makes the matrices of a model int8, in place.

    Raises:
        ValueError: The mode is another, the model is quantized already, or has updates of LoRA.
    """
    if mode != "int8":
        raise ValueError(f'quantize: the mode is {mode!r}; expected "int8"')
    require_unquantized(module, "quantize")
    if any(isinstance(layer, SharedLoraLinear) for layer in module.modules()):
        raise ValueError("quantize: the model has LoRA enabled; save it to a preset and quantize that")
    for name, layer in list(module.named_modules()):
        if type(layer) is nn.Linear:
            module.set_submodule(name, Int8Linear(layer))
        elif isinstance(layer, BertEmbeddings):
            layer.set_submodule("word", Int8Embedding(layer.word))
            layer.set_submodule("token_type", Int8Embedding(layer.token_type))


def require_unquantized(module: nn.Module, what: str) -> None:
    """Checks that a model has all its weights.

    Raises:
        ValueError: It is quantized.
    """
    if any(isinstance(layer, Int8Linear) for layer in module.modules()):
        raise ValueError(f"{what}: the model is quantized, and can only predict; load it again")

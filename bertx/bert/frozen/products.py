"""Linear layers whose weights stay as they are, laid out for oneDNN once: in bfloat16, float32 or int8.

int8 is dynamic: each output has a scale of its own, and what goes in is made int8 when it is there, with one
scale for all of it. The sums are exact.

Source: Jacob et al. 2018 (Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference), section 2.

Shapes:
    rows      tokens of all sequences, and zeros up to one of few numbers of rows, see `rows.py`
    inputs    in_features
    outputs   out_features
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

LARGEST = 127
SMALLEST = 1e-12  # a scale is never 0
LAID_OUT_FOR = 1024  # rows, by oneDNN; any number can be computed


class Activation(NamedTuple):
    """An activation that is computed with the product.

    Attributes:
        name: What oneDNN calls it.
        algorithm: Its kind, as oneDNN calls it.
        lowest: What all of its values are above.
    """

    name: str
    algorithm: str
    lowest: float


IDENTITY = Activation("none", "", -math.inf)
ACTIVATIONS = {
    "gelu": Activation("gelu", "none", -0.17),
    "gelu_new": Activation("gelu", "tanh", -0.171),
    "relu": Activation("relu", "", 0.0),
    "silu": Activation("swish", "", -0.279),
}


class Quantized(NamedTuple):
    """Numbers in int8: `values`, less `zero`, times `scale`.

    Attributes:
        values: int8.
        scale: Of all of them.
        zero: What stands for 0.
    """

    values: Tensor
    scale: float
    zero: int = 0


def quantized(values: Tensor) -> Quantized:
    """Makes numbers int8, so that the largest of them becomes 127 or -127."""
    low, high = values.aminmax()
    largest = max(-float(low), float(high), SMALLEST)
    scaled = values.to(torch.float32, copy=True).mul_(LARGEST / largest)  # bfloat16 has too few bits for that
    return Quantized(scaled.round_().to(torch.int8), largest / LARGEST)


class FloatProduct:
    """Linear layers of the same inputs, one below the other, as one product of floating-point numbers.

    Args:
        linears: The layers.
        dtype: The type of the product.
    """

    def __init__(self, linears: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        weight, bias = stacked(linears)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), LAID_OUT_FOR)
        self._bias = bias.to(dtype)

    def __call__(self, inputs: Tensor, activation: Activation = IDENTITY) -> Tensor:
        """Returns (rows, outputs) for (rows, inputs), both in the type of the product."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self._weight, self._bias, activation.name, [], activation.algorithm
        )
        return output

    def added(self, inputs: Tensor, to: Tensor) -> Tensor:
        """Returns the product plus (rows, outputs)."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            inputs, to, self._weight, self._bias, "add"
        )
        return output


class Int8Product:
    """Linear layers of the same inputs, one below the other, as one product of integers.

    Args:
        linears: The layers.
        dtype: The type of what comes out.
    """

    def __init__(self, linears: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        weight, bias = stacked(linears)
        scales = weight.abs().amax(dim=1).clamp_min_(SMALLEST) / LARGEST  # (outputs,)
        rounded = (weight / scales[:, None]).round_().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._scales, self._bias, self._dtype = scales, bias, dtype
        self._zeros = torch.zeros(len(scales), dtype=torch.int64)

    def __call__(self, inputs: Tensor, activation: Activation = IDENTITY) -> Tensor:
        """Returns (rows, outputs) for (rows, inputs), floating-point numbers both."""
        return self.of(quantized(inputs), activation)

    def of(self, inputs: Quantized, activation: Activation) -> Tensor:
        """Returns floating-point (rows, outputs) for int8 (rows, inputs)."""
        return self._product(inputs, activation, self._dtype, 1.0, 0)

    def into_int8(self, inputs: Quantized, activation: Activation, scale: float, zero: int) -> Quantized:
        """Returns int8 (rows, outputs) for int8 (rows, inputs); what does not fit is cut."""
        return Quantized(self._product(inputs, activation, torch.int8, scale, zero), scale, zero)

    def added(self, inputs: Tensor, to: Tensor) -> Tensor:
        """Returns the product plus (rows, outputs)."""
        return self.of_added_(quantized(inputs), to.clone())

    def of_added_(self, inputs: Quantized, to: Tensor) -> Tensor:
        """Returns the product of int8 plus floating-point (rows, outputs), whose memory is used for that."""
        output: Tensor = torch.ops.onednn.qlinear_pointwise.binary(
            *(inputs.values, inputs.scale, inputs.zero),
            *(self._weight, self._scales, self._zeros),
            *(to, self._bias, 1.0, 0, to.dtype, 1.0, 0),
            *("sum", 1.0, "none", [], ""),
        )
        return output

    def _product(
        self, inputs: Quantized, activation: Activation, dtype: torch.dtype, scale: float, zero: int
    ) -> Tensor:
        output: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(inputs.values, inputs.scale, inputs.zero),
            *(self._weight, self._scales, self._zeros, self._bias),
            *(scale, zero, dtype, activation.name, [], activation.algorithm),
        )
        return output


def stacked(linears: Sequence[nn.Linear]) -> tuple[Tensor, Tensor]:
    """Returns the weights and biases of layers one below the other, in float32."""
    weight = torch.cat([linear.weight.detach().float() for linear in linears])  # (outputs, inputs)
    bias = torch.cat([linear.bias.detach().float() for linear in linears])  # (outputs,)
    return weight, bias

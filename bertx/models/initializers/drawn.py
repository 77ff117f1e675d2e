"""Initializers that draw or compute fresh values: those of `torch.nn.init`, and three of AllenNLP's own.

Names, arguments and defaults are AllenNLP's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from torch import Tensor, nn

from bertx.models.initializers.initializer import Initializer

FanMode: TypeAlias = Literal["fan_in", "fan_out"]
Nonlinearity: TypeAlias = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


class Drawn(Initializer):
    """Fills by a function.

    Args:
        fill: Fills a tensor in place.
    """

    def __init__(self, fill: Callable[[Tensor], object]) -> None:
        self.fill = fill

    def __call__(self, tensor: Tensor, name: str = "") -> None:
        """Fills the tensor in place."""
        self.fill(tensor)


@Initializer.register("constant")
def constant(val: float) -> Drawn:
    """Fills with one value.

    Args:
        val: The value.
    """
    return Drawn(partial(nn.init.constant_, val=val))


@Initializer.register("zero")
def zero() -> Drawn:
    """Fills with zeros."""
    return Drawn(nn.init.zeros_)


@Initializer.register("normal")
def normal(mean: float = 0.0, std: float = 0.1) -> Drawn:
    """Draws from a normal distribution.

    Args:
        mean: Its mean.
        std: Its standard deviation.
    """
    return Drawn(partial(nn.init.normal_, mean=mean, std=std))


@Initializer.register("uniform")
def uniform(a: float = 0.0, b: float = 1.0) -> Drawn:
    """Draws evenly from an interval.

    Args:
        a: Its lower end.
        b: Its upper end.
    """
    return Drawn(partial(nn.init.uniform_, a=a, b=b))


@Initializer.register("xavier_uniform")
def xavier_uniform(gain: float = 1.0) -> Drawn:
    """Keeps the variance of activations even (Glorot & Bengio 2010); for matrices.

    Args:
        gain: A factor for the non-linearity that follows.
    """
    return Drawn(partial(nn.init.xavier_uniform_, gain=gain))


@Initializer.register("xavier_normal")
def xavier_normal(gain: float = 1.0) -> Drawn:
    """As `xavier_uniform`, drawn from a normal distribution.

    Args:
        gain: A factor for the non-linearity that follows.
    """
    return Drawn(partial(nn.init.xavier_normal_, gain=gain))


@Initializer.register("kaiming_uniform")
def kaiming_uniform(
    a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: Nonlinearity = "leaky_relu"
) -> Drawn:
    """Keeps the variance even under a non-linearity (He et al. 2015); for matrices.

    Args:
        a: The slope of a leaky ReLU below zero.
        mode: Whether the variance is kept forwards or backwards.
        nonlinearity: What follows the layer.
    """
    return Drawn(partial(nn.init.kaiming_uniform_, a=a, mode=mode, nonlinearity=nonlinearity))


@Initializer.register("kaiming_normal")
def kaiming_normal(
    a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: Nonlinearity = "leaky_relu"
) -> Drawn:
    """As `kaiming_uniform`, drawn from a normal distribution.

    Args:
        a: The slope of a leaky ReLU below zero.
        mode: Whether the variance is kept forwards or backwards.
        nonlinearity: What follows the layer.
    """
    return Drawn(partial(nn.init.kaiming_normal_, a=a, mode=mode, nonlinearity=nonlinearity))


@Initializer.register("orthogonal")
def orthogonal(gain: float = 1.0) -> Drawn:
    """Draws an orthogonal matrix (Saxe et al. 2013).

    Args:
        gain: A factor on it.
    """
    return Drawn(partial(nn.init.orthogonal_, gain=gain))


@Initializer.register("eye")
def eye() -> Drawn:
    """Fills a matrix with ones on the diagonal and zeros elsewhere."""
    return Drawn(nn.init.eye_)


@Initializer.register("dirac")
def dirac() -> Drawn:
    """Lets a convolution hand its input on unchanged; for tensors of 3 to 5 dimensions."""
    return Drawn(nn.init.dirac_)


@Initializer.register("sparse")
def sparse(sparsity: float, std: float = 0.01) -> Drawn:
    """Draws a matrix from a normal distribution, and sets a part of each column to 0 (Martens 2010).

    Args:
        sparsity: That part, 0 to 1.
        std: The standard deviation of the others.
    """
    return Drawn(partial(nn.init.sparse_, sparsity=sparsity, std=std))


@Initializer.register("block_orthogonal")
def block_orthogonal(split_sizes: list[int], gain: float = 1.0) -> Drawn:
    """Draws each block of a matrix as an orthogonal matrix, as for the four gates of an LSTM.

    Source: AllenNLP, `allennlp/nn/initializers.py`.

    Args:
        split_sizes: The size of a block along each dimension; it must divide that of the matrix.
        gain: A factor on each.
    """
    return Drawn(partial(_fill_blocks, split_sizes=split_sizes, gain=gain))


def _fill_blocks(tensor: Tensor, *, split_sizes: list[int], gain: float) -> None:
    sizes = list(tensor.shape)
    if len(sizes) != len(split_sizes) or any(
        block < 1 or size % block for size, block in zip(sizes, split_sizes, strict=True)
    ):
        raise ValueError(f"split_sizes {split_sizes} do not divide it into whole blocks")
    starts = [range(0, size, block) for size, block in zip(sizes, split_sizes, strict=True)]
    for corner in itertools.product(*starts):
        block = tuple(slice(start, start + size) for start, size in zip(corner, split_sizes, strict=True))
        tensor[block] = nn.init.orthogonal_(tensor[block].contiguous(), gain=gain)


@Initializer.register("uniform_unit_scaling")
def uniform_unit_scaling(nonlinearity: Nonlinearity = "linear") -> Drawn:
    """Draws evenly so that outputs vary as much as inputs (Sussillo & Abbott 2014).

    As in AllenNLP, the last dimension is taken for the output and the product of the others for the input;
    the weight of `nn.Linear` has them the other way around.

    Args:
        nonlinearity: What follows the layer.
    """
    return Drawn(partial(_scale_to_unit, nonlinearity=nonlinearity))


def _scale_to_unit(tensor: Tensor, *, nonlinearity: Nonlinearity) -> None:
    end = math.sqrt(3 / math.prod(tensor.shape[:-1])) * nn.init.calculate_gain(nonlinearity)
    nn.init.uniform_(tensor, -end, end)


@Initializer.register("lstm_hidden_bias")
def lstm_hidden_bias() -> Drawn:
    """Fills the biases of an LSTM with zeros, those of the forget gate with ones (Jozefowicz et al. 2015)."""
    return Drawn(_open_forget_gates)


def _open_forget_gates(tensor: Tensor) -> None:
    if tensor.ndim != 1 or len(tensor) % 4:
        raise ValueError("the biases of an LSTM are a vector of four equal parts")
    hidden_size = len(tensor) // 4
    nn.init.zeros_(tensor)
    nn.init.ones_(tensor[hidden_size : 2 * hidden_size])

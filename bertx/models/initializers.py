"""Fresh values for parameters that a regular expression picks.

The distributions are those of `torch.nn.init`; names and the rule of the first match are AllenNLP's.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Literal

from torch import Tensor, nn

from bertx.config.registrable import Configurable, Registrable
from bertx.errors import ConfigError
from bertx.models.parameter_names import listed, name_pattern

logger = logging.getLogger(__name__)


class Initializer(Registrable):
    """Fills one tensor in place."""

    @abstractmethod
    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor."""


@Initializer.register("constant")
class Constant(Initializer):
    """Fills with one value.

    Args:
        val: The value.
    """

    def __init__(self, val: float) -> None:
        self.val = val

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.constant_(tensor, self.val)


@Initializer.register("zero")
class Zero(Initializer):
    """Fills with zeros."""

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.zeros_(tensor)


@Initializer.register("normal")
class Normal(Initializer):
    """Draws from a normal distribution.

    Args:
        mean: Its mean.
        std: Its standard deviation.
    """

    def __init__(self, mean: float = 0.0, std: float = 0.1) -> None:
        self.mean, self.std = mean, std

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.normal_(tensor, self.mean, self.std)


@Initializer.register("uniform")
class Uniform(Initializer):
    """Draws evenly from an interval.

    Args:
        a: Its lower end.
        b: Its upper end.
    """

    def __init__(self, a: float = 0.0, b: float = 1.0) -> None:
        self.a, self.b = a, b

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.uniform_(tensor, self.a, self.b)


@Initializer.register("xavier_uniform")
class XavierUniform(Initializer):
    """Keeps the variance of activations even (Glorot & Bengio 2010); for matrices.

    Args:
        gain: A factor for the non-linearity that follows.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.xavier_uniform_(tensor, self.gain)


@Initializer.register("kaiming_uniform")
class KaimingUniform(Initializer):
    """Keeps the variance even under ReLU (He et al. 2015); for matrices.

    Args:
        a: The slope of a leaky ReLU below zero.
        mode: Whether the variance is kept forwards or backwards.
    """

    def __init__(self, a: float = 0.0, mode: Literal["fan_in", "fan_out"] = "fan_in") -> None:
        self.a = a
        self.mode: Literal["fan_in", "fan_out"] = mode

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.kaiming_uniform_(tensor, self.a, self.mode)


@Initializer.register("orthogonal")
class Orthogonal(Initializer):
    """Draws an orthogonal matrix (Saxe et al. 2013).

    Args:
        gain: A factor on it.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, tensor: Tensor) -> None:
        """Fills the tensor in place."""
        nn.init.orthogonal_(tensor, self.gain)


class InitializerApplicator(Configurable):
    """Initialises each parameter by the first regular expression that is found in its name.

    Args:
        regexes: Pairs of a regular expression and an initializer; None: nothing is initialised.
        prevent_regexes: Parameters whose names hold one of these stay as they are.

    Raises:
        ConfigError: A string is no regular expression.
    """

    def __init__(
        self,
        regexes: list[tuple[str, Initializer]] | None = None,
        prevent_regexes: list[str] | None = None,
    ) -> None:
        self.regexes = [
            (name_pattern(expression, "initializer.regexes"), initializer)
            for expression, initializer in regexes or []
        ]
        self.prevented = [
            name_pattern(expression, "initializer.prevent_regexes") for expression in prevent_regexes or []
        ]

    def __call__(self, module: nn.Module) -> None:
        """Initialises the module's parameters in place; an expression that picks none is warned about.

        Raises:
            ConfigError: An initializer cannot fill a parameter that its expression picks.
        """
        unused = {pattern.pattern for pattern, _ in self.regexes}
        for name, parameter in module.named_parameters():
            if any(pattern.search(name) for pattern in self.prevented):
                continue
            for pattern, initializer in self.regexes:
                if pattern.search(name):
                    _fill(name, parameter.data, initializer)
                    unused.discard(pattern.pattern)
                    break
        for expression in sorted(unused):
            names = listed(name for name, _ in module.named_parameters())
            logger.warning('initializer: "%s" picks none of the parameters %s', expression, names)


def _fill(name: str, tensor: Tensor, initializer: Initializer) -> None:
    try:
        initializer(tensor)
    except (
        ValueError,
        RuntimeError,
    ) as error:  # of torch.nn.init: a vector has no fan-in, an interval no end
        raise ConfigError(
            f"initializer: {name}, of shape {tuple(tensor.shape)}, cannot be filled: {error}; "
            "change its initializer, or the expression that picks it"
        ) from None

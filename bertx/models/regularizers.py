"""Penalties on the size of parameters that a regular expression picks, added to the training loss."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TypeAlias

import torch
from torch import Tensor, nn

from bertx.config.registrable import Configurable, Registrable
from bertx.models.parameter_names import listed, name_pattern

logger = logging.getLogger(__name__)


class Regularizer(Registrable):
    """Measures one parameter."""

    @abstractmethod
    def __call__(self, parameter: Tensor) -> Tensor:
        """Returns the penalty, a scalar."""


@Regularizer.register("l1")
class L1(Regularizer):
    """Penalises the sum of absolute values.

    Args:
        alpha: The factor on it.
    """

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def __call__(self, parameter: Tensor) -> Tensor:
        """Returns the penalty, a scalar."""
        return self.alpha * parameter.abs().sum()


@Regularizer.register("l2")
class L2(Regularizer):
    """Penalises the sum of squares, without the factor 1/2 that some books have.

    Args:
        alpha: The factor on it.
    """

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha

    def __call__(self, parameter: Tensor) -> Tensor:
        """Returns the penalty, a scalar."""
        return self.alpha * parameter.square().sum()


class RegularizerApplicator(Configurable):
    """Penalises each trainable parameter by the first regular expression that is found in its name.

    Args:
        regexes: Pairs of a regular expression and a regularizer; None: nothing is penalised.

    Raises:
        ConfigError: A string is no regular expression.
    """

    def __init__(self, regexes: list[tuple[str, Regularizer]] | None = None) -> None:
        self.regexes = [
            (name_pattern(expression, "regularizer.regexes"), regularizer)
            for expression, regularizer in regexes or []
        ]
        self._has_warned = False

    def __call__(self, module: nn.Module) -> Tensor:
        """Returns the sum of all penalties, a scalar; a 0 without gradient if no parameter matches.

        An expression that picks no trainable parameter is warned about, the first time.
        """
        unused = {pattern.pattern for pattern, _ in self.regexes}
        penalties = []
        trainable = [(name, tensor) for name, tensor in module.named_parameters() if tensor.requires_grad]
        for name, parameter in trainable:
            for pattern, regularizer in self.regexes:
                if pattern.search(name):
                    penalties.append(regularizer(parameter))
                    unused.discard(pattern.pattern)
                    break
        for expression in sorted(unused) if not self._has_warned else ():
            names = listed(name for name, _ in trainable)
            logger.warning('regularizer: "%s" picks none of the trainable parameters %s', expression, names)
        self._has_warned = True
        return torch.stack(penalties).sum() if penalties else torch.zeros(())


Regularization: TypeAlias = RegularizerApplicator | list[tuple[str, Regularizer]]
"""What a config may say: AllenNLP 2's `{regexes: [[expression, regularizer]]}`, or AllenNLP 0.9's list
`[[expression, regularizer]]`."""

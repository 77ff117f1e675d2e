"""Penalties on the size of parameters that a regular expression picks, added to the training loss."""

from __future__ import annotations

import re
from abc import abstractmethod

import torch
from torch import Tensor, nn

from bertx.config.registrable import Configurable, Registrable


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
        regexes: Pairs of a regular expression and a regularizer.
    """

    def __init__(self, regexes: list[tuple[str, Regularizer]]) -> None:
        self.regexes = [(re.compile(pattern), regularizer) for pattern, regularizer in regexes]

    def __call__(self, module: nn.Module) -> Tensor:
        """Returns the sum of all penalties, a scalar; 0 if no parameter matches."""
        penalties = []
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            for pattern, regularizer in self.regexes:
                if pattern.search(name):
                    penalties.append(regularizer(parameter))
                    break
        return torch.stack(penalties).sum() if penalties else torch.zeros(())

"""Optimizers by name, with groups of parameters picked by regular expressions.

The update rules are torch's own; names, arguments and the rules of groups are AllenNLP's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import nn

from bertx.config.registrable import Configurable, Runtime, Slot
from bertx.errors import ConfigError

logger = logging.getLogger(__name__)

NamedParameters: TypeAlias = list[tuple[str, nn.Parameter]]
Group: TypeAlias = dict[str, object]


class Optimizer(Slot[torch.optim.Optimizer]):
    """The slot for optimizers; its members are functions that return a `torch.optim.Optimizer`."""


class ParameterGroup(Configurable):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        weight_decay: Weight decay.
        betas: Decay rates of Adam's averages.
        eps: Adam's term against division by zero.
        momentum: SGD's momentum.
        requires_grad: False freezes the group.
    """

    def __init__(
        self,
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        betas: tuple[float, float] | None = None,
        eps: float | None = None,
        momentum: float | None = None,
        requires_grad: bool = True,
    ) -> None:
        options: Group = {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        options["momentum"] = momentum
        self.options = {name: value for name, value in options.items() if value is not None}
        self.requires_grad = requires_grad


ParameterGroups: TypeAlias = list[tuple[list[str], ParameterGroup]]


@Optimizer.register("adamw")
def adamw(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
    parameter_groups: ParameterGroups | None = None,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
        amsgrad: Whether to use the largest average of squares so far (Reddi et al. 2018).
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(named_parameters, parameter_groups)
    return torch.optim.AdamW(
        groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


@Optimizer.register("adam")
def adam(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    parameter_groups: ParameterGroups | None = None,
) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients (not decoupled).
        amsgrad: Whether to use the largest average of squares so far (Reddi et al. 2018).
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(named_parameters, parameter_groups)
    return torch.optim.Adam(
        groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True
    )


@Optimizer.register("sgd")
def sgd(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    parameter_groups: ParameterGroups | None = None,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with momentum if asked for.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        momentum: The share of the last update that is kept.
        dampening: The share of the gradient that momentum leaves out.
        weight_decay: A penalty added to the gradients.
        nesterov: Whether momentum looks ahead (Sutskever et al. 2013); needs `momentum` and no `dampening`.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(named_parameters, parameter_groups)
    return torch.optim.SGD(
        groups, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
    )


def grouped(named_parameters: NamedParameters, parameter_groups: ParameterGroups | None) -> list[Group]:
    """Sorts trainable parameters into groups; those that no expression matches come last, with no options.

    Raises:
        ConfigError: A parameter is in two groups, or nothing is left to train.
    """
    wanted = parameter_groups or []
    members: list[list[nn.Parameter]] = [[] for _ in wanted]
    others: list[nn.Parameter] = []
    unused = {pattern for patterns, _ in wanted for pattern in patterns}
    for name, parameter in named_parameters:
        matches = [
            (number, pattern)
            for number, (patterns, _) in enumerate(wanted)
            for pattern in patterns
            if re.search(pattern, name)
        ]
        unused -= {pattern for _, pattern in matches}
        numbers = sorted({number for number, _ in matches})
        if len(numbers) > 1:
            raise ConfigError(
                f"trainer.optimizer.parameter_groups: {name} is in groups {numbers[0]} and {numbers[1]}; "
                "every parameter can be in one only"
            )
        (members[numbers[0]] if numbers else others).append(parameter)
    for pattern in sorted(unused):
        logger.warning("trainer.optimizer.parameter_groups: no parameter has a name like %r", pattern)
    return _trainable(wanted, members, others)


def _trainable(
    wanted: ParameterGroups, members: Sequence[Sequence[nn.Parameter]], others: Sequence[nn.Parameter]
) -> list[Group]:
    groups: list[Group] = []
    for (_, group), parameters in zip(wanted, members, strict=True):
        if not group.requires_grad:
            for parameter in parameters:
                parameter.requires_grad = False
        groups.append({"params": [p for p in parameters if p.requires_grad], **group.options})
    groups.append({"params": [p for p in others if p.requires_grad]})
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ConfigError("trainer.optimizer: nothing to train: every parameter is frozen")
    return groups

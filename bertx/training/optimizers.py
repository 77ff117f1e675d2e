"""Optimizers by name, with groups of parameters picked by regular expressions.

The update rules are torch's own; names, arguments and the rules of groups are AllenNLP's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import nn

from bertx.config.registrable import Configurable, Runtime, Slot
from bertx.errors import ConfigError
from bertx.models.parameter_names import listed, name_pattern

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
        requires_grad: False freezes the group.
    """

    def __init__(
        self, *, lr: float | None = None, weight_decay: float | None = None, requires_grad: bool = True
    ) -> None:
        self.options: Group = {}
        self.requires_grad = requires_grad
        self._set({"lr": lr, "weight_decay": weight_decay})

    def _set(self, options: Mapping[str, float | None]) -> None:
        # torch checks the options of the whole optimizer, but not those of a group.
        for name, value in options.items():
            if value is not None and value < 0:
                raise ConfigError(
                    f"trainer.optimizer.parameter_groups: {name} is {value}; expected 0 or more"
                )
            if value is not None:
                self.options[name] = value


class AdamGroup(ParameterGroup):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        weight_decay: Weight decay.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        requires_grad: False freezes the group.
    """

    def __init__(
        self,
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        betas: tuple[float, float] | None = None,
        eps: float | None = None,
        requires_grad: bool = True,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, requires_grad=requires_grad)
        self._set({"eps": eps})
        if betas is not None:
            if not all(0 <= beta < 1 for beta in betas):
                raise ConfigError(
                    f"trainer.optimizer.parameter_groups: betas are {betas[0]} and {betas[1]}; "
                    "expected both at least 0 and less than 1"
                )
            self.options["betas"] = betas


class SgdGroup(ParameterGroup):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        weight_decay: Weight decay.
        momentum: The share of the last update that is kept.
        requires_grad: False freezes the group.
    """

    def __init__(
        self,
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        momentum: float | None = None,
        requires_grad: bool = True,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, requires_grad=requires_grad)
        self._set({"momentum": momentum})


@Optimizer.register("adamw")
def adamw(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    amsgrad: bool = False,
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
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
    with refusals():
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
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
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
    with refusals():
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
    parameter_groups: list[tuple[list[str], SgdGroup]] | None = None,
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
    with refusals():
        return torch.optim.SGD(
            groups,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )


@contextmanager
def refusals() -> Iterator[None]:
    """Passes on, as a mistake in the config, what torch says against an optimizer's options."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"trainer.optimizer: {error}") from None


def grouped(
    named_parameters: NamedParameters, parameter_groups: Sequence[tuple[list[str], ParameterGroup]] | None
) -> list[Group]:
    """Sorts trainable parameters into groups; those that no expression matches come last, with no options.

    Expressions are searched for anywhere in the names. One that matches nothing is warned about.

    Raises:
        ConfigError: A parameter is in two groups, nothing is left to train, or a string is no regular
            expression.
    """
    place = "trainer.optimizer.parameter_groups"
    wanted = [
        ([name_pattern(expression, place) for expression in expressions], group)
        for expressions, group in parameter_groups or []
    ]
    members: list[list[nn.Parameter]] = [[] for _ in range(len(wanted) + 1)]  # the others last
    used: set[str] = set()
    for name, parameter in named_parameters:
        numbers = []
        for number, (patterns, _) in enumerate(wanted):
            matching = {pattern.pattern for pattern in patterns if pattern.search(name)}
            used |= matching
            numbers += [number] if matching else []
        if len(numbers) > 1:
            raise ConfigError(
                f"{place}: {name} is in groups {numbers[0]} and {numbers[1]} (counted from 0); "
                "expected every parameter in one at most; make the expressions narrower"
            )
        members[numbers[0] if numbers else -1].append(parameter)
    unused = {pattern.pattern for patterns, _ in wanted for pattern in patterns} - used
    for expression in sorted(unused):
        names = listed(name for name, _ in named_parameters)
        logger.warning('%s: "%s" picks none of the parameters %s', place, expression, names)
    return _trainable([group for _, group in wanted], members)


def _trainable(wanted: Sequence[ParameterGroup], members: Sequence[Sequence[nn.Parameter]]) -> list[Group]:
    """Freezes the groups that are to be; returns those of which something is left."""
    groups: list[Group] = []
    for group, parameters in zip([*wanted, ParameterGroup()], members, strict=True):
        for parameter in parameters if not group.requires_grad else ():
            parameter.requires_grad = False
        left = [parameter for parameter in parameters if parameter.requires_grad]
        if left:
            groups.append({"params": left, **group.options})
    if not groups:
        raise ConfigError("trainer.optimizer: there is nothing to train: every parameter is frozen")
    return groups

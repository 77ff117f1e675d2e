"""Several optimizers for one model, each for parameters of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import overload

import torch
from torch import nn
from torch.optim.optimizer import StateDict

from bertx.config.registrable import Lazy, Runtime
from bertx.config.signatures import config_parameters
from bertx.errors import ConfigError
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer
from bertx.training.optimizers.parameter_groups import PLACE, AdamGroup, group_numbers

DEFAULT = "default"


class MultiGroup(AdamGroup):
    """Which optimizer a group of parameters has, and what is different for it; None: as for the others.

    Args:
        optimizer_name: The optimizer, by its name among `optimizers`.
        lr: Learning rate per step.
        weight_decay: Weight decay, of all in the group, biases and scales of norms included.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        momentum: The share of the last update that is kept.
        requires_grad: False freezes the group.
    """

    def __init__(
        self,
        *,
        optimizer_name: str = DEFAULT,
        lr: float | None = None,
        weight_decay: float | None = None,
        betas: tuple[float, float] | None = None,
        eps: float | None = None,
        momentum: float | None = None,
        requires_grad: bool = True,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, betas=betas, eps=eps, requires_grad=requires_grad)
        self._set({"momentum": momentum})
        self.optimizer_name = optimizer_name


@Optimizer.register("multi")
class MultiOptimizer(torch.optim.Optimizer):
    """Trains parts of a model with different optimizers.

    It looks like a single one: its groups are those of all, in the order of `optimizers`, so that schedules
    and checkpoints need not know. Each optimizer sees the names of the whole model, and counts layers in it.

    Args:
        named_parameters: What to train.
        optimizers: Optimizers by names of the user's choice. `default` trains what no group gives to another;
            each may have `parameter_groups` of its own.
        parameter_groups: Pairs of regular expressions and the optimizer of the parameters they match, with
            what is different for them.

    Raises:
        ConfigError: There is no `default`, a group names none of the optimizers or has an option that its
            optimizer does not know, or an optimizer has no parameters, or cannot be one of several.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        optimizers: dict[str, Lazy[Optimizer]],
        parameter_groups: list[tuple[list[str], MultiGroup]] | None = None,
    ) -> None:
        choices = parameter_groups or []
        _check_names(optimizers, [group for _, group in choices])
        owners = _owners(named_parameters, choices)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, lazy in optimizers.items():
            mine = [pair for pair in choices if pair[1].optimizer_name == name and pair[1].options]
            if not any(owner == name for owner in owners):
                if name != DEFAULT:
                    raise ConfigError(
                        f'trainer.optimizer.optimizers: "{name}" has no parameters to train; expected a pair '
                        f'in parameter_groups that gives it some: [["..."], {{optimizer_name: "{name}"}}]'
                    )
                continue
            others = [p for (_, p), owner in zip(named_parameters, owners, strict=True) if owner != name]
            with _frozen(others):
                self.optimizers[name] = _built(name, lazy, mine, named_parameters)
        if not self.optimizers:
            raise ConfigError("trainer.optimizer: there is nothing to train: every parameter is frozen")
        first = 0
        for one in self.optimizers.values():
            for group in one.param_groups:
                group["number"] = first + group.get("number", 0)
            first = 1 + max(group["number"] for group in one.param_groups)
        super().__init__([group for one in self.optimizers.values() for group in one.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Lets all have one state, and the groups of all in this one."""
        state: defaultdict[torch.Tensor, dict[str, object]] = defaultdict(dict)
        for one in self.optimizers.values():
            state.update(one.state)
            one.state = state
        self.state = state
        self.param_groups = [group for one in self.optimizers.values() for group in one.param_groups]

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Lets each optimizer make its step; returns what `closure`, called once before, returned."""
        loss = None if closure is None else closure()
        for one in self.optimizers.values():
            one.step()
        return loss

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Takes over a state; each optimizer its part, by its own rules."""
        if len(state_dict["param_groups"]) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        first = 0
        for one in self.optimizers.values():
            groups = state_dict["param_groups"][first : first + len(one.param_groups)]
            numbers = {number for group in groups for number in group["params"]}
            state = {number: value for number, value in state_dict["state"].items() if number in numbers}
            one.load_state_dict({"state": state, "param_groups": groups})
            first += len(groups)
        self._share()


def _check_names(optimizers: dict[str, Lazy[Optimizer]], groups: Sequence[MultiGroup]) -> None:
    known = ", ".join(optimizers) or "none"
    if DEFAULT not in optimizers:
        raise ConfigError(
            f'trainer.optimizer.optimizers: has no "{DEFAULT}" (there are: {known}); expected one, which '
            "trains what no group gives to another"
        )
    for group in groups:
        if group.optimizer_name not in optimizers:
            raise ConfigError(
                f'{PLACE}: there is no optimizer called "{group.optimizer_name}"; expected one of: {known}'
            )


def _owners(
    named_parameters: NamedParameters, choices: Sequence[tuple[list[str], MultiGroup]]
) -> list[str | None]:
    """Names the optimizer of each parameter; None for what is frozen, by its group or before."""
    wanted = [*(group for _, group in choices), MultiGroup()]
    owners: list[str | None] = []
    for (_, parameter), number in zip(
        named_parameters, group_numbers(named_parameters, choices), strict=True
    ):
        parameter.requires_grad = parameter.requires_grad and wanted[number].requires_grad
        owners.append(wanted[number].optimizer_name if parameter.requires_grad else None)
    return owners


@contextmanager
def _frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Freezes parameters for a while, so that an optimizer leaves them to the others."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True


def _built(
    name: str,
    lazy: Lazy[Optimizer],
    choices: Sequence[tuple[list[str], MultiGroup]],
    named_parameters: NamedParameters,
) -> torch.optim.Optimizer:
    takes_groups = "parameter_groups" in config_parameters(lazy.maker)
    if takes_groups:
        own = lazy.settings.get("parameter_groups") or []
        lazy = copy(lazy)
        lazy.settings = {**lazy.settings, "parameter_groups": [*own, *choices]}
    made: torch.optim.Optimizer = lazy.build(named_parameters=named_parameters)
    if isinstance(made, MultiOptimizer | torch.optim.LBFGS):
        raise ConfigError(f'trainer.optimizer.optimizers: "{name}" is {lazy.label}, which only works alone')
    known = made.defaults.keys() if takes_groups else set()
    for option in sorted({option for _, group in choices for option in group.options} - known):
        raise ConfigError(f'{PLACE}: {option} is unknown to "{name}", an optimizer of type {lazy.label}')
    return made

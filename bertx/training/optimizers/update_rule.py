"""The base of optimizers that torch does not have: one parameter after the other, in float32."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from itertools import chain
from typing import TypeAlias, cast, overload

import torch
from torch import Tensor, nn
from torch.optim.optimizer import StateDict

from bertx.errors import ConfigError
from bertx.training.optimizers.optimizer import Group

State: TypeAlias = dict[str, Tensor]
Options: TypeAlias = Mapping[str, object]

SIZES = ("lr", "eps", "weight_decay", "clip_threshold", "max_grad_norm")  # at least 0
RATES = ("betas", "beta1", "momentum")  # decay rates of averages: less than 1, or nothing would be learned
MIXES = ("nu", "nus")  # how much of one, and of another: 0 to 1


class UpdateRule(torch.optim.Optimizer):
    """Updates each parameter by a rule that reads its gradient, its state and its group's options.

    Weights of float16 and bfloat16 are updated in float32 and rounded to their own type once at the end; the
    state stays in float32, also when it is loaded.

    Args:
        groups: Parameters and their options.
        defaults: Options of the groups that do not have their own.

    Raises:
        ConfigError: An option is out of its range.
    """

    def __init__(self, groups: list[Group], defaults: Group) -> None:
        for name, value in defaults.items():
            for number in value if isinstance(value, tuple) else (value,):
                _check(name, number)
        super().__init__(groups, defaults)

    @abstractmethod
    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place.

        Args:
            weights: float32 or float64, any shape.
            gradient: Of the same type and shape.
            state: Of this parameter; `step` counts updates, this one included, the rest is the rule's own.
            group: Its options.
        """

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Updates every parameter that has a gradient.

        Args:
            closure: Computes the loss and its gradients first; None: the gradients are there.

        Returns:
            What `closure` returned.
        """
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: Options) -> None:
        state: State = self.state[parameter]
        state["step"] = state.get("step", torch.zeros(())) + 1
        wide = torch.promote_types(parameter.dtype, torch.float32)
        weights = parameter.to(wide)  # the parameter itself if it is as wide
        self.update(weights, gradient.to(wide), state, group)
        if weights is not parameter:
            parameter.copy_(weights)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Takes over a state; unlike torch's, this does not round it to the type of the weights."""
        super().load_state_dict(state_dict)
        numbers = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        parameters = chain.from_iterable(group["params"] for group in self.param_groups)
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in state_dict["state"].get(number, {}).items():
                device = value.device if name == "step" else parameter.device
                self.state[parameter][name] = value.to(device, copy=True)


def number(group: Options, name: str) -> float:
    """Reads an option that is a number."""
    return cast(float, group[name])


def pair(group: Options, name: str) -> tuple[float, float]:
    """Reads an option that is two numbers."""
    return cast("tuple[float, float]", group[name])


def average(state: State, name: str, value: Tensor, decay: float) -> Tensor:
    """Moves an exponential moving average, which starts at 0, towards a value; returns the average itself."""
    if name not in state:
        state[name] = torch.zeros_like(value)
    return state[name].mul_(decay).add_(value, alpha=1 - decay)


def _check(name: str, value: object) -> None:
    if not isinstance(value, int | float):
        return
    expected = None
    if name in SIZES and value < 0:
        expected = "at least 0"
    elif name in RATES and not 0 <= value < 1:
        expected = "at least 0 and less than 1"
    elif name in MIXES and not 0 <= value <= 1:
        expected = "0 to 1"
    if expected is not None:
        raise ConfigError(f"trainer.optimizer.{name}: {value}; expected {expected}")

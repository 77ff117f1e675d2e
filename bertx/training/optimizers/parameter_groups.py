"""Groups of parameters with options of their own: picked by regular expressions, by layer, by kind."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import nn

from bertx.config.registrable import Configurable
from bertx.errors import ConfigError
from bertx.models.parameter_names import listed, name_pattern
from bertx.training.optimizers.layers import depths
from bertx.training.optimizers.optimizer import Group, NamedParameters

logger = logging.getLogger(__name__)

PLACE = "trainer.optimizer.parameter_groups"


class ParameterGroup(Configurable):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        requires_grad: False freezes the group.
    """

    def __init__(self, *, lr: float | None = None, requires_grad: bool = True) -> None:
        self.options: Group = {}
        self.requires_grad = requires_grad
        self._set({"lr": lr})

    def _set(self, options: Mapping[str, float | None]) -> None:
        # torch checks the options of the whole optimizer, but not those of a group.
        for name, value in options.items():
            if value is not None and value < 0:
                raise ConfigError(f"{PLACE}: {name} is {value}; expected 0 or more")
            if value is not None:
                self.options[name] = value

    def _set_betas(self, betas: tuple[float, float] | None) -> None:
        if betas is None:
            return
        if not all(0 <= beta < 1 for beta in betas):
            raise ConfigError(
                f"{PLACE}: betas are {betas[0]} and {betas[1]}; expected both at least 0 and less than 1"
            )
        self.options["betas"] = betas


class DecayGroup(ParameterGroup):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        weight_decay: Weight decay, of all in the group, biases and scales of norms included.
        requires_grad: False freezes the group.
    """

    def __init__(
        self, *, lr: float | None = None, weight_decay: float | None = None, requires_grad: bool = True
    ) -> None:
        super().__init__(lr=lr, requires_grad=requires_grad)
        self._set({"weight_decay": weight_decay})


class AdamGroup(DecayGroup):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        weight_decay: Weight decay, of all in the group, biases and scales of norms included.
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
        self._set_betas(betas)


class MomentumGroup(DecayGroup):
    """What is different for a group of parameters; None: as for the others.

    Args:
        lr: Learning rate per step.
        weight_decay: Weight decay, of all in the group, biases and scales of norms included.
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


ParameterGroups: TypeAlias = Sequence[tuple[list[str], ParameterGroup]]


def grouped(
    named_parameters: NamedParameters,
    parameter_groups: ParameterGroups | None,
    *,
    lr: float,
    layer_decay: float | None,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = True,
) -> list[Group]:
    """Sorts trainable parameters into torch's groups; those that no expression matches come last.

    A group is split where its parameters get different options; `number` says which one a part is of. Inside
    an encoder the learning rate, the group's own or the optimizer's, is multiplied by `layer_decay` for each
    step from the head down (Clark et al. 2020, ELECTRA, appendix B); of such parts the highest comes first.
    Parameters that `spared` tells of have no weight decay, unless their group says itself what it has; they
    come before the others.

    Args:
        named_parameters: All parameters of the model; those of frozen groups are frozen.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
        lr: The optimizer's learning rate.
        layer_decay: The factor from one layer to the next one down; None: the rates are the same.
        weight_decay: The optimizer's weight decay.
        decay_biases_and_norms: Whether weight decay is for all parameters.

    Raises:
        ConfigError: A parameter is in two groups, nothing is left to train, a string is no regular
            expression, or `layer_decay` is out of range or finds no layers.
    """
    wanted = [*(group for _, group in parameter_groups or ()), ParameterGroup()]
    down = {} if layer_decay is None else _depths(named_parameters, layer_decay)
    numbers = group_numbers(named_parameters, parameter_groups or ())
    parts: dict[tuple[int, int, bool], list[nn.Parameter]] = {}
    for (name, parameter), number in zip(named_parameters, numbers, strict=True):
        parameter.requires_grad = parameter.requires_grad and wanted[number].requires_grad
        if parameter.requires_grad:
            has_decay = weight_decay != 0 and "weight_decay" not in wanted[number].options
            is_spared = has_decay and not decay_biases_and_norms and spared(name, parameter)
            parts.setdefault((number, down.get(name, 0), not is_spared), []).append(parameter)
    if not parts:
        raise ConfigError("trainer.optimizer: there is nothing to train: every parameter is frozen")
    groups: list[Group] = []
    for number, depth, decays in sorted(parts):
        options = dict(wanted[number].options)
        if layer_decay is not None:
            rate = options.get("lr", lr)
            assert isinstance(rate, int | float)
            options["lr"] = rate * layer_decay**depth
        options |= {} if decays else {"weight_decay": 0.0}
        groups.append({"params": parts[number, depth, decays], "number": number, **options})
    return groups


def spared(name: str, parameter: nn.Parameter) -> bool:
    """Tells whether a parameter is a bias or the scale of a norm, which weight decay leaves alone.

    Scales, and almost all biases, are what has fewer than two dimensions, whatever a model calls it. The
    authors of BERT spare theirs by name (`LayerNorm`, `bias`), with the same result.
    """
    return parameter.ndim < 2 or name.endswith("bias")


def _depths(named_parameters: NamedParameters, layer_decay: float) -> dict[str, int]:
    if not 0 < layer_decay <= 1:
        raise ConfigError(
            f"trainer.optimizer.layer_decay: {layer_decay}; expected more than 0 and at most 1, or null"
        )
    names = [name for name, _ in named_parameters]
    if not (found := depths(names)):
        raise ConfigError(
            "trainer.optimizer.layer_decay: the model has no encoder whose parameters are called "
            f"embeddings... and layers.0..., layers.1..., but {listed(names)}; leave layer_decay out"
        )
    return found


def group_numbers(named_parameters: NamedParameters, parameter_groups: ParameterGroups) -> list[int]:
    """Finds the group of each parameter; the number after the last group stands for none.

    Expressions are searched for anywhere in the names. One that matches nothing is warned about.

    Raises:
        ConfigError: A parameter is in two groups, or a string is no regular expression.
    """
    patterns = [[name_pattern(expression, PLACE) for expression in group] for group, _ in parameter_groups]
    used: set[str] = set()
    result = []
    for name, _ in named_parameters:
        numbers = []
        for number, choices in enumerate(patterns):
            matching = {pattern.pattern for pattern in choices if pattern.search(name)}
            used |= matching
            numbers += [number] if matching else []
        if len(numbers) > 1:
            raise ConfigError(
                f"{PLACE}: {name} is in groups {numbers[0]} and {numbers[1]} (counted from 0); "
                "expected every parameter in one at most; make the expressions narrower"
            )
        result.append(numbers[0] if numbers else len(patterns))
    for expression in sorted({pattern.pattern for choices in patterns for pattern in choices} - used):
        names = listed(name for name, _ in named_parameters)
        logger.warning('%s: "%s" picks none of the parameters %s', PLACE, expression, names)
    return result

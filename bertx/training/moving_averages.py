"""Averages of the weights over training, which often classify better than the last weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from bertx.config.registrable import Registrable, Runtime
from bertx.data.instance import JSON
from bertx.errors import CheckpointError, ConfigError
from bertx.training.processes.shards import cut_like, whole
from bertx.training.schedulers.step_counts import number_of_steps
from bertx.training.schedulers.training_length import TrainingLength


class MovingAverage(Registrable):
    """Averages weights in training and lends them to the model, such as for a validation.

    Averages are kept in float32 at least: in bfloat16, small changes would be lost.

    Args:
        named_parameters: What to average; already where it is trained.
    """

    default_implementation = "exponential"

    def __init__(self, named_parameters: Runtime[list[tuple[str, nn.Parameter]]]) -> None:
        self.parameters = dict(named_parameters)
        self.averages = {
            name: parameter.detach().to(torch.promote_types(parameter.dtype, torch.float32), copy=True)
            for name, parameter in self.parameters.items()
        }
        self.num_averaged = 0

    @abstractmethod
    def weight(self, step: int) -> float | None:
        """Returns the share of the new weights in the average after `step` steps; None: they do not count."""

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights after `step` optimizer steps, from 1 on."""
        weight = self.weight(step)
        if weight is None:
            return
        for name, average in self.averages.items():
            average.lerp_(self.parameters[name].to(average), weight)
        self.num_averaged += 1

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Puts the averages in place of the weights for a while; without any, the weights stay."""
        if not self.num_averaged:
            yield
            return
        weights = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        try:
            self._fill(self.averages)
            yield
        finally:
            self._fill(weights)

    @torch.no_grad()
    def _fill(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, Tensor | JSON]:
        """Returns the whole averages by the names of the parameters, and how many weights are in them."""
        averages = {name: whole(average) for name, average in self.averages.items()}
        return {**averages, "num_averaged": self.num_averaged}

    def load_state_dict(self, state: Mapping[str, Tensor | JSON]) -> None:
        """Takes back what `state_dict` returned.

        Raises:
            CheckpointError: It is of other parameters.
        """
        for name, average in self.averages.items():
            saved = state.get(name)
            if not isinstance(saved, Tensor) or saved.shape != average.shape:
                found = tuple(saved.shape) if isinstance(saved, Tensor) else "missing"
                raise CheckpointError(
                    f"moving average of {name}: it is {found}, expected {tuple(average.shape)}; "
                    "the checkpoint is of another model"
                )
            average.copy_(cut_like(saved, average))
        self.num_averaged = cast(int, state["num_averaged"])


@MovingAverage.register("exponential")
class ExponentialMovingAverage(MovingAverage):
    """Lets older weights count less and less.

    Step t, from 1, leaves min(decay, (numerator + t) / (denominator + t)) of the average; the rest comes from
    the new weights.

    Args:
        named_parameters: What to average; already where it is trained.
        decay: The share in a long training; 1 / (1 - decay) is about how many steps are averaged.
        numerator: The smaller it is beside the denominator, the sooner the first weights are forgotten.
        denominator: At least the numerator.

    Raises:
        ConfigError: A number is out of its range.
    """

    def __init__(
        self,
        named_parameters: Runtime[list[tuple[str, nn.Parameter]]],
        *,
        decay: float = 0.9999,
        numerator: float = 1.0,
        denominator: float = 10.0,
    ) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"trainer.moving_average.decay: {decay}; expected at least 0 and less than 1")
        if not 0 <= numerator <= denominator:
            raise ConfigError(
                f"trainer.moving_average.numerator: {numerator}; expected at least 0 and at most the "
                f"denominator, {denominator}"
            )
        super().__init__(named_parameters)
        self.decay, self.numerator, self.denominator = decay, numerator, denominator

    def weight(self, step: int) -> float:
        """Returns the share of the new weights in the average; see `MovingAverage`."""
        return 1 - min(self.decay, (self.numerator + step) / (self.denominator + step))


@MovingAverage.register("stochastic_weight_average")
class StochasticWeightAverage(MovingAverage):
    """Averages weights of the last part of training, all alike.

    It goes well with a rate that stays high to the end, such as that of `constant_with_warmup`.

    Source: Izmailov et al. 2018 (Averaging Weights Leads to Wider Optima and Better Generalization).

    Args:
        named_parameters: What to average; already where it is trained.
        num_steps: The number of optimizer steps of the whole training.
        length: Where the epochs are.
        start: The first step whose weights may count; a number below 1 is a share of all steps, rounded up.
        every: How many steps are between weights that count; None: those at the end of every epoch do.

    Raises:
        ConfigError: `start` is not within the training, or `every` is not positive.
    """

    def __init__(
        self,
        named_parameters: Runtime[list[tuple[str, nn.Parameter]]],
        num_steps: Runtime[int],
        length: Runtime[TrainingLength],
        *,
        start: int | float = 0.75,
        every: int | None = None,
    ) -> None:
        super().__init__(named_parameters)
        self.start = max(1, number_of_steps(start, num_steps, "trainer.moving_average.start"))
        if self.start > num_steps:
            raise ConfigError(
                f"trainer.moving_average.start: {start}; expected at most {num_steps}, all steps of the "
                "training, or a share of them"
            )
        if every is not None and every < 1:
            raise ConfigError(f"trainer.moving_average.every: {every}; expected at least 1 step")
        self.every, self.epoch_ends = every, frozenset(length.ends)

    def weight(self, step: int) -> float | None:
        """Returns the share of the new weights in the average; see `MovingAverage`."""
        counts = step in self.epoch_ends if self.every is None else (step - self.start) % self.every == 0
        return 1 / (self.num_averaged + 1) if step >= self.start and counts else None

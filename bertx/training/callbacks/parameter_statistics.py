"""Writes how large weights, gradients and updates are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.models.model import Model
from bertx.training.callbacks.line_log import LineLog
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from bertx.training.processes.shards import full_tensors, whole

NAMES = ("mean", "std", "gradient_mean", "gradient_std", "update_ratio")


@TrainerCallback.register("parameter_statistics")
class ParameterStatistics(LineLog):
    """Appends a line to `parameter_statistics.jsonl` every so many steps, with five numbers per parameter.

    They are mean and standard deviation of the weights and of their gradients (after clipping), and the
    `update_ratio`: the norm of the step's change over the norm of the weights before. Only what is trained is
    measured. The weights are held twice during the measured step.

    Source: the ratio, for which about 0.001 is sound, is that of the course CS231n (Stanford), "Neural
    Networks Part 3", section "Ratio of weights:updates".

    Args:
        every: Optimizer steps between two lines.

    Raises:
        ConfigError: `every` is not positive.
    """

    reads_weights: ClassVar[bool] = True
    file_name: ClassVar[str] = "parameter_statistics.jsonl"

    def __init__(self, every: int = 100) -> None:
        super().__init__()
        if every < 1:
            raise ConfigError(f"parameter_statistics.every: {every}; expected at least 1 step")
        self.every = every
        self._before: dict[str, Tensor] = {}

    def on_start(self, context: TrainingContext) -> None:
        """Notes the weights, if the first step is to be measured."""
        super().on_start(context)
        self._prepare(context, context.first_step + 1)

    def on_step(self, context: TrainingContext, step: Step) -> None:
        """Measures this step, and notes the weights if the next one is to be measured."""
        if step.step % self.every == 0 and step.skipped is None:
            numbers = statistics(context.model, self._before)
            self.append(context, {"step": step.step, "parameters": numbers})
        self._prepare(context, step.step + 1)

    def _prepare(self, context: TrainingContext, step: int) -> None:
        self._before = {}
        if step % self.every == 0 and step <= context.num_steps:
            self._before = {name: weights.clone() for name, weights in _trained(context.model).items()}


def statistics(model: Model, before: Mapping[str, Tensor]) -> dict[str, JSON]:
    """Measures every trained parameter; of one that is cut into shards the whole, in all processes together.

    Args:
        model: The model, its gradients still there.
        before: The weights before the step.

    Returns:
        For each name an object of five numbers; those of gradients are NaN where there is none.
    """
    # What has just been unfrozen has no weights from before.
    named = {name: weights for name, weights in _trained(model).items() if name in before}
    gradients = {name: weights.grad for name, weights in model.named_parameters()}
    rows = [_measure(weights, gradients[name], before[name]) for name, weights in named.items()]
    # One transfer from the device for all numbers.
    values = torch.stack(rows).tolist() if rows else []
    return {name: dict(zip(NAMES, row, strict=True)) for name, row in zip(named, values, strict=True)}


def _trained(model: Model) -> dict[str, Tensor]:
    tensors = full_tensors(model)
    return {name: tensors[name] for name, weights in model.named_parameters() if weights.requires_grad}


def _measure(weights: Tensor, gradient: Tensor | None, before: Tensor) -> Tensor:
    """Returns the numbers of one parameter, float32, (5,)."""
    weights, before = weights.float(), before.float()
    slopes = torch.full_like(weights, torch.nan) if gradient is None else whole(gradient).float()
    return torch.stack(
        [
            weights.mean(),
            weights.std(correction=0),
            slopes.mean(),
            slopes.std(correction=0),
            (weights - before).norm() / before.norm(),
        ]
    )

"""Optimizer steps: a group of batches in, changed weights out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import nn

from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.errors import DataError, TrainingError
from bertx.models.model import Model, Output
from bertx.training.evaluation import Precision, arithmetic, num_targets

SHOWN_IDS = 20


@dataclass
class Sums:
    """What the steps of an epoch, or one step, add up to.

    Attributes:
        loss: The sum of losses over all targets.
        num_targets: Over how many things the loss is a sum: instances, or hidden pieces.
        penalty: The sum of the regularizer's penalties over all steps.
        num_steps: How many steps.
    """

    loss: float = 0.0
    num_targets: int = 0
    penalty: float = 0.0
    num_steps: int = 0

    def add(self, other: Sums) -> None:
        """Adds further steps."""
        self.loss += other.loss
        self.num_targets += other.num_targets
        self.penalty += other.penalty
        self.num_steps += other.num_steps

    @property
    def mean_loss(self) -> float:
        """The loss per target and the penalty per step together; NaN if there was no target."""
        if not self.num_targets:
            return math.nan
        return self.loss / self.num_targets + self.penalty / self.num_steps


@dataclass(frozen=True)
class StepMaker:
    """Makes optimizer steps on a split.

    Attributes:
        model: What to train, already on the device.
        split: What the batches are from, for messages.
        optimizer: Changes the weights.
        device: Where to compute.
        precision: The arithmetic of matrix products.
        grad_norm: Scale all gradients of a step down to this norm together; None: never.
    """

    model: Model
    split: Split
    optimizer: torch.optim.Optimizer
    _: KW_ONLY
    device: torch.device
    precision: Precision
    grad_norm: float | None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer changes."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def make(self, number: int, group: Sequence[Batch]) -> tuple[Sums, float | None]:
        """Makes one step on all batches of a group together.

        Args:
            number: The step's number, from 1, for messages.
            group: The batches; the gradient is that of the mean loss over all their targets.

        Returns:
            The losses of the step, and the norm of its gradient before clipping if it was needed.

        Raises:
            DataError: The model returns no loss.
            TrainingError: A number is not finite; the weights are as they were.
        """
        self.optimizer.zero_grad(set_to_none=True)
        sums = Sums(num_steps=1)
        for batch in group:
            loss, count = self._backward(number, batch, is_alone=len(group) == 1)
            sums.add(Sums(loss * count, count))
        if len(group) > 1:
            # How many targets there are is known only after the last batch.
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(max(sums.num_targets, 1))
        sums.penalty = self._penalize(number, group)
        norm = self._clip(number, group)
        self.optimizer.step()
        return sums, norm

    def _backward(self, number: int, batch: Batch, *, is_alone: bool) -> tuple[float, int]:
        """Adds the gradients of a batch: those of its mean loss, or of the sum if it is not alone."""
        batch = batch.to(self.device)
        with arithmetic(self.precision, self.device):
            output: Output = self.model(**batch.inputs)
        if "loss" not in output:
            raise DataError(
                f"{self.split.name}: the model was given {', '.join(batch.inputs)} and returned no loss, so "
                "there is nothing to learn; check that the data have labels"
            )
        value, count = float(output["loss"].detach()), num_targets(batch, output)
        if not math.isfinite(value):
            raise self._not_finite(number, "loss", value, [batch])
        loss = output["loss"] if is_alone else output["loss"] * count
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward untyped
        return value, count

    def _penalize(self, number: int, group: Sequence[Batch]) -> float:
        """Adds the gradient of the regularizer's penalty; returns the penalty."""
        penalty = self.model.regularization_penalty()
        if penalty is None or not penalty.requires_grad:
            return 0.0
        value = float(penalty.detach())
        if not math.isfinite(value):
            raise self._not_finite(number, "regularization penalty", value, group)
        penalty.backward()  # type: ignore[no-untyped-call]  # as above
        return value

    def _clip(self, number: int, group: Sequence[Batch]) -> float | None:
        if self.grad_norm is None:
            return None
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.grad_norm, foreach=True))
        if not math.isfinite(norm):
            raise self._not_finite(number, "gradient norm", norm, group)
        return norm

    def _not_finite(self, number: int, what: str, value: float, group: Sequence[Batch]) -> TrainingError:
        rows = [int(row) for batch in group for row in batch.rows]
        names = ", ".join(self.split.dataset.identifier(row) for row in rows[:SHOWN_IDS])
        more = f" and {len(rows) - SHOWN_IDS} more" if len(rows) > SHOWN_IDS else ""
        rate = self.optimizer.param_groups[0]["lr"]
        advice = " or set trainer.grad_norm" if self.grad_norm is None else ""
        return TrainingError(
            f"step {number}: the {what} is {value} (batch ids: {names}{more}); lr was {rate:g}. "
            f"Lower trainer.optimizer.lr{advice}"
        )

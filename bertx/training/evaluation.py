"""A model's loss and metrics over a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.data.transfer import on_device
from bertx.models.model import Model, Output, uncounted
from bertx.progress import Progress
from bertx.training.precision import Precision, arithmetic
from bertx.training.processes.parallel import sum_statistics
from bertx.training.reading import Reading
from bertx.world import World


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on a split.

    Attributes:
        metrics: The model's metrics.
        loss_sum: The sum of losses over all targets.
        num_targets: Over how much the loss is a sum: instances, hidden pieces, or their weights.
    """

    metrics: dict[str, float]
    loss_sum: float
    num_targets: float

    @property
    def all(self) -> dict[str, float]:
        """The metrics and `loss`, a mean; NaN if the split lacks what the loss needs."""
        return {**self.metrics, "loss": self.loss_sum / self.num_targets if self.num_targets else math.nan}


class _Losses:
    """Adds up losses; those of a batch are read when the next one is queued already."""

    def __init__(self) -> None:
        self._sum, self._targets = 0.0, 0.0
        self._coming: Reading | None = None

    def add(self, coming: Reading) -> None:
        """Adds the mean loss of a batch, and over how much it is a mean."""
        self.total()
        self._coming = coming

    def total(self) -> list[float]:
        """Returns the sum of losses, and that of targets."""
        if self._coming is not None:
            loss, targets = self._coming.values()
            if targets:
                self._sum, self._targets = self._sum + loss * targets, self._targets + targets
            self._coming = None
        return [self._sum, self._targets]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout and gradients off, and training mode back on afterwards if it was on."""
    was_training = model.training
    if was_training:  # to look through all modules takes longer than a short text
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            model.train()


def targets_of(batch: Batch, output: Output) -> torch.Tensor | float:
    """Returns over how much the batch's loss is a mean: instances, or what the model says."""
    if "num_targets" in output:
        return output["num_targets"]
    label = batch.inputs.get("label")
    return (label >= 0).sum() if isinstance(label, torch.Tensor) else batch.size


def evaluate(
    model: Model,
    split: Split,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    observe: Callable[[Batch, Output], None] | None = None,
    world: World = World(),  # noqa: B008  (immutable)
) -> Evaluation:
    """Computes loss and metrics over a whole split, every instance counted once.

    Args:
        model: The model, already on the device.
        split: What to evaluate on.
        device: Where to compute.
        precision: The arithmetic of matrix products.
        observe: Called with every batch and its output, for predictions per instance; what it raises ends
            the evaluation.
        world: The processes that share the work; the split is this one's share.

    Returns:
        Metrics and loss, the same in all processes. The model's statistics hold the counts until something
        else is counted.
    """
    losses = _Losses()
    model.get_metrics(reset=True)
    with (
        evaluating(model),
        arithmetic(precision, device),
        Progress(f"evaluate {split.name}", len(split), unit="instances") as progress,
    ):
        for batch in on_device(split.evaluation_batches(), device):
            with uncounted(model) if batch.is_filler else nullcontext():
                output = model(**batch.inputs)
            if "loss" in output and not batch.is_filler:
                losses.add(Reading([output["loss"], targets_of(batch, output)]))
            if observe is not None:
                observe(batch, output)
            progress.advance(batch.size)
    sum_statistics(model.statistics, world)
    loss_sum, targets = world.sum(losses.total())
    return Evaluation(model.get_metrics(), loss_sum, targets)

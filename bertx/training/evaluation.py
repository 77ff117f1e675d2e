"""A model's loss and metrics over a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import nn

from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.models.model import Model, Output
from bertx.progress import Progress

Precision: TypeAlias = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on a split.

    Attributes:
        metrics: The model's metrics.
        loss_sum: The sum of losses over all targets.
        num_targets: Over how many things the loss is a sum: instances, or hidden pieces.
    """

    metrics: dict[str, float]
    loss_sum: float
    num_targets: int

    @property
    def all(self) -> dict[str, float]:
        """The metrics and `loss`, a mean; NaN if the split lacks what the loss needs."""
        return {**self.metrics, "loss": self.loss_sum / self.num_targets if self.num_targets else math.nan}


def arithmetic(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Returns the context in which a model computes: bf16 for matrix products, or fp32 for all."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout and gradients off, and training mode back on afterwards if it was on."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def num_targets(batch: Batch, output: Output) -> int:
    """Returns over how many things the batch's loss is a mean: instances, or what the model says."""
    if "num_targets" in output:
        return int(output["num_targets"])
    label = batch.inputs.get("label")
    return int((label >= 0).sum()) if isinstance(label, torch.Tensor) else batch.size


def evaluate(
    model: Model,
    split: Split,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    observe: Callable[[Batch, Output], None] | None = None,
) -> Evaluation:
    """Computes loss and metrics over a whole split, every instance counted once.

    Args:
        model: The model, already on the device.
        split: What to evaluate on.
        device: Where to compute.
        precision: The arithmetic of matrix products.
        observe: Called with every batch and its output, for predictions per instance.

    Returns:
        Metrics and loss. The model's statistics hold the counts until something else is counted.
    """
    loss_sum, targets = 0.0, 0
    model.get_metrics(reset=True)
    with (
        evaluating(model),
        arithmetic(precision, device),
        Progress(f"evaluate {split.name}", len(split), unit="instances") as progress,
    ):
        for batch in split.evaluation_batches():
            batch = batch.to(device)
            output = model(**batch.inputs)
            if "loss" in output and (count := num_targets(batch, output)):
                loss_sum += float(output["loss"]) * count
                targets += count
            if observe is not None:
                observe(batch, output)
            progress.advance(batch.size)
    return Evaluation(model.get_metrics(), loss_sum, targets)

"""What is told of an epoch."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from bertx.atomic import write_json
from bertx.models.model import Model
from bertx.training.metric_tracker import MetricTracker
from bertx.training.position import Position
from bertx.training.schedulers.training_length import TrainingLength
from bertx.training.trainer import Metrics

logger = logging.getLogger(__name__)


def epoch_metrics(model: Model, position: Position, tracker: MetricTracker) -> Metrics:
    """Puts together what `metrics_epoch_N.json` holds, by AllenNLP's names.

    Args:
        model: Its metrics hold the counts of training in this epoch.
        position: The end of the epoch.
        tracker: Knows the best validation.
    """
    training = model.get_metrics() | {"loss": position.sums.mean_loss}
    if model.regularizer is not None and position.sums.num_steps:
        training["reg_loss"] = position.sums.penalty / position.sums.num_steps
    if position.skipped:
        training["skipped_steps"] = position.skipped
    return {
        "best_epoch": tracker.best_epoch if position.validation else position.epoch,
        "epoch": position.epoch,
        "training_duration": str(timedelta(seconds=round(position.seconds))),
        **{f"training_{name}": value for name, value in training.items()},
        **{f"validation_{name}": value for name, value in position.validation.items()},
        **{f"best_validation_{name}": value for name, value in tracker.best_metrics.items()},
    }


def report_epoch(metrics: Metrics, folder: Path | None, length: TrainingLength) -> None:
    """Logs an epoch's numbers, and writes `metrics_epoch_N.json`."""
    shown = {name: value for name, value in metrics.items() if not name.startswith("best_")}
    numbers = (f"{name} {value:.4f}" for name, value in shown.items() if isinstance(value, float))
    epoch = metrics["epoch"]
    assert isinstance(epoch, int)
    logger.info("epoch %d of %d: %s", epoch + 1, length.num_epochs, ", ".join(numbers))
    if folder is not None:
        write_json(folder / f"metrics_epoch_{epoch}.json", metrics)

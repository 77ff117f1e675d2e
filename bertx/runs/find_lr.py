"""`bertx find-lr`: the loss while the learning rate grows from batch to batch.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3 (the range test). What
is suggested are the two rates that fastai's finder shows; when to end is AllenNLP's rule.
"""

from __future__ import annotations

import csv
import io
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from bertx.atomic import write_text
from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.errors import TrainingError, UsageError
from bertx.log import recording
from bertx.progress import Progress
from bertx.runs.archive import LOG, claim_run_folder, require_free
from bertx.runs.find_lr_picture import draw
from bertx.runs.preparation import TrainingRequest, plan_request, prepare
from bertx.training.gradient_descent import GradientDescentTrainer
from bertx.training.step_results import NotFinite
from bertx.training.steps import StepMaker

logger = logging.getLogger(__name__)

AVERAGING = 0.98  # of the mean loss that decides when to end, corrected as Adam's means are
FIRST_BATCHES = 10  # too few for that mean to mean much
BELL_SHARE = 0.03  # of all batches: the standard deviation of the bell curve
DATA, PICTURE = "lr-losses.csv", "lr-losses.png"

Ending: TypeAlias = Literal["all batches are done", "the loss grew too large", "the loss is not finite"]


@dataclass(frozen=True)
class RateRange:
    """Which learning rates to try.

    Attributes:
        start_lr: The rate of the first batch.
        end_lr: The rate of the last batch.
        num_batches: How many batches, or with gradient accumulation optimizer steps.
        linear: Whether the rate grows by a constant difference, not by a constant factor.
        stopping_factor: End when the mean loss of late is so many times its lowest value; None: never.

    Raises:
        UsageError: A number is out of its range.
    """

    start_lr: float = 1e-5
    end_lr: float = 10.0
    num_batches: int = 100
    linear: bool = False
    stopping_factor: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.start_lr < self.end_lr < math.inf:
            raise UsageError(
                f"--start-lr {self.start_lr:g} --end-lr {self.end_lr:g}: expected 0 < start < end"
            )
        if self.num_batches <= FIRST_BATCHES:
            raise UsageError(f"--num-batches {self.num_batches}: expected more than {FIRST_BATCHES}")
        if self.stopping_factor is not None and not self.stopping_factor > 1:
            raise UsageError(f"--stopping-factor {self.stopping_factor:g}: expected a number above 1")

    def rate(self, number: int) -> float:
        """Returns the learning rate of a batch, from 0."""
        position = number / (self.num_batches - 1)
        if self.linear:
            return self.start_lr + (self.end_lr - self.start_lr) * position
        return float(self.start_lr * (self.end_lr / self.start_lr) ** position)


@dataclass(frozen=True)
class Sweep:
    """What the batches told, in their order.

    Attributes:
        rates: The learning rate of the step after each batch.
        losses: The loss of each batch before that step.
        ending: Why there are no more.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    ending: Ending

    @cached_property
    def smoothed(self) -> list[float]:
        """For each batch the mean loss of those around it, weighted by a bell curve.

        A mean of past batches, as is usual for this purpose, lags behind: it would fall fastest where the
        loss rises already.
        """
        numbers = np.arange(len(self.losses))
        width = max(BELL_SHARE * len(numbers), 1.0)
        weights = np.exp(-0.5 * ((numbers[:, None] - numbers) / width) ** 2)
        return [float(mean) for mean in weights @ np.array(self.losses) / weights.sum(axis=1)]

    @property
    def lowest(self) -> int:
        """The number, from 0, of the batch with the lowest smoothed loss."""
        return int(np.argmin(self.smoothed))

    @property
    def steepest(self) -> int | None:
        """The number of the batch, up to the lowest, where the smoothed loss falls fastest along log(lr).

        None if it never falls.
        """
        slopes = np.gradient(np.array(self.smoothed), np.log(self.rates))[: self.lowest + 1]
        return int(slopes.argmin()) if slopes.min() < 0 else None


def find_lr(
    request: TrainingRequest, rates: RateRange, folder: Path, *, force: bool = False
) -> dict[str, object]:
    """Trains while the learning rate grows, and writes the losses as a table and a picture.

    Args:
        request: The config and what to change; its schedules are not used.
        rates: Which learning rates to try.
        folder: Where to write, empty or new.
        force: Whether to move an existing folder aside.

    Returns:
        The suggestions, and where the files are.

    Raises:
        BertxError: The config or the data are wrong.
        TrainingError: The first losses are not finite.
    """
    planned = plan_request(request)
    if not force:
        require_free(folder)
    with recording() as log:
        prepared = prepare(request, planned)
        trainer = prepared.trainer(None)
        if not isinstance(trainer, GradientDescentTrainer):
            raise UsageError(
                f"find-lr: trainer {prepared.experiment.trainer.label} has no learning rate to find"
            )
        claim_run_folder(folder, force=force)
        log.write_to(folder / LOG)
        prepared.model.train()
        groups = _groups(prepared.splits["train"], trainer.loop.limits.batches_per_step)
        sweep = search(trainer.loop.steps, groups, rates)
        write_text(folder / DATA, as_csv(sweep))
        drawn = draw(sweep, folder / PICTURE)
    return suggestions(sweep) | {
        "data": str(folder / DATA),
        "picture": str(folder / PICTURE) if drawn else None,
    }


def search(steps: StepMaker, groups: Iterator[Sequence[Batch]], rates: RateRange) -> Sweep:
    """Makes a step with each rate.

    Args:
        steps: Makes steps; groups of parameters with learning rates of their own keep the ratios.
        groups: The batches of each step, more than will be needed.
        rates: The rates.

    Raises:
        TrainingError: The first losses are not finite.
    """
    ratios = _ratios(steps)
    tried: list[float] = []
    losses: list[float] = []
    mean, lowest = 0.0, math.inf
    with Progress("find-lr", rates.num_batches, unit="steps") as progress:
        for number in range(rates.num_batches):
            lr = rates.rate(number)
            for group, ratio in zip(steps.optimizer.param_groups, ratios, strict=True):
                group["lr"] = lr * ratio
            try:
                loss = steps.make(number + 1, next(groups))[0].mean_loss
            except NotFinite as error:
                if number <= FIRST_BATCHES:
                    raise TrainingError(f"find-lr: {error}; begin with a smaller --start-lr") from None
                return Sweep(tried, losses, "the loss is not finite")
            tried.append(lr)
            losses.append(loss)
            progress.advance(note=f"lr {lr:.2g}, loss {loss:.4f}")
            mean = AVERAGING * mean + (1 - AVERAGING) * loss
            average = mean / (1 - AVERAGING ** (number + 1))
            lowest = min(lowest, average)
            if number >= FIRST_BATCHES and average > (rates.stopping_factor or math.inf) * lowest:
                return Sweep(tried, losses, "the loss grew too large")
    return Sweep(tried, losses, "all batches are done")


def _ratios(steps: StepMaker) -> list[float]:
    """Returns the learning rate of each group of parameters as a multiple of the optimizer's own."""
    found = [float(group["lr"]) for group in steps.optimizer.param_groups]
    base = float(steps.optimizer.defaults.get("lr") or found[0])
    return [rate / base if base else 1.0 for rate in found]


def _groups(train: Split, size: int) -> Iterator[Sequence[Batch]]:
    """Yields the batches of each step, epoch after epoch."""
    for epoch in itertools.count():
        batches = train.batches(epoch)
        while group := list(itertools.islice(batches, size)):
            yield group


def suggestions(sweep: Sweep) -> dict[str, object]:
    """Returns the learning rates to try: where the loss falls fastest, and a tenth of where it is lowest."""
    steepest = sweep.steepest
    if steepest is None:
        logger.warning("find-lr: the loss never fell; try a smaller --start-lr, or more batches")
    return {
        "steepest": None if steepest is None else _rounded(sweep.rates[steepest]),
        "lowest_over_10": None if steepest is None else _rounded(sweep.rates[sweep.lowest] / 10),
        "batches": len(sweep.losses),
        "ending": sweep.ending,
    }


def _rounded(lr: float) -> float:
    return float(f"{lr:.2e}")


def as_csv(sweep: Sweep) -> str:
    """Returns a table of all batches."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["batch", "lr", "loss", "smoothed_loss"])
    table.writerows(zip(itertools.count(1), sweep.rates, sweep.losses, sweep.smoothed, strict=False))
    return text.getvalue()

"""The training loop.

Everything that changes in training is a part of a checkpoint, and everything that is due between two steps
follows from the number of steps; so a loop that is stopped anywhere goes on as if it had not been.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.data.transfer import on_device
from bertx.errors import TrainingError
from bertx.models.model import Model
from bertx.progress import Progress
from bertx.training.bad_batches import write_rows
from bertx.training.callbacks.trainer_callback import Step, TrainerCallback, TrainingContext
from bertx.training.checkpoints.checkpointer import Checkpointer
from bertx.training.checkpoints.snapshot import Snapshot, Stateful
from bertx.training.limits import Limits
from bertx.training.occurring_rows import OccurringRows
from bertx.training.position import Position
from bertx.training.processes.parallel import summed
from bertx.training.report import epoch_metrics, report_epoch
from bertx.training.schedulers.learning_rate_scheduler import LearningRateScheduler
from bertx.training.schedulers.momentum_schedulers import MomentumScheduler
from bertx.training.schedulers.schedule import Schedule
from bertx.training.schedulers.training_length import TrainingLength
from bertx.training.selection import Selection
from bertx.training.signals import Interruption, StopRequest, stopped
from bertx.training.step_results import NotFinite
from bertx.training.steps import StepMaker
from bertx.training.trainer import Metrics
from bertx.training.training_scope import GradualUnfreezing
from bertx.world import World

logger = logging.getLogger(__name__)

BAD_BATCH = "bad_batch.jsonl"


@dataclass
class TrainingLoop:
    """Goes through the data, step by step; see `GradientDescentTrainer` for what the parts are."""

    steps: StepMaker
    length: TrainingLength
    limits: Limits
    selection: Selection
    scheduler: LearningRateScheduler | None
    momentum_scheduler: MomentumScheduler | None
    unfreezing: GradualUnfreezing | None
    checkpointer: Checkpointer
    callbacks: list[TrainerCallback]
    folder: Path | None
    rows: OccurringRows | None = None
    position: Position = field(default_factory=Position)
    stop: StopRequest = field(init=False)
    _context: TrainingContext = field(init=False)
    _saved_at: int = field(init=False)
    _started: float = field(init=False)

    @property
    def model(self) -> Model:
        """The model in training."""
        return self.steps.model

    @property
    def train(self) -> Split:
        """What is trained on."""
        return self.steps.split

    @property
    def world(self) -> World:
        """The processes that train together."""
        return self.steps.world

    def run(self) -> Metrics:
        """Trains to the end, and gives the model its best weights."""
        position = self.position
        self._saved_at, self._started = position.step, time.monotonic() - position.seconds
        folder = self.folder if self.world.is_main else None
        self._context = TrainingContext(self.model, folder, self.length.num_steps, position.step, self.world)
        self.stop = StopRequest(self.world)
        with self.stop.listening(self.folder is not None):
            try:
                for callback in self.callbacks:
                    callback.on_start(self._context)
                if self.steps.device.type == "cuda" and not self._is_over:
                    self.steps.rehearse(self.train.largest_batch(position.epoch))
                while not (self._is_over and position.reported_at == position.step):
                    self._run_epoch()
                self._settle()  # a signal may have come while the last epoch was reported
                self.selection.take()
            finally:
                self._put_together()
                for callback in self.callbacks:
                    callback.on_end(self._context)
        return position.metrics

    def _run_epoch(self) -> None:
        """Trains to the end of the running epoch, or of the training, from wherever the position is."""
        position, limits = self.position, self.limits
        self.model.train()
        if self.unfreezing is not None:
            self.unfreezing.set_epoch(self.model, position.epoch)
            self.steps.parallel.renew()
        self._settle()
        name = f"train {position.epoch + 1} of {self.length.num_epochs}"
        total = sum(self.length.steps_per_epoch[position.epoch : position.epoch + 1])
        with Progress(name, total, unit="steps") as progress:
            progress.advance(math.ceil(position.batch / limits.batches_per_step))
            batches = on_device(self.train.batches(position.epoch, position.batch), self.steps.device)
            while not self._is_over and (group := list(islice(batches, limits.batches_per_step))):
                self._step(group)
                progress.advance(note=f"loss {position.sums.mean_loss:.4f}")
                self._settle()
        self._end_epoch()

    def _step(self, group: Sequence[Batch]) -> None:
        """Makes one optimizer step, or skips it if its numbers fail."""
        position, number = self.position, self.position.step + 1
        if self.scheduler is not None:
            self.scheduler.set_rates(position.step)
        if self.momentum_scheduler is not None:
            self.momentum_scheduler.set_momentum(position.step)
        reason = None
        if self.rows is not None:
            self.rows.take_out()
        try:
            sums, norm = self.steps.make(number, group)
            if self.rows is not None:
                self.rows.decay()
            if self.selection.moving_average is not None:
                self.selection.moving_average.update(number)
            position.sums.add(sums)
            position.skipped_in_row = 0
        except NotFinite as error:
            sums, norm, reason = error.sums, math.nan, str(error)
            self._skip(error)
        position.step, position.batch = number, position.batch + len(group)
        position.seconds = time.monotonic() - self._started
        if self.limits.max_seconds is not None:  # clocks differ, but all must end at the same step
            position.seconds = self.world.broadcast(position.seconds)
        rate = float(self.steps.optimizer.param_groups[0]["lr"])
        report = Step(number, position.epoch, sums.mean_loss, rate, norm, sums.num_instances, reason)
        for callback in self.callbacks:
            callback.on_step(self._context, report)

    def _settle(self) -> None:
        """Does what is due between two steps."""
        position = self.position
        is_due = position.step > 0 and self.length.is_mark(position.step, self.limits.validate_every)
        try:
            is_needed = self.selection.validates and position.validated_at != position.step
            if is_needed and (is_due or self._is_over):
                self._validate()
            if position.step != self._saved_at and self._is_save_due():
                self._save()
            self.stop.look()
        except Interruption as request:
            self._save()
            place = self.folder or "the model"
            raise stopped(
                request.signal,
                f"{place}: saved after step {position.step:,} of "
                f"{self.length.num_steps:,}; bertx train --recover goes on from there",
            ) from None

    def _put_together(self) -> None:
        """Gives the model the form in which everybody but a training step knows it."""
        if self.rows is not None:
            self.rows.put_back()

    def _end_epoch(self) -> None:
        """Reports an epoch, and goes on to the next if all of its batches are done."""
        self._put_together()
        position = self.position
        if position.skipped_in_row and not position.sums.num_steps:
            raise TrainingError(
                f"epoch {position.epoch + 1}: no step of it could be made, all had numbers that were not "
                "finite; lower trainer.optimizer.lr"
            )
        if not self.selection.validates:
            self.selection.keep(position.step, math.nan)
        with summed(self.model.statistics, self.world):
            position.metrics = epoch_metrics(self.model, position, self.selection.tracker)
        for callback in self.callbacks:
            position.metrics |= callback.metrics(self._context)
        report_epoch(position.metrics, self._context.folder, self.length)
        for callback in self.callbacks:
            callback.on_epoch(self._context, position.metrics)
        position.reported_at = position.step
        if position.batch >= self.train.num_batches(position.epoch):
            position.next_epoch()
            self.model.get_metrics(reset=True)
        if self.checkpointer.is_due(position.step, epoch_ended=True):
            self._save()

    def _validate(self) -> None:
        """Evaluates on the validation data, and tells everybody what was found."""
        self._put_together()
        position = self.position
        found = self.selection.validate(position, self.steps, look=self.stop.look)
        position.validation, position.validated_at = found, position.step
        for schedule in self.schedules:
            schedule.on_validation(position.step, found)
        for callback in self.callbacks:
            callback.on_validation(self._context, position.step, found)

    def _skip(self, error: NotFinite) -> None:
        """Notes a step that was skipped; after too many in a row, writes the last one out and gives up."""
        self.position.skipped += 1
        if error.is_overflow:
            logger.info("%s; skipped, with a smaller scale of losses from now on", error)
            return
        self.position.skipped_in_row += 1
        if self.position.skipped_in_row < self.limits.max_skipped_steps:
            logger.warning("%s; skipped", error)
            return
        if self.folder is not None:
            write_rows(self.train, error.rows, self.folder / BAD_BATCH)
            error.add_note(f"{self.folder / BAD_BATCH}: the instances of this step")
        raise error

    @property
    def schedules(self) -> list[Schedule]:
        """What changes from step to step by a plan."""
        return [schedule for schedule in (self.scheduler, self.momentum_scheduler) if schedule is not None]

    @property
    def _snapshot(self) -> Snapshot:
        parts: dict[str, Stateful | None] = {
            "position": self.position,
            "tracker": self.selection.tracker,
            "steps": self.steps,
            "learning_rate_scheduler": self.scheduler,
            "momentum_scheduler": self.momentum_scheduler,
            "moving_average": self.selection.moving_average,
            "occurring_rows": self.rows,
        }
        there = {name: part for name, part in parts.items() if part is not None}
        return Snapshot(self.model, self.steps.optimizer, there, self.callbacks, self.world)

    def recover(self) -> bool:
        """Goes to where the newest checkpoint was taken; returns whether there is one.

        Raises:
            CheckpointError: None of the checkpoints is whole, or they are of another model.
        """
        checkpoint = self.checkpointer.newest()
        if checkpoint is None or self.checkpointer.folder is None:
            return False
        self._snapshot.restore(checkpoint, self.checkpointer.folder)
        if self.world.is_main:
            self.checkpointer.delete_old(self.position.step)
        logger.info("going on after step %d of %d", self.position.step, self.length.num_steps)
        return True

    def _is_save_due(self) -> bool:
        is_due = self.checkpointer.is_due(self.position.step, epoch_ended=False)
        return self.world.broadcast(is_due) if self.checkpointer.save_every_num_seconds else is_due

    def _save(self) -> None:
        """Writes a checkpoint."""
        self._put_together()
        checkpoint = self._snapshot.take()
        if self.world.is_main:
            self.checkpointer.save(self.position.step, checkpoint)
        self.world.barrier()  # nobody leaves, or goes on, before it is there
        self._saved_at = self.position.step

    @property
    def _is_over(self) -> bool:
        """Whether nothing is left but to finish."""
        seconds = self.limits.max_seconds
        return (
            self.position.step >= self.length.num_steps
            or (seconds is not None and self.position.seconds >= seconds)
            or (self.selection.validates and self.selection.tracker.out_of_patience)
        )

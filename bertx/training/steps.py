"""Optimizer steps: a group of batches in, changed weights out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import cast

import torch
from torch import Tensor, nn

from bertx.data.batch import Batch
from bertx.data.split import Split
from bertx.errors import ConfigError, DataError, TrainingError
from bertx.models.model import Output, uncounted
from bertx.training.evaluation import targets_of
from bertx.training.objectives.objective import Objective, Plain
from bertx.training.optimizers.blockwise_adamw import BlockwiseAdamW
from bertx.training.precision import Precision, arithmetic
from bertx.training.processes.parallel import Parallel
from bertx.training.processes.shards import add_gradients, gradient_norm, whole
from bertx.training.reading import Reading
from bertx.training.step_numbers import Piece, can_skip, named, pieces_of, skipping_unless_finite
from bertx.training.step_results import NotFinite, Sums
from bertx.world import World

logger = logging.getLogger(__name__)

SMALLEST_SUM = 1e-12  # of weights, where no instance of a step has a label that is known
CLIPPING_EPS = 1e-6  # torch's
SMALLEST_SCALE = 1.0  # of fp16 losses: below it, not the scale is to blame


class StepMaker:
    """Makes optimizer steps on a split.

    Args:
        parallel: What to train, already on the device and shared among the processes.
        split: What the batches are from, for messages.
        optimizer: Changes the weights.
        device: Where to compute.
        precision: The arithmetic of matrix products.
        objective: How a batch's gradients are made; None: from its loss.
        grad_norm: Scale all gradients of a step down to this norm together; None: never.
        grad_clipping: Cut each number of a gradient to at most this size; None: never.
        world: The processes that make the step together.

    Raises:
        ConfigError: A limit is not positive.
    """

    def __init__(
        self,
        parallel: Parallel,
        split: Split,
        optimizer: torch.optim.Optimizer,
        *,
        device: torch.device,
        precision: Precision,
        objective: Objective | None = None,
        grad_norm: float | None = None,
        grad_clipping: float | None = None,
        world: World = World(),  # noqa: B008  (immutable)
    ) -> None:
        for name, limit in {"grad_norm": grad_norm, "grad_clipping": grad_clipping}.items():
            if limit is not None and limit <= 0:
                raise ConfigError(f"trainer.{name}: {limit}; expected a number above 0, or null for no limit")
        self.parallel, self.world = parallel, world
        self.model = parallel.model
        self.split, self.optimizer, self.device = split, optimizer, device
        self.precision, self.objective = precision, objective or Plain()
        self.grad_norm, self.grad_clipping = grad_norm, grad_clipping
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What the optimizer changes."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def state_dict(self) -> dict[str, object]:
        """Returns the arithmetic, for which `auto` may find another elsewhere, and the scale of losses."""
        return {"precision": self.precision, "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes back what `state_dict` returned."""
        self.precision = cast(Precision, state["precision"])
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.scaler.load_state_dict(cast("dict[str, object]", state["scaler"]))

    def make(self, number: int, group: Sequence[Batch]) -> tuple[Sums, float]:
        """Makes one step on all batches of a group together.

        A batch for which the memory does not suffice is tried again in halves, with the same gradient but for
        what dropout draws.

        Args:
            number: The step's number, from 1, for messages.
            group: The batches; the gradient is that of the mean loss over all their targets.

        Returns:
            The losses of the step, and the norm of its gradient before clipping.

        Raises:
            DataError: The model returns no loss.
            NotFinite: The loss or a gradient is not; the weights are as they were.
            TrainingError: A single instance is too large for the memory.
        """
        if isinstance(self.optimizer, torch.optim.LBFGS):
            return self._search_line(number, group)
        pieces = self._passes(number, pieces_of(group))
        if self._is_mean(pieces) and can_skip(self.optimizer, self.device, self.scaler):
            return self._step_then_check(number, pieces[0])
        sums, norm = self._finished(number, pieces)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return sums, norm

    def rehearse(self, batch: Batch) -> None:
        """Computes the gradients of a batch and forgets them; nothing else changes.

        With the largest batch, too little memory shows before hours have gone by.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), uncounted(self.model):
            self._passes(0, pieces_of([batch]))
        self.optimizer.zero_grad(set_to_none=True)

    def _search_line(self, number: int, group: Sequence[Batch]) -> tuple[Sums, float]:
        """Lets an optimizer that evaluates the loss several times make a step; reports the first of them."""
        found: list[tuple[Sums, float]] = []
        before = [parameter.detach().clone() for parameter in self.parameters]

        def closure() -> float:
            with uncounted(self.model) if found else nullcontext():
                found.append(self._finished(number, self._passes(number, pieces_of(group))))
            self.scaler.update()
            return found[-1][0].mean_loss

        try:
            self.optimizer.step(closure)
        except NotFinite:  # perhaps half-way along the line
            for parameter, value in zip(self.parameters, before, strict=True):
                parameter.detach().copy_(value)
            self.optimizer.state.clear()  # what it remembers of the way belongs to other weights
            raise
        return found[0]

    def _step_then_check(self, number: int, piece: Piece) -> tuple[Sums, float]:
        """Makes a step that skips itself if need be, and looks at its numbers while the GPU is making it."""
        penalty = self._penalize()
        norm = gradient_norm(self.parameters)
        reading = Reading([piece.loss, piece.targets, penalty, norm])
        self._clip(norm)
        with skipping_unless_finite(self.optimizer, reading.numbers):
            self.optimizer.step()
        piece.loss, targets, penalty, found = reading.values()
        sums = Sums(piece.loss * targets, targets, penalty, num_steps=1, num_instances=piece.batch.size)
        self._check(number, [piece], sums, found)
        return sums, found

    def _finished(self, number: int, pieces: Sequence[Piece]) -> tuple[Sums, float]:
        """Makes the gradients of passes those of a step; returns its losses, and the norm before clipping."""
        sums = self._summed(pieces)
        self.scaler.unscale_(self.optimizer)
        if not self._is_mean(pieces):
            # How many targets there are is known only after the last batch, and from all processes, whose
            # gradients the last backward pass has averaged.
            factor = self.world.size / max(sums.num_targets, SMALLEST_SUM)
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)
        sums.penalty = float(self._penalize())
        if isinstance(self.optimizer, BlockwiseAdamW):
            norm = self.optimizer.gradient_norm()
        else:
            norm = gradient_norm(self.parameters)  # summed in float32
        self._check(number, pieces, sums, float(norm))
        self._clip(norm)
        return sums, float(norm)

    def _passes(self, number: int, pieces: list[Piece]) -> list[Piece]:
        """Computes the gradients of pieces, smaller ones if need be; returns these."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            with suppress(torch.OutOfMemoryError):
                self._backward_all(pieces)
                return pieces
            pieces = self._halves(number, pieces)  # only here: the error held on to the memory

    def _backward_all(self, pieces: Sequence[Piece]) -> None:
        """Adds up the gradients of all pieces, in all processes."""
        for piece in pieces:
            with uncounted(self.model) if piece.is_counted else nullcontext():
                output = self._backward(piece, is_mean=self._is_mean(pieces), is_last=piece is pieces[-1])
            piece.loss, piece.targets = output["loss"].detach(), targets_of(piece.batch, output)

    def _summed(self, pieces: Sequence[Piece]) -> Sums:
        """Returns what the losses of all pieces, in all processes, add up to."""
        loss, targets, instances = 0.0, 0.0, 0
        for piece in pieces:
            piece.loss, piece.targets = float(piece.loss), float(piece.targets)
            if not piece.batch.is_filler:
                loss, targets = loss + piece.loss * piece.targets, targets + piece.targets
                instances += piece.batch.size
        loss, targets, total = self.world.sum([loss, targets, instances])
        return Sums(loss, targets, num_steps=1, num_instances=int(total))

    def _is_mean(self, pieces: Sequence[Piece]) -> bool:
        """Tells whether gradients are of the mean loss already: there is but one batch, in one process."""
        return len(pieces) == 1 and self.world.size == 1

    def _backward(self, piece: Piece, *, is_mean: bool, is_last: bool) -> Output:
        """Adds the gradients of a piece: of its mean loss, or of the sum of its losses."""
        batch = piece.batch.to(self.device)

        def forward() -> Output:
            with arithmetic(self.precision, self.device):
                output: Output = self.parallel(batch.inputs)
            piece.is_counted = True
            if "loss" not in output:
                raise DataError(
                    f"{self.split.name}: the model was given {', '.join(batch.inputs)} and returned no loss, "
                    "so there is nothing to learn; check that the data have labels"
                )
            return output

        def backward(output: Output) -> None:
            loss = output["loss"]
            if not is_mean:
                loss = loss * (0.0 if batch.is_filler else targets_of(batch, output))
            torch.autograd.backward(self.scaler.scale(loss))

        with self.parallel.gradients(synchronized=is_last):
            return self.objective(self.model, forward, backward)

    def _halves(self, number: int, pieces: Sequence[Piece]) -> list[Piece]:
        """Cuts every batch of more than one instance in two."""
        if self.world.size > 1:  # the others would wait for passes that they do not make
            raise TrainingError(
                f"step {number}: out of memory on {self.device} of process {self.world.rank}; lower "
                "batch_size, or raise trainer.num_gradient_accumulation_steps"
            )
        largest = max(piece.batch.size for piece in pieces)
        if largest == 1:
            raise TrainingError(
                f"step {number}: the memory of {self.device} does not suffice for one instance alone; lower "
                "max_pieces of the token indexer, or take a smaller encoder"
            )
        logger.warning(
            "step %d: out of memory; going on with batches of at most %d instances, with the same result; a "
            "smaller batch_size with trainer.num_gradient_accumulation_steps is faster",
            *(number, math.ceil(largest / 2)),
        )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return [half for piece in pieces for half in piece.halves()]

    def _penalize(self) -> Tensor | float:
        """Adds the gradient of the regularizer's penalty; returns the penalty."""
        penalty = self.model.regularization_penalty()
        if penalty is None or not penalty.requires_grad:
            return 0.0
        add_gradients(penalty, self.parameters)
        return whole(penalty.detach())

    def _clip(self, norm: Tensor) -> None:
        if self.grad_norm is not None and isinstance(self.optimizer, BlockwiseAdamW):
            self.optimizer.gradient_divisor = max(1.0, (float(norm) + CLIPPING_EPS) / self.grad_norm)
        elif self.grad_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.grad_norm, norm)
        if self.grad_clipping is not None:
            torch.nn.utils.clip_grad_value_(self.parameters, self.grad_clipping)

    def _check(self, number: int, pieces: Sequence[Piece], sums: Sums, norm: float) -> None:
        """Refuses numbers that are not finite, and forgets the gradients."""
        values = {"loss": sums.loss, "regularization penalty": sums.penalty, "gradient norm": norm}
        wrong = [(what, value) for what, value in values.items() if not math.isfinite(value)]
        if not wrong:
            return
        self.optimizer.zero_grad(set_to_none=True)
        scale = self.scaler.get_scale()
        self.scaler.update()
        is_overflow = SMALLEST_SCALE < scale > self.scaler.get_scale() and math.isfinite(sums.loss)
        what, value = wrong[0]
        to_blame = [piece for piece in pieces if not math.isfinite(piece.loss)]
        if to_blame:
            value = float(to_blame[0].loss)
        rows = [int(row) for piece in to_blame[:1] or pieces for row in piece.batch.rows]
        names = named(rows, self.split.dataset)
        rate = self.optimizer.param_groups[0]["lr"]
        advice = " or set trainer.grad_norm" if self.grad_norm is None else ""
        message = (
            f"step {number}: the {what} is {value} (batch ids: {names}); lr was {rate:g}. "
            f"Lower trainer.optimizer.lr{advice}"
        )
        raise NotFinite(message, sums, rows, is_overflow=is_overflow)

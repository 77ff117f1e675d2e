"""Distillation: a model learns from the logits of a trained run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from bertx.assembly import check_lengths
from bertx.config.registrable import Runtime
from bertx.data.batch import Inputs
from bertx.data.split import Split
from bertx.errors import ConfigError
from bertx.models.model import Model, Output
from bertx.runs.agreement import require_same_labels, require_same_pieces
from bertx.runs.run import load
from bertx.training.objectives.objective import Objective, divergence, logits_of

KEY = "trainer.objective.teacher"


@Objective.register("distillation")
class Distillation(Objective):
    """Adds to the model's own loss its divergence from a teacher's softened probabilities.

    The loss is (1 - alpha) L + alpha T² KL(softmax(teacher / T), softmax(student / T)). The teacher, a run
    with the same labels and the same tokenizer, reads the same batches, without dropout; it is needed while
    training and not afterwards.

    Source: Hinton et al. 2015 (Distilling the Knowledge in a Neural Network), section 2.

    Args:
        teacher: A run folder or `model.tar.gz`.
        train: What is trained on.
        temperature: What logits are divided by, the T; above 0.
        alpha: The weight of the divergence, 0 to 1; the model's own loss has the rest.
        device: Where the teacher computes.

    Raises:
        ConfigError: A number is out of its range; the teacher has other labels or another tokenizer.
        CheckpointError: There is no such run.
        DataError: A text is too long for the teacher.
    """

    def __init__(
        self,
        teacher: Path,
        train: Runtime[Split],
        *,
        temperature: float = 2.0,
        alpha: float = 0.5,
        device: Runtime[torch.device] = torch.device("cpu"),  # noqa: B008  (immutable)
    ) -> None:
        if temperature <= 0:
            raise ConfigError(f"trainer.objective.temperature: {temperature:g}; expected more than 0")
        if not 0 <= alpha <= 1:
            raise ConfigError(f"trainer.objective.alpha: {alpha:g}; expected 0 to 1")
        self.temperature, self.alpha = temperature, alpha
        run = load(teacher, device=str(device))
        require_same_labels(train.vocabulary, run.vocabulary, run=teacher, key=KEY)
        require_same_pieces(train, run, path=teacher, key=KEY)
        check_lengths(run.model, train.dataset, f"{KEY}: {train.name}")
        self.teacher = run.model.requires_grad_(False)

    def __call__(
        self, model: Model, forward: Callable[[], Output], backward: Callable[[Output], None]
    ) -> Output:
        """Adds the gradients of both losses together; see `Objective`.

        Raises:
            ConfigError: Student or teacher gives no logits, or not as many.
        """
        taught: list[Tensor] = []

        def teach(_: nn.Module, arguments: tuple[Tensor, ...], inputs: Inputs) -> None:
            taught.append(self._logits(inputs))

        # Within the student's pass, so that the teacher has its inputs and its arithmetic.
        hook = model.register_forward_pre_hook(teach, with_kwargs=True)
        try:
            output = forward()
        finally:
            hook.remove()
        logits = logits_of(output, "distillation")
        if taught[0].shape != logits.shape:
            raise ConfigError(
                f"{KEY}: the teacher has {taught[0].shape[-1]} classes, the model {logits.shape[-1]}; "
                "set model.num_labels alike"
            )
        softened = taught[0] / self.temperature, logits / self.temperature
        apart = self.temperature**2 * divergence(*softened, output)
        output = {**output, "loss": (1 - self.alpha) * output["loss"] + self.alpha * apart}
        backward(output)
        return output

    @torch.no_grad()
    def _logits(self, inputs: Inputs) -> Tensor:
        texts = {name: value for name, value in inputs.items() if not isinstance(value, Tensor)}  # no labels
        return logits_of(self.teacher(**texts), "distillation")

"""The family of objectives: what the gradients of a batch are gradients of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from bertx.config.registrable import Registrable
from bertx.errors import ConfigError
from bertx.models.model import Model, Output


class Objective(Registrable):
    """Makes the gradients of one batch."""

    default_implementation = "plain"

    @abstractmethod
    def __call__(
        self, model: Model, forward: Callable[[], Output], backward: Callable[[Output], None]
    ) -> Output:
        """Adds the gradients of a batch to those that the parameters have.

        Args:
            model: What is trained.
            forward: Runs it on the batch.
            backward: Adds the gradients of an output's `loss`, rightly scaled.

        Returns:
            The output whose loss is reported.
        """


@Objective.register("plain")
class Plain(Objective):
    """Takes the model's own loss."""

    def __call__(
        self, model: Model, forward: Callable[[], Output], backward: Callable[[Output], None]
    ) -> Output:
        """Adds the gradients of the model's loss; see `Objective`."""
        output = forward()
        backward(output)
        return output


def logits_of(output: Output, objective: str) -> Tensor:
    """Returns the logits of an output, float (..., classes).

    Raises:
        ConfigError: It has none.
    """
    if "logits" not in output:
        raise ConfigError(
            f'trainer.objective: "{objective}" compares logits, but the output of this model in training has '
            f"none ({', '.join(output)}); use another objective"
        )
    return output["logits"]


def divergence(taught: Tensor, learning: Tensor, output: Output) -> Tensor:
    """Returns the mean Kullback-Leibler divergence of two batches of distributions, a scalar.

    It is divided by what the loss of the output is divided by, so that means over several batches can be put
    together as those of the loss are.

    Args:
        taught: float, (..., classes): the logits that the divergence is from.
        learning: float, (..., classes): the others.
        output: What the second are from; `num_targets` is the divisor, by default the number of rows.
    """
    rows = torch.tensor(learning.numel() // learning.shape[-1], device=learning.device)
    total = output.get("num_targets", rows)
    found = F.kl_div(
        learning.log_softmax(dim=-1), taught.log_softmax(dim=-1), reduction="sum", log_target=True
    )
    return found / total.where(total > 0, 1)

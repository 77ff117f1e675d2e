"""R-Drop: two dropout masks shall not make two opinions."""

from __future__ import annotations

from collections.abc import Callable

from bertx.errors import ConfigError
from bertx.models.model import Model, Output, uncounted
from bertx.training.objectives.objective import Objective, divergence, logits_of


@Objective.register("r_drop")
class RDrop(Objective):
    """Runs each batch twice, and adds the divergence of the two outputs to the mean of the two losses.

    The loss is (L1 + L2) / 2 + alpha (KL(p1, p2) + KL(p2, p1)) / 2, as in the code of the authors; their
    paper has the sum L1 + L2, so that its alpha is twice this one.

    Source: Liang et al. 2021 (R-Drop: Regularized Dropout for Neural Networks), equations 1 to 3.

    Args:
        alpha: The weight of the divergence.

    Raises:
        ConfigError: `alpha` is below 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        if alpha < 0:
            raise ConfigError(f"trainer.objective.alpha: {alpha:g}; expected at least 0, such as 1")
        self.alpha = alpha

    def __call__(
        self, model: Model, forward: Callable[[], Output], backward: Callable[[Output], None]
    ) -> Output:
        """Adds the gradients of both passes; see `Objective`.

        Raises:
            ConfigError: The model's output has no logits.
        """
        output = forward()
        first = logits_of(output, "r_drop")
        with uncounted(model):
            other = forward()
        second = logits_of(other, "r_drop")
        apart = (divergence(first, second, output) + divergence(second, first, output)) / 2
        output = {**output, "loss": (output["loss"] + other["loss"]) / 2 + self.alpha * apart}
        backward(output)
        return output

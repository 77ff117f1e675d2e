"""Adversarial training: the model also learns a batch whose word vectors were moved against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook

from bertx.errors import ConfigError
from bertx.models.model import Model, Output, uncounted
from bertx.models.parameter_names import listed, name_pattern
from bertx.training.objectives.objective import Objective


@Objective.register("fgm")
class FGM(Objective):
    """Adds to the gradients of the loss those of the loss with perturbed word embeddings.

    The perturbation is epsilon * g / |g|, where g is the gradient of the batch. Afterwards the weights are,
    bit for bit, what they were. Of a step with several batches, accumulated or in several processes, each is
    perturbed by its own gradient, so that they are not quite one large batch.

    Source: Miyato et al. 2017 (Adversarial Training Methods for Semi-Supervised Text Classification),
    equation 5, with the matrix of embeddings in the place of a sentence's vectors. Where a model predicts
    pieces by the same matrix, that is perturbed with it.

    Args:
        epsilon: The length of the perturbation, of all parameters that are perturbed together.
        parameter: A regular expression that picks these by their names.

    Raises:
        ConfigError: `epsilon` is not above 0, or the expression is none.
    """

    def __init__(self, epsilon: float = 1.0, parameter: str = r"embeddings\.word\.weight$") -> None:
        if epsilon <= 0:
            raise ConfigError(f"trainer.objective.epsilon: {epsilon:g}; expected more than 0, such as 1")
        self.epsilon = epsilon
        self.pattern = name_pattern(parameter, "trainer.objective.parameter")

    def __call__(
        self, model: Model, forward: Callable[[], Output], backward: Callable[[Output], None]
    ) -> Output:
        """Adds the gradients of the batch and of the perturbed batch; see `Objective`.

        Raises:
            ConfigError: The expression picks no parameter that is trained.
        """
        picked = self._picked(model)
        with seeing_gradients(picked) as gradients:
            output = forward()
            backward(output)
        with perturbed(picked, self._directions(gradients)), uncounted(model):
            backward(forward())
        return output

    def _picked(self, model: Model) -> list[nn.Parameter]:
        trained = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
        picked = [tensor for name, tensor in trained.items() if self.pattern.search(name)]
        if not picked:
            raise ConfigError(
                f'trainer.objective.parameter: "{self.pattern.pattern}" picks none of the trained parameters '
                f"({listed(trained)}); perturb another one, or let the embeddings be trained"
            )
        if any(hasattr(tensor, "full_tensor") for tensor in picked):
            raise ConfigError(
                'trainer.objective: "fgm" needs the gradient of a whole parameter, of which each process has '
                'a shard only; set distributed.strategy to "ddp"'
            )
        return picked

    def _directions(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Turns gradients into perturbations, in place; into 0 if the gradient is 0 or not finite."""
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        return [gradient.mul_(self.epsilon).div_(norm).nan_to_num_(0.0, 0.0, 0.0) for gradient in gradients]


@contextmanager
def seeing_gradients(parameters: Sequence[nn.Parameter]) -> Iterator[list[Tensor]]:
    """Yields a copy of the gradient that each parameter gets within, 0 until then.

    It is that of this process and of this backward pass alone: not what is in `grad` from earlier ones, or
    what `grad` becomes when processes are averaged.
    """
    gradients = [torch.zeros_like(parameter) for parameter in parameters]

    def note(found: Sequence[Tensor | None]) -> None:
        for place, gradient in zip(gradients, found, strict=True):
            if gradient is not None:
                place.copy_(gradient)

    handle = register_multi_grad_hook(parameters, note)
    try:
        yield gradients
    finally:
        handle.remove()


@contextmanager
def perturbed(parameters: Sequence[nn.Parameter], directions: Sequence[Tensor]) -> Iterator[None]:
    """Moves parameters, and puts the very same values back afterwards."""
    values = [parameter.detach().clone() for parameter in parameters]
    try:
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction)
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(value)

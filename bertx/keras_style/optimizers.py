"""Optimizers by Keras's names and arguments; torch makes the steps."""

from __future__ import annotations

import math
from typing import cast

import torch

from bertx.config.registrable import Lazy, Runtime
from bertx.training.optimizers.adam import adamw
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer


class AdamW:
    """Adam with decoupled weight decay.

    Its averages go on from one `fit` to the next, as long as the same weights are trained.

    Args:
        learning_rate: Learning rate per step; it may be changed between two calls of `fit`.
        weight_decay: The share of each weight, times the learning rate, that is taken off in each step.
        beta_1: Decay rate of the average of gradients.
        beta_2: Decay rate of the average of their squares.
        epsilon: Term against division by zero; the "epsilon hat" of Kingma & Ba 2015, section 2.

    Source: Loshchilov & Hutter 2019.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.004,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.iterations = 0
        self._steps: torch.optim.Optimizer | None = None

    @property
    def lazy(self) -> Lazy[Optimizer]:
        """What a trainer builds its optimizer from."""
        return cast("Lazy[Optimizer]", Lazy(self.on))

    def on(self, named_parameters: Runtime[NamedParameters]) -> torch.optim.Optimizer:
        """Returns the optimizer of those weights that are trainable.

        Raises:
            ConfigError: There are none, or a setting is impossible.
        """
        wanted = [id(parameter) for _, parameter in named_parameters if parameter.requires_grad]
        if self._steps is None or wanted != [id(parameter) for parameter in _trained(self._steps)]:
            betas = (self.beta_1, self.beta_2)
            # Keras decays biases and scales of norms as well.
            self._steps = adamw(
                named_parameters, betas=betas, weight_decay=self.weight_decay, decay_biases_and_norms=True
            )
            self._steps.register_step_pre_hook(self._before_step)
            self.iterations = 0
        for group in self._steps.param_groups:
            group["lr"] = self.learning_rate
        return self._steps

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """Corrects epsilon as torch corrects the average of squares, so that it is Keras's, which is not."""
        self.iterations += 1
        for group in optimizer.param_groups:
            group["eps"] = self.epsilon / math.sqrt(1 - self.beta_2**self.iterations)


class Adam(AdamW):
    """Adam (Kingma & Ba 2015).

    Args:
        learning_rate: Learning rate per step; it may be changed between two calls of `fit`.
        beta_1: Decay rate of the average of gradients.
        beta_2: Decay rate of the average of their squares.
        epsilon: Term against division by zero.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        super().__init__(learning_rate, 0.0, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


def _trained(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

"""Adam for gradients that are there for a few rows of a matrix only, as embeddings can have them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bertx.config.registrable import Runtime
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer, refusals
from bertx.training.optimizers.parameter_groups import ParameterGroup, grouped
from bertx.training.optimizers.update_rule import Options, State, UpdateRule, average, number, pair


@Optimizer.register("sparse_adam")
@Optimizer.register("sparseadam")
def sparse_adam(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], ParameterGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adam for sparse gradients alone; rows without a gradient keep their averages.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(named_parameters, parameter_groups, lr=lr, layer_decay=layer_decay)
    with refusals():
        return torch.optim.SparseAdam(groups, lr=lr, betas=betas, eps=eps)


@Optimizer.register("dense_sparse_adam")
class DenseSparseAdam(UpdateRule):
    """Adam for dense gradients, and `sparse_adam` for sparse ones, in one model.

    Source: Kingma & Ba 2015, section 2, the form with "epsilon hat", also for dense gradients.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero, added before the corrections of the averages.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        layer_decay: float | None = None,
        parameter_groups: list[tuple[list[str], ParameterGroup]] | None = None,
    ) -> None:
        groups = grouped(named_parameters, parameter_groups, lr=lr, layer_decay=layer_decay)
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        (beta1, beta2), eps, step = pair(group, "betas"), number(group, "eps"), int(state["step"])
        size = number(group, "lr") * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        if not gradient.is_sparse:
            mean = average(state, "exp_avg", gradient, beta1)
            square = average(state, "exp_avg_sq", gradient.square(), beta2)
            weights.addcdiv_(mean, square.sqrt().add_(eps), value=-size)
            return
        gradient = gradient.coalesce()
        rows, values = gradient.indices(), gradient.values()  # (sparse dimensions, rows), (rows, ...)
        place = tuple(rows)
        for name in ("exp_avg", "exp_avg_sq"):
            state.setdefault(name, torch.zeros_like(weights))
        mean = state["exp_avg"][place].mul_(beta1).add_(values, alpha=1 - beta1)
        square = state["exp_avg_sq"][place].mul_(beta2).add_(values.square(), alpha=1 - beta2)
        state["exp_avg"][place], state["exp_avg_sq"][place] = mean, square
        weights[place] = weights[place].addcdiv_(mean, square.sqrt().add_(eps), value=-size)

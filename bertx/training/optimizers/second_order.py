"""Rules that know more about the loss than its slope: its curvature, or that weights are matrices."""

from __future__ import annotations

from typing import Literal

import torch

from bertx.config.registrable import Runtime
from bertx.errors import ConfigError
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer, refusals
from bertx.training.optimizers.parameter_groups import MomentumGroup, grouped


@Optimizer.register("lbfgs")
def lbfgs(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1.0,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    line_search_fn: Literal["strong_wolfe"] | None = None,
) -> torch.optim.Optimizer:
    """L-BFGS (Liu & Nocedal 1989), which computes the loss of a batch several times in each step.

    All parameters are one vector to it, so that it has no groups, and no weight decay.

    Args:
        named_parameters: What to train.
        lr: The factor on steps, or the first one to try.
        max_iter: The largest number of iterations in an optimizer step.
        max_eval: The largest number of times to compute the loss in it; None: 5/4 of `max_iter`.
        tolerance_grad: No gradient larger than this: the step is done.
        tolerance_change: No change larger than this: the step is done.
        history_size: How many changes of the gradient to remember.
        line_search_fn: How to find a step size; None: `lr` is it.
    """
    groups = grouped(named_parameters, None, lr=lr, layer_decay=None)
    with refusals():
        return torch.optim.LBFGS(
            groups,
            lr=lr,
            max_iter=max_iter,
            max_eval=max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )


@Optimizer.register("muon")
def muon(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    momentum: float = 0.95,
    nesterov: bool = True,
    weight_decay: float = 0.1,
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
    ns_steps: int = 5,
    eps: float = 1e-7,
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], MomentumGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Steps along the nearest orthogonal matrix of the momentum (Jordan et al. 2024); for matrices only.

    Biases, scales of norms and, by its author's advice, embeddings and the head go to another optimizer:

        {type: "multi", optimizers: {default: "adamw", muon: "muon"},
         parameter_groups: [[["layers.*(attention|feed_forward)[.].*weight"], {optimizer_name: "muon"}]]}

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        momentum: Decay rate of the average of gradients.
        nesterov: Whether momentum looks ahead.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
        ns_coefficients: The polynomial of the Newton-Schulz iteration.
        ns_steps: How many iterations.
        eps: Term against division by zero.
        adjust_lr_fn: How the rate depends on a matrix's shape; `match_rms_adamw` lets rates of AdamW serve
            (Liu et al. 2025, Moonlight); None: as `original`.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    if not hasattr(torch.optim, "Muon"):
        raise ConfigError(f"trainer.optimizer: torch {torch.__version__} has no Muon; install 2.9 or newer")
    groups = grouped(named_parameters, parameter_groups, lr=lr, layer_decay=layer_decay)
    _require_matrices(named_parameters)
    with refusals():
        return torch.optim.Muon(
            groups,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )


def _require_matrices(named_parameters: NamedParameters) -> None:
    trained = [(name, parameter) for name, parameter in named_parameters if parameter.requires_grad]
    for name, parameter in trained:
        if parameter.ndim != 2:
            raise ConfigError(
                f"trainer.optimizer: muon trains matrices only, and {name} has the shape "
                f'{tuple(parameter.shape)}; use "multi", which gives the others to another optimizer'
            )

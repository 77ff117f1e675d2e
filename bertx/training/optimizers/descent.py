"""Gradient descent with and without momentum, and rules that look at signs only."""

from __future__ import annotations

import torch

from bertx.config.registrable import Runtime
from bertx.training.optimizers.eager import eager
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer, can_fuse, refusals
from bertx.training.optimizers.parameter_groups import DecayGroup, MomentumGroup, ParameterGroup, grouped


@Optimizer.register("sgd")
def sgd(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    nesterov: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], MomentumGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with momentum if asked for.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        momentum: The share of the last update that is kept.
        dampening: The share of the gradient that momentum leaves out.
        weight_decay: A penalty added to the gradients.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        nesterov: Whether momentum looks ahead (Sutskever et al. 2013); needs `momentum` and no `dampening`.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(
        named_parameters,
        parameter_groups,
        lr=lr,
        layer_decay=layer_decay,
        weight_decay=weight_decay,
        decay_biases_and_norms=decay_biases_and_norms,
    )
    with refusals():
        return eager(torch.optim.SGD)(
            groups,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            fused=can_fuse(named_parameters) or None,
        )


@Optimizer.register("averaged_sgd")
@Optimizer.register("asgd")
def averaged_sgd(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-2,
    lambd: float = 1e-4,
    alpha: float = 0.75,
    t0: float = 1e6,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], DecayGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with falling rates (Polyak & Juditsky 1992).

    The averages of the weights, for which it is named, are in its state; the model has the last weights.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        lambd: How fast the weights and the rate decay.
        alpha: The power by which the rate decays.
        t0: The step at which averaging starts.
        weight_decay: A penalty added to the gradients.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(
        named_parameters,
        parameter_groups,
        lr=lr,
        layer_decay=layer_decay,
        weight_decay=weight_decay,
        decay_biases_and_norms=decay_biases_and_norms,
    )
    with refusals():
        return torch.optim.ASGD(groups, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)


@Optimizer.register("rprop")
def rprop(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-2,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], ParameterGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Steps by the sign of the gradient (Riedmiller & Braun 1993); for large batches only.

    Args:
        named_parameters: What to train.
        lr: Size of the first step.
        etas: Factors on the step size where the sign changes, and where it does not.
        step_sizes: The smallest and the largest step size.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """
    groups = grouped(
        named_parameters,
        parameter_groups,
        lr=lr,
        layer_decay=layer_decay,
    )
    with refusals():
        return torch.optim.Rprop(groups, lr=lr, etas=etas, step_sizes=step_sizes)

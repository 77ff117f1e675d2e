"""Rules with a rate for each weight, from the sum or the average of squared gradients."""

from __future__ import annotations

import torch

from bertx.config.registrable import Runtime
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer, refusals
from bertx.training.optimizers.parameter_groups import DecayGroup, MomentumGroup, grouped


@Optimizer.register("adadelta")
def adadelta(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], DecayGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adadelta (Zeiler 2012).

    Args:
        named_parameters: What to train.
        lr: The factor on updates.
        rho: Decay rate of the averages of squares.
        eps: Term against division by zero.
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
        return torch.optim.Adadelta(groups, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)


@Optimizer.register("adagrad")
def adagrad(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], DecayGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al. 2011).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        lr_decay: The rate is divided by 1 + `lr_decay` for each step done.
        weight_decay: A penalty added to the gradients.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        initial_accumulator_value: Where the sums of squares start.
        eps: Term against division by zero.
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
        return torch.optim.Adagrad(
            groups,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )


@Optimizer.register("rmsprop")
def rmsprop(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    momentum: float = 0.0,
    centered: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], MomentumGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Divides by the root of the average square (Tieleman & Hinton 2012).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        alpha: Decay rate of the average of squares.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        momentum: The share of the last update that is kept.
        centered: Whether to divide by the standard deviation instead.
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
        return torch.optim.RMSprop(
            groups,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
        )

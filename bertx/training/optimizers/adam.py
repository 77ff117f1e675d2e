"""Adam and its relatives in torch."""

from __future__ import annotations

import torch

from bertx.config.registrable import Runtime
from bertx.training.optimizers.blockwise_adamw import BlockwiseAdamW, can_cut
from bertx.training.optimizers.eager import eager
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer, can_fuse, refusals
from bertx.training.optimizers.parameter_groups import AdamGroup, grouped


@Optimizer.register("adamw")
def adamw(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    decay_biases_and_norms: bool = False,
    amsgrad: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        amsgrad: Whether to use the largest average of squares so far (Reddi et al. 2018).
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
        if not amsgrad and can_cut(named_parameters):
            kind = eager(BlockwiseAdamW)
            return kind(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        return eager(torch.optim.AdamW)(
            groups,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            fused=can_fuse(named_parameters) or None,
        )


@Optimizer.register("adam")
def adam(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    amsgrad: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015).

    ParlAI's optimizer of this name always has `amsgrad`.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients (not decoupled).
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        amsgrad: Whether to use the largest average of squares so far (Reddi et al. 2018).
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
        return eager(torch.optim.Adam)(
            groups,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            fused=can_fuse(named_parameters) or None,
        )


@Optimizer.register("adamax")
def adamax(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adam with the largest recent gradient in place of the mean square (Kingma & Ba 2015, section 7.1).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the average of gradients and of the largest of them.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients (not decoupled).
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
        return torch.optim.Adamax(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


@Optimizer.register("nadam")
def nadam(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adam with Nesterov's momentum (Dozat 2016).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients (not decoupled).
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        momentum_decay: How fast the momentum rises to its value.
        decoupled_weight_decay: Whether `weight_decay` is as AdamW's and not in the gradients.
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
        return torch.optim.NAdam(
            groups,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
        )


@Optimizer.register("radam")
def radam(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    decoupled_weight_decay: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adam that warms itself up (Liu et al. 2020, RAdam).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients (not decoupled).
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        decoupled_weight_decay: Whether `weight_decay` is as AdamW's and not in the gradients.
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
        return torch.optim.RAdam(
            groups,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
        )

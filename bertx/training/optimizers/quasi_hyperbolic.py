"""Quasi-hyperbolic momentum: a plain gradient step mixed with a step of momentum.

Source: Ma & Yarats 2019 (Quasi-hyperbolic momentum and Adam for deep learning).
"""

from __future__ import annotations

from torch import Tensor

from bertx.config.registrable import Runtime
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer
from bertx.training.optimizers.parameter_groups import AdamGroup, MomentumGroup, grouped
from bertx.training.optimizers.update_rule import Options, State, UpdateRule, average, number, pair


@Optimizer.register("qhm")
class QuasiHyperbolicMomentum(UpdateRule):
    """Steps by (1 - nu) gradient + nu average; 0 is plain descent, 1 is momentum.

    The average weighs gradients by `1 - momentum`, so that rates are about 1 / (1 - momentum) times those of
    `sgd`.

    Source: Ma & Yarats 2019, equations 3 and 4; its defaults are those of section 4.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        momentum: Decay rate of the average of gradients.
        nu: How much of a step is the average.
        weight_decay: A penalty added to the gradients.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        lr: float,
        momentum: float = 0.999,
        nu: float = 0.7,
        weight_decay: float = 0.0,
        decay_biases_and_norms: bool = False,
        layer_decay: float | None = None,
        parameter_groups: list[tuple[list[str], MomentumGroup]] | None = None,
    ) -> None:
        groups = grouped(
            named_parameters,
            parameter_groups,
            lr=lr,
            layer_decay=layer_decay,
            weight_decay=weight_decay,
            decay_biases_and_norms=decay_biases_and_norms,
        )
        super().__init__(groups, {"lr": lr, "momentum": momentum, "nu": nu, "weight_decay": weight_decay})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        gradient = gradient.add(weights, alpha=number(group, "weight_decay"))
        mean = average(state, "momentum_buffer", gradient, number(group, "momentum"))
        weights.sub_(gradient.lerp(mean, number(group, "nu")), alpha=number(group, "lr"))


@Optimizer.register("qhadam")
class QuasiHyperbolicAdam(UpdateRule):
    """Adam whose averages are mixed with the gradient and its square; `nus` of 1 and 1 are Adam.

    Source: Ma & Yarats 2019, section 4.3 (equations 9 to 11).

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        nus: How much of a step is the average, and how much of its divisor.
        eps: Term against division by zero.
        weight_decay: A penalty added to the gradients (not decoupled).
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        nus: tuple[float, float] = (0.7, 1.0),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decay_biases_and_norms: bool = False,
        layer_decay: float | None = None,
        parameter_groups: list[tuple[list[str], AdamGroup]] | None = None,
    ) -> None:
        groups = grouped(
            named_parameters,
            parameter_groups,
            lr=lr,
            layer_decay=layer_decay,
            weight_decay=weight_decay,
            decay_biases_and_norms=decay_biases_and_norms,
        )
        options = {"betas": betas, "nus": nus, "eps": eps, "weight_decay": weight_decay}
        super().__init__(groups, {"lr": lr, **options})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        (beta1, beta2), (nu1, nu2), step = pair(group, "betas"), pair(group, "nus"), int(state["step"])
        gradient = gradient.add(weights, alpha=number(group, "weight_decay"))
        mean = average(state, "exp_avg", gradient, beta1) / (1 - beta1**step)
        square = average(state, "exp_avg_sq", gradient.square(), beta2) / (1 - beta2**step)
        divisor = gradient.square().lerp(square, nu2).sqrt_().add_(number(group, "eps"))
        weights.addcdiv_(gradient.lerp(mean, nu1), divisor, value=-number(group, "lr"))

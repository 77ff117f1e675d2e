"""Adafactor, twice: torch's form, and the one of fairseq, ParlAI and Hugging Face.

Source: Shazeer & Stern 2018 (Adafactor: Adaptive Learning Rates with Sublinear Memory Cost).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bertx.config.registrable import Runtime
from bertx.errors import ConfigError
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer, refusals
from bertx.training.optimizers.parameter_groups import DecayGroup, grouped
from bertx.training.optimizers.update_rule import Options, State, UpdateRule, average, number, pair


@Optimizer.register("adafactor")
def adafactor(
    named_parameters: Runtime[NamedParameters],
    *,
    lr: float = 1e-2,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    decay_biases_and_norms: bool = False,
    layer_decay: float | None = None,
    parameter_groups: list[tuple[list[str], DecayGroup]] | None = None,
) -> torch.optim.Optimizer:
    """Adafactor as torch has it: `lr` bounds the paper's relative step size.

    ParlAI's optimizer of this name is `huggingface_adafactor` here.

    Args:
        named_parameters: What to train.
        lr: The largest size of steps, relative to the weights.
        beta2_decay: The power of the step number at which the average of squares forgets.
        eps: Terms against division by zero and for small weights; None: as the numbers' type needs it.
        d: Updates are scaled down to this root mean square.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
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
        return torch.optim.Adafactor(
            groups, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay
        )


@Optimizer.register("huggingface_adafactor")
class HuggingFaceAdafactor(UpdateRule):
    """Adafactor as fairseq, ParlAI and Hugging Face have it.

    With `relative_step` the step size falls with time by itself. The rate in the groups is a factor on it
    then, 1 at first, so that schedules and `layer_decay` work with it as with any other.

    ParlAI calls it `adafactor`: its `--adafactor-eps` is `eps`, the first of its `--betas` is `beta1`, and it
    sets `warmup_init` where there are warm-up updates.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step; None: the relative step alone.
        eps: Terms for small squares of gradients and for small weights.
        clip_threshold: Updates are scaled down to this root mean square.
        decay_rate: The power of the step number at which the average of squares forgets.
        beta1: Decay rate of the average of updates; None: updates are not averaged.
        weight_decay: The share of each weight, times the step size, that is taken off in each step.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        scale_parameter: Whether steps are relative to the root mean square of a parameter.
        relative_step: Whether the step size is min(0.01, 1/√step); needs `lr: null`.
        warmup_init: Whether it rises at first, as 10⁻⁶ step; needs `relative_step`.
        layer_decay: The factor on rates from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        lr: float | None = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        beta1: float | None = None,
        weight_decay: float = 0.0,
        decay_biases_and_norms: bool = False,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
        layer_decay: float | None = None,
        parameter_groups: list[tuple[list[str], DecayGroup]] | None = None,
    ) -> None:
        own_rates = [group.options["lr"] for _, group in parameter_groups or () if "lr" in group.options]
        _check_rates(lr, own_rates, relative_step=relative_step, warmup_init=warmup_init)
        rate = 1.0 if lr is None else lr
        groups = grouped(
            named_parameters,
            parameter_groups,
            lr=rate,
            layer_decay=layer_decay,
            weight_decay=weight_decay,
            decay_biases_and_norms=decay_biases_and_norms,
        )
        sizes = {"eps": eps, "clip_threshold": clip_threshold, "decay_rate": decay_rate, "beta1": beta1}
        switches = {
            "scale_parameter": scale_parameter,
            "relative_step": relative_step,
            "warmup_init": warmup_init,
        }
        super().__init__(groups, {"lr": rate, "weight_decay": weight_decay, **sizes, **switches})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        step, (tiny, smallest) = int(state["step"]), pair(group, "eps")
        size: float | Tensor = number(group, "lr")
        if group["relative_step"]:
            size *= min(1e-6 * step if group["warmup_init"] else 1e-2, 1 / math.sqrt(step))
        if group["scale_parameter"]:
            size = size * _root_mean_square(weights).clamp_(min=smallest)
        decay = 1 - step ** number(group, "decay_rate")
        change = _scaled(gradient, gradient.square().add_(tiny), state, decay)
        change.div_((_root_mean_square(change) / number(group, "clip_threshold")).clamp_(min=1.0)).mul_(size)
        if group["beta1"] is not None:
            change = average(state, "exp_avg", change, number(group, "beta1"))
        weights.mul_(1 - size * number(group, "weight_decay")).sub_(change)


def _scaled(gradient: Tensor, squares: Tensor, state: State, decay: float) -> Tensor:
    """Divides a gradient by the root of its average squares, of matrices by rows and columns alone."""
    if gradient.ndim < 2:
        return gradient * average(state, "exp_avg_sq", squares, decay).rsqrt()
    rows = average(state, "exp_avg_sq_row", squares.mean(-1), decay)  # (..., rows)
    columns = average(state, "exp_avg_sq_col", squares.mean(-2), decay)  # (..., columns)
    row_factors = (rows / rows.mean(-1, keepdim=True)).rsqrt_().unsqueeze(-1)  # (..., rows, 1)
    return gradient * row_factors * columns.rsqrt().unsqueeze(-2)


def _root_mean_square(tensor: Tensor) -> Tensor:
    return tensor.square().mean().sqrt()


def _check_rates(
    lr: float | None, own_rates: list[object], *, relative_step: bool, warmup_init: bool
) -> None:
    place = "trainer.optimizer"
    if relative_step and (lr is not None or own_rates):
        raise ConfigError(
            f"{place}.lr: {own_rates[0] if lr is None else lr}; expected null, since relative_step finds the "
            "rate; set relative_step to false for a rate of your own"
        )
    if lr is None and not relative_step:
        raise ConfigError(f"{place}.lr: null; expected a rate, since relative_step is false")
    if warmup_init and not relative_step:
        raise ConfigError(f"{place}.warmup_init: true; expected false, since relative_step is false")

"""Variants of Adam that BERT was trained with before torch had AdamW, and one that saves memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bertx.config.registrable import Runtime
from bertx.training.optimizers.optimizer import NamedParameters, Optimizer
from bertx.training.optimizers.parameter_groups import AdamGroup, grouped
from bertx.training.optimizers.update_rule import Options, State, UpdateRule, average, number, pair


@Optimizer.register("huggingface_adamw")
class HuggingFaceAdamW(UpdateRule):
    """AdamW as transformers had it before version 5.

    It differs from torch's in that `eps` is added before the corrections of the averages, and that weights
    decay after the update rather than before.

    Source: transformers 4.0, `optimization.AdamW`.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        correct_bias: Whether to make up for averages that start at zero; BERT was pretrained without.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        lr: float = 1e-5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decay_biases_and_norms: bool = False,
        correct_bias: bool = True,
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
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "correct_bias": correct_bias}
        super().__init__(groups, {"lr": lr, **options})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        (beta1, beta2), lr, step = pair(group, "betas"), number(group, "lr"), int(state["step"])
        mean = average(state, "exp_avg", gradient, beta1)
        square = average(state, "exp_avg_sq", gradient.square(), beta2)
        correction = math.sqrt(1 - beta2**step) / (1 - beta1**step) if group["correct_bias"] else 1.0
        weights.addcdiv_(mean, square.sqrt().add_(number(group, "eps")), value=-lr * correction)
        weights.mul_(1 - lr * number(group, "weight_decay"))


@Optimizer.register("adam_with_decay")
class AdamWithDecay(UpdateRule):
    """Adam with which ParlAI's BERT was trained: decoupled weight decay, no correction of the averages.

    The gradient of each parameter is clipped by its own norm.

    Source: ParlAI (February to July 2020), `AdamWithDecay` of its BERT rankers; the rule is that of
    `BertAdam`, which AllenNLP 0.9 called `bert_adam`.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms. ParlAI
            spared what it called bias, gamma and beta, which are the same.
        max_grad_norm: Each parameter's gradient is scaled down to this norm; None: no limit.
        layer_decay: The factor on `lr` from each layer of the encoder to the one below; None: none.
        parameter_groups: Pairs of regular expressions and what is different for the parameters they match.
    """

    def __init__(
        self,
        named_parameters: Runtime[NamedParameters],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        decay_biases_and_norms: bool = False,
        max_grad_norm: float | None = 1.0,
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
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "max_grad_norm": max_grad_norm}
        super().__init__(groups, {"lr": lr, **options})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        if group["max_grad_norm"] is not None:
            # The constant is that of torch's clip_grad_norm_.
            share = number(group, "max_grad_norm") / (gradient.norm() + 1e-6)
            gradient = gradient * share.clamp(max=1.0)
        beta1, beta2 = pair(group, "betas")
        mean = average(state, "exp_avg", gradient, beta1)
        square = average(state, "exp_avg_sq", gradient.square(), beta2)
        change = mean / square.sqrt().add_(number(group, "eps"))
        change.add_(weights, alpha=number(group, "weight_decay"))
        weights.sub_(change, alpha=number(group, "lr"))


@Optimizer.register("mem_eff_adam")
class MemoryEfficientAdam(UpdateRule):
    """AdamW for float16 weights of which no float32 copy is kept.

    The averages are float32, as with every rule here that is not torch's own, and so is the arithmetic; only
    the new weights are rounded. Updates smaller than half a unit in a weight's last place are lost.

    Source: fairseq, `MemoryEfficientFP16Optimizer` with `Adam`; ParlAI, `MemoryEfficientFP16Adam`.

    Args:
        named_parameters: What to train.
        lr: Learning rate per step.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Term against division by zero, added before the corrections of the averages.
        weight_decay: The share of each weight, times `lr`, that is taken off in each step.
        decay_biases_and_norms: Whether `weight_decay` is also for biases and the scales of norms.
        amsgrad: Whether to use the largest average of squares so far (Reddi et al. 2018); ParlAI always does.
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
        weight_decay: float = 0.0,
        decay_biases_and_norms: bool = False,
        amsgrad: bool = False,
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
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(groups, {"lr": lr, **options})

    def update(self, weights: Tensor, gradient: Tensor, state: State, group: Options) -> None:
        """Changes weights in place; see `UpdateRule`."""
        (beta1, beta2), lr, step = pair(group, "betas"), number(group, "lr"), int(state["step"])
        mean = average(state, "exp_avg", gradient, beta1)
        square = average(state, "exp_avg_sq", gradient.square(), beta2)
        if group["amsgrad"]:
            square = state["max_exp_avg_sq"] = torch.maximum(state.get("max_exp_avg_sq", square), square)
        size = lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        weights.mul_(1 - lr * number(group, "weight_decay"))
        weights.addcdiv_(mean, square.sqrt().add_(number(group, "eps")), value=-size)

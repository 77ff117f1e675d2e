"""Cheaper forms of the same training, where nobody could tell the difference.

Between two steps, weights and gradients may have a form that is not the one that everybody knows, if nothing
looks at them there: no average of weights, no penalty on them, no callback, no other process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from bertx.bert.fused.routing import plain_layers, product_parameters
from bertx.training.loop import TrainingLoop
from bertx.training.objectives.objective import Plain
from bertx.training.occurring_rows import OccurringRows, occurring_rows
from bertx.training.optimizers.blockwise_adamw import BlockwiseAdamW


def rows_to_train(loop: TrainingLoop) -> OccurringRows | None:
    """Finds the embedding that can be trained on the rows which occur, if there is one."""
    model, steps = loop.model, loop.steps
    is_looked_at = loop.selection.moving_average is not None or model.regularizer is not None
    if is_looked_at or loop.world.size > 1 or len(model.looked_up) != 1:
        return None
    ((index, embedding),) = model.looked_up.items()
    is_sparse = _passes_back_once(loop)
    return occurring_rows(embedding, index, steps.split.dataset, steps.optimizer, is_sparse=is_sparse)


@contextmanager
def shortcuts_taken(loop: TrainingLoop) -> Iterator[None]:
    """Lets a loop take the shortcuts that it may.

    In bfloat16 the gradients of matrix products stay as the products leave them, and the optimizer makes the
    weights for the next ones, so that nothing is converted twice; the weights themselves stay in float32.
    """
    if any(callback.reads_weights for callback in loop.callbacks):
        loop.rows = None
    optimizer = loop.steps.optimizer
    is_cheap = loop.rows is not None and _passes_back_once(loop) and loop.steps.precision == "bf16"
    layers = plain_layers(loop.model) if is_cheap else []
    learning: list[nn.Parameter] = []
    for layer in layers:
        parameters = product_parameters(layer)
        mirrors = layer.working_weights.follow(parameters, torch.bfloat16)
        followed = zip(parameters, mirrors, strict=True)
        pairs = [pair for pair in followed if pair[0].dtype == torch.float32]  # frozen ones may thaw
        learning += [parameter for parameter, _ in pairs]
        if isinstance(optimizer, BlockwiseAdamW):
            optimizer.mirrors |= dict(pairs)
    _set_gradients(learning, torch.bfloat16)
    try:
        yield
    finally:
        _set_gradients(learning, torch.float32)
        if isinstance(optimizer, BlockwiseAdamW):
            optimizer.mirrors.clear()
        for layer in layers:
            layer.working_weights.unfollow()


def _passes_back_once(loop: TrainingLoop) -> bool:
    """Tells whether every gradient of a step comes from one pass, and is read by the optimizer alone."""
    steps = loop.steps
    return (
        isinstance(steps.optimizer, BlockwiseAdamW)
        and isinstance(steps.objective, Plain)
        and loop.limits.batches_per_step == 1
        and steps.grad_clipping is None
    )


def _set_gradients(parameters: Sequence[nn.Parameter], dtype: torch.dtype) -> None:
    for parameter in parameters:
        parameter.grad, parameter.grad_dtype = None, dtype

"""A whole layer of BERT as one step of automatic differentiation, forwards and backwards written out.

It computes what `BertLayer` does. On a CPU, with sequences as short as most texts are, a layer's matrix
products take less time than the hundred small operations around them; here there are few of those, nothing
is converted twice, and the queries can be those of the first tokens alone. Matrix products are in the type of
the arithmetic; the stream of hidden states and the norms stay in the type of the weights.

Shapes are those of `bertx.bert.model`, with `size` = heads * head_size, and `asking` for the number of first
tokens of each sequence that are computed.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from bertx.bert.fused.keep_masks import KeepMask, draw_mask
from bertx.bert.fused.layer_plan import LayerPlan
from bertx.bert.fused.softmax import softmax_, softmax_backward_
from bertx.bert.fused.working_weights import LayerWeights

Masks: TypeAlias = "tuple[KeepMask, KeepMask] | None"
"""What is kept of the outputs of both sublayers, one after the other; and of the attention probabilities."""


class Norms(NamedTuple):
    """Scales and biases of the two norms, each (hidden,)."""

    attention: Tensor
    attention_bias: Tensor
    feed_forward: Tensor
    feed_forward_bias: Tensor


class Attention(NamedTuple):
    """What the backward pass needs of the attention.

    Attributes:
        inputs: (batch * tokens, hidden).
        asking_inputs: (batch * asking, hidden).
        query: (batch * heads, asking, head_size).
        key: (batch * heads, tokens, head_size).
        value: (batch * heads, tokens, head_size).
        probabilities: (batch * heads, asking, tokens).
        kept: The same after dropout, without its scale, in the type of the products.
        mixed: (batch * asking, size).
    """

    inputs: Tensor
    asking_inputs: Tensor
    query: Tensor
    key: Tensor
    value: Tensor
    probabilities: Tensor
    kept: Tensor
    mixed: Tensor


class FeedForward(NamedTuple):
    """What the backward pass needs of the norms and of what is between them, each (batch * asking, ...)."""

    residual: Tensor
    mean: Tensor
    rstd: Tensor
    inputs: Tensor
    wide: Tensor
    activated: Tensor
    second_residual: Tensor
    second_mean: Tensor
    second_rstd: Tensor


class Remembered(FunctionCtx):
    """What the forward pass leaves for the backward pass."""

    plan: LayerPlan
    masks: Masks
    shape: torch.Size
    saved_tensors: tuple[Tensor, ...]


class FusedLayer(torch.autograd.Function):
    """A layer as a function of its input and its parameters."""

    @staticmethod
    def forward(
        ctx: Remembered,
        hidden_states: Tensor,
        bias: Tensor | None,
        plan: LayerPlan,
        weights: LayerWeights,
        *parameters: Tensor,
    ) -> Tensor:
        """Returns the layer's output.

        Args:
            ctx: Remembers.
            hidden_states: (batch, tokens, hidden), contiguous.
            bias: (batch, 1, 1, tokens); what is added to the scores, 0 or minus infinity.
            plan: How to compute.
            weights: The working weights.
            parameters: Those of `Norms`, then those of `WorkingWeights.of`, which only get gradients.

        Returns:
            (batch, asking, hidden).
        """
        norms = Norms(*parameters[:4])
        output, masks, attention, feed_forward = run_forward(hidden_states, bias, plan, weights, norms)
        ctx.save_for_backward(*norms, *weights, *attention, *feed_forward)
        ctx.plan, ctx.masks, ctx.shape = plan, masks, hidden_states.shape
        return output

    @staticmethod
    def backward(ctx: Remembered, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients by the input and the parameters."""
        saved = list(ctx.saved_tensors)
        norms, weights = Norms(*saved[:4]), LayerWeights(*saved[4:14])
        attention, feed_forward = Attention(*saved[14:22]), FeedForward(*saved[22:])
        plan, masks, shape = ctx.plan, ctx.masks, ctx.shape
        by_residual, by_norms, by_products = _feed_forward_backward(
            gradient.reshape(-1, shape[2]), plan, weights, norms, masks, feed_forward
        )
        by_input, by_attention = _attention_backward(by_residual, plan, weights, masks, attention, shape)
        return by_input, None, None, None, *by_norms, *by_attention, *by_products


def run_forward(
    hidden_states: Tensor, bias: Tensor | None, plan: LayerPlan, weights: LayerWeights, norms: Norms
) -> tuple[Tensor, Masks, Attention, FeedForward]:
    """Computes a layer; see `FusedLayer.forward`."""
    batch, tokens, hidden = hidden_states.shape
    elements = batch * plan.asking * hidden
    masks = None
    if max(plan.dropout, plan.attention_dropout) > 0:
        probabilities = batch * plan.heads * plan.asking * tokens
        masks = draw_mask(2 * elements, plan.dropout), draw_mask(probabilities, plan.attention_dropout)
    scale = masks[0].scale if masks else 1.0
    attention = _attend(hidden_states, bias, plan, weights, masks)
    output = torch.addmm(weights.mixed_bias, attention.mixed, weights.mixed.t())
    if masks:
        masks[0].clear_(output)
    residual = torch.add(hidden_states[:, : plan.asking].reshape(-1, hidden), output, alpha=scale)
    stream, mean, rstd = torch.native_layer_norm(
        residual, [hidden], norms.attention, norms.attention_bias, plan.eps[0]
    )
    inputs = stream.to(weights.wide.dtype)
    wide = torch.addmm(weights.wide_bias, inputs, weights.wide.t())
    activated = torch.ops.aten.gelu(wide, approximate=plan.approximate)
    output = torch.addmm(weights.narrow_bias, activated, weights.narrow.t())
    if masks:
        masks[0].clear_(output, elements)
    second = torch.add(stream, output, alpha=scale)
    stream, *second_moments = torch.native_layer_norm(
        second, [hidden], norms.feed_forward, norms.feed_forward_bias, plan.eps[1]
    )
    feed_forward = FeedForward(residual, mean, rstd, inputs, wide, activated, second, *second_moments)
    return stream.view(batch, plan.asking, hidden), masks, attention, feed_forward


def _attend(
    hidden_states: Tensor, bias: Tensor | None, plan: LayerPlan, weights: LayerWeights, masks: Masks
) -> Attention:
    """Mixes the values that each head's queries ask for."""
    batch, tokens, hidden = hidden_states.shape
    heads, asking = plan.heads, plan.asking
    inputs = hidden_states.to(weights.query.dtype)
    asking_inputs = inputs[:, :asking].reshape(-1, hidden)
    inputs = inputs.view(-1, hidden)
    query = torch.addmm(weights.query_bias, asking_inputs, weights.query.t())
    query = query.view(batch, asking, heads, -1).transpose(1, 2).reshape(batch * heads, asking, -1)
    key_value = torch.addmm(weights.key_value_bias, inputs, weights.key_value.t())
    key, value = (
        key_value.view(batch, tokens, 2, heads, -1)
        .permute(2, 0, 3, 1, 4)
        .reshape(2, batch * heads, tokens, -1)
    )
    scores = torch.bmm(query, key.transpose(1, 2)).mul_(1 / math.sqrt(query.shape[2]))
    if bias is not None:
        scores.view(batch, heads, asking, tokens).add_(bias)
    probabilities = softmax_(scores)
    kept = probabilities.to(query.dtype)
    if masks:
        kept = masks[1].clear_(kept.clone() if kept is probabilities else kept)
    mixed = torch.bmm(kept, value)
    mixed = mixed.view(batch, heads, asking, -1).transpose(1, 2).reshape(batch * asking, -1)
    if masks:
        mixed.mul_(masks[1].scale)
    return Attention(inputs, asking_inputs, query, key, value, probabilities, kept, mixed)


def _feed_forward_backward(
    gradient: Tensor,
    plan: LayerPlan,
    weights: LayerWeights,
    norms: Norms,
    masks: Masks,
    saved: FeedForward,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Goes back from the output to the sum of the layer's input and what the attention gave.

    Returns:
        The gradients by that sum, (batch * asking, hidden); by the norms; by both products' weights.
    """
    elements = gradient.numel()
    by_second, *by_second_norm = _norm_backward(
        gradient,
        *(saved.second_residual, saved.second_mean, saved.second_rstd),
        *(norms.feed_forward, norms.feed_forward_bias),
    )
    by_output = _undropped(by_second, weights.narrow.dtype, masks, elements)
    by_wide = torch.ops.aten.gelu_backward(
        by_output @ weights.narrow, saved.wide, approximate=plan.approximate
    )
    by_products = [
        *(by_wide.t() @ saved.inputs, by_wide.sum(dim=0)),
        *(by_output.t() @ saved.activated, by_output.sum(dim=0)),
    ]
    by_stream = by_second.add_(by_wide @ weights.wide)
    by_residual, *by_norm = _norm_backward(
        by_stream, saved.residual, saved.mean, saved.rstd, norms.attention, norms.attention_bias
    )
    return by_residual, [*by_norm, *by_second_norm], by_products


def _attention_backward(
    by_residual: Tensor,
    plan: LayerPlan,
    weights: LayerWeights,
    masks: Masks,
    saved: Attention,
    shape: torch.Size,
) -> tuple[Tensor, list[Tensor]]:
    """Goes back to the layer's input.

    Returns:
        The gradients by that, (batch, tokens, hidden); by the weights of query, key, value and output.
    """
    batch, tokens, hidden = shape
    heads, asking = plan.heads, plan.asking
    by_output = _undropped(by_residual, weights.mixed.dtype, masks, 0)
    by_mixed = (by_output @ weights.mixed).view(batch, asking, heads, -1).transpose(1, 2)
    by_mixed = by_mixed.reshape(batch * heads, asking, -1)
    if masks:
        by_mixed.mul_(masks[1].scale)
    by_kept = torch.bmm(by_mixed, saved.value.transpose(1, 2))
    if masks:
        masks[1].clear_(by_kept)
    by_scores = softmax_backward_(by_kept, saved.probabilities).to(saved.query.dtype)
    by_scores.mul_(1 / math.sqrt(saved.query.shape[2]))
    by_query = torch.bmm(by_scores, saved.key)
    by_query = by_query.view(batch, heads, asking, -1).transpose(1, 2).reshape(batch * asking, -1)
    by_key_value = saved.key.new_empty(2, *saved.key.shape)
    torch.bmm(by_scores.transpose(1, 2), saved.query, out=by_key_value[0])
    torch.bmm(saved.kept.transpose(1, 2), by_mixed, out=by_key_value[1])
    by_key_value = by_key_value.view(2, batch, heads, tokens, -1).permute(1, 3, 0, 2, 4)
    by_key_value = by_key_value.reshape(batch * tokens, -1)
    size = by_query.shape[1]
    matrix, column = by_key_value.t() @ saved.inputs, by_key_value.sum(dim=0)
    by_weights = [
        *(by_query.t() @ saved.asking_inputs, by_query.sum(dim=0)),
        *(matrix[:size], column[:size], matrix[size:], column[size:]),
        *(by_output.t() @ saved.mixed, by_output.sum(dim=0)),
    ]
    by_input = (by_key_value @ weights.key_value).to(by_residual.dtype).view(shape)
    by_asking = by_residual.add_(by_query @ weights.query).view(batch, asking, hidden)
    by_input[:, :asking].add_(by_asking)
    return by_input, by_weights


def _norm_backward(
    gradient: Tensor, inputs: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of a norm by its inputs, scale and bias."""
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_layer_norm_backward(
        gradient, inputs, [inputs.shape[1]], mean, rstd, scale, bias, [True, True, True]
    )
    return gradients


def _undropped(gradient: Tensor, dtype: torch.dtype, masks: Masks, start: int) -> Tensor:
    """Returns the gradient by what dropout was applied to, as a copy in a type."""
    gradient = gradient.to(dtype, copy=True)
    return gradient if masks is None else masks[0].clear_(gradient, start).mul_(masks[0].scale)

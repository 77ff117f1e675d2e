"""Attention heads that count less, or that are taken out.

Source: Michel et al. 2019 (Are Sixteen Heads Really Better than One?), section 3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from bertx.bert.attention import BertAttention
from bertx.bert.config import BertConfig
from bertx.bert.lora import lora_layers


def head_masks(head_mask: Tensor | None, config: BertConfig) -> list[Tensor | None]:
    """Returns how much each head counts, (heads,) for each layer.

    Args:
        head_mask: float, (heads,) or (layers, heads), pruned heads included; None: all count.
        config: Sizes.

    Raises:
        ValueError: The mask has another shape.
    """
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    if head_mask is None:
        return [None] * layers
    if head_mask.shape not in ((heads,), (layers, heads)):
        raise ValueError(
            f"head_mask has the shape {tuple(head_mask.shape)}; expected ({heads},) or ({layers}, {heads})"
        )
    return list(head_mask.expand(layers, heads))


def prune_heads(
    layers: Iterable[nn.Module], heads: Mapping[int, Collection[int]], config: BertConfig
) -> BertConfig:
    """Takes heads out of layers, in place.

    Args:
        layers: Those of the encoder.
        heads: By the number of the layer, the numbers of the heads, counted before any pruning.
        config: Sizes, and what is pruned already.

    Returns:
        The config that describes the layers as they are then.

    Raises:
        ConfigError: There is no such layer or head; then nothing is changed.
        ValueError: A layer has LoRA updates.
    """
    layers = list(layers)
    if any(True for layer in layers for _ in lora_layers(layer)):
        raise ValueError("heads of layers with LoRA updates cannot be pruned; call merge_lora(model) first")
    pruned = {
        layer: sorted({*config.pruned_heads.get(layer, []), *heads.get(layer, [])})
        for layer in sorted({*config.pruned_heads, *heads})
    }
    described = config.updated({"pruned_heads": pruned})
    for number, layer in enumerate(layers):
        if number in heads and isinstance(layer.attention, BertAttention):
            _prune(layer.attention, pruned[number])
    return described


def _prune(attention: BertAttention, heads: Collection[int]) -> None:
    kept = [place for place, head in enumerate(attention.heads) if head not in heads]
    starts = torch.tensor(kept, dtype=torch.long)[:, None] * attention.head_size
    rows = (starts + torch.arange(attention.head_size)).flatten().to(attention.query.weight.device)
    for linear in (attention.query, attention.key, attention.value):
        linear.weight, linear.bias = _part(linear.weight, rows, 0), _part(linear.bias, rows, 0)
        linear.out_features = len(rows)
    attention.output.weight = _part(attention.output.weight, rows, 1)
    attention.output.in_features = len(rows)
    attention.heads = [attention.heads[place] for place in kept]


def _part(parameter: Tensor, rows: Tensor, dim: int) -> nn.Parameter:
    return nn.Parameter(parameter.detach().index_select(dim, rows), parameter.requires_grad)

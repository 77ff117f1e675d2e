"""Attention: what each token takes from the tokens that it may look at.

Source: Vaswani et al. 2017 (Attention Is All You Need), section 3.2. Shapes are those of `bertx.bert.model`;
`seen` are the tokens that are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bertx.bert.config import BertConfig
from bertx.bert.outputs import LayerCache
from bertx.bert.unpadding import Packing


class Options(NamedTuple):
    """What a layer is given and asked for beyond the tokens; an encoder in training needs none of it.

    Attributes:
        memory: float, (batch, memory, hidden); the hidden states that a decoder's cross-attention looks at.
        memory_visible: bool, (batch, 1, 1, memory); None if all of them are visible.
        past: What the layer computed for the tokens before these.
        head_mask: float, (heads,); how much each head of the self-attention counts.
        use_cache: Whether to return keys and values.
        output_attentions: Whether to return probabilities.
        only_first: Whether to compute the first token of each sequence only.
        packing: Where the real tokens are, if there is no padding between them; hidden states are then
            (1, total, hidden).
    """

    memory: Tensor | None = None
    memory_visible: Tensor | None = None
    past: LayerCache | None = None
    head_mask: Tensor | None = None
    use_cache: bool = False
    output_attentions: bool = False
    only_first: bool = False
    packing: Packing | None = None


class Extras(NamedTuple):
    """What a layer returns beside hidden states, where `Options` ask for it.

    Attributes:
        attentions: float, (batch, heads, tokens, past + tokens).
        cross_attentions: float, (batch, heads, tokens, memory).
        cache: Keys and values, for the tokens after these.
    """

    attentions: Tensor | None
    cross_attentions: Tensor | None
    cache: LayerCache | None


NOTHING = Extras(None, None, None)


class BertAttention(nn.Module):
    """Mixes the values of all visible tokens, weighted by how well keys fit queries, in several heads.

    Args:
        config: Sizes and rates.
        heads: The numbers of the heads, those that are pruned left out.

    Source: Vaswani et al. 2017, section 3.2.2; each head computes softmax(Q Kᵀ / √head_size) V.
    """

    def __init__(self, config: BertConfig, heads: Sequence[int]) -> None:
        super().__init__()
        self.heads = list(heads)
        self.head_size = config.hidden_size // config.num_attention_heads
        self.dropout_prob = config.attention_probs_dropout_prob
        size = len(self.heads) * self.head_size
        self.query = nn.Linear(config.hidden_size, size)
        self.key = nn.Linear(config.hidden_size, size)
        self.value = nn.Linear(config.hidden_size, size)
        self.output = nn.Linear(size, config.hidden_size)

    def forward(
        self, hidden_states: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, options: Options
    ) -> tuple[Tensor, Tensor | None]:
        """Returns (batch, tokens, hidden) for the same, and probabilities if asked for."""
        query = self._split_heads(self.query(hidden_states))  # (batch, heads, tokens, head_size)
        dropout = self.dropout_prob if self.training else 0.0
        probabilities = None
        if options.output_attentions:
            scores = query @ key.transpose(2, 3) / math.sqrt(self.head_size)  # (batch, heads, tokens, seen)
            if visible is not None:
                scores = scores.masked_fill(~visible, -math.inf)
            probabilities = F.dropout(scores.softmax(dim=-1), dropout)
            mixed = probabilities @ value  # (batch, heads, tokens, head_size)
        elif options.packing is not None:
            mixed = options.packing.attention(
                query, key, value, dropout=dropout, only_first=options.only_first
            )
        else:
            with attention_kernels(query):
                mixed = F.scaled_dot_product_attention(
                    query, key, value, attn_mask=visible, dropout_p=dropout
                )
        if options.head_mask is not None:
            counts = options.head_mask[self.heads, None, None]  # (heads, 1, 1)
            mixed = mixed * counts
            probabilities = None if probabilities is None else probabilities * counts
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))  # (batch, tokens, hidden)
        return output, probabilities

    def keys_and_values(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """Returns twice (batch, heads, tokens, head_size) for (batch, tokens, hidden)."""
        return self._split_heads(self.key(hidden_states)), self._split_heads(self.value(hidden_states))

    def _split_heads(self, projected: Tensor) -> Tensor:
        batch, tokens, _ = projected.shape
        return projected.view(batch, tokens, len(self.heads), self.head_size).transpose(1, 2)


def visible_tokens(attention_mask: Tensor | None) -> Tensor | None:
    """Returns which tokens an encoder's attention may look at.

    A row that is nothing but padding sees all its tokens: a softmax over nothing is NaN, and one NaN in a
    batch would spoil the gradient of every weight.

    Args:
        attention_mask: bool or 0/1, (batch, tokens); True marks a real token. None: all are real.

    Returns:
        bool, (batch, 1, 1, tokens); None if all of them are visible.
    """
    if attention_mask is None:
        return None
    real = attention_mask.bool()  # (batch, tokens)
    # On a GPU this look at the data would wait for all work that is queued; there a caller passes None.
    if real.device.type == "cpu" and not torch.compiler.is_compiling() and bool(real.all()):
        return None
    real = real | ~real.any(dim=1, keepdim=True)
    return real[:, None, None, :]


def visible_before(attention_mask: Tensor | None, tokens: int, past: int, device: torch.device) -> Tensor:
    """Returns which tokens a decoder's attention may look at: those before a token, and itself.

    Args:
        attention_mask: bool or 0/1, (batch, past + tokens); True marks a real token. None: all are real.
        tokens: The number of tokens that look.
        past: The number of tokens before them, whose keys are cached.
        device: Where the result is needed.

    Returns:
        bool, (batch or 1, 1, tokens, past + tokens).
    """
    here = torch.arange(past, past + tokens, device=device)[:, None]  # (tokens, 1)
    everywhere = torch.arange(past + tokens, device=device)  # (past + tokens,)
    before = here >= everywhere  # (tokens, past + tokens)
    if attention_mask is None:
        return before[None, None]
    real = attention_mask.bool()[:, None, :] & before  # (batch, tokens, past + tokens)
    # Padding that has nothing real on its left sees itself, see visible_tokens.
    real = real | (here == everywhere) & ~real.any(dim=2, keepdim=True)
    return real[:, None]  # (batch, 1, tokens, past + tokens)


def attention_kernels(query: Tensor) -> AbstractContextManager[None]:
    """Chooses how attention is computed: torch decides, except where its choice is known to be slow.

    torch 2.13 gives bfloat16 on a CPU to its fused kernel, whose backward pass makes a training step over
    sequences of 16 tokens take twice as long as with the plain kernel (4 layers of 128, masked or not).
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad:
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()

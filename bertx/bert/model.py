"""BERT, the encoder: token ids in, one vector per token out.

Source: Devlin et al. 2019 (BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding),
whose layers are those of Vaswani et al. 2017 (Attention Is All You Need), section 3, with GELU.

Shapes:
    batch     sequences in the batch
    tokens    positions per sequence, padding included
    hidden    hidden_size, which is heads * head_size
    heads     num_attention_heads
    vocab     vocab_size
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bertx.bert.config import BertConfig, HiddenAct

ACTIVATIONS: dict[HiddenAct, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,  # Hendrycks & Gimpel 2016, exact
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


class BertOutput(NamedTuple):
    """What the encoder says about a batch.

    Attributes:
        last_hidden_state: float, (batch, tokens, hidden).
        pooled: float, (batch, hidden); None without a pooler.
    """

    last_hidden_state: Tensor
    pooled: Tensor | None


class BertModel(nn.Module):
    """Encodes sequences of word pieces in both directions at once.

    Args:
        config: Sizes and rates.
        add_pooling_layer: Whether to have the layer that makes one vector of each sequence.
    """

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.apply(partial(initialize, config=config))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> BertOutput:
        """Encodes a batch of sequences.

        Args:
            input_ids: int, (batch, tokens).
            attention_mask: bool or 0/1, (batch, tokens); True marks a real token. None: all are real.
            token_type_ids: int, (batch, tokens); the segment of each token. None: all are in segment 0.

        Returns:
            The last layer's hidden states, and the pooled vectors if there is a pooler. Vectors at padding
            are finite and mean nothing.

        Raises:
            ValueError: The sequences are longer than `max_position_embeddings`.
        """
        visible = visible_tokens(attention_mask)
        hidden_states = self.embeddings(input_ids, token_type_ids)  # (batch, tokens, hidden)
        for layer in self.layers:
            hidden_states = layer(hidden_states, visible)
        pooled = self.pooler(hidden_states) if self.pooler is not None else None  # (batch, hidden)
        return BertOutput(hidden_states, pooled)


class BertEmbeddings(nn.Module):
    """Sums what a token is, where it stands and which segment it is in (Devlin et al., figure 2)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """Returns float (batch, tokens, hidden) for int (batch, tokens)."""
        num_tokens = input_ids.shape[1]
        if num_tokens > self.position.num_embeddings:
            raise ValueError(
                f"a sequence has {num_tokens} tokens; the encoder takes at most "
                f"{self.position.num_embeddings} (max_position_embeddings): truncate the input"
            )
        positions = self.position.weight[:num_tokens]  # (tokens, hidden)
        # Without segments a single row is added, so that nothing is looked up for each token.
        segments = self.token_type.weight[0] if token_type_ids is None else self.token_type(token_type_ids)
        embedded: Tensor = self.dropout(self.norm(self.word(input_ids) + segments + positions))
        return embedded


class BertLayer(nn.Module):
    """Lets tokens look at each other, then transforms each alone.

    Source: Vaswani et al. 2017, section 3.1: each sublayer becomes LayerNorm(x + Dropout(Sublayer(x))).
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = BertSelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = BertFeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: Tensor, visible: Tensor | None) -> Tensor:
        """Returns (batch, tokens, hidden) for the same; `visible` is that of `visible_tokens`."""
        attended = self.attention(hidden_states, visible)
        hidden_states = self.attention_norm(hidden_states + self.dropout(attended))
        transformed = self.feed_forward(hidden_states)
        output: Tensor = self.feed_forward_norm(hidden_states + self.dropout(transformed))
        return output


class BertSelfAttention(nn.Module):
    """Mixes the values of all visible tokens, weighted by how well keys fit queries, in several heads.

    Source: Vaswani et al. 2017, section 3.2: softmax(Q Kᵀ / √head_size) V.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.dropout_prob = config.attention_probs_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor, visible: Tensor | None) -> Tensor:
        """Returns (batch, tokens, hidden) for the same."""
        query = self._split_heads(self.query(hidden_states))  # (batch, heads, tokens, head_size)
        key = self._split_heads(self.key(hidden_states))
        value = self._split_heads(self.value(hidden_states))
        dropout = self.dropout_prob if self.training else 0.0
        with attention_kernels(query):
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))  # (batch, tokens, hidden)
        return output

    def _split_heads(self, projected: Tensor) -> Tensor:
        batch, tokens, hidden = projected.shape
        return projected.view(batch, tokens, self.num_heads, hidden // self.num_heads).transpose(1, 2)


class BertFeedForward(nn.Module):
    """Transforms each token alone (Vaswani et al. 2017, section 3.3)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Returns (batch, tokens, hidden) for the same."""
        output: Tensor = self.output(self.activation(self.intermediate(hidden_states)))
        return output


class BertPooler(nn.Module):
    """Makes one vector of each sequence: a dense layer and tanh over the hidden state of `[CLS]`."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Returns (batch, hidden) for (batch, tokens, hidden)."""
        return torch.tanh(self.dense(hidden_states[:, 0]))


class BertPredictionHead(nn.Module):
    """Predicts the word piece at masked positions (Devlin et al. 2019, section 3.1, task 1).

    Args:
        config: Sizes and rates of the encoder.
        word_embeddings: The encoder's, whose weights are shared with the output layer.
    """

    def __init__(self, config: BertConfig, word_embeddings: nn.Embedding) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.apply(partial(initialize, config=config))
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, device="meta")
        self.decoder.weight = word_embeddings.weight
        self.decoder.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Returns logits (n, vocab) for the hidden states (n, hidden) of any n positions."""
        logits: Tensor = self.decoder(self.norm(self.activation(self.dense(hidden_states))))
        return logits


class BertForMaskedLM(nn.Module):
    """The encoder with the head that it is pretrained with.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.head = BertPredictionHead(config, self.bert.embeddings.word)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Returns logits (batch, tokens, vocab); arguments are those of `BertModel`.

        In training, `head(bert(...).last_hidden_state[masked])` computes those of the masked positions only.
        """
        logits: Tensor = self.head(self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state)
        return logits


def visible_tokens(attention_mask: Tensor | None) -> Tensor | None:
    """Returns which tokens attention may look at: bool, (batch, 1, 1, tokens); None if at all of them.

    A row that is nothing but padding sees all its tokens: a softmax over nothing is NaN, and one NaN in a
    batch would spoil the gradient of every weight.
    """
    if attention_mask is None:
        return None
    real = attention_mask.bool()  # (batch, tokens)
    # On a GPU this look at the data would wait for all work that is queued; there a caller passes None.
    if real.device.type == "cpu" and not torch.compiler.is_compiling() and bool(real.all()):
        return None
    real = real | ~real.any(dim=1, keepdim=True)
    return real[:, None, None, :]


def attention_kernels(query: Tensor) -> AbstractContextManager[None]:
    """Chooses how attention is computed: torch decides, except where its choice is known to be slow.

    torch 2.13 gives bfloat16 on a CPU to its fused kernel, whose backward pass makes a training step over
    sequences of 16 tokens take twice as long as with the plain kernel (4 layers of 128, masked or not).
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad:
        return sdpa_kernel(SDPBackend.MATH)
    return nullcontext()


def initialize(module: nn.Module, config: BertConfig) -> None:
    """Draws fresh weights in place: normal for matrices, zero for biases, one for the scale of norms.

    Source: the released code of Devlin et al. 2019, except that the normal distribution is not truncated, as
    in Hugging Face.
    """
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=config.initializer_range)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx].detach())
    if isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)

"""BERT, the encoder: token ids in, one vector per token out.

Source: Devlin et al. 2019 (BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding),
whose layers are those of Vaswani et al. 2017 (Attention Is All You Need), section 3, with GELU.

Shapes:
    batch     sequences in the batch
    tokens    positions per sequence, padding included
    hidden    hidden_size, which is heads * head_size
    heads     num_attention_heads
    memory    positions of the encoder that a decoder attends to
    vocab     vocab_size
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bertx.bert.attention import NOTHING, BertAttention, Extras, Options, visible_before, visible_tokens
from bertx.bert.config import BertConfig
from bertx.bert.embeddings import BertEmbeddings
from bertx.bert.fused.keep_masks import Dropout
from bertx.bert.fused.routing import fused, is_step_by_step
from bertx.bert.fused.working_weights import WorkingWeights
from bertx.bert.initialization import activation_of, initialize, resized
from bertx.bert.outputs import BertOutput, Cache, LayerCache, Value, in_form, of_all
from bertx.bert.pretrained import Pretrained
from bertx.bert.pruning import head_masks, prune_heads
from bertx.bert.unpadding import first_tokens, packing_of


class BertModel(Pretrained):
    """Encodes sequences of word pieces in both directions at once; as a decoder from left to right.

    Args:
        config: Sizes and rates.
        add_pooling_layer: Whether to have the layer that makes one vector of each sequence.
    """

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.config = config
        self.gradient_checkpointing = config.gradient_checkpointing
        self.embeddings = BertEmbeddings(config)
        self.layers = nn.ModuleList(BertLayer(config, number) for number in range(config.num_hidden_layers))
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.apply(partial(initialize, config=config))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        head_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        only_first: bool = False,
        packed_tokens: Tensor | None = None,
        packed_offsets: Tensor | None = None,
    ) -> BertOutput | tuple[Value, ...]:
        """Encodes a batch of sequences.

        Args:
            input_ids: int, (batch, tokens).
            attention_mask: bool or 0/1, (batch, tokens); True marks a real token. None: all are real. With
                `past_key_values` it covers the tokens before, too.
            token_type_ids: int, (batch, tokens); the segment of each token. None: all are in segment 0.
            position_ids: int, (batch or 1, tokens); where each token stands. None: one after another.
            inputs_embeds: float, (batch, tokens, hidden), in place of `input_ids` and what they look up.
            head_mask: float, (heads,) or (layers, heads); how much each self-attention head counts, 0: not.
            encoder_hidden_states: float, (batch, memory, hidden); what cross-attention looks at.
            encoder_attention_mask: bool or 0/1, (batch, memory); True marks a real token. None: all are.
            past_key_values: What an earlier call returned for the tokens before these.
            use_cache: Whether a decoder returns `past_key_values`; None, here and below: as the config says.
            output_attentions: Whether to return the attention probabilities.
            output_hidden_states: Whether to return the hidden states of all layers.
            return_dict: Whether to return an object with names rather than a tuple.
            only_first: Whether the last layer computes the first token of each sequence only, which is all
                that the pooler reads: a tenth less work, with the same pooled vectors. The last hidden states
                are then (batch, 1, hidden). A decoder computes all tokens.
            packed_tokens: int64, (total,); the places of real tokens, see `Packing`. Then nothing is computed
                for padding, where nothing but hidden states is asked for.
            packed_offsets: int32, (batch + 1,); where each sequence begins among them.

        Returns:
            The last layer's hidden states, the pooled vectors if there is a pooler, and what was asked for.
            Vectors at padding are finite and mean nothing.

        Raises:
            ValueError: The sequences are longer than `max_position_embeddings`; not one of `input_ids` and
                `inputs_embeds` is given, but both or none; there are `encoder_hidden_states` to no use.
        """
        past = past_key_values[0].key.shape[2] if past_key_values else 0
        output_attentions = _given(output_attentions, self.config.output_attentions)
        keep_states = _given(output_hidden_states, self.config.output_hidden_states)
        packing = packing_of(input_ids, packed_tokens, packed_offsets)
        is_plain = position_ids is None and not (output_attentions or keep_states or is_step_by_step())
        if self.config.is_decoder or not is_plain:
            packing = None
        embedded = self.embeddings(
            input_ids,
            token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            past=past,
            packing=packing,
        )  # (batch, tokens, hidden), or (1, total, hidden) if packed
        visible = visible_tokens(attention_mask if packing is None else None)
        if self.config.is_decoder:
            visible = visible_before(attention_mask, embedded.shape[1], past, embedded.device)
        if encoder_hidden_states is not None and not self.config.add_cross_attention:
            raise ValueError("encoder_hidden_states are given, but the config has no add_cross_attention")
        options = Options(
            memory=encoder_hidden_states,
            memory_visible=visible_tokens(encoder_attention_mask),
            use_cache=self.config.is_decoder and _given(use_cache, self.config.use_cache),
            output_attentions=output_attentions,
            packing=packing,
        )
        of_layers = [
            options._replace(past=past_key_values[number] if past_key_values else None, head_mask=mask)
            for number, mask in enumerate(head_masks(head_mask, self.config))
        ]
        only_first = only_first and not self.config.is_decoder and not is_step_by_step()
        of_layers[-1] = of_layers[-1]._replace(only_first=only_first)
        output = self._through_layers(embedded, visible, of_layers, keep_states)
        return in_form(output, _given(return_dict, self.config.return_dict))

    def _through_layers(
        self, hidden_states: Tensor, visible: Tensor | None, options: list[Options], keep_states: bool
    ) -> BertOutput:
        states = [hidden_states]
        extras: list[Extras] = []
        for layer, given in zip(self.layers, options, strict=True):
            if self.gradient_checkpointing and self.training:
                hidden_states, extra = checkpoint(layer, hidden_states, visible, given, use_reentrant=False)
            else:
                hidden_states, extra = layer(hidden_states, visible, given)
            extras.append(extra)
            if keep_states:
                states.append(hidden_states)
        if (packing := options[-1].packing) is not None:
            hidden_states = packing.put_back(hidden_states, options[-1].only_first)
        return BertOutput(
            hidden_states,
            self.pooler(hidden_states) if self.pooler is not None else None,  # (batch, hidden)
            hidden_states=tuple(states) if keep_states else None,
            past_key_values=of_all(extra.cache for extra in extras),
            attentions=of_all(extra.attentions for extra in extras),
            cross_attentions=of_all(extra.cross_attentions for extra in extras),
        )

    def get_input_embeddings(self) -> nn.Embedding:
        """Returns the embedding of word pieces."""
        return self.embeddings.word

    def gradient_checkpointing_enable(self) -> None:
        """Lets training recompute each layer in the backward pass: less memory, a third more time."""
        self.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Lets training keep what each layer computes."""
        self.gradient_checkpointing = False

    def prune_heads(self, heads: Mapping[int, Collection[int]]) -> None:
        """Takes heads, numbered as before any pruning, out of layers for good, as if `head_mask` were 0.

        Raises:
            ConfigError: There is no such layer or head.
        """
        self.config = prune_heads(self.layers, heads, self.config)

    def resize_token_embeddings(self, num_tokens: int) -> nn.Embedding:
        """Gives the model another number of word pieces; those that it keeps stay as they are.

        Raises:
            ConfigError: `[PAD]` would be lost.
        """
        self.config = self.config.updated({"vocab_size": num_tokens})
        word = self.embeddings.word
        word.weight, word.num_embeddings = resized(word.weight, num_tokens, self.config), num_tokens
        return word


class BertLayer(nn.Module):
    """Lets tokens look at each other, then transforms each alone.

    In a decoder they also look at an encoder's tokens in between, the memory.

    Source: Vaswani et al. 2017, section 3.1: each sublayer becomes LayerNorm(x + Dropout(Sublayer(x))).
    """

    def __init__(self, config: BertConfig, number: int) -> None:
        super().__init__()
        pruned = config.pruned_heads.get(number, [])
        self.attention = BertAttention(config, [head for head in config.heads if head not in pruned])
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        if config.add_cross_attention:
            self.cross_attention = BertAttention(config, config.heads)
            self.cross_attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = BertFeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.working_weights = WorkingWeights()

    def forward(
        self, hidden_states: Tensor, visible: Tensor | None, options: Options
    ) -> tuple[Tensor, Extras]:
        """Returns (batch, tokens, hidden) for the same, and extras; `visible` says what tokens may see."""
        output = fused(self, hidden_states, visible, options)
        return (
            (output, NOTHING) if output is not None else self._step_by_step(hidden_states, visible, options)
        )

    def _step_by_step(
        self, hidden_states: Tensor, visible: Tensor | None, options: Options
    ) -> tuple[Tensor, Extras]:
        """Computes the layer by its modules, with all that a layer can be asked for."""
        if torch.is_grad_enabled():
            self.working_weights.expire()
        key, value = self.attention.keys_and_values(hidden_states)  # (batch, heads, tokens, head_size)
        if options.past is not None:
            key = torch.cat([options.past.key, key], dim=2)  # (batch, heads, past + tokens, head_size)
            value = torch.cat([options.past.value, value], dim=2)
        cache = LayerCache(key, value)
        if options.only_first:
            hidden_states = first_tokens(hidden_states, options.packing)
        attended, weights = self.attention(hidden_states, key, value, visible, options)
        hidden_states = self.attention_norm(hidden_states + self.dropout(attended))
        cross_weights = None
        if options.memory is not None:
            key, value = self._memory(options.memory, options.past)  # (batch, heads, memory, head_size)
            cache = cache._replace(memory_key=key, memory_value=value)
            to_memory = options._replace(head_mask=None)  # that is a mask of the self-attention
            attended, cross_weights = self.cross_attention(
                hidden_states, key, value, options.memory_visible, to_memory
            )
            hidden_states = self.cross_attention_norm(hidden_states + self.dropout(attended))
        transformed = self.feed_forward(hidden_states)
        output = self.feed_forward_norm(hidden_states + self.dropout(transformed))
        return output, Extras(weights, cross_weights, cache if options.use_cache else None)

    def _memory(self, memory: Tensor, past: LayerCache | None) -> tuple[Tensor, Tensor]:
        if past is not None and past.memory_key is not None and past.memory_value is not None:
            return past.memory_key, past.memory_value
        keys_and_values: tuple[Tensor, Tensor] = self.cross_attention.keys_and_values(memory)
        return keys_and_values


class BertFeedForward(nn.Module):
    """Transforms each token alone (Vaswani et al. 2017, section 3.3)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = activation_of(config)
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.chunk_size = config.chunk_size_feed_forward

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Returns (batch, tokens, hidden) for the same."""
        if self.chunk_size == 0:
            return self._transformed(hidden_states)
        # The wide vectors in between are there for some tokens at a time only.
        chunks: tuple[Tensor, ...] = torch.functional.split(hidden_states, self.chunk_size, dim=1)
        return torch.cat([self._transformed(chunk) for chunk in chunks], dim=1)

    def _transformed(self, hidden_states: Tensor) -> Tensor:
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


def _given(value: bool | None, default: bool) -> bool:
    return default if value is None else value

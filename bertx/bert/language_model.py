"""BERT as a language model that reads from left to right and writes.

Shapes are those of `bertx.bert.model`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from bertx.bert.config import BertConfig
from bertx.bert.generation import Search, write
from bertx.bert.heads import LanguageHead
from bertx.bert.losses import next_token_loss
from bertx.bert.outputs import Cache, CausalLMOutput, LayerCache, Value

logger = logging.getLogger(__name__)


class BertLMHeadModel(LanguageHead):
    """Predicts the next word piece; with cross-attention it is the decoder of an encoder.

    Args:
        config: Sizes and rates; `is_decoder` should be true.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        if not config.is_decoder:
            logger.warning(
                "BertLMHeadModel: is_decoder is false, so that pieces see those they are to predict"
            )

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
        labels: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutput | tuple[Value, ...]:
        """Scores what follows each token.

        Takes what `BertModel` takes, and `labels`: int, (batch, tokens), usually the `input_ids` themselves,
        -100 where a token is not to be predicted; and `logits_to_keep`: for how many of the last tokens, or
        for which tokens, there are logits; 0: for all.

        Returns:
            Logits, float (batch, tokens, vocab), and with labels the loss, without `past_key_values`.
        """
        outputs = self.bert(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            head_mask=head_mask,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache if labels is None else False,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.head(outputs.last_hidden_state[:, kept])
        output = CausalLMOutput(
            None if labels is None else next_token_loss(logits, labels),
            logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            cross_attentions=outputs.cross_attentions,
        )
        return self._in_form(output, return_dict)

    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        max_new_tokens: int = 20,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        early_stopping: bool | Literal["never"] = False,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
        use_cache: bool = True,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Continues texts, each with the likeliest next piece, or with several beams by a search.

        Args:
            input_ids: int, (batch, tokens); padding, if any, is on the left.
            attention_mask: bool or 0/1, (batch, tokens); None: all but `pad_token_id` are real.
            max_new_tokens: This, `num_beams`, `length_penalty` and `early_stopping`: see `Search`.
            num_beams: Beginnings of each text that are kept.
            length_penalty: What lengths count.
            early_stopping: When a search ends.
            eos_token_id: What ends a text; None: as the config says.
            pad_token_id: What stands behind the end; None: as the config says.
            use_cache: Whether keys and values of earlier tokens are kept rather than computed again.
            encoder_hidden_states: float, (batch, memory, hidden); what cross-attention looks at.
            encoder_attention_mask: bool or 0/1, (batch, memory); None: all are real.

        Returns:
            int, (batch, tokens + added); the beginnings and what follows.
        """
        ends = self.config.eos_token_id if eos_token_id is None else eos_token_id
        ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        padding = self.config.pad_token_id if pad_token_id is None else pad_token_id
        if padding is None:
            padding = ends[0] if ends else 0
        search = Search(max_new_tokens, ends, padding, num_beams, length_penalty, early_stopping)
        if attention_mask is None:
            attention_mask = input_ids != padding if padding not in ends else torch.ones_like(input_ids)
        continuation = _Continuation(self, attention_mask, num_beams, use_cache)
        continuation.memory = _repeated(encoder_hidden_states, num_beams)
        continuation.memory_mask = _repeated(encoder_attention_mask, num_beams)
        return write(continuation, input_ids, search)


class _Continuation:
    """A language model in the middle of some texts; see `bertx.bert.generation`.

    Args:
        model: Reads and predicts.
        attention_mask: bool or 0/1, (batch, tokens), of the beginnings.
        num_beams: Rows for each text.
        use_cache: Whether keys and values are kept.
    """

    memory: Tensor | None = None
    memory_mask: Tensor | None = None

    def __init__(
        self, model: BertLMHeadModel, attention_mask: Tensor, num_beams: int, use_cache: bool
    ) -> None:
        self.model, self.use_cache = model, use_cache
        self.mask = attention_mask.bool().repeat_interleave(num_beams, dim=0)  # (rows, tokens)
        self.cache: Cache | None = None

    def next_logits(self, input_ids: Tensor) -> Tensor:
        """Returns float (rows, vocab) for int (rows, tokens)."""
        # Greedy search has one row for each text, and reads them as they are.
        added = input_ids.shape[1] - self.mask.shape[1]
        mask = torch.nn.functional.pad(self.mask, (0, added), value=True)
        positions = (mask.cumsum(dim=1) - 1).clamp(
            min=0
        )  # (rows, tokens); padding on the left does not count
        seen = 0 if self.cache is None else self.cache[0].key.shape[2]
        output = self.model(
            input_ids[:, seen:],
            mask,
            position_ids=positions[:, seen:],
            encoder_hidden_states=self.memory,
            encoder_attention_mask=self.memory_mask,
            past_key_values=self.cache,
            use_cache=self.use_cache,
            logits_to_keep=1,
            return_dict=True,
        )
        self.cache = output.past_key_values
        logits: Tensor = output.logits[:, -1]
        return logits

    def reorder(self, rows: Tensor) -> None:
        """Takes other rows of what was computed; the beginnings of a text's beams are the same."""
        if self.cache is not None:
            self.cache = tuple(
                LayerCache(
                    layer.key[rows],
                    layer.value[rows],
                    None if layer.memory_key is None else layer.memory_key[rows],
                    None if layer.memory_value is None else layer.memory_value[rows],
                )
                for layer in self.cache
            )


def _repeated(tensor: Tensor | None, num_beams: int) -> Tensor | None:
    return None if tensor is None else tensor.repeat_interleave(num_beams, dim=0)

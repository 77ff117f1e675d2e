"""BERT's embeddings for prediction only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertx.bert.embeddings import BertEmbeddings
from bertx.bert.frozen.rows import hidden_states_of, whole_rows
from bertx.bert.unpadding import Packing


class FrozenEmbeddings(BertEmbeddings):
    """Computes what `BertEmbeddings` compute, for frozen layers, going over the vectors less often.

    Args:
        plain: The embeddings; their weights are shared.
        dtype: The type of the frozen layers' hidden states.
    """

    def __init__(self, plain: BertEmbeddings, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.word, self.position, self.token_type = plain.word, plain.position, plain.token_type
        self.norm, self.dropout, self.dtype = plain.norm, plain.dropout, dtype

    def forward(
        self,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None,
        *,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past: int = 0,
        packing: Packing | None = None,
    ) -> Tensor:
        """Returns (batch, tokens, hidden) of the type; arguments are those of `BertEmbeddings`."""
        if input_ids is None or position_ids is not None or inputs_embeds is not None or past or packing:
            return super().forward(
                input_ids,
                token_type_ids,
                position_ids=position_ids,
                inputs_embeds=inputs_embeds,
                past=past,
                packing=packing,
            )
        batch, tokens = input_ids.shape
        rows = whole_rows(batch * tokens)
        embedded = self.word(F.pad(input_ids.flatten(), (0, rows - batch * tokens)))  # (rows, hidden)
        words = embedded[: batch * tokens].view(batch, tokens, -1)
        if token_type_ids is None or not token_type_ids.any():  # then one addition does for both
            words.add_(self._positions(past, tokens) + self.token_type.weight[0])
        else:
            words.add_(self._positions(past, tokens)).add_(self.token_type(token_type_ids))
        return hidden_states_of(self.norm(embedded).to(self.dtype), batch, tokens)

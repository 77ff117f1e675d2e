"""What BERT's first layer is given: a vector for each token.

Source: Devlin et al. 2019 (BERT), figure 2. Shapes are those of `bertx.bert.model`.
"""

from __future__ import annotations

from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.bert.fused.keep_masks import Dropout
from bertx.bert.unpadding import Packing


class BertEmbeddings(nn.Module):
    """Sums what a token is, where it stands and which segment it is in (Devlin et al., figure 2)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

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
        """Returns float (batch, tokens, hidden); arguments are those of `BertModel`, `past` a length.

        With a packing padding is taken out: the result is float (1, total, hidden).
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected exactly one of input_ids and inputs_embeds")
        if packing is not None:
            input_ids, token_type_ids = packing.take_out(input_ids), packing.take_out(token_type_ids)
            self._require_room(packing.width)
            position_ids = packing.columns  # (1, total)
        words = self.word(input_ids) if inputs_embeds is None else inputs_embeds
        # Without segments a single row is added, so that nothing is looked up for each token.
        segments = self.token_type.weight[0] if token_type_ids is None else self.token_type(token_type_ids)
        if position_ids is None:
            positions = self._positions(past, words.shape[1])
        else:
            positions = self.position(position_ids)
        embedded: Tensor = self.dropout(self.norm(words + segments + positions))
        return embedded

    def _require_room(self, tokens: int) -> None:
        if tokens > self.position.num_embeddings:
            raise ValueError(
                f"a sequence has {tokens} tokens; the encoder takes at most "
                f"{self.position.num_embeddings} (max_position_embeddings): truncate the input"
            )

    def _positions(self, past: int, tokens: int) -> Tensor:
        self._require_room(past + tokens)
        return self.position.weight[past : past + tokens]  # (tokens, hidden)

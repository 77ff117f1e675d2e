"""The layers that score word pieces, in all of BERT's language models."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.bert.initialization import ACTIVATIONS, activation_of, initialize, resized


class BertPredictionHead(nn.Module):
    """Scores the word pieces that may stand at a position (Devlin et al. 2019, section 3.1, task 1).

    Args:
        config: Sizes and rates of the encoder.
        word_embeddings: The encoder's, whose weights are shared with the output layer unless the config
            says otherwise.
    """

    def __init__(self, config: BertConfig, word_embeddings: nn.Embedding) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        is_keras = config.prediction_head == "keras_hub"
        self.activation = ACTIVATIONS["gelu"] if is_keras else activation_of(config)
        self.norm = nn.LayerNorm(config.hidden_size, eps=1e-5 if is_keras else config.layer_norm_eps)
        self.is_tied = config.tie_word_embeddings
        if self.is_tied:
            self.apply(partial(initialize, config=config))
            self.decoder = nn.Linear(config.hidden_size, config.vocab_size, device="meta")
            self.decoder.weight = word_embeddings.weight
            self.decoder.bias = nn.Parameter(torch.zeros(config.vocab_size))
        else:
            self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
            self.apply(partial(initialize, config=config))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Returns logits (n, vocab) for the hidden states (n, hidden) of any n positions."""
        logits: Tensor = self.decoder(self.norm(self.activation(self.dense(hidden_states))))
        return logits

    def resize(self, word_embeddings: nn.Embedding, config: BertConfig) -> None:
        """Takes over the encoder's new number of word pieces; new ones have no bias."""
        rows = config.vocab_size
        old = self.decoder.bias.detach()
        bias = old.new_zeros(rows)
        bias[: len(old)] = old[:rows]
        self.decoder.bias = nn.Parameter(bias, self.decoder.bias.requires_grad)
        weight = self.decoder.weight
        self.decoder.weight = word_embeddings.weight if self.is_tied else resized(weight, rows, config)
        self.decoder.out_features = rows

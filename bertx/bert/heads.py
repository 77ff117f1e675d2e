"""BERT's pretraining heads: which word piece was hidden, and does the second segment follow the first.

Source: Devlin et al. 2019, section 3.1. Shapes are those of `bertx.bert.model`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TypeVar

from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.bert.initialization import initialize
from bertx.bert.losses import class_loss
from bertx.bert.model import BertModel
from bertx.bert.outputs import BertForPreTrainingOutput, LogitsOutput, Output, Value, in_form
from bertx.bert.prediction_head import BertPredictionHead
from bertx.bert.pretrained import Pretrained

logger = logging.getLogger(__name__)

AnyOutput = TypeVar("AnyOutput", bound=Output)


class BertHead(Pretrained):
    """Base of the models that put a head on the encoder.

    Args:
        config: Sizes and rates.
        add_pooling_layer: Whether the encoder makes one vector of each sequence.
    """

    def __init__(self, config: BertConfig, *, add_pooling_layer: bool) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer)

    @property
    def config(self) -> BertConfig:
        """The encoder's config."""
        return self.bert.config

    @config.setter
    def config(self, config: BertConfig) -> None:
        self.bert.config = config

    def get_input_embeddings(self) -> nn.Embedding:
        """Returns the embedding of word pieces."""
        return self.bert.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Linear | None:
        """Returns the layer that scores word pieces, if there is one."""
        return None

    def resize_token_embeddings(self, num_tokens: int) -> nn.Embedding:
        """Gives the model another number of word pieces; see `BertModel.resize_token_embeddings`."""
        return self.bert.resize_token_embeddings(num_tokens)

    def prune_heads(self, heads: Mapping[int, Collection[int]]) -> None:
        """Takes attention heads out for good; see `BertModel.prune_heads`."""
        self.bert.prune_heads(heads)

    def gradient_checkpointing_enable(self) -> None:
        """Lets training recompute each layer in the backward pass: less memory, a third more time."""
        self.bert.gradient_checkpointing_enable()

    def gradient_checkpointing_disable(self) -> None:
        """Lets training keep what each layer computes."""
        self.bert.gradient_checkpointing_disable()

    def _in_form(self, output: AnyOutput, return_dict: bool | None) -> AnyOutput | tuple[Value, ...]:
        return in_form(output, self.config.return_dict if return_dict is None else return_dict)


class LanguageHead(BertHead):
    """Base of the models that score word pieces."""

    def __init__(self, config: BertConfig, *, add_pooling_layer: bool = False) -> None:
        super().__init__(config, add_pooling_layer=add_pooling_layer)
        self.head = BertPredictionHead(config, self.bert.embeddings.word)

    def get_output_embeddings(self) -> nn.Linear:
        """Returns the layer that scores word pieces."""
        return self.head.decoder

    def resize_token_embeddings(self, num_tokens: int) -> nn.Embedding:
        """Gives the model another number of word pieces; see `BertModel.resize_token_embeddings`."""
        embeddings = super().resize_token_embeddings(num_tokens)
        self.head.resize(embeddings, self.config)
        return embeddings


class BertForMaskedLM(LanguageHead):
    """Predicts word pieces that were hidden.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        if config.is_decoder:
            logger.warning("BertForMaskedLM: is_decoder is true, so that pieces see only those before them")

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
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> LogitsOutput | tuple[Value, ...]:
        """Scores every word piece at every position.

        In training, `head(bert(...).last_hidden_state[masked])` computes those of the hidden positions only.

        Takes what `BertModel` takes, and `labels`: int, (batch, tokens), the hidden piece, or -100 where
        nothing is to be predicted.

        Returns:
            Logits, float (batch, tokens, vocab), and with labels the loss.
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
            use_cache=False,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.head(outputs.last_hidden_state)
        loss = None if labels is None else class_loss(logits, labels)
        return self._in_form(
            LogitsOutput(loss, logits, outputs.hidden_states, outputs.attentions), return_dict
        )


class BertForPreTraining(LanguageHead):
    """Predicts hidden word pieces, and whether the second segment follows the first.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.next_sentence = nn.Linear(config.hidden_size, 2)
        initialize(self.next_sentence, config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        head_mask: Tensor | None = None,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BertForPreTrainingOutput | tuple[Value, ...]:
        """Scores word pieces and the order of the segments.

        Takes what `BertModel` takes, and `labels`: int, (batch, tokens), the hidden piece, or -100 where
        nothing is to be predicted; and `next_sentence_label`: int, (batch,), 0 if the second segment follows
        the first, 1 if not.

        Returns:
            Both logits, and the sum of both losses if both labels are given.
        """
        outputs = self.bert(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            head_mask=head_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.head(outputs.last_hidden_state)  # (batch, tokens, vocab)
        order = self.next_sentence(outputs.pooler_output)  # (batch, 2)
        loss = None
        if labels is not None and next_sentence_label is not None:
            loss = class_loss(logits, labels) + class_loss(order, next_sentence_label)
        return self._in_form(
            BertForPreTrainingOutput(loss, logits, order, outputs.hidden_states, outputs.attentions),
            return_dict,
        )


class BertForNextSentencePrediction(BertHead):
    """Predicts whether the second segment follows the first.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, add_pooling_layer=True)
        self.next_sentence = nn.Linear(config.hidden_size, 2)
        initialize(self.next_sentence, config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        head_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> LogitsOutput | tuple[Value, ...]:
        """Scores the order of the segments.

        Takes what `BertModel` takes, and `labels`: int, (batch,), 0 if the second segment follows the first,
        1 if not.

        Returns:
            Logits, float (batch, 2), and with labels the loss.
        """
        outputs = self.bert(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            head_mask=head_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        logits = self.next_sentence(outputs.pooler_output)  # (batch, 2)
        loss = None if labels is None else class_loss(logits, labels)
        return self._in_form(
            LogitsOutput(loss, logits, outputs.hidden_states, outputs.attentions), return_dict
        )

"""BERT as the first PyTorch Hub models had it: segments before mask, tuples without names.

`hubconf.py` offers these classes. They are those of `bertx.bert` in all but `forward`: its positional order
is `input_ids`, `token_type_ids`, `attention_mask`, then labels, and its result is a tuple that begins with
the loss if there are labels. Where old labels said -1 for "none" (`masked_lm_labels`), they still do.

Source: the models of the package pytorch-transformers 1.0.
"""

from __future__ import annotations

from torch import Tensor

from bertx.bert import heads, model, task_heads
from bertx.bert.losses import IGNORED
from bertx.bert.outputs import Value

Values = tuple[Value, ...]


def _marked_anew(labels: Tensor | None) -> Tensor | None:
    return None if labels is None else labels.masked_fill(labels == -1, IGNORED)


class BertModel(model.BertModel):
    """The encoder."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the last hidden states, (batch, tokens, hidden), and the pooled ones, (batch, hidden)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
        )
        return output[:]


class BertForMaskedLM(heads.BertForMaskedLM):
    """Predicts hidden word pieces."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        masked_lm_labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits, (batch, tokens, vocab)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            labels=_marked_anew(masked_lm_labels),
        )
        return output[:]


class BertForNextSentencePrediction(heads.BertForNextSentencePrediction):
    """Predicts whether the second segment follows the first."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits, (batch, 2)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            labels=next_sentence_label,
        )
        return output[:]


class BertForPreTraining(heads.BertForPreTraining):
    """Predicts hidden word pieces and the order of the segments."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        masked_lm_labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits of both, (batch, tokens, vocab) and (batch, 2)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            labels=_marked_anew(masked_lm_labels),
            next_sentence_label=next_sentence_label,
        )
        return output[:]


class BertForSequenceClassification(task_heads.BertForSequenceClassification):
    """Classifies sequences."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits, (batch, labels)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            labels=labels,
        )
        return output[:]


class BertForMultipleChoice(task_heads.BertForMultipleChoice):
    """Chooses one of several sequences."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits, (batch, choices), for inputs (batch, choices, tokens)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            labels=labels,
        )
        return output[:]


class BertForTokenClassification(task_heads.BertForTokenClassification):
    """Classifies every token."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits, (batch, tokens, labels)."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            labels=labels,
        )
        return output[:]


class BertForQuestionAnswering(task_heads.BertForQuestionAnswering):
    """Finds the first and the last token of an answer."""

    def forward(  # type: ignore[override]  # the old order is the point
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> Values:
        """Returns the logits of both, (batch, tokens) each."""
        output = super().forward(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids=position_ids,
            head_mask=head_mask,
            start_positions=start_positions,
            end_positions=end_positions,
        )
        return output[:]

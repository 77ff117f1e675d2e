"""The heads that BERT is fine-tuned with: classes of sequences, choices and tokens, and spans of answers.

Source: Devlin et al. 2019, section 4; in all of them a linear layer reads what the encoder says. Shapes are
those of `bertx.bert.model`; `labels` are config.num_labels.
"""

from __future__ import annotations

from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.bert.heads import BertHead
from bertx.bert.initialization import initialize
from bertx.bert.losses import class_loss, guessed_problem, sequence_loss, span_loss
from bertx.bert.outputs import LogitsOutput, QuestionAnsweringOutput, Value


class ClassifierHead(BertHead):
    """Base of the models that classify: dropout and a linear layer.

    Args:
        config: Sizes and rates.
        num_classes: What the linear layer scores.
        add_pooling_layer: Whether the encoder makes one vector of each sequence.
    """

    def __init__(self, config: BertConfig, num_classes: int, *, add_pooling_layer: bool) -> None:
        super().__init__(config, add_pooling_layer=add_pooling_layer)
        dropout = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if dropout is None else dropout)
        self.classifier = nn.Linear(config.hidden_size, num_classes)
        initialize(self.classifier, config)


class BertForSequenceClassification(ClassifierHead):
    """Classifies sequences or pairs of them, with one label or several, or scores them with numbers.

    Args:
        config: Sizes and rates, the number of labels and the type of problem.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, config.num_labels, add_pooling_layer=True)

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
        """Scores each sequence.

        Takes what `BertModel` takes, and `labels`: int, (batch,), or for numbers and several labels at once
        float, (batch, labels). Where the config does not say which, the first labels seen decide, and the
        config says it from then on: one class means a number, whole numbers one label, other numbers several.

        Returns:
            Logits, float (batch, labels), and with labels the loss.
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
        logits = self.classifier(self.dropout(outputs.pooler_output))  # (batch, labels)
        loss = None
        if labels is not None:
            problem = self.config.problem_type or guessed_problem(labels, self.config.num_labels)
            if self.config.problem_type is None:
                self.config = self.config.updated({"problem_type": problem})
            loss = sequence_loss(logits, labels, problem)
        return self._in_form(
            LogitsOutput(loss, logits, outputs.hidden_states, outputs.attentions), return_dict
        )


class BertForMultipleChoice(ClassifierHead):
    """Chooses one of several sequences.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, 1, add_pooling_layer=True)

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
        """Scores each choice.

        Takes what `BertModel` takes, with (batch, choices) in place of each batch, and `labels`: int,
        (batch,); the number of the right choice.

        Returns:
            Logits, float (batch, choices), and with labels the loss.

        Raises:
            ValueError: Not exactly one of `input_ids` and `inputs_embeds` is given.
        """
        given = inputs_embeds if input_ids is None else input_ids
        if given is None:
            raise ValueError("expected exactly one of input_ids and inputs_embeds")
        outputs = self.bert(
            _flat(input_ids),
            _flat(attention_mask),
            _flat(token_type_ids),
            position_ids=_flat(position_ids),
            inputs_embeds=_flat(inputs_embeds),
            head_mask=head_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        scores = self.classifier(self.dropout(outputs.pooler_output))  # (batch * choices, 1)
        logits = scores.view(-1, given.shape[1])  # (batch, choices)
        loss = None if labels is None else class_loss(logits, labels)
        return self._in_form(
            LogitsOutput(loss, logits, outputs.hidden_states, outputs.attentions), return_dict
        )


class BertForTokenClassification(ClassifierHead):
    """Classifies every token.

    Args:
        config: Sizes and rates, and the number of labels.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, config.num_labels, add_pooling_layer=False)

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
        """Scores each token.

        Takes what `BertModel` takes, and `labels`: int, (batch, tokens), -100 where there is none.

        Returns:
            Logits, float (batch, tokens, labels), and with labels the loss.
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
        logits = self.classifier(self.dropout(outputs.last_hidden_state))  # (batch, tokens, labels)
        loss = None if labels is None else class_loss(logits, labels)
        return self._in_form(
            LogitsOutput(loss, logits, outputs.hidden_states, outputs.attentions), return_dict
        )


class BertForQuestionAnswering(BertHead):
    """Finds the answer to a question in a text: its first and its last token.

    Args:
        config: Sizes and rates.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        initialize(self.qa_outputs, config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        head_mask: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> QuestionAnsweringOutput | tuple[Value, ...]:
        """Scores each token as the start and as the end of the answer.

        Takes what `BertModel` takes, and `start_positions` and `end_positions`: int, (batch,), the first and
        the last token of the answer; one behind the text has no loss.

        Returns:
            Logits, float (batch, tokens) each, and the mean of both losses if both positions are given.
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
        start_logits, end_logits = self.qa_outputs(outputs.last_hidden_state).unbind(dim=-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start_logits, end_logits, start_positions, end_positions)
        return self._in_form(
            QuestionAnsweringOutput(
                loss, start_logits, end_logits, outputs.hidden_states, outputs.attentions
            ),
            return_dict,
        )


def _flat(inputs: Tensor | None) -> Tensor | None:
    """Returns (batch * choices, ...) for (batch, choices, ...)."""
    return None if inputs is None else inputs.flatten(0, 1)

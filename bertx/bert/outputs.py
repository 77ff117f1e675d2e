"""What the models return: objects whose values have names, and are also found by key and by number.

As in Hugging Face, only values that are there have a key and a number:

    output = BertModel(config, add_pooling_layer=False)(input_ids)
    output.last_hidden_state is output["last_hidden_state"] is output[0]
    output.pooler_output is None and "pooler_output" not in output and list(output) == ["last_hidden_state"]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar, overload

from torch import Tensor


class LayerCache(NamedTuple):
    """Keys and values that a layer of a decoder has computed; each is (batch, heads, tokens, head_size).

    Attributes:
        key: Of the tokens so far.
        value: Of the tokens so far.
        memory_key: Of the encoder's tokens; None without cross-attention.
        memory_value: Of the encoder's tokens; None without cross-attention.
    """

    key: Tensor
    value: Tensor
    memory_key: Tensor | None = None
    memory_value: Tensor | None = None


Cache: TypeAlias = tuple[LayerCache, ...]  # one for each layer
Value: TypeAlias = Tensor | tuple[Tensor, ...] | Cache


@dataclass(frozen=True, eq=False)
class Output(Mapping[str, Value]):
    """Base of all outputs: a mapping of the values that are not None, in the order of the fields."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())

    @overload
    def __getitem__(self, key: str | int) -> Value: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Value, ...]: ...
    def __getitem__(self, key: str | int | slice) -> Value | tuple[Value, ...]:
        return self._present()[key] if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple[Value, ...]:
        """Returns the values that are there."""
        return tuple(self._present().values())

    def _present(self) -> dict[str, Value]:
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}


AnyOutput = TypeVar("AnyOutput", bound=Output)
Given = TypeVar("Given")


def in_form(output: AnyOutput, return_dict: bool) -> AnyOutput | tuple[Value, ...]:
    """Returns the output, or the tuple of its values where a caller wants no names."""
    return output if return_dict else output.to_tuple()


def of_all(layers: Iterable[Given | None]) -> tuple[Given, ...] | None:
    """Returns what every layer gave; None if they gave nothing."""
    return tuple(given for given in layers if given is not None) or None


@dataclass(frozen=True, eq=False)
class BertOutput(Output):
    """What the encoder says about a batch.

    Attributes:
        last_hidden_state: float, (batch, tokens, hidden).
        pooler_output: float, (batch, hidden); None without a pooler.
        hidden_states: If asked for: float, (batch, tokens, hidden), of the embeddings and of each layer.
        past_key_values: Of a decoder that caches: what the next call takes as `past_key_values`.
        attentions: If asked for: float, (batch, heads, tokens, tokens), probabilities of each layer.
        cross_attentions: If asked for and there: float, (batch, heads, tokens, encoder's tokens).
    """

    last_hidden_state: Tensor
    pooler_output: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    past_key_values: Cache | None = None
    attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None

    @property
    def pooled(self) -> Tensor | None:
        """The paper's word for `pooler_output`."""
        return self.pooler_output


@dataclass(frozen=True, eq=False)
class BertForPreTrainingOutput(Output):
    """What both pretraining heads say; attributes of all heads are those of `BertOutput`, and these.

    Attributes:
        loss: A scalar; None without labels.
        prediction_logits: float, (batch, tokens, vocab).
        seq_relationship_logits: float, (batch, 2); class 0: the second segment follows the first.
    """

    loss: Tensor | None
    prediction_logits: Tensor
    seq_relationship_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class LogitsOutput(Output):
    """What a head with one kind of logits says.

    Attributes:
        loss: A scalar; None without labels.
        logits: float; the head says of which shape.
    """

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class CausalLMOutput(Output):
    """What a language model that reads from left to right says.

    Attributes:
        loss: A scalar; None without labels.
        logits: float, (batch, tokens, vocab), of the token after each.
    """

    loss: Tensor | None
    logits: Tensor
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class QuestionAnsweringOutput(Output):
    """Where an answer starts and ends.

    Attributes:
        loss: A scalar; None without positions.
        start_logits: float, (batch, tokens).
        end_logits: float, (batch, tokens).
    """

    loss: Tensor | None
    start_logits: Tensor
    end_logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class EncoderDecoderOutput(Output):
    """What an encoder and a decoder say together.

    Attributes:
        loss: A scalar; None without labels.
        logits: float, (batch, tokens, vocab), the decoder's.
        encoder_last_hidden_state: float, (batch, encoder's tokens, hidden).
    """

    loss: Tensor | None
    logits: Tensor
    past_key_values: Cache | None = None
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    decoder_attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    encoder_last_hidden_state: Tensor | None = None
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    encoder_attentions: tuple[Tensor, ...] | None = None

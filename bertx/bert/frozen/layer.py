"""BERT's layers for prediction only: weights that cannot be trained any more, laid out once.

Shapes are those of `bertx.bert.model`, with `rows` for the tokens of all sequences and `size` for
heads * head_size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bertx.bert.attention import NOTHING, Extras, Options
from bertx.bert.frozen.embeddings import FrozenEmbeddings
from bertx.bert.frozen.products import (
    ACTIVATIONS,
    LARGEST,
    Activation,
    FloatProduct,
    Int8Product,
    Quantized,
    quantized,
)
from bertx.bert.frozen.rows import at_least, followed_by_zeros, hidden_states_of, rows_of, whole_rows
from bertx.bert.lora import LoraLinear, merge_lora
from bertx.bert.model import BertLayer, BertModel

LANES = 16  # float32 numbers in a register: attention takes twice as long for a number of keys in between
PROBED_ROWS = 128
HEADROOM = 1.5  # how much larger what was not probed may be without being computed twice


class FrozenLayer(nn.Module):
    """Computes what a `BertLayer` computes, without gradients, on a CPU.

    Args:
        layer: The layer; its LoRA is merged.
        activation: That of its feed-forward layer.
        dtype: The type of attention, and of products that are not in int8.
        int8: Whether products are in int8: all of them, or those of the feed-forward layer where `dtype` is
            bfloat16, for which making the inputs of the others int8 takes as long as it saves.
        is_last: Whether what comes out is float32, for what reads the encoder.
    """

    def __init__(
        self, layer: BertLayer, activation: Activation, dtype: torch.dtype, *, int8: bool, is_last: bool
    ) -> None:
        super().__init__()
        attention, feed_forward = layer.attention, layer.feed_forward
        self.heads, self.dtype, self.activation = len(attention.heads), dtype, activation
        self.is_last = is_last
        product = Int8Product if int8 and dtype == torch.float32 else FloatProduct
        self.query = product([attention.query], dtype)
        self.key_value = product([attention.key, attention.value], dtype)
        self.mixed = product([attention.output], dtype)
        wide = Int8Product if int8 else FloatProduct
        self.wide = wide([feed_forward.intermediate], dtype)
        self.narrow = wide([feed_forward.output], dtype)
        self.attention_norm, self.feed_forward_norm = layer.attention_norm, layer.feed_forward_norm

    def forward(
        self, hidden_states: Tensor, visible: Tensor | None, options: Options
    ) -> tuple[Tensor, Extras]:
        """Returns (batch, tokens, hidden), or (batch, 1, hidden) if only the first tokens are asked for.

        Args:
            hidden_states: float, (batch, tokens, hidden).
            visible: bool, (batch, 1, 1, tokens); None if all tokens are visible.
            options: Nothing, or `only_first`.

        Raises:
            ValueError: The options ask for anything else.
        """
        if options._replace(only_first=False) != Options():
            raise ValueError("a frozen layer gives hidden states only: no attentions, head masks or caches")
        batch, tokens, _ = hidden_states.shape
        asking = 1 if options.only_first else tokens
        with torch.autocast("cpu", enabled=False):
            stream = self._attended(hidden_states, visible, asking)  # (rows, hidden)
            output = self.feed_forward_norm(self._transformed(self.attention_norm(stream)))
        return hidden_states_of(output.float() if self.is_last else output, batch, asking), NOTHING

    def _attended(self, hidden_states: Tensor, visible: Tensor | None, asking: int) -> Tensor:
        """Returns (rows, hidden): the first tokens of all sequences, and on top what their heads mix."""
        batch, tokens, _ = hidden_states.shape
        seen = math.ceil(tokens / LANES) * LANES
        asked = inputs = rows_of(hidden_states, self.dtype)
        if asking < tokens:
            asked = followed_by_zeros(hidden_states[:, :asking], whole_rows(batch * asking), self.dtype)
        # What is read beyond the keys of a sequence is the next one; after the last there is some more.
        key_value = at_least(self.key_value(inputs), batch * tokens + seen - tokens)  # (rows, 2 * size)
        query = self.query(asked)  # (rows, size)
        query = query[: batch * asking].view(batch, asking, self.heads, -1).transpose(1, 2)
        size, width = query.shape[3], key_value.shape[1]
        shape, strides = (batch, self.heads, seen, size), (tokens * width, size, width, 1)
        mixed = F.scaled_dot_product_attention(
            query,  # (batch, heads, asking, head_size)
            key_value.as_strided(shape, strides),
            key_value.as_strided(shape, strides, width // 2),
            attn_mask=_visible_within(visible, tokens, seen),
        )
        mixed = mixed.transpose(1, 2).flatten(2).flatten(0, 1)  # (batch * asking, size)
        return self.mixed.added(at_least(mixed, len(asked)), to=asked)

    def _transformed(self, stream: Tensor) -> Tensor:
        """Returns (rows, hidden): what goes into the feed-forward layer, and on top what comes out."""
        if isinstance(self.wide, FloatProduct) or isinstance(self.narrow, FloatProduct):
            return self.narrow.added(self.wide(stream, self.activation), to=stream)
        return self.narrow.of_added_(activated(self.wide, quantized(stream), self.activation), to=stream)


def activated(product: Int8Product, inputs: Quantized, activation: Activation) -> Quantized:
    """Computes a product with an activation, int8 in and int8 out, without writing anything wider.

    How large the largest number becomes is guessed from the first rows. If it becomes larger than that, which
    shows by its being cut, everything is computed once more. Few rows are computed as they are.
    """
    probe = product.of(inputs._replace(values=inputs.values[:PROBED_ROWS]), activation)
    largest = float(probe.aminmax()[1])
    if len(inputs.values) <= PROBED_ROWS:
        scale, zero = _range(activation, largest)
        return Quantized((probe.float() / scale).round_().add_(zero).to(torch.int8), scale, zero)
    output = product.into_int8(inputs, activation, *_range(activation, HEADROOM * largest))
    if int(output.values.max()) == LARGEST:
        largest = float(product.of(inputs, activation).aminmax()[1])
        output = product.into_int8(inputs, activation, *_range(activation, largest))
    return output


def _range(activation: Activation, largest: float) -> tuple[float, int]:
    """Returns the scale and the zero that make an activation's values, up to the largest, -128 to 127."""
    if not math.isfinite(largest):  # then the scale of the inputs is no number either, and spoils the output
        largest = 1.0
    scale = max(largest - activation.lowest, 1e-6) / 255
    return scale, -128 - round(activation.lowest / scale)


def _visible_within(visible: Tensor | None, tokens: int, seen: int) -> Tensor | None:
    """Returns which of the keys that are read are a sequence's own, and visible."""
    if tokens == seen:
        return visible
    if visible is None:
        return (torch.arange(seen) < tokens).view(1, 1, 1, seen)
    return F.pad(visible, (0, seen - tokens))


def freeze(model: nn.Module, dtype: torch.dtype, *, int8: bool) -> None:
    """Replaces the layers of all of a model's encoders, in place; the model can only predict then.

    Args:
        model: The model, on a CPU.
        dtype: The type of attention, and of products that are not in int8.
        int8: Whether products are in int8, see `FrozenLayer`.

    Raises:
        ValueError: There are `obstacles`.
    """
    if found := obstacles(model):
        raise ValueError(found[0])
    merge_lora(model)
    with torch.no_grad():
        for encoder in _encoders(model):
            activation = ACTIVATIONS[str(encoder.config.hidden_act)]
            encoder.embeddings = FrozenEmbeddings(encoder.embeddings, dtype)
            for number, layer in enumerate(encoder.layers, start=1):
                if isinstance(layer, BertLayer):
                    is_last = number == len(encoder.layers)
                    frozen = FrozenLayer(layer, activation, dtype, int8=int8, is_last=is_last)
                    encoder.layers[number - 1] = frozen


def obstacles(model: nn.Module) -> list[str]:
    """Tells what keeps the layers of a model's encoders from being frozen, if anything does."""
    found = [] if _encoders(model) else ["the model has no encoder of bertx"]
    for encoder in _encoders(model):
        if encoder.config.is_decoder or encoder.config.add_cross_attention:
            found.append("the encoder is a decoder")
        if encoder.config.hidden_act not in ACTIVATIONS:
            found.append(f"the activation is none of {', '.join(ACTIVATIONS)}")
        layers = list(encoder.layers)
        if not all(isinstance(layer, BertLayer) and layer.attention.heads for layer in layers):
            found.append("the encoder has layers of another kind, or without attention heads")
        linears = [module for layer in layers for module in layer.modules() if isinstance(module, nn.Linear)]
        if any(type(linear) not in (nn.Linear, LoraLinear) or linear.bias is None for linear in linears):
            found.append("the encoder has linear layers of another kind")
    return found


def _encoders(model: nn.Module) -> list[BertModel]:
    return [module for module in model.modules() if isinstance(module, BertModel)]

"""How a layer is computed, beside its weights."""

from __future__ import annotations

from typing import NamedTuple


class LayerPlan(NamedTuple):
    """How a layer is computed.

    Attributes:
        heads: The number of heads.
        eps: Of each of the two norms.
        dropout: How likely an element of a sublayer's output is dropped.
        attention_dropout: The same for attention probabilities.
        approximate: How GELU is computed, as torch calls it.
        asking: The number of first tokens of each sequence to compute.
    """

    heads: int
    eps: tuple[float, float]
    dropout: float
    attention_dropout: float
    approximate: str
    asking: int

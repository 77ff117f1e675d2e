"""Examples as people read them: strings only, no numbers yet.

An `Instance` is what a dataset reader makes of one record; the same `text_to_instance` serves training,
evaluation and prediction. Token ids and label ids come later (`encoded.py`, `vocabulary.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class TextField:
    """A text, or a pair of texts that BERT reads as two segments.

    Attributes:
        text: The text, or the first of a pair.
        pair: The second text; `None` for a single text.
    """

    text: str
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class LabelField:
    """A class label.

    Attributes:
        label: The label's string.
        label_namespace: The namespace of the Vocabulary that numbers it.
    """

    label: str
    label_namespace: str = "labels"


@dataclass(frozen=True, slots=True)
class MetadataField:
    """What travels with an example but is not seen by the model, such as its id.

    Attributes:
        metadata: Any JSON value.
    """

    metadata: JSON


Field: TypeAlias = TextField | LabelField | MetadataField


@dataclass(frozen=True, slots=True)
class Instance:
    """One example: named fields.

    Readers name them `tokens` (text), `label` and `metadata`, as the models' `forward` expects.
    """

    fields: Mapping[str, Field]

"""KerasHub's `BertTextClassifierPreprocessor`: from texts to arrays of one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from bertx.bert.checkpoints.formats import read_tokenizer
from bertx.bert.checkpoints.keras import is_keras, read_keras_model
from bertx.bert.encoders import Encoders
from bertx.bert.presets import PRESETS, Preset
from bertx.bert.tokenization.packing import PACKING_TRUNCATIONS, PackingTruncation, SegmentPacker
from bertx.keras_style.tokenizer import BertTokenizer

Texts: TypeAlias = "Sequence[str] | NDArray[np.generic]"
"""One text per row."""
Labels = TypeVar("Labels")
Weights = TypeVar("Weights")
Packed: TypeAlias = dict[str, NDArray[np.generic]]
"""`token_ids` and `segment_ids`, int32, and `padding_mask`, bool; each (rows, sequence_length)."""


class BertTextClassifierPreprocessor:
    """Makes `[CLS] A [SEP]`, `[CLS] A [SEP] B [SEP]` and so on of texts, padded to one length.

    Args:
        tokenizer: Cuts texts into word pieces.
        sequence_length: Tokens of each row.
        truncate: How the texts of a row share a length that is too short: `round_robin` gives one token to
            each in turn, `waterfall` fills the first text, then the next.

    Raises:
        ValueError: `truncate` is neither of the two.
    """

    presets: ClassVar[Mapping[str, Preset]] = PRESETS

    def __init__(
        self,
        tokenizer: BertTokenizer,
        sequence_length: int = 512,
        truncate: PackingTruncation = "round_robin",
    ) -> None:
        if truncate not in PACKING_TRUNCATIONS:
            raise ValueError(f"truncate is {truncate!r}; expected {' or '.join(PACKING_TRUNCATIONS)}")
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.truncate: PackingTruncation = truncate

    @classmethod
    def from_preset(
        cls,
        preset: str | Path,
        *,
        sequence_length: int | None = None,
        truncate: PackingTruncation | None = None,
    ) -> BertTextClassifierPreprocessor:
        """Reads the preprocessor of a preset; see `BertTextClassifier.from_preset`.

        Args:
            preset: Its name or folder.
            sequence_length: Tokens of each row; None: as the preset says, else 512.
            truncate: See the class; None: as the preset says, else `round_robin`.

        Raises:
            CheckpointError: There is no such preset, it has no tokenizer, or its files are damaged.
        """
        return cls.from_folder(Encoders().folder(str(preset)), sequence_length, truncate)

    @classmethod
    def from_folder(
        cls, folder: Path, sequence_length: int | None = None, truncate: PackingTruncation | None = None
    ) -> BertTextClassifierPreprocessor:
        """Reads the preprocessor of a checkpoint that is here; see `from_preset`."""
        saved = read_keras_model(folder) if is_keras(folder) else None
        return cls(
            BertTokenizer.over(read_tokenizer(folder)),
            sequence_length or (saved and saved.sequence_length) or 512,
            truncate or (saved.truncate if saved else "round_robin"),
        )

    @overload
    def __call__(self, x: str | Texts | tuple[str | Texts, ...]) -> Packed: ...
    @overload
    def __call__(self, x: str | Texts | tuple[str | Texts, ...], y: Labels) -> tuple[Packed, Labels]: ...
    @overload
    def __call__(
        self, x: str | Texts | tuple[str | Texts, ...], y: Labels, sample_weight: Weights
    ) -> tuple[Packed, Labels, Weights]: ...
    def __call__(
        self,
        x: str | Texts | tuple[str | Texts, ...],
        y: object = None,
        sample_weight: object = None,
    ) -> Packed | tuple[Packed, object] | tuple[Packed, object, object]:
        """Packs texts.

        Args:
            x: A text, or one text per row; a tuple holds the first texts, the second ones and so on.
            y: Is returned as it is.
            sample_weight: Is returned as it is.

        Returns:
            The arrays by name, without rows for a single text; with `y`, and `sample_weight`, if given.

        Raises:
            ValueError: Rows do not match, or `sequence_length` has no room for the special tokens.
            TypeError: A text is not a string.
        """
        packed = self.pack(x)
        if sample_weight is not None:
            return packed, y, sample_weight
        return packed if y is None else (packed, y)

    def pack(self, x: str | Texts | tuple[str | Texts, ...]) -> Packed:
        """Packs texts; see `__call__`."""
        parts = x if isinstance(x, tuple) else (x,)
        is_single = all(isinstance(part, str) for part in parts)
        columns = [_texts(part, is_single) for part in parts]
        inner = self.tokenizer.tokenizer
        packer = SegmentPacker(
            self.sequence_length,
            start_value=inner.cls_token_id,
            end_value=inner.sep_token_id,
            pad_value=inner.pad_token_id,
            truncate=self.truncate,
        )
        rows = packer([self.tokenizer.encode(column) for column in columns])
        packed: Packed = dict(rows._asdict())
        return {name: values[0] for name, values in packed.items()} if is_single else packed


def _texts(part: str | Texts, is_single: bool) -> list[str]:
    """Returns the texts of a column.

    Raises:
        ValueError: It is one text beside columns of several, or holds lists.
        TypeError: It holds something else.
    """
    if isinstance(part, str):
        if not is_single:
            raise ValueError(f"{part!r} is one text beside lists of texts; expected as many of each")
        return [part]
    if not isinstance(part, Sequence | np.ndarray):
        raise TypeError(
            f"x is a {type(part).__name__}; expected texts. Token ids need a model without preprocessor"
        )
    texts = part.tolist() if isinstance(part, np.ndarray) else list(part)
    for text in texts:
        if isinstance(text, list | tuple):
            raise ValueError("x holds lists; expected texts. Pairs are a tuple of two lists of texts")
        if not isinstance(text, str):
            raise TypeError(f"x holds {text!r}; expected texts")
    return texts

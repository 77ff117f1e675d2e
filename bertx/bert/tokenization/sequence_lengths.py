"""How long encoded rows become: what is cut off long texts and pairs, and what short rows are filled to."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

logger = logging.getLogger(__name__)

Padding: TypeAlias = bool | Literal["longest", "max_length", "do_not_pad"]
Truncation: TypeAlias = bool | Literal["longest_first", "only_first", "only_second", "do_not_truncate"]

PADDINGS = ("longest", "max_length", "do_not_pad")
TRUNCATIONS = ("longest_first", "only_first", "only_second", "do_not_truncate")


@dataclass(frozen=True)
class SequenceLengths:
    """The options about length of one call, checked.

    Args:
        padding: What short rows are filled to.
        truncation: Which text of a pair is cut.
        max_length: Most tokens of a row, and what `max_length` padding fills to; `None` if neither is needed.
        stride: Tokens that a window over a long text shares with the one before.
        pad_to_multiple_of: Rows that are filled are filled to a multiple of this.
    """

    padding: Literal["longest", "max_length", "do_not_pad"]
    truncation: Literal["longest_first", "only_first", "only_second", "do_not_truncate"]
    max_length: int | None
    stride: int = 0
    pad_to_multiple_of: int | None = None

    def target(self, lengths: Iterable[int]) -> int | None:
        """Returns what rows of these lengths are filled to; `None`: they stay as they are."""
        if self.padding == "do_not_pad":
            return None
        target = self.max_length if self.padding == "max_length" else max(lengths, default=0)
        if target is None:  # the model's length was asked for, and is not known
            return None
        return (
            -(-target // self.pad_to_multiple_of) * self.pad_to_multiple_of
            if self.pad_to_multiple_of
            else target
        )

    def kept(self, first: int, second: int | None, specials: int, *, tie_to_first: bool) -> tuple[int, int]:
        """Decides how many tokens of each text stay.

        Args:
            first: Tokens of the first text.
            second: Tokens of the second text; `None` without one.
            specials: Special tokens that will be added.
            tie_to_first: Whether the first text keeps the extra token where two texts shrink to an odd number
                together. False leaves it to the longer one, or the second where they were equal.

        Raises:
            ValueError: `max_length` has no room, or the text to cut is missing or too short.
        """
        other = second or 0
        if self.truncation == "do_not_truncate" or self.max_length is None:
            return first, other
        budget = self.max_length - specials
        self._check(budget, specials)
        surplus = first + other - budget
        if surplus <= 0:
            return first, other
        if budget == 0:
            return 0, 0
        if self.truncation == "longest_first":
            if second is None:
                return budget, 0
            return _both_kept(first, second, budget, tie_to_first=tie_to_first)
        cut = first if self.truncation == "only_first" else second
        if cut is None:
            raise ValueError("truncation is 'only_second', but there is no second text; give a pair")
        if cut <= surplus:
            raise ValueError(
                f"truncation is {self.truncation!r} and max_length {self.max_length}, but that text has "
                f"{cut} tokens and would have to lose {surplus}; raise max_length or take 'longest_first'"
            )
        return (first - surplus, other) if self.truncation == "only_first" else (first, other - surplus)

    def _check(self, budget: int, specials: int) -> None:
        if budget < 0:
            raise ValueError(
                f"max_length is {self.max_length}, which leaves no room for the {specials} special tokens; "
                f"expected at least {specials}"
            )
        if 0 < budget <= self.stride:
            raise ValueError(
                f"stride is {self.stride}, and a row has room for {budget} tokens of text; "
                "expected a smaller stride"
            )


def sequence_lengths(
    padding: Padding,
    truncation: Truncation | None,
    max_length: int | None,
    *,
    stride: int = 0,
    pad_to_multiple_of: int | None = None,
    model_max_length: int | None = None,
) -> SequenceLengths:
    """Checks the options about length and fills in what they leave open.

    A `max_length` alone truncates. Where `max_length` is missing, the model's length stands in; where that is
    not known either, nothing is cut, and padding to `max_length` does nothing.

    Raises:
        ValueError: An option has a value that does not exist, or two contradict each other.
    """
    if truncation is None:
        truncation = max_length is not None and padding is False
        if max_length is not None and padding in (True, "longest"):
            logger.warning("max_length=%d cuts nothing without truncation=True", max_length)
    pad = "longest" if padding is True else padding or "do_not_pad"
    cut = "longest_first" if truncation is True else truncation or "do_not_truncate"
    if pad not in PADDINGS:
        raise ValueError(f"padding is {padding!r}; expected True, False, {', '.join(map(repr, PADDINGS))}")
    if cut not in TRUNCATIONS:
        raise ValueError(
            f"truncation is {truncation!r}; expected True, False, {', '.join(map(repr, TRUNCATIONS))}"
        )
    if max_length is None and (pad == "max_length" or cut != "do_not_truncate"):
        max_length = model_max_length
    if stride < 0:
        raise ValueError(f"stride is {stride}; expected 0 or more")
    if (
        pad_to_multiple_of
        and max_length is not None
        and pad != "do_not_pad"
        and cut != "do_not_truncate"
        and max_length % pad_to_multiple_of
    ):
        raise ValueError(
            f"rows are cut to max_length {max_length} and filled to a multiple of {pad_to_multiple_of}; "
            "expected a max_length that is such a multiple"
        )
    return SequenceLengths(pad, cut, max_length, stride, pad_to_multiple_of)


def _both_kept(first: int, second: int, budget: int, *, tie_to_first: bool) -> tuple[int, int]:
    """Shortens the longer text until both are of one length, then both."""
    shorter, longer = sorted((first, second))
    kept_longer = min(longer, max(shorter, budget - shorter))
    kept_shorter = shorter
    if shorter + kept_longer > budget:
        kept_shorter, kept_longer = budget // 2, budget - budget // 2
        if tie_to_first:
            return kept_longer, kept_shorter
    return (kept_longer, kept_shorter) if first > second else (kept_shorter, kept_longer)

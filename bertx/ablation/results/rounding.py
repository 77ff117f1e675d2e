"""How many digits of a number mean something: those that its interval does not drown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

MOST_DECIMALS = 6
USUAL_DECIMALS = 3  # where there is no interval


def decimals_for(half_widths: Iterable[float]) -> int:
    """Returns with how many decimals to write a column: two digits of the usual half-width of its intervals.

    Args:
        half_widths: Of the intervals; those that are 0 do not count.

    Returns:
        0 to 6.
    """
    known = [width for width in half_widths if 0 < width < math.inf]
    if not known:
        return USUAL_DECIMALS
    return min(max(1 - math.floor(math.log10(median(known))), 0), MOST_DECIMALS)


def rounded(value: float, decimals: int, *, sign: bool = False) -> str:
    """Writes a number with so many decimals; never `-0.00`."""
    if not math.isfinite(value):
        return "not finite"
    text = f"{value:+,.{decimals}f}" if sign else f"{value:,.{decimals}f}"
    return text.replace("-", "+" if sign else "") if float(text.replace(",", "")) == 0 else text


def rounded_p(p_value: float | None) -> str:
    """Writes a p-value with two digits, very small ones as a bound; `-` for none."""
    if p_value is None:
        return "-"
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.{2 if p_value >= 0.095 else 3}f}"

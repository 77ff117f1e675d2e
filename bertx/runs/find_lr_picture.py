"""The picture of `bertx find-lr`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from bertx.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bertx.runs.find_lr import Sweep

logger = logging.getLogger(__name__)

INK, FAINT, CURVE, MARK = "#1f2933", "#9aa5b1", "#2563a8", "#d1495b"


def draw(sweep: Sweep, path: Path) -> bool:
    """Draws losses over learning rates; without matplotlib it only says so.

    Returns:
        Whether the picture is there.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning('find-lr: no picture without matplotlib; pip install "bertx[report]"')
        return False
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(sweep.rates, sweep.losses, ".", color=FAINT, markersize=5, label="loss of a batch")
    axes.plot(sweep.rates, sweep.smoothed, color=CURVE, linewidth=2, label="smoothed")
    axes.set_xscale("log")
    bottom, top = _heights(sweep)
    axes.set_ylim(bottom, top)
    axes.set_xlim(sweep.rates[0] / 1.2, _right_end(sweep, top))
    _mark(axes, sweep)
    _dress(axes)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return True


def _heights(sweep: Sweep) -> tuple[float, float]:
    """Shows where the loss falls, not how far it explodes."""
    bottom, top = min(sweep.losses), max(sweep.losses[: sweep.lowest + 1])
    margin = 0.1 * max(top - bottom, 1e-6)
    return bottom - margin, top + 2 * margin


def _right_end(sweep: Sweep, top: float) -> float:
    """Ends soon after the curve has left the picture."""
    after = zip(sweep.rates[sweep.lowest :], sweep.smoothed[sweep.lowest :], strict=True)
    return 2 * next((rate for rate, loss in after if loss > top), sweep.rates[-1] / 1.6)


def _mark(axes: Axes, sweep: Sweep) -> None:
    """Marks the suggested rates, with their names outside of the two lines."""
    if sweep.steepest is None:
        return
    rates = {"steepest": sweep.rates[sweep.steepest], "lowest / 10": sweep.rates[sweep.lowest] / 10}
    left, right = sorted(rates, key=rates.__getitem__)
    for name, side, shift in ((left, "right", -5), (right, "left", 5)):
        axes.axvline(rates[name], color=MARK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"{name}\n{rates[name]:.2g}",
            (rates[name], 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(shift, 0),
            textcoords="offset points",
            ha=side,
            va="top",
            color=MARK,
            fontweight="bold",
        )


def _dress(axes: Axes) -> None:
    axes.set_title("Loss while the learning rate grows", loc="left", color=INK, fontweight="bold", pad=10)
    axes.set_xlabel("learning rate", color=INK)
    axes.set_ylabel("training loss", color=INK)
    axes.grid(axis="y", color=FAINT, alpha=0.3)
    axes.tick_params(colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, labelcolor=INK, loc="lower left")

"""The arithmetic that predictions are computed in."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
import torch

from bertx.bert.frozen.layer import freeze, obstacles
from bertx.data.instance import JSON, Instance
from bertx.data.padded_lengths import exact_lengths
from bertx.errors import ConfigError, UsageError
from bertx.runs.run import Run

logger = logging.getLogger(__name__)

PredictionPrecision: TypeAlias = Literal["auto", "fp32", "bf16", "int8"]

INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni")
COMPARED = 512  # records


def in_precision(run: Run, wanted: PredictionPrecision) -> Run:
    """Returns a run that predicts in an arithmetic; the weights are shared as far as they stay as they are.

    On a CPU, bfloat16 and int8 are computed by frozen layers.

    Args:
        run: The run.
        wanted: `auto`: the arithmetic in which the run was trained.

    Raises:
        UsageError: This device or processor does not compute in it.
        ConfigError: It is int8, and the model's encoder cannot be computed so.
    """
    if wanted == "int8":
        _require_int8(run)
        exact = replace(run, computed_in="fp32")
        return _frozen(exact, _beside_int8(), int8=True)
    chosen = run if wanted == "auto" else replace(run, computed_in=wanted)
    if chosen.precision == "bf16" and run.device.type == "cpu" and _has("avx512_bf16") and not _why_not(run):
        return _frozen(chosen, torch.bfloat16, int8=False)
    return chosen


def log_agreement(run: Run, quantized: Run, instances: Sequence[Instance]) -> None:
    """Logs how a run's predictions change in int8: labels, and probabilities.

    Args:
        run: The run as it is.
        quantized: The same in int8.
        instances: One or more that both can read.
    """
    before, after = (one.predict_instances(instances) for one in (run, quantized))
    same = sum(old.get("label") == new.get("label") for old, new in zip(before, after, strict=True))
    largest = max(_change(old.get("probs"), new.get("probs")) for old, new in zip(before, after, strict=True))
    logger.info(
        "int8: %.1f %% of %d labels as in %s; the largest change of a probability is %.3f",
        100 * same / len(before),
        len(before),
        run.precision,
        largest,
    )


def _change(before: JSON, after: JSON) -> float:
    if before is None or after is None:
        return 0.0
    return float(np.abs(np.array(before, np.float64) - np.array(after, np.float64)).max(initial=0))


def _require_int8(run: Run) -> None:
    if run.device.type != "cpu":
        raise UsageError(f"--precision int8: the device is {run.device}; expected a CPU: give --device cpu")
    if not any(map(_has, INT8_INSTRUCTIONS)):
        raise UsageError(
            "--precision int8: this processor has no instructions for products of 8 bits (VNNI); "
            "leave --precision out"
        )
    if reason := _why_not(run):
        raise ConfigError(f"--precision int8: {reason}; leave --precision out")


def _why_not(run: Run) -> str | None:
    return next(iter(obstacles(run.model)), None)


def _has(instruction: str) -> bool:
    """Tells whether the processor has instructions of a name."""
    # Older versions of torch do not tell.
    return hasattr(torch.cpu, "get_capabilities") and bool(torch.cpu.get_capabilities().get(instruction))


def _beside_int8() -> torch.dtype:
    """Returns the type for what is not in int8: bfloat16 where its products are as fast as those of int8."""
    return torch.bfloat16 if _has("amx_bf16") else torch.float32


def _frozen(run: Run, dtype: torch.dtype, *, int8: bool) -> Run:
    """Returns a run with frozen layers; the given one stays, and both share the weights that stay."""
    shared = {id(tensor): tensor for tensor in (*run.model.parameters(), *run.model.buffers())}
    model = copy.deepcopy(run.model, dict(shared))
    freeze(model, dtype, int8=int8)
    return replace(run, model=model, rounded=exact_lengths)  # their kernels are for rows, not for lengths

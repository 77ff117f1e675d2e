"""The arithmetic of matrix products; weights, sums and norms stay in float32."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from typing import Literal, TypeAlias

import torch
from torch.nn import functional as F

from bertx.bert.config import BertConfig

logger = logging.getLogger(__name__)

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
PrecisionChoice: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
WORTHWHILE = 1.2  # how many times as fast fewer bits must be
REPEATS = 7
TOKENS = 1024


def arithmetic(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Returns the context in which a model computes."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")


def chosen_precision(wanted: PrecisionChoice, device: torch.device, config: BertConfig) -> Precision:
    """Returns the wanted precision, or for `auto` what is fastest here.

    bf16 has the range of float32 and needs no loss scaling, so fp16 is taken only on a GPU where bf16 is not
    worthwhile. On a CPU bf16 pays where the processor multiplies it, as with AVX512-BF16 or AMX.

    Args:
        wanted: What the config says.
        device: Where to compute.
        config: The sizes of the encoder, which the products to measure are taken from.
    """
    if wanted != "auto":
        return wanted
    rates: dict[Precision, float] = {"fp32": _products_per_second("fp32", device, config)}
    candidates: list[Precision] = ["bf16", "fp16"] if device.type == "cuda" else ["bf16"]
    for precision in candidates:
        rates[precision] = _products_per_second(precision, device, config)
        if rates[precision] >= WORTHWHILE * rates["fp32"]:
            break
    else:
        precision = "fp32"
    found = ", ".join(f"{name} {rate / rates['fp32']:.1f}" for name, rate in rates.items())
    logger.info("precision: %s (matrix products, times as fast as in fp32: %s)", precision, found)
    return precision


def _products_per_second(precision: Precision, device: torch.device, config: BertConfig) -> float:
    """Measures the larger products of a layer forwards and backwards, the casts of weights included."""
    # Not random: the generators belong to the training.
    narrow, wide = config.hidden_size, config.intermediate_size
    first, second = (
        torch.linspace(-1, 1, narrow * wide, device=device).view(shape).requires_grad_()
        for shape in ((wide, narrow), (narrow, wide))
    )
    inputs = torch.linspace(-1, 1, TOKENS * narrow, device=device).view(TOKENS, narrow)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        with arithmetic(precision, device):
            output = F.linear(F.linear(inputs, first), second)
        torch.autograd.backward(output.float().sum())
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return 1 / min(seconds)

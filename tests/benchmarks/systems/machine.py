"""The machine's own rate of matrix products, which no training can exceed."""

from __future__ import annotations

import time

SIZE = 2_048
SECONDS = 2.0  # for each kind of number


def rates() -> dict[str, float]:
    """Returns the best rate of `torch.mm` of 2,048 x 2,048 matrices, in GFLOP/s, and the threads in use."""
    import torch

    found = {"threads": float(torch.get_num_threads())}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        found[f"{name}_gflops"] = 2 * SIZE**3 / _best_seconds(dtype) / 1e9
    return found


def gpus() -> dict[str, float]:
    """Returns how many GPUs torch finds."""
    import torch

    return {"gpus": float(torch.cuda.device_count())}


def _best_seconds(dtype: object) -> float:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.randn(SIZE, SIZE).to(device, dtype)
    right, out = torch.randn_like(left), torch.empty_like(left)
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        torch.mm(left, right, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return best

"""Numbers that a GPU computes long after it is asked to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Reading:
    """Numbers on their way to the CPU; a GPU sends them when it gets there, and goes on.

    Args:
        numbers: Scalars; tensors are all on one device.

    Attributes:
        numbers: float64, (numbers,); where they are computed.
    """

    def __init__(self, numbers: Sequence[Tensor | float]) -> None:
        device = next((number.device for number in numbers if isinstance(number, Tensor)), None)
        # A number is filled in there, not copied, which would wait.
        filled = [
            n if isinstance(n, Tensor) else torch.full((), n, dtype=torch.float64, device=device)
            for n in numbers
        ]
        self.numbers = torch.stack([number.double() for number in filled])
        self._here, self._sent = self.numbers, None
        if self.numbers.device.type == "cuda":
            self._here = torch.empty(len(numbers), dtype=torch.float64, pin_memory=True)
            self._here.copy_(self.numbers, non_blocking=True)
            self._sent = torch.cuda.current_stream(self.numbers.device).record_event()

    def values(self) -> list[float]:
        """Returns the numbers, as soon as they are there."""
        if self._sent is not None:
            self._sent.synchronize()
        values: list[float] = self._here.tolist()
        return values

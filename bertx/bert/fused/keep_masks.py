"""Dropout by bit masks: a random number of 16 bits per element, and no comparison, choice or product.

torch draws one number after the other for dropout on a CPU, which took a tenth of a training step. NumPy's
SFC64 draws four at a time, and clearing the bits of what is dropped costs no more than reading them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

STEPS = 1 << 15  # a probability is rounded to a multiple of 1 / STEPS; the scale is that of the rounded one
INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes: the bits of floating-point numbers


class KeepMask(NamedTuple):
    """Which elements stay.

    Attributes:
        bits: int16, (elements,): all bits set where an element stays, none where it is dropped.
        scale: What the others are to be multiplied by, so that the expectation stays.
    """

    bits: Tensor
    scale: float

    def clear_(self, values: Tensor, start: int = 0) -> Tensor:
        """Sets to zero, in place, what is dropped of some values; without the scale.

        Args:
            values: float, contiguous.
            start: The element of the mask that belongs to the first value.
        """
        integers = INTEGERS[values.element_size()]
        bits = self.bits[start : start + values.numel()].view(values.shape)
        values.view(integers).bitwise_and_(bits if integers == torch.int16 else bits.to(integers))
        return values


def draw_mask(elements: int, probability: float) -> KeepMask:
    """Draws which elements stay, each on its own.

    The numbers follow from torch's generator of the CPU alone, so they repeat whenever that is set back.

    Args:
        elements: How many.
        probability: How likely an element is dropped; at least 0 and less than 1.
    """
    seed = int(torch.randint(0, 1 << 62, ()))
    generator = np.random.Generator(np.random.SFC64(seed))
    words = generator.integers(0, 1 << 64, size=-(-elements // 4), dtype=np.uint64)
    numbers = torch.from_numpy(words.view(np.int16))[:elements]
    dropped = min(round(probability * STEPS), STEPS - 1)
    # A number of 15 bits is below `dropped`, or else the difference is negative, and its sign fills 16 bits.
    bits = numbers.bitwise_and_(STEPS - 1).neg_().add_(dropped - 1).bitwise_right_shift_(15)
    return KeepMask(bits, STEPS / (STEPS - dropped))


class _Remembered(torch.autograd.function.FunctionCtx):
    mask: KeepMask


class MaskedDropout(torch.autograd.Function):
    """Dropout as a step of automatic differentiation."""

    @staticmethod
    def forward(ctx: _Remembered, values: Tensor, probability: float) -> Tensor:
        """Returns the values with some of them zero, the others scaled."""
        mask = draw_mask(values.numel(), probability)
        ctx.mask = mask
        return mask.clear_(values * mask.scale)

    @staticmethod
    def backward(ctx: _Remembered, gradient: Tensor) -> tuple[Tensor, None]:
        """Returns the gradient by the values."""
        return ctx.mask.clear_(gradient.contiguous() * ctx.mask.scale), None


class Dropout(nn.Dropout):
    """Dropout that is cheap on a CPU.

    Source: Srivastava et al. 2014 (Dropout: A Simple Way to Prevent Neural Networks from Overfitting).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Returns the input, in training with some elements zero and the others scaled."""
        is_fused = input.device.type == "cpu" and self.training and 0 < self.p < 1
        if not is_fused or is_recorded():
            return super().forward(input)
        output: Tensor = MaskedDropout.apply(input, self.p)  # type: ignore[no-untyped-call]
        return output


def is_recorded() -> bool:
    """Tells whether somebody records what is computed, which then has to be done by torch's operations."""
    return torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()

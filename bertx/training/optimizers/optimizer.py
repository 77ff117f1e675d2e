"""The family of optimizers.

The update rules are torch's own where torch has them; names and arguments are AllenNLP's and ParlAI's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import nn

from bertx.config.registrable import Slot
from bertx.errors import ConfigError

NamedParameters: TypeAlias = list[tuple[str, nn.Parameter]]
Group: TypeAlias = dict[str, object]

FUSED_DEVICES = ("cpu", "cuda", "mps", "xpu")  # where torch has Adam and SGD as one kernel


class Optimizer(Slot[torch.optim.Optimizer]):
    """The slot for optimizers; what its members make is a `torch.optim.Optimizer`."""


@contextmanager
def refusals() -> Iterator[None]:
    """Passes on, as a mistake in the config, what torch says against an optimizer's options."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"trainer.optimizer: {error}") from None


def can_fuse(named_parameters: Sequence[tuple[str, nn.Parameter]]) -> bool:
    """Tells whether one kernel can update all that is trainable; else torch's own choice is best."""
    trained = [parameter for _, parameter in named_parameters if parameter.requires_grad]
    return all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in trained)

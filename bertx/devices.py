"""Where to compute."""

from __future__ import annotations

from textwrap import shorten

import torch

from bertx.errors import UsageError


def choose_device(name: str | None) -> torch.device:
    """Returns the device of a name such as `cpu` or `cuda:1`; for None, a GPU if there is one.

    Raises:
        UsageError: There is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # `meta` has no numbers to read
    # What a missing backend raises differs from one to the next.
    except (RuntimeError, AssertionError, ValueError, AttributeError, ImportError) as error:
        reason = shorten(str(error), 120, placeholder=" ...")
        raise UsageError(f"--device {name}: not usable here ({reason}); try cpu") from None
    return device

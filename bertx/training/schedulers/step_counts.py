"""Numbers of optimizer steps as configs write them."""

from __future__ import annotations

import math

from bertx.errors import ConfigError


def number_of_steps(written: int | float, num_steps: int, where: str) -> int:
    """Returns the steps that a config means by a whole number of steps, or by a share of all.

    Args:
        written: A number below 1 is a share, rounded up; from 1 on it counts steps.
        num_steps: All steps.
        where: Its place in the config, for the message.

    Raises:
        ConfigError: It is negative, or neither a whole number nor a share.
    """
    if not (0 <= written <= 1 or (written > 1 and float(written).is_integer())):
        raise ConfigError(
            f"{where}: {written}; expected a whole number of steps, or a share of all steps between 0 and 1"
        )
    return math.ceil(written * num_steps) if written < 1 else int(written)

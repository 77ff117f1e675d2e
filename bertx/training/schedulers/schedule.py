"""What schedules of learning rate and momentum have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bertx.config.registrable import Configurable
from bertx.data.instance import JSON


class Schedule(Configurable):
    """Depends on the number of the optimizer step, and on nothing else but what validations told.

    Attributes:
        waits_for_validations: Whether nothing changes unless there are validations.
    """

    waits_for_validations: ClassVar[bool] = False

    def on_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the metrics of a validation after `step` optimizer steps; most schedules do not care.

        Args:
            step: How many optimizer steps are done.
            metrics: `loss` and the validation metric, as they are, whatever its sign in the config.
        """

    def state_dict(self) -> dict[str, JSON]:
        """Returns what validations told; what follows from the step alone is not in it."""
        return {}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back what `state_dict` returned."""

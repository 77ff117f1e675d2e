"""The family of initializers: fresh values for one parameter."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from bertx.config.registrable import Registrable


class Initializer(Registrable):
    """Fills one parameter in place."""

    @abstractmethod
    def __call__(self, tensor: Tensor, name: str = "") -> None:
        """Fills a parameter.

        Args:
            tensor: Its values.
            name: What it is called in the module that is initialised.
        """


@Initializer.register("prevent")
class Prevent(Initializer):
    """Leaves the parameters that it is paired with as they are, whatever other pairs say."""

    def __call__(self, tensor: Tensor, name: str = "") -> None:
        """Does nothing."""

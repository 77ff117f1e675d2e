"""Which parameters of a module are initialised, and how: picked by regular expressions.

Source: AllenNLP, `InitializerApplicator` of 0.9 (a list) and 2.x (an object).
"""

from __future__ import annotations

import logging
from typing import TypeAlias

from torch import Tensor, nn

from bertx.config.registrable import Configurable
from bertx.errors import ConfigError
from bertx.models.initializers.initializer import Initializer, Prevent
from bertx.models.parameter_names import listed, name_pattern

logger = logging.getLogger(__name__)


class InitializerApplicator(Configurable):
    """Initialises each parameter by the first regular expression that is found in its name.

    Args:
        regexes: Pairs of a regular expression and an initializer; None: nothing is initialised. The
            initializer `prevent` stands for an expression in `prevent_regexes`.
        prevent_regexes: Parameters whose names hold one of these stay as they are.

    Raises:
        ConfigError: A string is no regular expression.
    """

    def __init__(
        self,
        regexes: list[tuple[str, Initializer]] | None = None,
        prevent_regexes: list[str] | None = None,
    ) -> None:
        pairs = [
            (name_pattern(expression, "initializer.regexes"), initializer)
            for expression, initializer in regexes or []
        ]
        self.regexes = [(pattern, made) for pattern, made in pairs if not isinstance(made, Prevent)]
        self.prevented = [pattern for pattern, made in pairs if isinstance(made, Prevent)]
        self.prevented += [
            name_pattern(expression, "initializer.prevent_regexes") for expression in prevent_regexes or []
        ]

    def __call__(self, module: nn.Module) -> None:
        """Initialises the module's parameters in place; an expression that picks none is warned about.

        Raises:
            ConfigError: An initializer cannot fill a parameter that its expression picks.
        """
        unused = {pattern.pattern for pattern, _ in self.regexes}
        left = []
        for name, parameter in module.named_parameters():
            is_prevented = any(pattern.search(name) for pattern in self.prevented)
            found = None if is_prevented else next((p for p in self.regexes if p[0].search(name)), None)
            if found is None:
                left.append(name)
                continue
            pattern, initializer = found
            _fill(name, parameter.data, initializer)
            unused.discard(pattern.pattern)
        for expression in sorted(unused):
            names = listed(name for name, _ in module.named_parameters())
            logger.warning('initializer: "%s" picks none of the parameters %s', expression, names)
        if left:
            logger.info("initializer: left as they were: %s", listed(left))


Initialization: TypeAlias = InitializerApplicator | list[tuple[str, Initializer]]
"""What a config may say: AllenNLP 2's `{regexes: [[expression, initializer]], prevent_regexes: [...]}`, or
AllenNLP 0.9's list `[[expression, initializer]]`."""


def initialize_by(initialization: Initialization | None, module: nn.Module) -> None:
    """Initialises the parameters of a module as a config says it; None: not at all."""
    if isinstance(initialization, list):
        initialization = InitializerApplicator(initialization)
    if initialization is not None:
        initialization(module)


def _fill(name: str, tensor: Tensor, initializer: Initializer) -> None:
    try:
        initializer(tensor, name)
    except (ValueError, RuntimeError) as error:  # of torch.nn.init: a vector has no fan-in, say
        raise ConfigError(
            f"initializer: {name}, of shape {tuple(tensor.shape)}, cannot be filled: {error}; "
            "change its initializer, or the expression that picks it"
        ) from None

"""Regular expressions that pick parameters of a model by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bertx.errors import ConfigError

SHOWN_NAMES = 10


def name_pattern(expression: str, where: str) -> re.Pattern[str]:
    """Compiles an expression that is searched for in names of parameters.

    Args:
        expression: As a config has it.
        where: Its place in the config, for the message.

    Raises:
        ConfigError: It is no regular expression.
    """
    try:
        return re.compile(expression)
    except re.error as error:
        raise ConfigError(
            f'{where}: "{expression}" is no regular expression ({error}); escape special characters with \\'
        ) from None


def listed(names: Iterable[str]) -> str:
    """Lists names for a message, the first few of many."""
    names = list(names)
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more

"""What is wrong with a study, all of it told at once."""

from __future__ import annotations

from bertx.config.construct import Places
from bertx.config.kinds import Place
from bertx.errors import ConfigError


class Problems:
    """Collects what is wrong with a study file.

    Args:
        source: What to call the file.
        positions: Knows on which lines its parts are written.
    """

    def __init__(self, source: str, positions: Places) -> None:
        self.source, self.positions = source, positions
        self._lines: list[str] = []

    def add(self, place: Place, text: str) -> None:
        """Notes a problem with what stands at a place of the file."""
        where = self.positions.place(place) or self.source
        key = ".".join(map(str, place))
        self._lines.append(f"{where}: {key}: {text}" if key else f"{where}: {text}")

    def add_error(self, error: ConfigError) -> None:
        """Notes the lines of an error, which say themselves where they belong."""
        self._lines += str(error).splitlines()

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def raise_if_any(self) -> None:
        """Ends the matter if anything is wrong; what several variants share is told once.

        Raises:
            ConfigError: Something is.
        """
        if self._lines:
            raise ConfigError("\n".join(dict.fromkeys(self._lines)))

"""What differs between two JSON values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

ABSENT: Final = object()


@dataclass(frozen=True)
class Difference:
    """A leaf that is not the same on both sides.

    Attributes:
        key: Its dotted place, items of lists by number.
        old: What it was; `ABSENT`: it was not there.
        new: What it is; `ABSENT`: it is not there.
    """

    key: str
    old: object
    new: object

    @property
    def change(self) -> float | None:
        """How much a number has grown; None if it is none."""
        if isinstance(self.old, (int, float)) and isinstance(self.new, (int, float)):
            return self.new - self.old
        return None

    def as_json(self) -> dict[str, object]:
        """Returns an object with `key`, and with `old`, `new` and `change` as far as they are there."""
        values = {"old": self.old, "new": self.new}
        there = {name: value for name, value in values.items() if value is not ABSENT}
        return {"key": self.key, **there, **({} if self.change is None else {"change": self.change})}

    def __str__(self) -> str:
        return f"{self.key}: {_shown(self.old)} -> {_shown(self.new)}"


def differences(old: object, new: object, key: str = "") -> Iterator[Difference]:
    """Yields every leaf that differs, in the order of `old`, then of `new`; a NaN is the same as a NaN."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences(old.get(name, ABSENT), new.get(name, ABSENT), _below(key, name))
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            before, after = (items[number] if number < len(items) else ABSENT for items in (old, new))
            yield from differences(before, after, _below(key, number))
    elif not _same(old, new):
        yield Difference(key, old, new)


def _below(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _same(old: object, new: object) -> bool:
    both_nan = old != old and new != new
    return both_nan or (old == new and isinstance(old, bool) == isinstance(new, bool))


def _shown(value: object) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)

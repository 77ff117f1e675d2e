"""Factors: what a study varies, and the levels that each has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bertx.ablation.study.problems import Problems
from bertx.config.kinds import JSON, Place


@dataclass(frozen=True)
class WrittenEdit:
    """One edit of a config, as `-o` makes them.

    Attributes:
        key: The dotted key; `~key` deletes.
        value: What it is set to.
        place: Where the study file says so.
    """

    key: str
    value: JSON
    place: Place


@dataclass(frozen=True)
class Level:
    """One of the settings that a factor has.

    Attributes:
        factor: The factor's name.
        name: What to call a variant that has it: `dropout=0.1`; of a factor's only one the factor's name.
        edits: What it changes, all together.
    """

    factor: str
    name: str
    edits: tuple[WrittenEdit, ...]

    @property
    def place(self) -> Place:
        """Where the study file has it."""
        return self.edits[0].place if self.edits else ("factors", self.factor)


def read_factors(written: Mapping[str, Mapping[str, JSON]], problems: Problems) -> dict[str, list[Level]]:
    """Reads the levels of all factors; what is wrong with one is noted, and it has no levels."""
    return {name: _levels(name, edits, problems) for name, edits in written.items()}


def _levels(factor: str, written: Mapping[str, JSON], problems: Problems) -> list[Level]:
    place: Place = ("factors", factor)
    if not written:
        problems.add(place, "is empty; expected dotted keys with lists of values")
        return []
    objects = [key for key, value in written.items() if isinstance(value, dict)]
    if len(objects) == len(written):
        return _named(factor, written, problems)
    if objects:
        problems.add(
            (*place, objects[0]),
            "an object among values; write it as a list, [{...}], or give every level a name",
        )
        return []
    return _listed(factor, written, problems)


def _named(factor: str, written: Mapping[str, JSON], problems: Problems) -> list[Level]:
    """Reads levels that have names: `{none: {}, all: {"trainer.no_grad": [".*"]}}`."""
    levels = []
    for name, edits in written.items():
        place: Place = ("factors", factor, name)
        if not isinstance(edits, dict) or not edits:
            problems.add(place, "changes nothing; expected dotted keys with the values to set")
            continue
        made = tuple(WrittenEdit(key, value, (*place, key)) for key, value in edits.items())
        levels.append(Level(factor, f"{factor}={name}" if len(written) > 1 else factor, made))
    return levels


def _listed(factor: str, written: Mapping[str, JSON], problems: Problems) -> list[Level]:
    """Reads levels from the lists of values that keys have; a value that is no list holds for all levels."""
    place: Place = ("factors", factor)
    sizes = {key: len(value) for key, value in written.items() if isinstance(value, list)}
    for key, size in sizes.items():
        if size == 0:
            problems.add((*place, key), "an empty list; expected values to try")
    if 0 in sizes.values():
        return []
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{key} has {size}" for key, size in sizes.items())
        problems.add(place, f"its keys vary together, but {told} values; expected equally many")
        return []
    count = next(iter(sizes.values()), 1)
    levels = [tuple(_edits(place, written, number)) for number in range(count)]
    names = [_name(edits, sizes) for edits in levels]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    return [
        Level(factor, factor if count == 1 else f"{factor}={_numbered(name, number, repeated)}", edits)
        for number, (name, edits) in enumerate(zip(names, levels, strict=True), start=1)
    ]


def _edits(place: Place, written: Mapping[str, JSON], number: int) -> list[WrittenEdit]:
    edits = []
    for key, value in written.items():
        if isinstance(value, list):
            edits.append(WrittenEdit(key, value[number], (*place, key, number)))
        else:
            edits.append(WrittenEdit(key, value, (*place, key)))
    return edits


def _name(edits: tuple[WrittenEdit, ...], sizes: Mapping[str, int]) -> str:
    """Names a level by the value of the first key that varies; "" where that is too much for a name."""
    value = next((edit.value for edit in edits if edit.key in sizes), None)
    if isinstance(value, dict):
        value = value.get("type", "")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 and "\n" not in text else ""


def _numbered(name: str, number: int, repeated: set[str]) -> str:
    return f"{name}#{number}" if name in repeated or not name else name

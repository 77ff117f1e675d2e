"""Typed look-ups in a JSON object that someone else wrote, with errors that name the file and the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

from tokenizers import AddedToken

from bertx.errors import CheckpointError

JsonObject: TypeAlias = dict[str, object]
Default = TypeVar("Default", bound=object)
Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True)
class JsonSettings:
    """The settings in one JSON object; an absent key or a null means the default.

    Args:
        path: The file, for errors.
        values: The object.
        prefix: Where in the file the object is, e.g. `model.`.
    """

    path: Path
    values: Mapping[str, object]
    prefix: str = ""

    def section(self, key: str) -> JsonSettings:
        """Returns the settings of an object inside this one; empty if it is absent."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            self._refuse(key, value, "an object")
        return JsonSettings(self.path, value or {}, f"{self.prefix}{key}.")

    def flag(self, key: str, default: Default) -> bool | Default:
        """Looks up true or false."""
        value = self.values.get(key)
        if value is None:
            return default
        return value if isinstance(value, bool) else self._refuse(key, value, "true or false")

    def number(self, key: str, default: Default) -> int | Default:
        """Looks up a whole number; 1e30 is one."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self._refuse(key, value, "a whole number")
        return value

    def text(self, key: str, default: str) -> str:
        """Looks up a string."""
        value = self.values.get(key)
        if value is None:
            return default
        return value if isinstance(value, str) else self._refuse(key, value, "a string")

    def choice(self, key: str, choices: Sequence[Choice], default: Choice) -> Choice:
        """Looks up one of a few strings."""
        value = self.values.get(key)
        if value is None:
            return default
        found = [choice for choice in choices if choice == value]
        return found[0] if found else self._refuse(key, value, " or ".join(map(repr, choices)))

    def token(self, key: str, default: str) -> str:
        """Looks up a token: a string, or an object whose `content` is the string."""
        value = self.values.get(key)
        return default if value is None else self._added_token(key, value).content

    def described_token(self, key: str) -> AddedToken | None:
        """Looks up a special token that comes with settings of its own; `None` if it is a mere string."""
        value = self.values.get(key)
        return self._added_token(key, {"special": True, **value}) if isinstance(value, dict) else None

    def texts(self, key: str) -> list[str]:
        """Looks up a list of tokens, or an object whose values are tokens."""
        value = self.values.get(key)
        if value is None:
            return []
        items = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(items, list):
            self._refuse(key, value, "a list of tokens")
        return [self._added_token(key, item).content for item in items]

    def tokens(self, key: str) -> list[tuple[int, AddedToken]]:
        """Looks up added tokens with ids: a list of objects with `id`, or an object keyed by id."""
        value = self.values.get(key)
        pairs: list[tuple[object, object]] = []
        if isinstance(value, dict):
            pairs = list(value.items())
        elif isinstance(value, list):
            pairs = [(item.get("id") if isinstance(item, dict) else None, item) for item in value]
        elif value is not None:
            self._refuse(key, value, "a list or an object of added tokens")
        found = []
        for id_, item in pairs:
            if not str(id_).isdecimal():
                self._refuse(key, item, "a whole number as the id of every token")
            found.append((int(str(id_)), self._added_token(key, item)))
        return found

    def ids(self, key: str) -> dict[str, int]:
        """Looks up an object whose values are ids."""
        return self.section(key).all_ids()

    def all_ids(self) -> dict[str, int]:
        """Reads the whole object as tokens and their ids."""
        ids: dict[str, int] = {}
        for token, id_ in self.values.items():
            if isinstance(id_, bool) or not isinstance(id_, int):
                self._refuse(token, id_, "a whole number")
            ids[token] = id_
        return ids

    def _added_token(self, key: str, value: object) -> AddedToken:
        if isinstance(value, str):
            return AddedToken(value, special=True, normalized=False)
        if not isinstance(value, dict):
            self._refuse(key, value, 'a token: a string or an object with "content"')
        fields = JsonSettings(self.path, value, f"{self.prefix}{key}.")
        if not (content := fields.text("content", "")):
            self._refuse(key, value, 'a token: a string or an object with "content"')
        special = fields.flag("special", False)
        return AddedToken(
            content,
            special=special,
            normalized=fields.flag("normalized", not special),
            lstrip=fields.flag("lstrip", False),
            rstrip=fields.flag("rstrip", False),
            single_word=fields.flag("single_word", False),
        )

    def _refuse(self, key: str, value: object, expected: str) -> NoReturn:
        raise CheckpointError(f"{self.path}: {self.prefix}{key} is {value!r:.80}; expected {expected}")

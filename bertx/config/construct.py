"""Config in, checked plan out, objects last.

`plan` walks a config and the signatures together, collects every problem, and returns a tree of `Lazy` nodes;
`Lazy.build` makes the objects; `filled` writes a plan back as a config with all defaults.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

from bertx.config.containers import Component, kind_of
from bertx.config.kinds import MAX_DEPTH, Checker, Kind, Place, shown
from bertx.config.registrable import Lazy, unknown_member
from bertx.config.signatures import Maker, Parameter, config_parameters, maker_name, parameters
from bertx.config.suggestions import is_slip, nearest
from bertx.errors import ConfigError

T = TypeVar("T")


class Places(Protocol):
    """Knows where the parts of a config are written."""

    def place(self, path: Place) -> str | None:
        """Tells `file:line` or the override that wrote the value at a path; None if unknown."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config, at `path`; `written` is the path whose place to show."""

    path: Place
    text: str
    written: Place


def plan(base: type[T], config: Any, source: str = "config", positions: Places | None = None) -> Lazy[T]:
    """Checks a whole config before anything is built.

    Args:
        base: The family or `Configurable` class that the config describes.
        config: A JSON value.
        source: What to call the config in messages, usually its file name.
        positions: Knows lines, so that messages can say `file:line`.

    Raises:
        ConfigError: One line per problem, such as `configs/x.jsonnet:14: trainer.lrr: unknown key; ...`.
    """
    checker = _Checker(positions)
    try:
        made = checker.component(base, config, (), deferred=False)
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply to be checked") from None
    if checker.problems:
        raise ConfigError("\n".join(_line(problem, source, positions) for problem in checker.problems))
    assert isinstance(made, Lazy)
    return made


def filled(lazy: Lazy[Any]) -> dict[str, Any]:
    """Writes a plan as a config, with every `type` and default filled in.

    Defaults that JSON cannot express stay out. Planning the result gives the same plan.
    """
    known = config_parameters(lazy.maker)
    settings = {name: _plain(value) for name, value in lazy.settings.items()}
    defaults = {name: p for name, p in known.items() if name not in settings and not p.required}
    for name, parameter in defaults.items():
        found, value = default_of(parameter)
        if found:
            settings[name] = value
    ordered = {name: settings[name] for name in known if name in settings}
    return {"type": lazy.name, **ordered} if lazy.name is not None else ordered


def members_of(base: type) -> tuple[dict[str, Maker], str | None]:
    """Lists what a config may put in place of a family or class, and the name used without a `type`."""
    registry: dict[str, Maker] = getattr(base, "registry", {})
    if "registry" in vars(base) or not registry:
        return registry, getattr(base, "default_implementation", None)
    # A class inside a family stands for itself and for what derives from it.
    inside: dict[str, Maker] = {
        n: m for n, m in registry.items() if inspect.isclass(m) and issubclass(m, base)
    }
    return inside, next((name for name, maker in inside.items() if maker is base), None)


def config_kinds(maker: Maker) -> dict[str, Kind]:
    """Finds the kind of every parameter that a config may set.

    Raises:
        TypeError: A parameter has a type that no config can express.
    """
    kinds = {}
    for name, parameter in config_parameters(maker).items():
        try:
            kinds[name] = kind_of(parameter.annotation)
        except TypeError as error:
            raise TypeError(f"{maker_name(maker)}: parameter '{name}': {error}") from None
    return kinds


class _Checker:
    """Walks a config and the signatures together; implements `Checker`."""

    def __init__(self, positions: Places | None) -> None:
        self.positions = positions
        self.problems: list[Problem] = []

    def report(self, path: Place, text: str, written: Place | None = None) -> None:
        self.problems.append(Problem(path, text, path if written is None else written))

    def trial(self) -> _Checker:
        return _Checker(self.positions)

    def count(self) -> int:
        return len(self.problems)

    def take_over(self, other: Checker) -> None:
        assert isinstance(other, _Checker)
        self.problems += other.problems

    def component(self, base: type, value: Any, path: Place, *, deferred: bool) -> Any:
        if len(path) > MAX_DEPTH:
            return self.report(path[:3], f"nested more than {MAX_DEPTH} levels deep")
        is_family = hasattr(base, "registry")
        value = {"type": value} if is_family and isinstance(value, str) else value
        if not isinstance(value, Mapping):
            what = 'an object with a "type", or a registered name' if is_family else "an object"
            return self.report(path, f"expected {Component(base, deferred).one} ({what}), got {shown(value)}")
        options = {str(key): item for key, item in value.items()}
        name, maker = self._member(base, options, path) if is_family else (None, base)
        if maker is None:
            return None
        settings = self._settings(maker, name or base.__name__, options, path)
        place = self.positions.place(path) if self.positions else None
        return Lazy(maker, settings, name=name, base=base, path=path, place=place, deferred=deferred)

    def _member(self, base: type, options: dict[str, Any], path: Place) -> tuple[str | None, Maker | None]:
        """Takes "type" out of the options; a slip in it is reported once, and the rest still checked."""
        members, default = members_of(base)
        known = ", ".join(sorted(members)) or "nothing"
        if "type" in options:
            name = options.pop("type")
            if isinstance(name, str) and name in members:
                return name, members[name]
            if not isinstance(name, str):
                self.report(
                    (*path, "type"), f"expected a registered name (one of: {known}), got {shown(name)}"
                )
                return None, None
            self.report((*path, "type"), unknown_member(base.__name__, name, members))
            meant = nearest(name, members)
            return (meant, members[meant]) if meant is not None and is_slip(name, meant) else (None, None)
        slips = [key for key, item in options.items() if is_slip(key, "type") and isinstance(item, str)]
        for key in slips:
            if options[key] in members or default is None:
                name = options.pop(key)
                self.report((*path, key), f'unknown key; did you mean "type"? (it names {_article(base)})')
                return (name, members[name]) if name in members else (None, None)
        if default is not None:
            return default, members[default]
        if not inspect.isabstract(base) and "registry" not in vars(base):
            return None, base
        self.report(path, f'"type" is missing; it names {_article(base)}, one of: {known}', (*path, "type"))
        return None, None

    def _settings(self, maker: Maker, label: str, options: dict[str, Any], path: Place) -> dict[str, Any]:
        """Checks the options of one component against its maker's parameters."""
        kinds, known = config_kinds(maker), config_parameters(maker)
        missing = [name for name, p in known.items() if p.required and name not in options]
        settings = {}
        for key, value in options.items():
            if key in kinds:
                settings[key] = kinds[key].check(value, (*path, key), self)
                continue
            meant = self._unknown(maker, label, key, options, path, missing)
            if meant in kinds and meant not in options:
                missing = [name for name in missing if name != meant]
                trial = self.trial()  # what is inside is most likely meant for that key: check it as well
                kinds[meant].check(value, (*path, key), trial)
                self.problems += [p for p in trial.problems if len(p.path) > len(path) + 1]
        for name in missing:
            text = f'"{name}" is missing; {label} needs it ({kinds[name].one})'
            self.report(path, text, (*path, name))
        return {name: settings[name] for name in known if name in settings}

    def _unknown(
        self, maker: Maker, label: str, key: str, options: dict[str, Any], path: Place, missing: list[str]
    ) -> str | None:
        """Reports a key that the maker does not take; returns the one that was probably meant."""
        if key in parameters(maker):
            self.report((*path, key), f"the program supplies it to {label}; no config may set it")
            return None
        accepted = sorted(config_parameters(maker))
        unused = [name for name in accepted if name not in options]
        meant = nearest(key, unused, accepted)
        hint = f'; did you mean "{meant}"?' if meant is not None else ""
        self.report((*path, key), f"unknown key{hint} ({label} takes: {', '.join(accepted) or 'no keys'})")
        return meant


def _line(problem: Problem, source: str, positions: Places | None) -> str:
    place = (positions.place(problem.written) if positions else None) or source
    path = ".".join(map(str, problem.path))
    return f"{place}: {path}: {problem.text}" if path else f"{place}: {problem.text}"


def _article(base: type) -> str:
    return f"{'an' if base.__name__[0] in 'AEIOU' else 'a'} {base.__name__}"


def default_of(parameter: Parameter) -> tuple[bool, Any]:
    """Writes a default as JSON; the first value is False if there is none or JSON cannot express it."""
    if parameter.required:
        return False, None
    try:
        written = _plain(parameter.default)
        json.dumps(written, allow_nan=False)
    except (TypeError, ValueError):
        return False, None
    checker = _Checker(None)
    checked = kind_of(parameter.annotation).check(written, (parameter.name,), checker)
    return (False, None) if checker.problems else (True, _plain(checked))


def _plain(value: Any) -> Any:
    """Turns a checked setting back into JSON."""
    if isinstance(value, Lazy):
        return filled(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, (str, int, float, bool)) else value.name
    return value

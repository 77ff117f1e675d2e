"""Describes what configs may say: JSON Schema for editors, text for people."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any

from bertx.config.construct import config_kinds, default_of, members_of
from bertx.config.docstrings import arguments, summary
from bertx.config.registrable import Registrable, unknown_member
from bertx.config.signatures import Maker, config_parameters, parameters
from bertx.config.suggestions import did_you_mean
from bertx.errors import ConfigError


def json_schema(root: type) -> dict[str, Any]:
    """Makes the JSON Schema (2020-12) of every config that `plan(root, ...)` accepts.

    Families and their members stand once each under `$defs`, so recursion is no problem.

    Raises:
        TypeError: A registered maker has a parameter that no config can express.
    """
    builder = _Builder()
    body = {"$schema": "https://json-schema.org/draft/2020-12/schema", **builder.ref(root)}
    builder.finish()
    return {**body, "$defs": dict(sorted(builder.defs.items()))}


class _Builder:
    def __init__(self) -> None:
        self.defs: dict[str, dict[str, Any]] = {}
        self.names: dict[type, str] = {}
        self.queue: list[type] = []

    def ref(self, base: type) -> dict[str, Any]:
        """Refers to a class, which is described later."""
        if base not in self.names:
            taken = base.__name__ in self.names.values()
            self.names[base] = f"{base.__module__}.{base.__qualname__}" if taken else base.__name__
            self.queue.append(base)
        return {"$ref": f"#/$defs/{self.names[base]}"}

    def finish(self) -> None:
        """Describes everything that was referred to."""
        while self.queue:
            base = self.queue.pop()
            if hasattr(base, "registry"):
                self._family(base)
            else:
                self.defs[self.names[base]] = self._object(base, None, needs_type=False)

    def _family(self, base: type) -> None:
        members, default = members_of(base)
        name = self.names[base]
        arms: list[dict[str, Any]] = []
        for member, maker in sorted(members.items()):
            self.defs[f"{name}.{member}"] = self._object(maker, member, needs_type=member != default)
            arms.append({"$ref": f"#/$defs/{name}.{member}"})
        if "registry" not in vars(base) and base not in members.values() and not inspect.isabstract(base):
            self.defs[f"{name}."] = self._object(base, None, needs_type=False)
            arms.append({"$ref": f"#/$defs/{name}."})
        short = [m for m, maker in sorted(members.items()) if not _required(maker)]
        if short:
            arms.append({"enum": short})
        text = summary(base)
        self.defs[name] = {
            **({"description": text} if text else {}),
            **({"anyOf": arms} if arms else {"not": {}}),
        }

    def _object(self, maker: Maker, tag: str | None, *, needs_type: bool) -> dict[str, Any]:
        properties: dict[str, Any] = {} if tag is None else {"type": {"const": tag}}
        texts, known = arguments(maker), config_parameters(maker)
        for name, kind in config_kinds(maker).items():
            body = kind.schema(self.ref)
            if name in texts:
                body = {**body, "description": texts[name]}
            has_default, default = default_of(known[name])
            properties[name] = {**body, "default": default} if has_default else body
        required = [*(["type"] if needs_type and tag is not None else []), *_required(maker)]
        text = summary(maker)
        head = {"description": text} if text else {}
        tail = {"properties": properties, "required": required, "additionalProperties": False}
        return {**head, "type": "object", **tail}


def describe(family: str | None = None, name: str | None = None) -> str:
    """Describes components for people.

    Args:
        family: A family such as `Optimizer`; None lists all families.
        name: A registered name such as `adamw`; None lists the family's members.

    Raises:
        ConfigError: No such family or member; what exists is listed.
    """
    known = families()
    if family is None:
        return "\n".join(_index_line(base) for base in known.values())
    base = family_named(family)
    if name is None:
        lines = [f"{member:<28}{summary(maker)}".rstrip() for member, maker in sorted(base.registry.items())]
        return "\n".join([f"{family}: {summary(base)}".rstrip(": "), *(f"  {line}" for line in lines)])
    if name not in base.registry:
        raise ConfigError(unknown_member(family, name, base.registry))
    return describe_maker(base.registry[name], f'{family} "{name}"')


def describe_maker(maker: Maker, title: str) -> str:
    """Lists every parameter of a class or function with type, default and docstring line."""
    lines = [f"{title}: {summary(maker)}".rstrip(": ")]
    texts, known = arguments(maker), config_parameters(maker)
    for name, kind in config_kinds(maker).items():
        has_default, default = default_of(known[name])
        state = (
            f"default {json.dumps(default)}"
            if has_default
            else "required"
            if known[name].required
            else "optional"
        )
        lines.append(f"  {name}: {kind.one}; {state}")
        lines += [f"      {texts[name]}"] if name in texts else []
    supplied = [p.name for p in parameters(maker).values() if p.is_runtime]
    if supplied:
        lines.append(f"  (supplied by the program: {', '.join(supplied)})")
    return "\n".join(lines)


def family_named(name: str) -> type[Registrable]:
    """Finds a family.

    Raises:
        ConfigError: No such family; what exists is listed.
    """
    known = families()
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(f'no family is called "{name}"{hint}; families: {", ".join(known) or "none"}')
    return known[name]


def families() -> dict[str, type[Registrable]]:
    """Finds all families, by name."""
    return {base.__name__: base for base in sorted(_families(Registrable), key=lambda base: base.__name__)}


def _families(base: type[Registrable]) -> Iterable[type[Registrable]]:
    for child in base.__subclasses__():
        if "registry" in vars(child):
            yield child
        yield from _families(child)


def _index_line(base: type[Registrable]) -> str:
    return f"{base.__name__:<24}{', '.join(sorted(base.registry)) or 'nothing registered'}"


def _required(maker: Maker) -> list[str]:
    return [name for name, parameter in config_parameters(maker).items() if parameter.required]

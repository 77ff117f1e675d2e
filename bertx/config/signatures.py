"""What a component's constructor takes: the contract between a config and a class or function."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

T = TypeVar("T")
RUNTIME = "supplied by the program"

# A parameter that the program supplies and no config may set: `vocab: Runtime[Vocabulary]`.
Runtime = Annotated[T, RUNTIME]

FROM_PYTHON = "only code can pass it"
# An alternative that no config can express, in a union: `bert_model: str | FromPython[BertModel]`.
FromPython = Annotated[T, FROM_PYTHON]

# A maker is whatever a family registers: a class, a function, or a bound classmethod.
Maker = Callable[..., Any]


class Configurable:
    """Base of every class that a config may describe by the parameters of its constructor."""


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a maker, its annotation resolved.

    Args:
        name: As in the signature, hence as in the config.
        annotation: The type, with `Annotated` kept.
        required: False where the signature has a default.
        default: The default; a dataclass field's factory is called; None where `required`.
        is_runtime: True where the program supplies it.
    """

    name: str
    annotation: Any
    required: bool
    default: Any
    is_runtime: bool


def maker_name(maker: Maker) -> str:
    """Names a maker in messages."""
    return getattr(maker, "__qualname__", None) or repr(maker)


def raw_parameters(maker: Maker) -> list[inspect.Parameter]:
    """Lists the parameters of a maker as written, `self` left out."""
    if not inspect.isclass(maker):
        return list(inspect.signature(maker).parameters.values())
    found = list(inspect.signature(maker.__init__).parameters.values())[1:]
    # What a foreign base (object, nn.Module) takes as *args, **kwargs has no names a config could set.
    owner = next(base for base in maker.__mro__ if "__init__" in vars(base))
    if not issubclass(owner, Configurable) and all(parameter.kind in _VARIADIC for parameter in found):
        return []
    return found


def check_signature(maker: Maker) -> None:
    """Refuses a maker whose signature cannot be a contract.

    Raises:
        TypeError: It has *args, **kwargs, a positional-only or unannotated parameter, a TypeVar, or is no
            class, function or classmethod.
    """
    if not any(is_a(maker) for is_a in (inspect.isclass, inspect.isfunction, inspect.ismethod)):
        raise TypeError(
            f"{maker_name(maker)} cannot be registered; register a class, a function or a classmethod"
        )
    for parameter in raw_parameters(maker):
        where = f"{maker_name(maker)}: parameter '{parameter}'"
        if parameter.kind in _VARIADIC or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise TypeError(f"{where} has no name a config could set; write every parameter out")
        if parameter.annotation is inspect.Parameter.empty:
            raise TypeError(f"{where} has no type; annotate it, since configs are checked by it")
    try:
        parameters(maker)
    except NameError:
        return  # a class defined further down; `parameters` looks again at the first use


@functools.cache
def parameters(maker: Maker) -> dict[str, Parameter]:
    """Reads a maker's parameters with their types.

    Raises:
        NameError: An annotation names something that the module does not hold (yet).
        TypeError: An annotation is a TypeVar.
    """
    hints = _hints(maker)
    factories = _factories(maker)
    found = {}
    for raw in raw_parameters(maker):
        annotation = hints[raw.name]
        for part in _parts(annotation):
            if isinstance(part, TypeVar):
                raise TypeError(
                    f"{maker_name(maker)}: parameter '{raw}' has the type variable {part}; a config needs a "
                    "concrete type"
                )
        default = None if raw.default is raw.empty else raw.default
        if raw.name in factories:
            default = factories[raw.name]()
        found[raw.name] = Parameter(
            raw.name, annotation, raw.default is raw.empty, default, _is_runtime(annotation)
        )
    return found


def config_parameters(maker: Maker) -> dict[str, Parameter]:
    """Reads the parameters that a config may set."""
    return {name: parameter for name, parameter in parameters(maker).items() if not parameter.is_runtime}


def _hints(maker: Maker) -> dict[str, Any]:
    target = maker.__init__ if inspect.isclass(maker) else maker
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        culprits = [
            str(raw) for raw in raw_parameters(maker) if error.name and error.name in str(raw.annotation)
        ]
        raise NameError(
            f"{maker_name(maker)}: the type of {', '.join(culprits) or 'a parameter'} is unknown: {error}; "
            "import it outside `if TYPE_CHECKING` and define it at module level",
            name=error.name,
        ) from None


def _factories(maker: Maker) -> dict[str, Callable[[], Any]]:
    """The default factories of a dataclass, whose signature shows only a placeholder for them."""
    if not (inspect.isclass(maker) and dataclasses.is_dataclass(maker)):
        return {}
    fields = dataclasses.fields(maker)
    return {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}


def _parts(annotation: Any) -> Iterator[Any]:
    """Walks an annotation and everything inside its brackets."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def _is_runtime(annotation: Any) -> bool:
    return any(RUNTIME in getattr(part, "__metadata__", ()) for part in _parts(annotation))

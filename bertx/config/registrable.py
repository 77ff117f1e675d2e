"""Families of components, and components that are checked but not built yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, overload

from bertx.config.signatures import (
    Configurable,
    FromPython,
    Maker,
    Runtime,
    check_signature,
    maker_name,
    parameters,
    raw_parameters,
)
from bertx.config.suggestions import did_you_mean
from bertx.errors import BertxError, ConfigError

__all__ = ["Configurable", "FromPython", "Lazy", "Registrable", "Runtime", "Slot"]

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)
AnyMaker = TypeVar("AnyMaker", bound=Callable[..., Any])

_WHILE_BUILDING = "while building "


class Registrable(Configurable):
    """Base of a family of components; a config picks the member by `"type"`.

    Example:
        class Metric(Registrable): ...

        @Metric.register("accuracy")
        class Accuracy(Metric): ...
    """

    is_root: ClassVar[bool] = True
    registry: ClassVar[dict[str, Maker]]
    # The member used where a config gives no "type".
    default_implementation: ClassVar[str | None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if any(vars(base).get("is_root") for base in cls.__bases__) and not vars(cls).get("is_root"):
            cls.registry = {}

    @classmethod
    def register(cls, name: str) -> Callable[[AnyMaker], AnyMaker]:
        """Adds a class, a function or a classmethod to the family under a name; used as a decorator.

        Raises:
            TypeError: `cls` is no family, or the maker's signature cannot be a contract.
            ValueError: The name is taken.
        """
        if not hasattr(cls, "registry"):
            raise TypeError(f"{cls.__name__} is no family; derive a class from it and register with that")

        def add(maker: AnyMaker) -> AnyMaker:
            if name in cls.registry:
                taken = maker_name(cls.registry[name])
                raise ValueError(f'{cls.__name__} "{name}" is taken by {taken}; choose another name')
            check_signature(maker)
            if any(parameter.name == "type" for parameter in raw_parameters(maker)):
                raise TypeError(
                    f'{maker_name(maker)}: a parameter called "type" clashes with the "type" of a config'
                )
            cls.registry[name] = maker
            return maker

        return add

    @classmethod
    def by_name(cls, name: str) -> Maker:
        """Finds a registered maker.

        Raises:
            ConfigError: Nothing is registered under the name.
        """
        if name not in cls.registry:
            raise ConfigError(unknown_member(cls.__name__, name, cls.registry))
        return cls.registry[name]


class Slot(Registrable, Generic[Made]):
    """A family whose members make objects of a foreign class, such as PyTorch's optimizers.

    Example:
        class Optimizer(Slot[torch.optim.Optimizer]): ...

        optimizer: Lazy[Optimizer]      # optimizer.build() is a torch.optim.Optimizer to a type checker
    """

    is_root: ClassVar[bool] = True


class Lazy(Generic[Made_co]):
    """A component whose config is checked and whose object is not built yet.

    Args:
        maker: What makes the object.
        settings: Keyword arguments; those that are `Lazy` and not `deferred` are built with this one.
        name: The registered name, for messages.
        base: The family or class the config asked for; None means the maker itself.
        path: Where it stands in the config.
        place: Where it stands in a file, such as `configs/x.jsonnet:12`, if known.
        deferred: True if the owner builds it, having asked for a `Lazy`.
        runtime: What the owner's owner supplied already.
    """

    def __init__(
        self,
        maker: Callable[..., Made_co],
        settings: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        base: Any = None,
        path: tuple[str | int, ...] = (),
        place: str | None = None,
        deferred: bool = False,
        runtime: Mapping[str, Any] | None = None,
    ) -> None:
        self.maker = maker
        self.settings = dict(settings or {})
        self.name = name
        self.base = base if base is not None else maker
        self.path = path
        self.place = place
        self.deferred = deferred
        self.runtime = dict(runtime or {})

    def __repr__(self) -> str:
        return f"Lazy({self.label}, {self.settings})"

    @property
    def label(self) -> str:
        """The registered name, or the maker's own."""
        return self.name or maker_name(self.maker)

    @overload
    def build(self: Lazy[Slot[Made]], **runtime: Any) -> Made: ...
    @overload
    def build(self, **runtime: Any) -> Made_co: ...
    def build(self, **runtime: Any) -> Any:
        """Builds the children, then the object.

        Args:
            runtime: Reaches every `Runtime` parameter of that name in the tree. Deferred children keep it for
                their own `build`.

        Raises:
            TypeError: Nothing in the tree wants one of the names, or a `Runtime` parameter without default
                was not given.
            BertxError: A maker refused its settings; the message tells which.
        """
        unwanted = sorted(runtime.keys() - self.wanted())
        if unwanted:
            raise TypeError(f"{self.label}: nothing in it wants {unwanted}; it wants {sorted(self.wanted())}")
        return self._make({**self.runtime, **runtime})

    @overload
    def build_with(self: Lazy[Slot[Made]], **offers: Any) -> Made: ...
    @overload
    def build_with(self, **offers: Any) -> Made_co: ...
    def build_with(self, **offers: Any) -> Any:
        """Builds with those of the offered things that something in the tree wants; see `build`."""
        wanted = self.wanted()
        return self.build(**{name: thing for name, thing in offers.items() if name in wanted})

    def wanted(self) -> set[str]:
        """Names the `Runtime` parameters of this component and of everything in it."""
        names = {name for name, parameter in parameters(self.maker).items() if parameter.is_runtime}
        return names.union(*(_wanted_inside(value) for value in self.settings.values()))

    def _make(self, runtime: Mapping[str, Any]) -> Any:
        mine = [parameter for parameter in parameters(self.maker).values() if parameter.is_runtime]
        missing = [p.name for p in mine if p.required and p.name not in runtime]
        if missing:
            raise TypeError(f"{self._where()} needs {missing} at run time; build() got {sorted(runtime)}")
        given = {p.name: runtime[p.name] for p in mine if p.name in runtime}
        settings = {name: _build_inside(value, runtime) for name, value in self.settings.items()}
        try:
            return self.maker(**settings, **given)
        except BertxError as error:
            text = str(error)
            if _WHILE_BUILDING not in text:  # the innermost component knows best
                error.args = (f"{text}\n{_WHILE_BUILDING}{self._where()}", *error.args[1:])
            raise
        except Exception as error:
            if not getattr(error, "__notes__", None):
                error.add_note(_WHILE_BUILDING + self._where())
            raise

    def _where(self) -> str:
        path = ".".join(map(str, self.path))
        name = f"{path} ({self.label})" if path else self.label
        return f"{name}, {self.place}" if self.place else name


def unknown_member(family: str, name: object, registered: Mapping[str, Maker]) -> str:
    """Words the message for a name that nobody registered."""
    suggestion = did_you_mean(str(name), registered)
    known = ", ".join(sorted(registered)) or "nothing"
    own = "a component of your own needs --include-package"
    return f'no {family} is registered as "{name}"{suggestion}; registered: {known}; {own}'


def _build_inside(value: Any, runtime: Mapping[str, Any]) -> Any:
    """Copies a setting with its components built, so that no two builds share a list."""
    if isinstance(value, Lazy):
        return _bound(value, runtime) if value.deferred else value._make({**value.runtime, **runtime})
    if isinstance(value, dict):
        return {key: _build_inside(item, runtime) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(_build_inside(item, runtime) for item in value)
    return value


def _bound(lazy: Lazy[Any], runtime: Mapping[str, Any]) -> Lazy[Any]:
    wanted = lazy.wanted()
    passed = {name: value for name, value in runtime.items() if name in wanted}
    return Lazy(
        lazy.maker,
        lazy.settings,
        name=lazy.name,
        base=lazy.base,
        path=lazy.path,
        place=lazy.place,
        deferred=True,
        runtime={**lazy.runtime, **passed},
    )


def _wanted_inside(value: Any) -> set[str]:
    if isinstance(value, Lazy):
        return value.wanted()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return set().union(*(_wanted_inside(item) for item in value))
    return set()

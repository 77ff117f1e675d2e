from __future__ import annotations

import collections.abc
import typing
from typing import TYPE_CHECKING, Annotated, Literal, NewType, Optional

import pytest

from bertx.config.construct import config_kinds, plan
from bertx.config.containers import kind_of
from bertx.config.kinds import JSON
from bertx.config.registrable import Configurable, Runtime
from bertx.config.signatures import config_parameters, parameters
from bertx.errors import ConfigError
from tests.config.sample import Training, adamw

if TYPE_CHECKING:
    from decimal import Decimal

Seconds = NewType("Seconds", float)


class Foreign:
    """Nothing that JSON can express."""


class Hidden(Configurable):
    def __init__(self, price: Decimal) -> None:
        self.price = price


class NeedsForeign(Configurable):
    def __init__(self, thing: Foreign) -> None:
        self.thing = thing


class OptionalRuntime(Configurable):
    def __init__(self, thing: Runtime[Foreign] | None = None, size: int = 1) -> None:
        self.thing, self.size = thing, size


def test_runtime_parameters_are_told_apart():
    assert [name for name, parameter in parameters(adamw).items() if parameter.is_runtime] == ["params"]
    assert "params" not in config_parameters(adamw)


def test_a_runtime_mark_works_inside_an_optional_type():
    assert list(config_parameters(OptionalRuntime)) == ["size"]
    assert plan(OptionalRuntime, {}).build(thing=3).thing == 3


def test_a_type_known_only_to_type_checkers_is_explained():
    with pytest.raises(
        NameError, match=r"Hidden: the type of price: 'Decimal' is unknown: .*import it outside `if TYPE"
    ):
        plan(Hidden, {})


def test_a_foreign_class_is_refused_with_advice():
    with pytest.raises(
        TypeError, match=r"parameter 'thing': no config can express a Foreign: mark it Runtime\[...\]"
    ):
        config_kinds(NeedsForeign)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (Optional[int], "a whole number or null"),  # noqa: UP045
        (typing.List[int], "a list of whole numbers"),  # noqa: UP006
        (dict[str, list[float]], "an object of lists of numbers"),
        (tuple[int, ...], "a list of whole numbers"),
        (tuple[int, str], "a list of 2 (a whole number, a string)"),
        (collections.abc.Sequence[str], "a list of strings"),
        (set[str], "a list of strings"),
        (Literal["a", 1], '"a" or 1'),
        (Annotated[bool, "x"], "true or false"),
        (Seconds, "a number"),
        (JSON, "any JSON value"),
        (JSON | None, "any JSON value or null"),
        (list, "a list of any JSON values"),
        (Training, "a Training"),
        (int | str | Training, "a whole number or a string or a Training"),
    ],
)
def test_types_are_told_in_plain_words(annotation: object, words: str):
    assert kind_of(annotation).one == words


@pytest.mark.parametrize(
    "annotation", [Foreign, bytes, complex, collections.abc.Callable[[], int], type[int]]
)
def test_types_without_json_are_refused(annotation: object):
    with pytest.raises(TypeError, match="no config can express"):
        kind_of(annotation)


def test_objects_with_whole_number_keys_become_dicts_of_them():
    class Table(Configurable):
        def __init__(self, rows: dict[int, float]) -> None:
            self.rows = rows

    assert plan(Table, {"rows": {"3": 1}}).build().rows == {3: 1.0}
    with pytest.raises(ConfigError, match=r"rows.x: expected a whole number as the key"):
        plan(Table, {"rows": {"x": 1}})

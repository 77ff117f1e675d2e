from __future__ import annotations

from typing import TypeVar

import pytest

from bertx.config.construct import plan
from bertx.config.registrable import Lazy, Registrable
from bertx.errors import ConfigError
from tests.config.sample import Classifier, Net, Root, Solver, Store, Training, Words, adamw, rich_config

T = TypeVar("T")


def fresh_family() -> type[Registrable]:
    return type("Colour", (Registrable,), {})


def build_root(**changes: object) -> Root:
    config = {**rich_config(), **changes}
    return plan(Root, config).build(vocab=Words(), params=[1, 2])


def test_by_name_gives_the_registered_maker():
    assert Solver.by_name("adamw") is adamw


def test_by_name_lists_what_is_registered():
    with pytest.raises(ConfigError, match='no Solver is registered as "adam"; did you mean "adamw"'):
        Solver.by_name("adam")


def test_two_members_cannot_share_a_name():
    family = fresh_family()
    family.register("red")(lambda: None)
    with pytest.raises(ValueError, match=r'Colour "red" is taken by .*; choose another name'):
        family.register("red")(lambda: None)


def test_families_have_registries_of_their_own():
    assert "adamw" not in Net.registry


def test_only_a_family_can_register():
    with pytest.raises(TypeError, match="Registrable is no family"):
        Registrable.register("x")


def test_variable_keyword_arguments_are_refused():
    def maker(**options: int) -> None: ...

    with pytest.raises(TypeError, match=r"'\*\*options: 'int'' has no name a config could set"):
        fresh_family().register("x")(maker)


def test_variable_positional_arguments_are_refused():
    def maker(*parts: int) -> None: ...

    with pytest.raises(TypeError, match="write every parameter out"):
        fresh_family().register("x")(maker)


def test_positional_only_parameters_are_refused():
    def maker(size: int, /) -> None: ...

    with pytest.raises(TypeError, match="has no name a config could set"):
        fresh_family().register("x")(maker)


def test_parameters_without_type_are_refused():
    def maker(size=3) -> None: ...

    with pytest.raises(TypeError, match="'size=3' has no type; annotate it"):
        fresh_family().register("x")(maker)


def test_type_variables_are_refused():
    def maker(items: list[T]) -> None: ...

    with pytest.raises(TypeError, match="has the type variable ~T; a config needs a concrete type"):
        fresh_family().register("x")(maker)


def test_a_parameter_called_type_is_refused():
    def maker(type: str) -> None: ...

    with pytest.raises(TypeError, match='a parameter called "type" clashes'):
        fresh_family().register("x")(maker)


def test_a_value_that_cannot_be_called_by_name_is_refused():
    with pytest.raises(TypeError, match="3 cannot be registered"):
        fresh_family().register("x")(3)


def test_runtime_values_reach_the_whole_tree():
    words = Words()
    root = plan(Root, rich_config()).build(vocab=words)
    assert all(part.vocab is words for part in root.model.parts)


def test_deferred_components_are_built_by_their_owner():
    root = build_root()
    assert isinstance(root.trainer.optimizer, Lazy)
    assert root.trainer.optimizer.build(params=[7])["params"] == [7]


def test_deferred_components_keep_what_the_owner_was_given():
    assert build_root().trainer.optimizer.build()["params"] == [1, 2]


def test_a_run_time_name_that_nothing_wants_is_a_bug():
    with pytest.raises(
        TypeError, match=r"nothing in it wants \['vocabulary'\]; it wants \['params', 'vocab'\]"
    ):
        plan(Root, rich_config()).build(vocab=Words(), vocabulary=1)


def test_a_missing_run_time_value_names_the_component():
    with pytest.raises(TypeError, match=r"model.parts.0 \(classifier\) needs \['vocab'\] at run time"):
        plan(Root, rich_config()).build()


def test_an_error_while_building_tells_the_component():
    config = rich_config()
    config["model"]["parts"][1]["dropout"] = 2
    with pytest.raises(ConfigError) as raised:
        plan(Root, config).build(vocab=Words())
    assert str(raised.value) == (
        "dropout is 2.0; expected less than 1\nwhile building model.parts.1 (classifier)"
    )


def test_a_bug_while_building_gets_a_note():
    def broken(size: int = 3) -> None:
        raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError) as raised:
        Lazy(broken, path=("model",), name="broken").build()
    assert raised.value.__notes__ == ["while building model (broken)"]


def test_every_build_makes_new_objects_and_new_lists():
    lazy = plan(Root, rich_config())
    first, second = lazy.build(vocab=Words()), lazy.build(vocab=Words())
    first.trainer.cuda_devices.append(9)
    assert second.trainer.cuda_devices == [0]
    assert lazy.build(vocab=Words()).trainer.cuda_devices == [0]


def test_a_classmethod_can_be_a_member():
    built = plan(Store, {"type": "from_text", "text": "a-b", "separator": "-"}).build()
    assert built.words == ["a", "b"]


def test_a_foreign_base_that_takes_anything_takes_nothing_from_configs():
    with pytest.raises(ConfigError, match=r"args: unknown key \(empty takes: no keys\)"):
        plan(Net, {"type": "empty", "args": [1]})


def test_a_component_can_be_planned_by_hand():
    lazy = Lazy(Training, {"optimizer": Lazy(adamw, {"lr": 1.0}, deferred=True)})
    assert lazy.build(params=[3]).optimizer.build() == {"params": [3], "lr": 1.0, "groups": None}


def test_a_parameter_with_default_need_not_be_supplied():
    from bertx.config.registrable import Runtime

    def maker(seed: Runtime[int] = 5) -> int:
        return seed

    maker.__annotations__["seed"] = Runtime[int]
    assert (Lazy(maker).build(), Lazy(maker).build(seed=6)) == (5, 6)


def test_members_registered_later_are_known():
    family = fresh_family()
    with pytest.raises(ConfigError, match='no Colour is registered as "red"'):
        plan(family, "red")
    family.register("red")(lambda: "built")
    assert plan(family, "red").build() == "built"


def test_a_class_of_a_family_stands_for_itself():
    built = plan(Classifier, {"encoder": "x"}).build(vocab=Words())
    assert type(built) is Classifier

"""Variants: the configs that a study compares, made and checked before the first of them is trained."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertx.ablation.study.designs import BASE, DESIGNS, Combination, Factors, check_levels
from bertx.ablation.study.factors import Level, WrittenEdit, read_factors
from bertx.ablation.study.problems import Problems
from bertx.ablation.study.search_space import read_space
from bertx.ablation.study.study_file import CONFIGS, Config, Study
from bertx.config.construct import Places, filled
from bertx.config.kinds import JSON, Place, shown
from bertx.config.overrides import apply_overrides
from bertx.config.registrable import Lazy
from bertx.config.suggestions import did_you_mean
from bertx.errors import ConfigError
from bertx.experiment import Experiment
from bertx.runs.differences import ABSENT, differences
from bertx.runs.planning import plan_experiment

SEED = "random_seed"


@dataclass(frozen=True)
class Variant:
    """One of the configs that a study compares.

    Attributes:
        name: Its name.
        config: The config, edits applied, as it was written.
        planned: The same, checked.
        changes: Dotted keys and values where it differs from the base; a key that it lacks has None.
        fraction: The part of the training data that it has; None: all, or what the config says.
    """

    name: str
    config: Config
    planned: Lazy[Experiment]
    changes: dict[str, JSON]
    fraction: float | None = None


class VariantPlaces:
    """Tells where the parts of a variant's config are written: by one of its edits, or in what it changes.

    Args:
        positions: Those of the study file.
        root: Where the file has what is changed.
        edits: The changes.
    """

    def __init__(self, positions: Places, root: Place, edits: Sequence[WrittenEdit]) -> None:
        self._positions, self._root, self._edits = positions, root, edits

    def place(self, path: Place) -> str | None:
        """Tells `file:line` of what stands at a path of the config."""
        parts = [str(part) for part in path]
        for edit in reversed(self._edits):
            key = edit.key.split(".")
            if parts[: len(key)] == key:
                return self._positions.place(edit.place)
        return self._positions.place((*self._root, *path))


def make_variants(study: Study) -> list[Variant]:
    """Makes all configs of a study and checks them; nothing of them is built.

    Raises:
        ConfigError: One line for each problem of any of them; a factor changes nothing; two are equal.
    """
    problems = study.problems
    if study.file.configs is not None:
        found = _whole_configs(study, study.file.configs, problems)
    else:
        found = _changed_configs(study, problems)
    problems.raise_if_any()
    _refuse_equals(found, problems)
    _check_comparison(study, found, problems)
    problems.raise_if_any()
    return found


def make_trial(study: Study, name: str, values: Mapping[str, JSON]) -> Variant:
    """Makes the variant of a trial of a search.

    Args:
        study: The study.
        name: What to call it.
        values: What it sets, by dotted keys.

    Raises:
        ConfigError: The values do not go together.
    """
    problems, base = study.problems, study.file.base or {}
    edits = tuple(WrittenEdit(key, value, ("search", "space", key)) for key, value in values.items())
    config = _edited(base, edits, problems)
    variant = None
    if config is not None:
        combination = Combination(name, (Level(name, name, edits),))
        variant = _variant(study, combination, config, (("base",), base), problems)
    problems.raise_if_any()
    assert variant is not None
    return variant


def compared_to(study: Study, variants: Sequence[Variant]) -> str:
    """Returns the name of the variant that the others are compared to."""
    names = [variant.name for variant in variants]
    fractions = [variant.fraction or 0.0 for variant in variants]
    default = names[fractions.index(max(fractions))] if any(fractions) else names[0]
    return study.file.compare_to or (BASE if BASE in names else default)


def _whole_configs(study: Study, configs: dict[str, Config], problems: Problems) -> list[Variant]:
    first = configs.get(BASE) or next(iter(configs.values()))
    made = []
    for name, config in configs.items():
        root: Place = (name,) if study.positions.place((CONFIGS,)) is None else (CONFIGS, name)
        variant = _variant(study, Combination(name), config, (root, first), problems)
        made += [] if variant is None else [variant]
    return made


def _changed_configs(study: Study, problems: Problems) -> list[Variant]:
    file, base = study.file, study.file.base or {}
    whole = _variant(study, Combination(BASE), base, (("base",), base), problems)
    if file.fractions is not None:
        return [
            Variant(f"fraction={fraction:g}", whole.config, whole.planned, {}, fraction)
            for fraction in (file.fractions if whole is not None else [])
            if whole is not None
        ]
    if file.search is not None:
        for key, dimension in read_space(file.search.space, problems).items():
            for value in dimension.corners:  # so that no trial fails for a slip
                config = _edited(base, [WrittenEdit(key, value, dimension.place)], problems)
                combination = Combination(
                    key, (Level(key, key, (WrittenEdit(key, value, dimension.place),)),)
                )
                if config is not None:
                    _variant(study, combination, config, (("base",), base), problems)
        return [] if whole is None else [whole]
    factors = read_factors(file.factors, problems)
    check_levels(file.design, factors, problems)
    made = []
    for combination in DESIGNS[file.design](factors)[1:]:
        config = _edited(base, combination.edits, problems)
        variant = None
        if config is not None:
            variant = _variant(study, combination, config, (("base",), base), problems)
        made += [] if variant is None else [variant]
    if problems.count or whole is None:
        return []
    return _with_base(study, whole, made, factors, problems)


def _with_base(
    study: Study, base: Variant, made: list[Variant], factors: Factors, problems: Problems
) -> list[Variant]:
    """Puts the base first, unless a cell of a grid is the base, which then has its name."""
    same = _written(base)
    if study.file.design != "grid":
        _refuse_idle(study, base, made, factors, problems)
        return [base, *made]
    for name, levels in factors.items():
        alone = [_edited(base.config, level.edits, problems) for level in levels]
        if all(config is not None and _written_config(config) == same for config in alone):
            problems.add(("factors", name), "changes nothing: the base has the same; leave the factor out")
    return [base, *(variant for variant in made if _written(variant) != same)]


def _refuse_idle(
    study: Study, base: Variant, made: Sequence[Variant], factors: Factors, problems: Problems
) -> None:
    """Notes every level whose variant is the base once more."""
    combinations = DESIGNS[study.file.design](factors)[1:]
    for combination, variant in zip(combinations, made, strict=True):
        if _written(variant) == _written(base):
            place = combination.levels[0].place
            values = ", ".join(f"{edit.key} = {shown(edit.value)}" for edit in combination.edits)
            problems.add(place, f"changes nothing: the base has {values} already; leave it out")


def _refuse_equals(variants: Sequence[Variant], problems: Problems) -> None:
    """Notes variants that are equal though they have two names."""
    met: dict[tuple[str, float | None], str] = {}
    for variant in variants:
        other = met.setdefault((_written(variant), variant.fraction), variant.name)
        if other != variant.name:
            problems.add(
                (), f'"{other}" and "{variant.name}" are equal, and equal runs say nothing; drop one'
            )


def _check_comparison(study: Study, variants: Sequence[Variant], problems: Problems) -> None:
    names, wanted = [variant.name for variant in variants], study.file.compare_to
    if wanted is not None and wanted not in names:
        hint = did_you_mean(wanted, names)
        problems.add(("compare_to",), f'no variant is called "{wanted}"{hint}; there are: {", ".join(names)}')


def _variant(
    study: Study,
    combination: Combination,
    config: Config,
    origin: tuple[Place, Config],
    problems: Problems,
) -> Variant | None:
    """Checks a config; `origin` is the place and content of what it is a change of."""
    root, base = origin
    for name in ("numpy_seed", "pytorch_seed"):
        if config.get(name) is not None:
            problems.add((*root, name), f"a study varies {SEED}, but this stays; leave it out")
    # So that a factor that sets the seed, which the study sets itself, changes nothing.
    config = {**copy.deepcopy(config), SEED: 0}
    places = VariantPlaces(study.positions, root, combination.edits)
    try:
        planned = plan_experiment(config, str(study.path), places)
    except ConfigError as error:
        problems.add_error(error)
        return None
    changes = {
        difference.key: None if difference.new is ABSENT else difference.new
        for difference in differences(base, config)
        if difference.key != SEED
    }
    return Variant(combination.name, config, planned, changes)  # type: ignore[arg-type]  # JSON in, JSON out


def _edited(config: Config, edits: Sequence[WrittenEdit], problems: Problems) -> Config | None:
    for edit in edits:
        try:
            config = apply_overrides(config, {edit.key: edit.value})
        except ConfigError as error:
            # The place of the study file stands for the option that the message begins with.
            text = str(error).removeprefix(f"-o {edit.key}={shown(edit.value)}: ")
            problems.add(edit.place, text.removeprefix(f"-o {edit.key}: "))
            return None
    return config


def _written(variant: Variant) -> str:
    return json.dumps(filled(variant.planned), sort_keys=True)


def _written_config(config: Config) -> str | None:
    """Writes a config with all defaults; None if it is wrong, as one level of a grid alone may be."""
    try:
        return json.dumps(filled(plan_experiment(config)), sort_keys=True)
    except ConfigError:
        return None

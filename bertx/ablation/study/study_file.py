"""The study file: what it may say, and whether it makes sense by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from bertx.ablation.study.problems import Problems
from bertx.config.construct import plan
from bertx.config.file import read_config
from bertx.config.kinds import JSON, Place
from bertx.config.positions import Positions
from bertx.config.registrable import Configurable
from bertx.config.signatures import config_parameters
from bertx.config.suggestions import nearest
from bertx.experiment import LARGEST_SEED

Design: TypeAlias = Literal["one_factor", "grid", "leave_one_out", "paired", "data_fraction", "search"]
CONFIGS = "configs"  # the design of a study that names its configs one by one
NEEDS = {"data_fraction": "fractions", "search": "search"}  # what decides the variants; otherwise factors
Config: TypeAlias = dict[str, JSON]
Complaint: TypeAlias = tuple[Place, str]


class Folds(Configurable):
    """Cross-validation on the training data: every instance validates once.

    Args:
        k: The number of parts, each of which validates what was trained on the others.
        stratify: The key of a record, such as `label`, whose values all parts have in equal shares; None:
            chance alone decides.
    """

    def __init__(self, k: int, stratify: str | None = None) -> None:
        self.k, self.stratify = k, stratify


class Search(Configurable):
    """A search for good settings in place of a plan that is known beforehand.

    Args:
        space: Dotted keys of the config, each with a list of choices, or with `{low, high}`, to which
            `log: true` or `step` may be added; two whole numbers stand for whole numbers only.
        trials: How many settings to try.
        at_once: How many are chosen together, without knowing of each other; what is found depends on it,
            and not on how many runs are made at the same time.
        seed: Decides what is tried.
        pruning: Whether a trial ends early whose validations are worse than the median of those before.
    """

    def __init__(
        self,
        space: dict[str, JSON],
        trials: int = 20,
        *,
        at_once: int = 4,
        seed: int = 0,
        pruning: bool = True,
    ) -> None:
        self.space, self.trials, self.at_once, self.seed = space, trials, at_once, seed
        self.pruning = pruning


class StudyFile(Configurable):
    """What a study file may say.

    Args:
        base: The config that the variants are changes of.
        configs: Whole configs by the names of their variants, in place of a base and its changes.
        factors: What is varied, by name: dotted keys, as `-o` has them, each with a list of values; keys
            of one factor vary together. In place of lists, objects of edits that name the levels.
        design: How factors make variants. `one_factor`: each level alone; `grid`: all combinations;
            `leave_one_out`: each factor takes a part of the base away; `paired`: the base, and the base
            with all factors; `data_fraction`: parts of the training data; `search`: a search. By default
            `one_factor`.
        seeds: A run is made with each of these as `random_seed`; by default with that of the base.
        metrics: The metrics to show; by default the primary one.
        primary: The metric that decides: `+name` where higher is better, `-name` where lower is; by default
            the base's `trainer.validation_metric`.
        compare_to: The variant that the others are compared to; by default the base.
        folds: Cross-validation on the training data; None: the validation data validate.
        fractions: For `data_fraction`: parts of the training data, above 0 and up to 1.
        stratify: For `data_fraction`: the key of a record whose values all parts have in equal shares.
        search: For `search`: what to try.
    """

    def __init__(
        self,
        base: dict[str, JSON] | None = None,
        *,
        configs: dict[str, dict[str, JSON]] | None = None,
        factors: dict[str, dict[str, JSON]] | None = None,
        design: Design | None = None,
        seeds: list[int] | None = None,
        metrics: list[str] | None = None,
        primary: str | None = None,
        compare_to: str | None = None,
        folds: Folds | None = None,
        fractions: list[float] | None = None,
        stratify: str | None = None,
        search: Search | None = None,
    ) -> None:
        self.base, self.configs, self.factors = base, configs, factors or {}
        self.design: str = CONFIGS if configs is not None else design or "one_factor"
        self.has_design = design is not None
        self.seeds, self.metrics, self.primary, self.compare_to = seeds, metrics, primary, compare_to
        self.folds, self.fractions, self.stratify, self.search = folds, fractions, stratify, search


@dataclass(frozen=True)
class Study:
    """A study file, read.

    Attributes:
        name: The name of the file, without its suffix.
        path: The file.
        file: What it says.
        positions: Where it says so.
        search: Folders that relative paths of its configs start from.
    """

    name: str
    path: Path
    file: StudyFile
    positions: Positions
    search: tuple[Path, ...]

    @property
    def problems(self) -> Problems:
        """Collects what is wrong with it."""
        return Problems(str(self.path), self.positions)


def read_study(
    path: Path,
    overrides: Sequence[str] = (),
    ext_vars: Mapping[str, str] | None = None,
    import_paths: Sequence[Path] = (),
) -> Study:
    """Reads a study file; its configs are not looked at.

    It may import from its own folder and from the one above, where the configs are that it varies; relative
    paths of these configs start there too.

    Raises:
        ConfigError: The file cannot be evaluated, or says what makes no sense; one line for each problem.
    """
    above = Path(os.path.normpath(path.parent / ".."))
    value, positions = read_config(path, overrides, ext_vars, [*import_paths, above])
    if not value.keys() & (config_parameters(StudyFile).keys() - {"base"}):
        value = _named_configs(value, path, positions)
    file = plan(StudyFile, value, str(path), positions).build()
    study = Study(path.stem, path, file, positions, (path.parent, above, Path()))
    problems = study.problems
    for place, text in _complaints(file):
        problems.add(place, text)
    problems.raise_if_any()
    return study


def _named_configs(value: Config, path: Path, positions: Positions) -> Config:
    """Takes a file that is nothing but configs by name for what it is, unless a key of it is a slip."""
    known = config_parameters(StudyFile)
    problems = Problems(str(path), positions)
    if not value:
        problems.add((), f"the study is empty; expected configs by name, or {', '.join(known)}")
    for name, config in value.items():
        meant = nearest(name, known)
        if not isinstance(config, dict) or (meant is not None and "model" not in config and name != "base"):
            hint = f'; did you mean "{meant}"?' if meant is not None else ""
            problems.add(
                (name,), f"neither a config nor a key of a study{hint} (a study has: {', '.join(known)})"
            )
    problems.raise_if_any()
    return {CONFIGS: value}


def _complaints(file: StudyFile) -> Iterator[Complaint]:
    """Finds what a file says that makes no sense."""
    yield from _about_variants(file)
    yield from _about_seeds(file.seeds)
    yield from _about_metrics(file)
    if file.folds is not None and file.folds.k < 2:
        yield ("folds", "k"), f"{file.folds.k}; expected 2 or more parts"
    if file.folds is not None and file.design == "data_fraction":
        yield ("folds",), "do not go with the design data_fraction; leave one of the two out"
    if file.stratify is not None and file.design != "data_fraction":
        yield ("stratify",), "belongs to the design data_fraction; for cross-validation set folds.stratify"
    if file.search is not None:
        for name, number in {"trials": file.search.trials, "at_once": file.search.at_once}.items():
            if number < 1:
                yield ("search", name), f"{number}; expected 1 or more"
    if file.search is not None and not file.search.space:
        yield ("search", "space"), "is empty; expected keys of the config with what to try"


def _about_variants(file: StudyFile) -> Iterator[Complaint]:
    needed = NEEDS.get(file.design, "factors")
    given = {"factors": bool(file.factors), "fractions": file.fractions is not None, "search": file.search}
    if file.configs is not None:
        for name, is_given in {"base": file.base is not None, "design": file.has_design, **given}.items():
            if is_given:
                yield (
                    (name,),
                    "does not go with configs, which are whole ones by name; leave one of the two out",
                )
        if not file.configs:
            yield (CONFIGS,), "is empty; expected configs by the names of their variants"
        return
    if file.base is None:
        yield (), '"base" is missing; expected a config, such as base: import "../quickstart.jsonnet"'
    for name, is_given in given.items():
        if is_given and name != needed:
            owner = next((design for design, wants in NEEDS.items() if wants == name), "one_factor")
            yield (
                (name,),
                f'the design "{file.design}" has no {name}; leave them out, or set design: "{owner}"',
            )
    if not given[needed] and needed == "factors":
        designs = ", ".join(design for design in get_args(Design) if design not in NEEDS)
        yield ("factors",), f"there are none; expected what is varied (the designs {designs} need it)"
    elif not given[needed]:
        yield (needed,), f'is missing; the design "{file.design}" needs it'
    for number, fraction in enumerate(file.fractions or []):
        if not 0 < fraction <= 1:
            yield ("fractions", number), f"{fraction:g}; expected more than 0 and at most 1"
        if fraction in (file.fractions or [])[:number]:
            yield ("fractions", number), f"{fraction:g} stands there twice"
    if file.fractions == []:
        yield ("fractions",), "is empty; expected parts of the training data, such as [0.1, 0.3, 1]"


def _about_seeds(seeds: list[int] | None) -> Iterator[Complaint]:
    if seeds == []:
        yield ("seeds",), "is empty; expected random seeds, such as [1, 2, 3]"
    for number, seed in enumerate(seeds or []):
        if seed in (seeds or [])[:number]:
            yield ("seeds", number), f"{seed} stands there twice, and two equal runs say no more than one"
        if not 0 <= seed <= LARGEST_SEED:
            yield ("seeds", number), f"{seed}; expected 0 to {LARGEST_SEED}"


def _about_metrics(file: StudyFile) -> Iterator[Complaint]:
    if file.metrics == []:
        yield ("metrics",), 'is empty; expected names such as ["accuracy"]'
    for number, name in enumerate(file.metrics or []):
        if name in (file.metrics or [])[:number]:
            yield ("metrics", number), f'"{name}" stands there twice'
        if name[:1] in ("+", "-"):
            yield ("metrics", number), f'"{name}" has a sign; only primary has one; write "{name[1:]}"'
    if file.primary is not None and (file.primary[:1] not in ("+", "-") or len(file.primary) < 2):
        yield (
            ("primary",),
            f'"{file.primary}" has no sign; write "+accuracy" where higher is better, "-loss" where lower is',
        )

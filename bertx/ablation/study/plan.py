"""The plan of a study: all its runs, each with its identity, known before the first one begins."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bertx.ablation.outcome import DIGITS, Split
from bertx.ablation.study.drafts import Draft, Drafting
from bertx.ablation.study.identity import code_version, run_identity
from bertx.ablation.study.parts import with_fold, with_fraction
from bertx.ablation.study.study_file import Config, Study
from bertx.ablation.study.variants import SEED, Variant, compared_to, make_trial, make_variants
from bertx.config.construct import filled
from bertx.config.kinds import JSON, Place
from bertx.config.packages import include_package
from bertx.config.suggestions import did_you_mean
from bertx.errors import BertxError, ConfigError
from bertx.runs.planning import plan_experiment

logger = logging.getLogger(__name__)

DEFAULT_SEED = 13370  # that of configs that name none


@dataclass(frozen=True)
class PlannedRun:
    """A run that a study wants.

    Attributes:
        variant: Its variant.
        seed: Its random seed.
        fold: The part of the data that validates it; None without cross-validation.
        config: Its config.
        identity: 64 hexadecimal digits.
        draft: What is known of it beforehand.
    """

    variant: Variant
    seed: int
    fold: int | None
    config: Config
    identity: str
    draft: Draft

    @property
    def name(self) -> str:
        """What to call it, in the names of files too."""
        words = re.sub(r"[^A-Za-z0-9.=+]+", "-", self.variant.name).strip("-.")[:60]
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return f"{words or 'variant'}-seed{self.seed}{fold}-{self.identity[:DIGITS]}"

    @property
    def title(self) -> str:
        """What to call it before people."""
        return f"{self.variant.name}, seed {self.seed}" + ("" if self.fold is None else f", fold {self.fold}")


@dataclass(frozen=True)
class StudyPlan:
    """All that a study is going to do.

    Attributes:
        study: The study.
        variants: Its variants.
        runs: Its runs, in the order of variants, seeds and folds.
        seeds: The random seeds.
        metrics: The names of the metrics to show.
        primary: The metric that decides, with its sign.
        compare_to: The variant that the others are compared to.
        evaluated_on: The data that metrics and predictions are of.
        include_packages: Modules with components of the user's own.
    """

    study: Study
    variants: list[Variant]
    runs: list[PlannedRun]
    seeds: list[int]
    metrics: list[str]
    primary: str
    compare_to: str
    evaluated_on: Split
    include_packages: Sequence[str] = ()


def plan_study(study: Study, include_packages: Sequence[str] = ()) -> StudyPlan:
    """Makes the plan of a study: all configs are checked, all data read, all models built without weights.

    Raises:
        BertxError: Something is wrong with any of the runs.
    """
    for name in include_packages:
        include_package(name)
    variants = make_variants(study)
    file, first = study.file, variants[0]
    written = file.base if file.configs is None else file.configs[first.name]
    seed = (written or {}).get(SEED)
    seeds = file.seeds or [seed if isinstance(seed, int) else DEFAULT_SEED]
    runs = _runs(study, variants, seeds, code_version(include_packages))
    primary = file.primary or filled(first.planned)["trainer"].get("validation_metric") or "-loss"
    metrics = file.metrics or [primary[1:]]
    plan = StudyPlan(
        study,
        variants,
        runs,
        seeds,
        metrics,
        primary,
        compared_to(study, variants),
        "test" if filled(first.planned)["evaluate_on_test"] and file.folds is None else "validation",
        include_packages,
    )
    _check_metrics(plan)
    return plan


def plan_trial(plan: StudyPlan, name: str, values: Mapping[str, JSON]) -> StudyPlan:
    """Adds a trial of a search to the plan: a variant, with a run for each seed and fold.

    Raises:
        BertxError: Something is wrong with the trial.
    """
    study = plan.study
    variant = make_trial(study, name, values)
    runs = _runs(study, [variant], plan.seeds, code_version(plan.include_packages))
    return replace(plan, variants=[*plan.variants, variant], runs=[*plan.runs, *runs])


def _runs(study: Study, variants: Sequence[Variant], seeds: Sequence[int], code: str) -> list[PlannedRun]:
    drafting, problems, runs = Drafting(study.search), study.problems, []
    folds: Sequence[int | None] = [None] if study.file.folds is None else range(study.file.folds.k)
    for variant in variants:
        for seed in seeds:
            for fold in folds:
                try:
                    runs.append(_run(study, variant, (seed, fold), drafting, code))
                except ConfigError as error:
                    problems.add((), f"{variant.name}: {error}")
                except BertxError as error:
                    raise type(error)(f"{study.path}: {variant.name}: {error}") from None
    problems.raise_if_any()
    return runs


def _run(
    study: Study, variant: Variant, number: tuple[int, int | None], drafting: Drafting, code: str
) -> PlannedRun:
    seed, fold = number
    config = variant.config
    if fold is not None and study.file.folds is not None:
        config = with_fold(config, study.file.folds, fold)
    if variant.fraction is not None:
        config = with_fraction(config, variant.fraction, stratify=study.file.stratify, seed=seed)
    # Seeds do not change what a draft knows, so that runs that differ in no more share one.
    draft = drafting.draft(plan_experiment({**config, SEED: 0}))
    config = {**config, SEED: seed}
    resolved = filled(plan_experiment(config))
    identity = run_identity(resolved, draft.files, search=study.search, code=code)
    return PlannedRun(variant, seed, fold, config, identity, draft)


def _check_metrics(plan: StudyPlan) -> None:
    """Checks that every run reports what is to be compared."""
    problems, file = plan.study.problems, plan.study.file
    for run in plan.runs:
        known = ", ".join(sorted(run.draft.metrics))
        wanted: dict[Place, str] = {("primary",): plan.primary[1:]}
        wanted |= {("metrics", number): name for number, name in enumerate(file.metrics or [])}
        for place, name in wanted.items():
            if name not in run.draft.metrics:
                hint = did_you_mean(name, run.draft.metrics)
                problems.add(place, f'"{run.variant.name}" reports no "{name}"{hint}; it reports: {known}')
    problems.raise_if_any()

"""A search: trials that Optuna chooses, a few together, each of which is a variant with its runs.

Nothing of it is kept but the runs. Whoever searches again with the same study makes the same choices, finds
the runs of the trials that are done, and goes on with the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from bertx.ablation.outcome import StudyOutcome, write_outcome
from bertx.ablation.running.ablate import Resources, lay_out
from bertx.ablation.running.collect import collect
from bertx.ablation.running.executor import Executor
from bertx.ablation.running.job import Job
from bertx.ablation.running.progress import Counts, Table
from bertx.ablation.running.runner import PRUNED, Runner, RunOptions
from bertx.ablation.study.plan import StudyPlan, plan_trial
from bertx.ablation.study.search_space import read_space
from bertx.ablation.study.study_file import Search
from bertx.config.kinds import JSON
from bertx.errors import ConfigError

if TYPE_CHECKING:
    import optuna

UNPRUNED = 5  # trials that are made to their end before others are compared to them
REASON = f"{PRUNED}: its validations were worse than the median of the trials before"


def search(
    plan: StudyPlan,
    folder: Path,
    executor: Executor,
    *,
    options: RunOptions,
    resources: Resources,
) -> tuple[StudyOutcome, Counts]:
    """Makes the base and all trials of a search, and writes what they have yielded.

    Raises:
        ConfigError: Optuna is not installed, or the values of a trial do not go together.
        Preempted: SIGTERM came; the same command goes on.
    """
    wanted = plan.study.file.search
    if wanted is None:
        raise TypeError("expected the plan of a search")
    chooser = _Chooser(plan, wanted)
    table = Table(plan.primary[1:])
    jobs = lay_out(plan, folder, resources)
    counts = Runner(jobs, executor, table, options).run()
    while chooser.num_trials < wanted.trials:
        before = len(plan.runs)
        trials = chooser.ask(min(wanted.at_once, wanted.trials - chooser.num_trials))
        for name, values in trials.items():
            plan = plan_trial(plan, name, values)
        jobs = lay_out(plan, folder, resources)
        by_trial = {
            name: [job for job, run in zip(jobs, plan.runs, strict=True) if run.variant.name == name]
            for name in trials
        }
        chooser.watch(by_trial)
        try:
            counts = Runner(jobs, executor, table, options, ends_early=chooser.ends_early).run()
        finally:
            write_outcome(folder, collect(plan, jobs))
        if any(job.record() is None and job.error() is None for job in jobs[before:]):
            break  # --limit, or --fail-fast: the rest of these trials is for another time
        chooser.tell()
    return collect(plan, jobs), counts


@dataclass
class _Asked:
    """A trial that is being made."""

    trial: optuna.Trial
    jobs: Sequence[Job]
    reported: int = 0  # validations of its first run
    is_pruned: bool = False


class _Chooser:
    """Chooses what is tried, and which trials end early."""

    def __init__(self, plan: StudyPlan, wanted: Search) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError('design: "search": optuna is missing; pip install "bertx[search]"') from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._metric = optuna, plan.primary[1:]
        self._space = read_space(wanted.space, plan.study.problems)
        self._study = optuna.create_study(
            direction="maximize" if plan.primary[0] == "+" else "minimize",
            sampler=optuna.samplers.TPESampler(seed=wanted.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED)
            if wanted.pruning
            else optuna.pruners.NopPruner(),
        )
        self._asked: dict[str, _Asked] = {}
        self.num_trials = 0

    def ask(self, count: int) -> dict[str, dict[str, JSON]]:
        """Chooses the values of some trials, by their names."""
        chosen = {}
        for _ in range(count):
            trial = self._study.ask()
            self.num_trials += 1
            name = f"trial {self.num_trials}"
            chosen[name] = {key: dimension.suggest(trial) for key, dimension in self._space.items()}
            self._asked[name] = _Asked(trial, [])
        return chosen

    def watch(self, jobs: Mapping[str, Sequence[Job]]) -> None:
        """Tells which runs the trials are made of."""
        for name, mine in jobs.items():
            self._asked[name].jobs = mine

    def ends_early(self, job: Job) -> str | None:
        """Says why a run is to end before it is done; None: it is not."""
        asked = next((asked for asked in self._asked.values() if job in asked.jobs), None)
        if asked is None:
            return None
        self._report(asked)
        return REASON if asked.is_pruned else None

    def tell(self) -> None:
        """Tells what the trials have found."""
        for asked in self._asked.values():
            self._report(asked)  # what was written since; so that it does not matter when somebody looked
            records = [job.record() for job in asked.jobs]
            values = [record.metrics[self._metric] for record in records if record is not None]
            if asked.is_pruned:
                self._study.tell(asked.trial, state=self._optuna.trial.TrialState.PRUNED)
            elif len(values) < len(records):
                self._study.tell(asked.trial, state=self._optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(asked.trial, fmean(values))
        self._asked.clear()

    def _report(self, asked: _Asked) -> None:
        """Reports the validations of a trial's first run in their order."""
        for number, value in enumerate(_validations(asked.jobs[0], self._metric)):
            if number >= asked.reported and not asked.is_pruned:
                asked.trial.report(value, number)
                asked.reported = number + 1
                asked.is_pruned = asked.trial.should_prune()


def _validations(job: Job, metric: str) -> list[float]:
    try:
        lines = (job.run_folder / "metrics.jsonl").read_bytes().splitlines()
        read = [json.loads(line) for line in lines if b'"validation"' in line]
        return [float(line[metric]) for line in read if line["kind"] == "validation" and metric in line]
    except (OSError, ValueError, TypeError):
        return []  # it is being written at this moment

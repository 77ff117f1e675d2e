"""Runs a workload: every system once a round, each round beginning with another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.suite.processes import MeasurementError, NotInstalledError, Processes
from tests.benchmarks.suite.workload import Figures, System, Workload


@dataclass
class Results:
    """What came of a workload.

    Attributes:
        rounds: For each round, the figures of the systems that gave some.
        absent: Why a system has none: it is not installed, or failed.
        failed: The names of those that failed.
    """

    rounds: list[dict[str, Figures]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)


def rotated(systems: Sequence[System], number: int) -> list[System]:
    """Returns the order of a round, so that every system has every place in turn."""
    start = number % len(systems)
    return [*systems[start:], *systems[:start]]


def run_rounds(workload: Workload, systems: Sequence[System], processes: Processes, repeats: int) -> Results:
    """Measures a workload's systems in rounds; one that failed is not tried again."""
    results = Results()
    if workload.warm_up:
        _run_round(workload, systems, processes, results, 0)
    for number in range(min(repeats, workload.most_repeats or repeats)):
        order = rotated(systems, number)
        results.rounds.append(_run_round(workload, order, processes, results, number + 1))
    return results


def _run_round(
    workload: Workload, order: Sequence[System], processes: Processes, results: Results, number: int
) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for system in order:
        if system.name in results.absent:
            continue
        try:
            found[system.name] = processes.measure(
                system.function, system.settings, seed=max(1, number), python=system.python
            )
        except NotInstalledError as error:
            results.absent[system.name] = f"not installed: {error}"
            told = results.absent[system.name]
        except MeasurementError as error:
            results.absent[system.name] = f"failed: {str(error).splitlines()[-1][:200]}"
            results.failed.add(system.name)
            told = f"failed: {error}"
        else:
            figures = found[system.name]
            columns = [column for column in workload.columns if column.figure in figures]
            told = "  ".join(f"{figures[one.figure]:,.{one.decimals}f} {one.title}" for one in columns)
        print(f"{workload.name}  round {number or 'to warm up'}  {system.name:16}  {told}", flush=True)
    return found

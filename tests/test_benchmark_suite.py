"""What the benchmark suite makes of figures, and how it starts measurements; not the measurements."""

from __future__ import annotations

import json
from statistics import mean

import pytest

from tests.benchmarks.suite.processes import MeasurementError, NotInstalledError, Processes
from tests.benchmarks.suite.report import as_json, as_markdown
from tests.benchmarks.suite.rounds import Results, rotated, run_rounds
from tests.benchmarks.suite.verdicts import judge, median_figure
from tests.benchmarks.suite.workload import Column, Comparison, System, Workload, ratio

ROUNDS = [
    {"ours": {"rate": 20.0}, "theirs": {"rate": 10.0}},
    {"ours": {"rate": 90.0}, "theirs": {"rate": 30.0}},
    {"ours": {"rate": 10.0}, "theirs": {"rate": 1.0}},
]
HERE = "tests.test_benchmark_suite"


def doubled(number: int, folder: str, seed: int) -> dict[str, float]:
    """Is measured by these tests."""
    return {"rate": 2.0 * number, "seed": float(seed)}


def lacking(number: int) -> dict[str, float]:
    import there_is_no_such_package

    return {"rate": there_is_no_such_package.rate(number)}


def failing(number: int) -> dict[str, float]:
    raise ValueError(f"{number} is wrong")


def workload(*systems: System) -> Workload:
    comparison = Comparison("ours / theirs", ratio("rate", "ours", "theirs"), at_least=2, aim=4)
    return Workload("work", "Some work.", systems, [Column("rate", "rows/s")], [comparison])


def system(name: str, function: str) -> System:
    return System(name, f"{HERE}:{function}", {"number": 3})


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    judged = judge(Comparison("ratio", ratio("rate", "ours", "theirs"), at_least=3, aim=4), ROUNDS)
    assert (judged.values, judged.value) == ([2.0, 3.0, 10.0], 3.0)
    assert (judged.goal, judged.verdict) == ("at least 3 (aim 4)", "holds")


def test_a_goal_from_above_and_another_average():
    judged = judge(Comparison("mean", ratio("rate", "ours", "theirs"), at_most=4.9, average=mean), ROUNDS)
    assert (judged.value, judged.goal, judged.verdict) == (5.0, "at most 4.9", "DOES NOT HOLD")


def test_a_comparison_with_a_system_that_is_not_there_is_not_measured():
    judged = judge(Comparison("ratio", ratio("rate", "ours", "others"), at_least=3), ROUNDS)
    assert (judged.value, judged.holds, judged.verdict) == (None, None, "not measured")


def test_a_comparison_without_a_goal_has_no_verdict():
    assert judge(Comparison("ratio", ratio("rate", "ours", "theirs")), ROUNDS).verdict == ""


def test_medians_leave_rounds_out_that_lack_the_figure():
    assert median_figure([*ROUNDS, {}], "ours", "rate") == 20.0
    assert median_figure(ROUNDS, "ours", "accuracy") is None


def test_every_system_begins_a_round_in_turn():
    systems = [System(name, "") for name in "abc"]
    orders = ["".join(system.name for system in rotated(systems, number)) for number in range(4)]
    assert orders == ["abc", "bca", "cab", "abc"]


def test_the_table_shows_medians_goals_and_who_is_absent():
    work = workload(system("ours", ""), system("theirs", ""), system("others", ""))
    table = as_markdown(work, work.systems, Results(ROUNDS, {"others": "not installed: others_package"}))
    assert "| ours   | 20.0          |" in table
    assert "| others | not installed |" in table
    assert "`others` not installed: others_package" in table
    assert "| ours / theirs              | 3       | 2    | 10 | at least 2 (aim 4) | holds   |" in table


def test_a_measurement_is_told_its_settings_folder_and_seed(tmp_path):
    found = Processes(tmp_path, 1).measure(f"{HERE}:doubled", {"number": 3}, seed=7)
    assert (found["rate"], found["seed"]) == (6.0, 7.0)
    assert found["peak_mb"] > 5  # a Python has more
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_that_lacks_a_package_says_which(tmp_path):
    with pytest.raises(NotInstalledError, match=r"^there_is_no_such_package$"):
        Processes(tmp_path, 1).measure(f"{HERE}:lacking", {"number": 3})


def test_a_measurement_that_fails_says_why(tmp_path):
    with pytest.raises(MeasurementError, match=r"exit status 1[\s\S]*ValueError: 3 is wrong$"):
        Processes(tmp_path, 1).measure(f"{HERE}:failing", {"number": 3})


def test_a_system_that_fails_is_left_out_and_the_others_go_on(tmp_path):
    work = workload(system("ours", "doubled"), system("theirs", "failing"), system("others", "lacking"))
    results = run_rounds(work, work.systems, Processes(tmp_path, 1), 2)
    assert [sorted(found) for found in results.rounds] == [["ours"], ["ours"]]
    assert (results.failed, results.absent["others"]) == (
        {"theirs"},
        "not installed: there_is_no_such_package",
    )
    assert json.loads(json.dumps(as_json(work, work.systems, results)))["medians"]["ours"]["rate"] == 6.0

import pytest

from tests.processes import run_together
from tests.training.objectives.in_processes import OBJECTIVES


def test_two_processes_make_the_gradients_of_one_that_accumulates(tmp_path):
    results = run_together("tests.training.objectives.in_processes:check", 2, tmp_path)
    assert [sorted(result) for result in results] == [sorted(OBJECTIVES)] * 2
    assert max(difference for result in results for difference in result.values()) == pytest.approx(
        0, abs=1e-6
    )

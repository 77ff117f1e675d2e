import pytest

from tests.training.tiny import make_split, records


@pytest.fixture
def train(tmp_path):
    """10 instances in batches of 4, 4 and 2."""
    return make_split(tmp_path, records(10))


@pytest.fixture
def contrary(tmp_path):
    """Validation data with exchanged labels: the better a model learns, the worse it gets there."""
    return make_split(tmp_path, records(10, flipped=True), name="dev.jsonl")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"

import sys

import pytest

from bertx.errors import ConfigError
from bertx.runs.preparation import TrainingRequest, prepare
from tests.tiny import config, workplace


def test_a_missing_package_is_told_before_the_data_are_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    described = config(trainer__callbacks=[{"type": "wandb"}], train_data_path="missing.jsonl")
    request = TrainingRequest(workplace(tmp_path / "place", described))
    with pytest.raises(ConfigError, match=r'pip install "bertx\[wandb\]"'):
        prepare(request)

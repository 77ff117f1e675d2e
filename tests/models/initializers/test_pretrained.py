import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bertx.bert.encoders import Encoders
from bertx.errors import CheckpointError, ConfigError
from bertx.models.initializers.applicator import initialize_by
from bertx.models.initializers.pretrained import Pretrained
from bertx.tar_gz import pack


@pytest.fixture
def run(tmp_path):
    """A folder with the best weights of a run, as far as an initializer looks."""
    (tmp_path / "run" / "best").mkdir(parents=True)
    tensors = {
        "classifier.weight": torch.arange(6.0).reshape(2, 3),
        "classifier.bias": torch.tensor([7, 8.0]),
    }
    save_file(tensors, tmp_path / "run" / "best" / "model.safetensors")
    (tmp_path / "run" / "config.json").touch()
    return tmp_path / "run"


def initialized(path: Path, names: dict[str, str] | None = None, encoders: Encoders | None = None):
    layer = nn.Linear(3, 2)
    initialize_by([("", Pretrained(path, names, encoders))], layer)
    return layer


NAMES = {"weight": "classifier.weight", "bias": "classifier.bias"}


@pytest.mark.parametrize("kind", ["file", "folder", "archive"])
def test_values_come_from_a_file_a_run_folder_or_its_archive(run, kind):
    pack(run, ["best", "config.json"], run / "model.tar.gz")
    places = {"file": run / "best" / "model.safetensors", "folder": run, "archive": run / "model.tar.gz"}
    layer = initialized(places[kind], NAMES)
    assert layer.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert layer.bias.tolist() == [7, 8]


def test_another_shape_is_refused_with_both_shapes(run):
    message = (
        f"initializer: classifier.weight has the shape (2, 3) in {run}, but the parameter weight is (4, 3); "
        "take another file, or an expression that does not pick it"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Pretrained(run, NAMES)(torch.zeros(4, 3), "weight")


def test_a_name_that_is_missing_is_refused_with_the_nearest(run):
    message = (
        f'initializer: {run} has no tensor "weight"; the nearest names are: classifier.weight, '
        'classifier.bias; give the one that is meant in parameter_name_overrides: {"weight": ...}'
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        initialized(run)


def test_a_pickled_file_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(2, 3)}, tmp_path / "weights.th")
    with pytest.raises(CheckpointError, match=r"weights.th: not a readable safetensors file"):
        initialized(tmp_path / "weights.th")


def test_a_missing_file_is_told(tmp_path):
    message = rf"^{tmp_path}: no weights here; expected a .safetensors file, a run folder or a model.tar.gz$"
    with pytest.raises(CheckpointError, match=message):
        initialized(tmp_path)


def test_a_run_that_is_opened_does_not_need_the_file(run, tmp_path):
    Encoders().save(tmp_path / "encoder")
    shutil.rmtree(run)
    layer = initialized(run, NAMES, Encoders.saved(tmp_path / "encoder"))
    assert layer.weight.shape == (2, 3)

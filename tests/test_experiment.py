import random
from pathlib import Path

import numpy as np
import pytest
import torch

from bertx.config.registrable import Lazy
from bertx.errors import ConfigError, DataError
from bertx.experiment import settings_to_blame
from bertx.paths import find_data, with_paths_found
from bertx.runs.planning import plan_experiment
from bertx.runs.preparation import TrainingRequest, plan_request, prepare
from tests.tiny import config, workplace


def built(tmp_path, **changes):
    path = workplace(tmp_path / "place", config(**changes))
    return prepare(TrainingRequest(path, limit=20))


def test_one_seed_feeds_all_three_generators(tmp_path):
    experiment = built(tmp_path).experiment
    draws = []
    for _ in range(2):
        experiment.seed_everything()
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
    assert draws[0][0] == random.Random(1).random()


def test_seeds_of_numpy_and_torch_can_differ(tmp_path):
    experiment = built(tmp_path, numpy_seed=2, pytorch_seed=3).experiment
    assert experiment.seeds == {"random_seed": 1, "numpy_seed": 2, "pytorch_seed": 3}
    assert experiment.order_seed == 1


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_an_impossible_seed_is_refused(tmp_path, seed):
    with pytest.raises(ConfigError, match=rf"random_seed: {seed}; expected 0 to 4294967295, or null"):
        built(tmp_path, random_seed=seed)


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", ""])
def test_files_outside_the_run_folder_cannot_be_archived(tmp_path, pattern):
    with pytest.raises(ConfigError, match=r"include_in_archive: .* is not inside the run folder"):
        built(tmp_path, include_in_archive=[pattern])


def test_evaluating_on_test_needs_test_data(tmp_path):
    with pytest.raises(ConfigError, match="evaluate_on_test: there is no test_data_path to evaluate on"):
        built(tmp_path, test_data_path=...)


def test_a_vocabulary_of_a_split_needs_the_split(tmp_path):
    with pytest.raises(ConfigError, match='there is no validation_data_path for "validation"'):
        built(tmp_path, validation_data_path=..., datasets_for_vocab_creation=["train", "validation"])


def test_the_validation_split_may_have_its_own_reader_and_loader(tmp_path):
    reader = {**config()["dataset_reader"], "label_key": "label"}
    prepared = built(tmp_path, validation_dataset_reader=reader, validation_data_loader={"batch_size": 5})
    assert [len(batch.rows) for batch in prepared.splits["validation"].evaluation_batches()] == [5] * 4
    assert prepared.experiment.reader("test") is prepared.experiment.validation_dataset_reader
    assert prepared.experiment.reader("train") is prepared.experiment.dataset_reader


def test_a_saved_vocabulary_is_found_beside_the_config(tmp_path):
    path = workplace(tmp_path / "place", config(vocabulary={"type": "from_files", "directory": "labels"}))
    (tmp_path / "place" / "labels").mkdir()
    (tmp_path / "place" / "labels" / "non_padded_namespaces.txt").write_text("*labels\n")
    (tmp_path / "place" / "labels" / "labels.txt").write_text("positive\nnegative\n")
    assert prepare(TrainingRequest(path, limit=20)).vocabulary.labels() == ["positive", "negative"]


def refusing(top_k: int) -> None:
    raise ValueError(f"top_k is {top_k}")


def test_a_component_that_refuses_its_settings_is_an_error_of_the_config():
    planned = Lazy(refusing, {"top_k": 0}, path=("model", "metric"), place="x.jsonnet:3")
    with pytest.raises(ConfigError) as caught, settings_to_blame():
        planned.build()
    assert str(caught.value) == "top_k is 0\nwhile building model.metric (refusing), x.jsonnet:3"


def test_a_value_error_from_elsewhere_stays_a_bug():
    with pytest.raises(ValueError, match="oh"), settings_to_blame():
        raise ValueError("oh")


def test_the_model_must_read_an_index_that_the_readers_have(tmp_path):
    with pytest.raises(ConfigError, match=r'none is called "tokens", which the model reads \(.*bert\)'):
        plan_experiment(config(model__index="tokens"))


def test_all_problems_are_told_at_once_with_their_lines(tmp_path):
    path = workplace(tmp_path / "place", config(trainer__num_epoch=1, model__dropuot=0.1))
    with pytest.raises(ConfigError) as caught:
        plan_request(TrainingRequest(path))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all("tiny.jsonnet:" in line for line in lines)
    assert 'did you mean "dropout"?' in lines[0]


def test_data_are_searched_beside_the_config_then_in_the_working_directory(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "both.txt").touch()
    (second / "only.txt").touch()
    assert find_data("both.txt", (first, second)) == first / "both.txt"
    assert find_data("only.txt", (first, second)) == second / "only.txt"
    assert find_data("only*", (first, second)) == second / "only*"


def test_missing_data_are_told_with_the_places_that_were_searched(tmp_path):
    with pytest.raises(DataError, match=rf"no.txt: no such file; looked in {tmp_path}/a and {tmp_path}/b"):
        find_data("no.txt", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(DataError, match=r"^/no.txt: no such file; check the path"):
        find_data("/no.txt", (tmp_path / "a",))


def test_relative_paths_in_a_plan_are_found_and_the_plan_stays_as_written(tmp_path):
    (tmp_path / "words").touch()
    inner = Lazy(dict, {"paths": [Path("words"), Path("other")], "text": "words"})
    found = with_paths_found(Lazy(dict, {"inner": inner}), (tmp_path,))
    assert found.settings["inner"].settings["paths"] == [tmp_path / "words", Path("other")]
    assert found.settings["inner"].settings["text"] == "words"
    assert inner.settings["paths"][0] == Path("words")

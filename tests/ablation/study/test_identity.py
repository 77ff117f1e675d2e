"""The identity of a run: what changes it and what does not."""

import json
import shutil

from bertx.ablation.study import identity
from bertx.ablation.study.identity import code_version
from bertx.ablation.study.plan import plan_study
from bertx.ablation.study.study_file import read_study
from tests.ablation.tiny_study import plan_of, study_file, write_study

ONE = {"factors": {"rate": {"trainer.optimizer.lr": [1e-3]}}, "seeds": [1]}


def identities(path):
    return [run.identity for run in plan_of(path).runs]


def test_moving_everything_changes_nothing(tmp_path):
    before = identities(study_file(tmp_path / "a", ONE))
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert identities(tmp_path / "b" / "study.jsonnet") == before


def test_absolute_and_relative_paths_are_the_same(tmp_path):
    path = study_file(tmp_path / "a", ONE)
    before = identities(path)
    config = json.loads((tmp_path / "a" / "tiny.jsonnet").read_text())
    config["train_data_path"] = str(tmp_path / "a" / "data" / "train.jsonl")
    indexer = config["dataset_reader"]["token_indexers"]["bert"]
    indexer["pretrained_model"] = str(tmp_path / "a" / "encoder")
    (tmp_path / "a" / "tiny.jsonnet").write_text(json.dumps(config))
    assert identities(path) == before


def test_a_default_that_is_written_out_changes_nothing(tmp_path):
    before = identities(study_file(tmp_path / "a", ONE))
    assert identities(study_file(tmp_path / "b", ONE, trainer__num_gradient_accumulation_steps=1)) == before


def test_other_data_settings_and_seeds_are_other_runs(tmp_path):
    path = study_file(tmp_path / "a", {**ONE, "seeds": [1, 2]})
    first = identities(path)
    with (tmp_path / "a" / "data" / "dev.jsonl").open("a") as file:
        file.write('{"text": "a fine film", "label": "positive"}\n')
    assert len({*first, *identities(path)}) == 8


def test_another_encoder_under_the_same_name_is_another_run(tmp_path):
    path = study_file(tmp_path / "a", ONE)
    first = identities(path)
    config = tmp_path / "a" / "encoder" / "tokenizer_config.json"
    config.write_text(config.read_text() + "\n")
    assert not {*first} & {*identities(path)}


def test_one_more_level_leaves_the_others_as_they_are(tmp_path):
    path = study_file(tmp_path / "a", ONE)
    before = identities(path)
    more = {**ONE, "factors": {**ONE["factors"], "another": {"model.dropout": [0.3]}}}
    assert {*before} < {*identities(write_study(path, more))}


def test_the_code_of_own_components_counts(tmp_path):
    path = study_file(tmp_path / "a", ONE)
    own = tmp_path / "own.py"
    own.write_text("A = 1\n")
    first = plan_study(read_study(path), [str(own)]).runs[0].identity
    own.write_text("A = 22\n")
    assert plan_study(read_study(path), [str(own)]).runs[0].identity != first != identities(path)[0]


def test_code_that_trains_nothing_does_not_count(tmp_path, monkeypatch):
    package = tmp_path / "bertx"
    for file in ("models/a.py", "cli/b.py"):
        (package / file).parent.mkdir(parents=True)
        (package / file).write_text("1")
    monkeypatch.setattr(identity.bertx, "__file__", str(package / "__init__.py"))
    versions = [code_version()]
    for file in ("cli/b.py", "models/a.py"):
        (package / file).write_text("22")
        versions.append(code_version())
    assert versions[0] == versions[1] != versions[2]

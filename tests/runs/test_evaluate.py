import json
import math

import pytest

import bertx
from bertx.errors import DataError, UsageError
from bertx.runs.evaluate import EvaluationRequest, evaluate_files
from tests.tiny import REVIEWS, config, workplace, write_lines

DEV, TEST = REVIEWS / "dev.jsonl", REVIEWS / "test.jsonl"


@pytest.fixture(scope="module")
def run(trained):
    return bertx.load(trained.run)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_pool_is_what_one_file_of_all_instances_gives(run, tmp_path):
    (tmp_path / "both.jsonl").write_bytes(DEV.read_bytes() + TEST.read_bytes())
    several = evaluate_files(run, EvaluationRequest([DEV, TEST]))
    single = evaluate_files(run, EvaluationRequest([tmp_path / "both.jsonl"]))
    assert list(several) == [str(DEV), str(TEST), "pooled"]
    assert several["pooled"]["accuracy"] == single["accuracy"]
    assert several["pooled"]["loss"] == pytest.approx(single["loss"], abs=1e-6)


def test_the_pool_weighs_files_by_their_instances(run, tmp_path):
    small = write_lines(tmp_path / "small.jsonl", *TEST.read_text().splitlines()[:3])
    found = evaluate_files(run, EvaluationRequest([small, DEV]))
    expected = (3 * found[str(small)]["accuracy"] + 296 * found[str(DEV)]["accuracy"]) / 299
    assert found["pooled"]["accuracy"] == pytest.approx(expected, abs=1e-12)


def test_the_predictions_file_is_in_order_and_gives_the_metrics_again(run, tmp_path):
    metrics = evaluate_files(run, EvaluationRequest([TEST], tmp_path / "p.jsonl"))
    rows, given = rows_of(tmp_path / "p.jsonl"), rows_of(TEST)
    assert list(rows[0]) == ["id", "gold", "prediction", "probs", "logits", "loss"]
    assert [row["id"] for row in rows] == [record["id"] for record in given]
    assert [row["gold"] for row in rows] == [record["label"] for record in given]
    assert sum(row["gold"] == row["prediction"] for row in rows) / 296 == metrics["accuracy"]
    assert sum(row["loss"] for row in rows) / 296 == pytest.approx(metrics["loss"], abs=1e-6)


def test_the_loss_of_an_instance_is_that_of_its_gold_label(run, tmp_path):
    evaluate_files(run, EvaluationRequest([TEST], tmp_path / "p.jsonl"))
    labels = run.vocabulary.labels()
    for row in rows_of(tmp_path / "p.jsonl"):
        assert row["loss"] == pytest.approx(-math.log(row["probs"][labels.index(row["gold"])]), abs=1e-5)


def test_predictions_of_several_files_follow_one_another(run, tmp_path):
    evaluate_files(run, EvaluationRequest([DEV, TEST], tmp_path / "p.jsonl"))
    found = [row["id"] for row in rows_of(tmp_path / "p.jsonl")]
    assert found == [record["id"] for record in [*rows_of(DEV), *rows_of(TEST)]]


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_batch_size_does_not_change_the_metrics(run, batch_size):
    expected = evaluate_files(run, EvaluationRequest([TEST]))
    found = evaluate_files(run, EvaluationRequest([TEST], batch_size=batch_size))
    assert found["accuracy"] == expected["accuracy"]
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-6)


@pytest.fixture
def unseen(run, tmp_path):
    """Two instances that the run gets right, and two whose label it has never seen."""
    good, bad = run.predict(["good", "bad"])
    seen = [{"text": "good", "label": good["label"]}, {"text": "bad", "label": bad["label"]}]
    return write_lines(tmp_path / "unseen.jsonl", *seen, *[{"text": "so so", "label": "neutral"}] * 2)


def test_unseen_labels_count_as_wrong_and_are_reported(run, unseen, tmp_path, caplog):
    found = evaluate_files(run, EvaluationRequest([unseen], tmp_path / "p.jsonl"))
    rows = rows_of(tmp_path / "p.jsonl")
    assert found["accuracy"] == 0.5
    assert found["loss"] == pytest.approx((rows[0]["loss"] + rows[1]["loss"]) / 2, abs=1e-6)
    assert [(row["gold"], row["loss"]) for row in rows[2:]] == [("neutral", None)] * 2
    assert "labels that training has not seen: 'neutral' (2); they count as wrong" in caplog.text


def test_unseen_labels_can_be_refused_and_nothing_is_written(run, unseen, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"unseen.jsonl: labels that training has not seen: 'neutral'"):
        evaluate_files(run, EvaluationRequest([unseen], tmp_path / "p.jsonl", refuse_unseen_labels=True))
    assert sorted(tmp_path.iterdir()) == before


def test_only_unseen_labels_give_accuracy_nought_and_no_loss(run, tmp_path):
    path = write_lines(tmp_path / "a.jsonl", {"text": "so so", "label": "neutral"})
    found = evaluate_files(run, EvaluationRequest([path]))
    assert found["accuracy"] == 0.0
    assert math.isnan(found["loss"])


def test_a_model_without_predictions_for_instances_is_told(tmp_path):
    encoder = config()["model"]["bert_model"]
    collator = {"type": "masked_language_model"}
    place = workplace(
        tmp_path / "place",
        config(
            model={"type": "masked_language_model", "bert_model": encoder},
            data_loader={"batch_size": 16, "collator": collator},
            trainer__validation_metric="-loss",
            trainer__num_epochs=1,
        ),
    )
    bertx.train(place, tmp_path / "run", limit=16)
    pretrained = bertx.load(tmp_path / "run")
    assert set(evaluate_files(pretrained, EvaluationRequest([TEST]))) == {"accuracy", "loss", "perplexity"}
    with pytest.raises(UsageError, match="masked_language_model predicts nothing for single instances"):
        evaluate_files(pretrained, EvaluationRequest([TEST], tmp_path / "p.jsonl"))

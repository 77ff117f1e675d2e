import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bertx.data.batch import Batch
from bertx.data.collators import MaskedLanguageModelCollator
from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.models.masked_language_model import MaskedLanguageModel
from bertx.training.evaluation import evaluate, evaluating, targets_of
from tests.training.tiny import batch_of, make_config, make_model, make_split, records

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(tmp_path_factory.mktemp("data"), records(10))


def with_loader(split, loader):
    return Split(split.name, split.dataset, loader, split.vocabulary, split.seed)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_loss_and_metrics_are_means_over_instances(split, batch_size):
    model = make_model().eval()
    batch = batch_of(split, range(10))
    logits = model(batch.inputs["tokens"])["logits"]
    label = batch.inputs["label"]
    found = evaluate(model, with_loader(split, SimpleDataLoader(batch_size)), device=CPU)
    assert found.all["loss"] == pytest.approx(F.cross_entropy(logits, label).item(), rel=1e-6)
    assert found.metrics == {"accuracy": int((logits.argmax(dim=1) == label).sum()) / 10}
    assert found.num_targets == 10


def test_an_unseen_label_is_wrong_and_not_in_the_loss(tmp_path):
    data = records(4)
    odd = [*data, {**data[0], "label": "odd"}]
    known, unseen = (
        evaluate(make_model(), make_split(tmp_path, rows, batch_size=5), device=CPU) for rows in (data, odd)
    )
    assert unseen.all["loss"] == pytest.approx(known.all["loss"], rel=1e-6)
    assert unseen.metrics["accuracy"] == pytest.approx(known.metrics["accuracy"] * 4 / 5)
    assert (known.num_targets, unseen.num_targets) == (4, 4)


def test_without_known_labels_the_loss_is_not_a_number(tmp_path):
    odd = [{**record, "label": "odd"} for record in records(3)]
    found = evaluate(make_model(), make_split(tmp_path, odd), device=CPU)
    assert math.isnan(found.all["loss"])
    assert found.all["accuracy"] == 0.0


def test_a_masked_language_model_is_measured_per_hidden_piece(split):
    loader = SimpleDataLoader(3, collator=MaskedLanguageModelCollator(0.5))
    losses, counts = [], []

    def observe(batch, output):
        losses.append(float(output["loss"]))
        counts.append(int(output["num_targets"]))

    model = MaskedLanguageModel(make_config())
    found = evaluate(model, with_loader(split, loader), device=CPU, observe=observe)
    assert found.all["loss"] == pytest.approx(np.average(losses, weights=counts))
    assert found.all["loss"] != pytest.approx(np.average(losses))
    assert found.metrics["perplexity"] == pytest.approx(math.exp(found.all["loss"]), rel=1e-6)


def test_what_was_counted_before_does_not_count(split):
    model = make_model()
    first = evaluate(model, split, device=CPU)
    assert evaluate(model, split, device=CPU) == first
    assert model.get_metrics() == first.metrics


def test_every_batch_is_observed(split):
    rows = []
    evaluate(make_model(), split, device=CPU, observe=lambda batch, _: rows.extend(batch.rows.tolist()))
    assert sorted(rows) == list(range(10))


def test_dropout_is_off_and_training_mode_comes_back(split):
    model = make_model(dropout=0.5).train()
    assert evaluate(model, split, device=CPU) == evaluate(model, split, device=CPU)
    assert model.training
    evaluate(model.eval(), split, device=CPU)
    assert not model.training


def test_training_mode_comes_back_after_an_error():
    model = make_model().train()
    with pytest.raises(KeyError, match="bert"), evaluating(model):
        model({})
    assert model.training
    assert torch.is_grad_enabled()


def test_bf16_is_close_to_fp32_and_not_the_same(split):
    model = make_model()
    full, half = (evaluate(model, split, device=CPU, precision=name).all["loss"] for name in ("fp32", "bf16"))
    assert half == pytest.approx(full, abs=0.05)
    assert half != full


@pytest.mark.parametrize(
    ("inputs", "output", "expected"),
    [
        ({}, {}, 3),
        ({"label": torch.tensor([0, -100, 1])}, {}, 2),
        ({"label": torch.tensor([0, 1, 1])}, {"num_targets": torch.tensor(17)}, 17),
    ],
)
def test_targets_are_what_the_model_says_or_known_labels_or_instances(inputs, output, expected):
    assert float(targets_of(Batch(inputs, np.arange(3)), output)) == expected

import re

import numpy as np
import pytest
import torch
from torch import nn

from bertx.data.batch import Batch
from bertx.errors import DataError, TrainingError
from bertx.models.bert_for_classification import BertForClassification
from bertx.models.masked_language_model import MaskedLanguageModel
from bertx.models.regularizers import L2, RegularizerApplicator
from bertx.training.processes.parallel import Parallel
from bertx.training.steps import StepMaker
from tests.training.tiny import (
    batch_of,
    make_config,
    make_model,
    make_split,
    records,
    same,
    vocabulary,
    weights,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(tmp_path_factory.mktemp("data"), records(30))


def maker(model, split, *, lr=0.0, grad_norm=None):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return StepMaker(Parallel(model), split, optimizer, device=CPU, precision="fp32", grad_norm=grad_norm)


def gradients(model, split, group):
    sums, _ = maker(model, split).make(1, group)
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}, sums


@pytest.mark.parametrize("cuts", [[4], [6], [1, 2, 3, 4, 5, 6, 7]])
def test_accumulated_batches_are_one_batch(split, cuts):
    model = make_model()
    bounds = [0, *cuts, 8]
    parts = [batch_of(split, range(first, last)) for first, last in zip(bounds, [*cuts, 8], strict=False)]
    found, sums = gradients(model, split, parts)
    expected, whole = gradients(model, split, [batch_of(split, range(8))])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert sums.mean_loss == pytest.approx(whole.mean_loss, rel=1e-6)
    assert sums.num_targets == 8


def test_accumulation_counts_the_penalty_once(split):
    penalty = RegularizerApplicator([("weight", L2(0.1))])
    model = BertForClassification(vocabulary(), make_config(), regularizer=penalty)
    parts = [batch_of(split, range(4)), batch_of(split, range(4, 8))]
    found, sums = gradients(model, split, parts)
    expected, whole = gradients(model, split, [batch_of(split, range(8))])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert sums.penalty == whole.penalty > 1.0


def masked(split, rows, hidden):
    """Hides the first pieces of the first rows."""
    batch = batch_of(split, rows)
    target_ids = torch.full_like(batch.inputs["tokens"]["bert"]["input_ids"], -100)
    target_ids[:hidden, 1] = 7
    return Batch({"tokens": batch.inputs["tokens"], "target_ids": target_ids}, np.array(rows))


def test_accumulation_weighs_batches_by_their_hidden_pieces(split):
    model = MaskedLanguageModel(make_config())
    rows = list(range(9, 14))  # the second to fourth have more than one word
    whole = masked(split, rows, 0)
    parts = [masked(split, rows[:3], 3), masked(split, rows[3:], 1)]
    whole.inputs["target_ids"][:4, 1] = 7
    found, sums = gradients(model, split, parts)
    expected, one = gradients(model, split, [whole])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert (sums.num_targets, sums.mean_loss) == (4, pytest.approx(one.mean_loss, rel=1e-6))


def test_gradients_do_not_pile_up_from_step_to_step(split):
    model, group = make_model(), [batch_of(split, range(4))]
    steps = maker(model, split)
    steps.make(1, group)
    first = model.classifier.weight.grad.clone()
    steps.make(2, group)
    assert torch.equal(model.classifier.weight.grad, first)


def moved(model, split, grad_norm):
    """Makes a step with rate 1; returns how far the weights went, and the reported norm."""
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    _, norm = maker(model, split, lr=1.0, grad_norm=grad_norm).make(1, [batch_of(split, range(8))])
    return (nn.utils.parameters_to_vector(model.parameters()) - before).norm().item(), norm


def test_a_gradient_beyond_the_norm_is_scaled_down_to_it(split):
    whole, unclipped = moved(make_model(), split, None)
    clipped, norm = moved(make_model(), split, whole / 4)
    assert unclipped == pytest.approx(whole, rel=1e-4)
    assert norm == pytest.approx(whole, rel=1e-4)
    assert clipped == pytest.approx(whole / 4, rel=1e-4)


def test_a_gradient_within_the_norm_is_left_alone(split):
    whole, _ = moved(make_model(), split, None)
    assert moved(make_model(), split, whole * 2)[0] == pytest.approx(whole, rel=1e-5)


def test_many_batch_ids_are_cut_short(split):
    model = make_model()
    nn.init.constant_(model.classifier.weight, torch.inf)
    ids = ", ".join(f"r{number}" for number in range(20))
    message = rf"^step 7: the loss is nan \(batch ids: {ids} and 10 more\); lr was 0\.5\. "
    with pytest.raises(TrainingError, match=message):
        maker(model, split, lr=0.5).make(7, [batch_of(split, range(30))])


def test_an_infinite_penalty_names_all_batches_of_the_step(split):
    penalty = RegularizerApplicator([("classifier", L2(1e38))])
    model = BertForClassification(vocabulary(), make_config(), regularizer=penalty)
    nn.init.constant_(model.classifier.bias, 100.0)
    message = (
        "step 1: the regularization penalty is inf (batch ids: r5, r0, r1); lr was 0. "
        "Lower trainer.optimizer.lr or set trainer.grad_norm"
    )
    with pytest.raises(TrainingError, match=f"^{re.escape(message)}$"):
        maker(model, split).make(1, [batch_of(split, [5]), batch_of(split, [0, 1])])


def test_a_regularizer_that_picks_nothing_changes_nothing(split, caplog):
    plain, model = make_model(), make_model()
    model.regularizer = RegularizerApplicator([("nothing", L2(1.0))])
    found, sums = gradients(model, split, [batch_of(split, range(4))])
    expected, _ = gradients(plain, split, [batch_of(split, range(4))])
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    assert sums.penalty == 0.0


def test_a_model_without_a_loss_has_nothing_to_learn(split):
    batch = batch_of(split, range(2))
    unlabelled = Batch({"tokens": batch.inputs["tokens"]}, batch.rows)
    message = (
        "train.jsonl: the model was given tokens and returned no loss, so there is nothing to learn; "
        "check that the data have labels"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        maker(make_model(), split).make(1, [unlabelled])


def test_a_rehearsal_leaves_no_trace(split):
    model = make_model(dropout=0.5)
    steps = maker(model, split, lr=1.0)
    before, generator = weights(model), torch.get_rng_state()
    model.train()
    steps.rehearse(split.largest_batch(0))
    assert same(weights(model), before)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert np.isnan(model.get_metrics()["accuracy"])


def test_the_largest_batch_has_the_most_tokens_with_padding(split):
    sizes = [batch.inputs["tokens"]["bert"]["input_ids"].numel() for batch in split.batches(0)]
    largest = split.largest_batch(0).inputs["tokens"]["bert"]["input_ids"]
    assert largest.numel() == max(sizes) > min(sizes)

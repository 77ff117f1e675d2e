"""Losses in their corners; the usual cases are compared with transformers over random models."""

from __future__ import annotations

import math

import pytest
import torch

from bertx.bert.config import BertConfig
from bertx.bert.heads import BertForMaskedLM, BertForPreTraining
from bertx.bert.losses import class_loss, guessed_problem, next_token_loss, sequence_loss, span_loss
from bertx.bert.task_heads import BertForSequenceClassification
from tests.bert.both_heads import both
from tests.bert.reference import SIZES

IDS = torch.tensor([[5, 6, 7], [8, 9, 4]])


def test_labels_that_are_ignored_have_no_share():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]])
    assert class_loss(logits, torch.tensor([[-100, 1]])).item() == pytest.approx(math.log(2))


def test_the_loss_of_nothing_is_nan():
    assert class_loss(torch.zeros(1, 2, 3), torch.tensor([[-100, -100]])).isnan()
    model = BertForMaskedLM(BertConfig(**SIZES))
    assert model(IDS, labels=torch.full_like(IDS, -100)).loss.isnan()


def test_a_token_is_to_predict_the_one_after_it():
    logits = torch.tensor([[[0.0, math.log(3)], [9.0, 9.0]]])
    assert next_token_loss(logits, torch.tensor([[0, 1]])).item() == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize("given", ["labels", "next_sentence_label"])
def test_pretraining_needs_both_labels_for_a_loss(given):
    labels = {"labels": IDS, "next_sentence_label": torch.tensor([0, 1])}
    output = BertForPreTraining(BertConfig(**SIZES))(IDS, **{given: labels[given]})
    assert output.loss is None
    assert list(output) == ["prediction_logits", "seq_relationship_logits"]


@pytest.mark.parametrize(
    ("start", "end", "loss"),
    [
        ([1], [2], math.log(3)),  # the mean of both, not their sum
        ([[1]], [[2]], math.log(3)),
        ([-5], [0], math.log(3)),  # before the text: its first token
        ([99], [0], math.nan),  # one end outside of the text, alone in its batch
        ([99, 0], [1, 99], math.log(3)),
    ],
)
def test_the_loss_of_a_span(start, end, loss):
    logits = torch.zeros(len(start), 3)
    found = span_loss(logits, logits, torch.tensor(start), torch.tensor(end)).item()
    assert found == pytest.approx(loss, nan_ok=True)


@pytest.mark.parametrize("place", [99, -5, 2, 3])
def test_the_loss_of_a_span_at_the_edges_is_that_of_transformers(place):
    reference, ours = both("BertForQuestionAnswering", dict(SIZES))
    ends = {"start_positions": torch.tensor([place, 1]), "end_positions": torch.tensor([place, 99])}
    wanted, got = reference(IDS, **ends).loss, ours(IDS, **ends).loss
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize(
    ("labels", "num_labels", "problem"),
    [
        (torch.tensor([1]), 1, "regression"),
        (torch.tensor([0.5]), 1, "regression"),
        (torch.tensor([1]), 2, "single_label_classification"),
        (torch.tensor([1], dtype=torch.int32), 2, "single_label_classification"),
        (torch.tensor([[1.0, 0.0]]), 2, "multi_label_classification"),
        (torch.tensor([[True, False]]), 2, "multi_label_classification"),
    ],
)
def test_labels_tell_what_is_to_be_predicted(labels, num_labels, problem):
    assert guessed_problem(labels, num_labels) == problem


def test_the_first_labels_decide_for_good_as_in_transformers():
    model = BertForSequenceClassification(BertConfig(**SIZES))
    assert model.config.problem_type is None
    model(IDS, labels=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert model.config.problem_type == "multi_label_classification"
    with pytest.raises(ValueError, match=r"labels have the shape \(2,\); expected \(2, 2\)"):
        model(IDS, labels=torch.tensor([1, 0]))


def test_regression_of_several_numbers_is_the_mean_square():
    logits, labels = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    assert sequence_loss(logits, labels, "regression").item() == 2.5


def test_whole_numbers_are_numbers_too():
    assert sequence_loss(torch.tensor([[1.0]]), torch.tensor([3]), "regression").item() == 4.0


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"num_labels": 3, "problem_type": "regression"}, torch.tensor([[0.5, 1.0, 2.0], [0.0, 1.0, 1.0]])),
        ({"num_labels": 1}, torch.tensor([0.5, -1.0])),
        ({"num_labels": 1, "problem_type": "multi_label_classification"}, torch.tensor([[1.0], [0.0]])),
        ({"num_labels": 3, "problem_type": "single_label_classification"}, torch.tensor([[2], [-100]])),
    ],
)
def test_losses_of_each_problem_are_those_of_transformers(settings, labels):
    reference, ours = both("BertForSequenceClassification", SIZES | settings)
    wanted, got = reference(IDS, labels=labels).loss, ours(IDS, labels=labels).loss
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)

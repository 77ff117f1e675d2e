import copy
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertx.metrics.categorical_accuracy import CategoricalAccuracy
from bertx.metrics.fbeta import FBeta
from bertx.metrics.matthews_correlation import MatthewsCorrelation
from bertx.metrics.metric import Metric
from tests.metrics.strategies import pairs, tensors, value

METRICS: list[Metric] = [
    CategoricalAccuracy(),
    CategoricalAccuracy(top_k=2),
    *(FBeta(2.0, average) for average in ("macro", "micro", "weighted")),
    MatthewsCorrelation(),
]


@settings(max_examples=300, deadline=None)
@given(metric=st.sampled_from(METRICS), pairs=pairs, cuts=st.lists(st.integers(0, 40), max_size=5))
def test_the_cut_into_batches_does_not_matter(metric, pairs, cuts):
    bounds = [0, *sorted(cuts), len(pairs)]
    parts = [pairs[first:last] for first, last in pairwise(bounds)]
    assert value(metric, parts) == value(metric, [pairs])


@settings(max_examples=300, deadline=None)
@given(metric=st.sampled_from(METRICS), pairs=pairs, cut=st.integers(0, 40))
def test_merged_parts_are_worth_the_whole(metric, pairs, cut):
    first, second = copy.deepcopy(metric), copy.deepcopy(metric)
    first(*tensors(pairs[:cut]))
    second(*tensors(pairs[cut:]))
    first.merge(second)
    assert first.get_metric() == value(metric, [pairs])


@pytest.mark.parametrize("metric", METRICS)
def test_merging_leaves_the_other_as_it_was(metric):
    mine, other = copy.deepcopy(metric), copy.deepcopy(metric)
    other(*tensors([(0, 0), (1, 2)]))
    before = other.get_metric()
    mine.merge(other)
    mine(*tensors([(3, 3)]))
    assert other.get_metric() == before


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_counted_is_nan_under_the_same_names(metric):
    empty = value(metric, [[]])
    assert all(math.isnan(number) for number in empty.values())
    assert list(empty) == list(value(metric, [])) == list(value(metric, [[(0, 0)]]))


@pytest.mark.parametrize("metric", METRICS)
def test_reset_forgets_what_was_counted(metric):
    metric = copy.deepcopy(metric)
    metric(*tensors([(3, 1), (2, 0)]))
    wrong = metric.get_metric(reset=True)
    metric(*tensors([(0, 0), (1, 1)]))
    right = metric.get_metric(reset=False)
    assert wrong != right == metric.get_metric()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("metric", METRICS)
def test_the_type_of_logits_and_labels_does_not_matter(metric, dtype):
    pairs = [(0, 0), (1, 2), (-100, 3)]
    logits, labels = tensors(pairs)
    metric = copy.deepcopy(metric)
    metric(logits.to(dtype), labels.int())
    assert metric.get_metric() == value(metric, [pairs])

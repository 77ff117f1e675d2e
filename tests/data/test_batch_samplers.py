from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.data.batch_samplers import BatchSampler, BucketBatchSampler, MaxTokensBatchSampler
from bertx.errors import ConfigError

SAMPLERS = [
    BucketBatchSampler(3),
    BucketBatchSampler(4, padding_noise=0.0, shuffle=False),
    MaxTokensBatchSampler(24),
    MaxTokensBatchSampler(9, padding_noise=0.9),
]
row_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(lambda lengths: np.array(lengths))


def batches(sampler: BatchSampler, lengths, seed: int = 1) -> list[list[int]]:
    return [rows.tolist() for rows in sampler.batches(np.array(lengths), np.random.default_rng(seed))]


@pytest.mark.parametrize("sampler", SAMPLERS)
@given(lengths=row_lengths, seed=st.integers(0, 99))
def test_every_row_comes_exactly_once(sampler, lengths, seed):
    assert sorted(chain(*batches(sampler, lengths, seed))) == list(range(len(lengths)))
    evaluation = [rows.tolist() for rows in sampler.evaluation_batches(lengths)]
    assert sorted(chain(*evaluation)) == list(range(len(lengths)))


@given(lengths=row_lengths, seed=st.integers(0, 99), budget=st.integers(1, 200))
def test_padded_tokens_stay_in_the_budget_but_for_single_long_rows(lengths, seed, budget):
    sampler = MaxTokensBatchSampler(budget, padding_noise=0.9)
    planned = sampler.batches(lengths, np.random.default_rng(seed)) + sampler.evaluation_batches(lengths)
    assert all(len(rows) == 1 or lengths[rows].max() * len(rows) <= budget for rows in planned)


def test_batches_are_filled_up_to_the_budget():
    sampler = MaxTokensBatchSampler(12, padding_noise=0.0, shuffle=False)
    planned = sampler.batches(np.array([2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 13]), np.random.default_rng(0))
    assert [len(rows) for rows in planned] == [6, 3, 1, 1]  # 3 tokens are padded to 4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_batches_depend_on_the_generator_alone(sampler):
    lengths = np.arange(1, 60) % 7 + 1
    assert batches(sampler, lengths, seed=5) == batches(sampler, lengths, seed=5)
    assert batches(sampler, lengths, seed=5) != batches(sampler, lengths, seed=6)


def test_buckets_hold_rows_of_similar_length():
    planned = batches(BucketBatchSampler(2, padding_noise=0.0), [9, 1, 8, 2, 5, 6])
    assert sorted(map(sorted, planned)) == [[0, 2], [1, 3], [4, 5]]


def test_without_shuffling_batches_come_in_order_of_length():
    planned = batches(BucketBatchSampler(2, padding_noise=0.0, shuffle=False), [9, 1, 8, 2, 5, 6])
    assert [sorted(rows) for rows in planned] == [[1, 3], [4, 5], [0, 2]]


def test_noise_stays_within_its_fraction():
    lengths = np.array([100] * 50 + [130] * 50)  # padded to 112 and 160; 112 * 1.09 < 160 * 0.91
    planned = BucketBatchSampler(50, padding_noise=0.09, shuffle=False).batches(
        lengths, np.random.default_rng(0)
    )
    assert set(planned[0].tolist()) == set(range(50))


def test_drop_last_leaves_out_random_rows_not_the_longest():
    sampler = BucketBatchSampler(4, drop_last=True)
    left_out = set()
    for seed in range(40):
        planned = batches(sampler, range(1, 11), seed)
        assert [len(rows) for rows in planned] == [4, 4]
        left_out |= set(range(10)) - set(chain(*planned))
    assert left_out == set(range(10))


def test_evaluation_starts_with_the_longest_rows():
    planned = BucketBatchSampler(2).evaluation_batches(np.array([3, 9, 1, 9, 4]))
    assert [rows.tolist() for rows in planned] == [[1, 3], [4, 0], [2]]


def test_bucketing_pads_less_than_a_tenth_of_what_random_order_pads():
    generator = np.random.default_rng(0)
    lengths = generator.integers(5, 128, 4000)

    def padding(planned) -> int:
        return sum(int(lengths[rows].max()) * len(rows) - int(lengths[rows].sum()) for rows in planned)

    in_order = [np.arange(start, start + 32) for start in range(0, 4000, 32)]
    sampler = BucketBatchSampler(32, padding_noise=0.0)
    assert padding(sampler.batches(lengths, generator)) < padding(in_order) / 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BucketBatchSampler(0), r"^batch_size: is 0; expected 1 or more$"),
        (lambda: MaxTokensBatchSampler(-5), r"^max_tokens: is -5; expected 1 or more$"),
        (lambda: BucketBatchSampler(2, 1.0), r"^padding_noise: is 1.0; expected at least 0 and less than 1$"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()

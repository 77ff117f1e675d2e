from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from bertx.data.batch_samplers import BucketBatchSampler, MaxTokensBatchSampler
from bertx.data.collators import MaskedLanguageModelCollator, PaddingCollator
from bertx.data.encoded import EncodedDataset
from bertx.data.encoding import encode_instances
from bertx.data.loader import DataLoader, SimpleDataLoader
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.errors import ConfigError, DataError
from tests.data.small import instance, labels, of_lengths

LOADERS = [
    SimpleDataLoader(batch_size=4),
    SimpleDataLoader(batch_sampler=BucketBatchSampler(4)),
    SimpleDataLoader(batch_sampler=MaxTokensBatchSampler(30)),
]


@pytest.fixture(scope="session")
def dataset(indexer) -> EncodedDataset:
    return of_lengths([2 + row % 9 for row in range(41)], indexer)


def plan(loader: DataLoader, dataset: EncodedDataset, *, seed: int = 7, epoch: int = 0) -> list[list[int]]:
    return [rows.tolist() for rows in loader.plan(dataset, seed=seed, epoch=epoch)]


@pytest.mark.parametrize("loader", LOADERS)
def test_an_epoch_and_an_evaluation_have_every_row_once(loader, dataset):
    assert sorted(chain(*plan(loader, dataset))) == list(range(41))
    evaluation = [rows.tolist() for rows in loader.evaluation_plan(dataset)]
    assert sorted(chain(*evaluation)) == list(range(41))


@pytest.mark.parametrize("loader", LOADERS)
def test_the_order_is_a_function_of_seed_and_epoch(loader, dataset):
    first = plan(loader, dataset)
    assert plan(loader, dataset, epoch=1) != first
    assert plan(loader, dataset, seed=8) != first
    assert plan(loader, dataset) == first


@pytest.mark.parametrize("loader", LOADERS)
@given(batches_per_epoch=st.integers(1, 40), epochs=st.integers(1, 5))
def test_batches_per_epoch_only_cuts_the_passes_anew(loader, dataset, batches_per_epoch, epochs):
    cut = SimpleDataLoader(
        batch_size=None if loader.batch_sampler else 4,
        batch_sampler=loader.batch_sampler,
        batches_per_epoch=batches_per_epoch,
    )
    found = list(chain(*(plan(cut, dataset, epoch=epoch) for epoch in range(epochs))))
    passes = list(chain(*(plan(loader, dataset, epoch=number) for number in range(41))))
    assert found == passes[: epochs * batches_per_epoch]


def test_without_shuffling_rows_come_in_the_order_of_the_file(dataset):
    assert plan(SimpleDataLoader(batch_size=20, shuffle=False), dataset) == [
        list(range(20)),
        list(range(20, 40)),
        [40],
    ]


def test_drop_last_leaves_out_a_smaller_batch(dataset):
    assert [len(rows) for rows in plan(SimpleDataLoader(batch_size=20, drop_last=True), dataset)] == [20, 20]


@pytest.mark.parametrize("sampler", [None, BucketBatchSampler(64, drop_last=True)])
def test_drop_last_may_not_leave_nothing(dataset, sampler):
    loader = (
        SimpleDataLoader(batch_sampler=sampler)
        if sampler
        else SimpleDataLoader(batch_size=64, drop_last=True)
    )
    message = r"^drop_last: leaves no batch of 41 rows; lower batch_size or unset drop_last$"
    with pytest.raises(ConfigError, match=message):
        loader.plan(dataset, seed=1, epoch=0)


def test_evaluation_sorts_by_length_within_batches_of_the_same_size(dataset):
    planned = SimpleDataLoader(batch_size=10).evaluation_plan(dataset)
    assert [len(rows) for rows in planned] == [10, 10, 10, 10, 1]
    lengths = dataset.lengths()[np.concatenate(planned)]
    assert (np.diff(lengths) <= 0).all()


def test_a_sampler_excludes_the_settings_it_replaces():
    message = (
        r"^batch_sampler: excludes batch_size, shuffle, drop_last; remove one or the other, or set them in "
        r"batch_sampler$"
    )
    with pytest.raises(ConfigError, match=message):
        SimpleDataLoader(batch_size=8, shuffle=False, drop_last=True, batch_sampler=BucketBatchSampler(8))


@pytest.mark.parametrize("name", ["batch_size", "batches_per_epoch"])
def test_sizes_must_be_positive(name):
    with pytest.raises(ConfigError, match=rf"^{name}: is 0; expected 1 or more$"):
        SimpleDataLoader(**{name: 0})


def test_a_batch_is_what_a_model_takes(indexer):
    dataset = encode_instances(
        [instance("a", "x"), instance("b c", "y"), instance("dx e", "x")], {"bert": indexer}
    )
    batch = make(dataset, [2, 0])
    tensors = batch.inputs["tokens"]["bert"]
    assert tensors["input_ids"].tolist() == [[2, 8, 10, 9, 3], [2, 5, 3, 0, 0]]
    assert tensors["attention_mask"].tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    assert tensors["token_type_ids"].tolist() == [[0] * 5, [0] * 5]
    assert batch.inputs["label"].tolist() == [1, 1]
    kinds = [tensor.dtype for tensor in (*tensors.values(), batch.inputs["label"])]
    assert kinds == [torch.int64, torch.bool, torch.int64, torch.int64]
    assert (batch.rows.tolist(), batch.size) == ([2, 0], 2)


def make(dataset, rows, *, loader=None, training=True, epoch=0, number=0):
    return (loader or SimpleDataLoader()).batch(
        dataset, np.array(rows), labels("y", "x"), seed=1, epoch=epoch, number=number, training=training
    )


def test_the_second_text_of_a_pair_is_segment_1(indexer):
    instances = [instance("a b", pair="c"), instance("a", pair="b c d")]
    tensors = make(encode_instances(instances, {"bert": indexer}), [0, 1]).inputs["tokens"]["bert"]
    assert tensors["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]]


def test_padding_has_the_tokenizer_s_own_id(tmp_path):
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n[PAD]\n", encoding="utf-8")
    dataset = of_lengths([3, 4], BertPretrainedIndexer(str(tmp_path / "vocab.txt")))
    assert make(dataset, [0, 1]).inputs["tokens"]["bert"]["input_ids"].tolist() == [
        [1, 4, 2, 5],
        [1, 4, 4, 2],
    ]


def test_data_without_labels_gives_inputs_without_label(dataset):
    assert list(make(dataset, [0, 1]).inputs) == ["tokens"]


def test_in_training_an_unseen_label_is_an_error(indexer):
    dataset = encode_instances([instance("a", "x"), instance("b", "z")], {"bert": indexer})
    with pytest.raises(
        DataError, match=r"^label 'z' is not in the vocabulary \(labels: y, x\); it does not occur"
    ):
        make(dataset, [0, 1])


def test_in_training_a_missing_label_is_an_error(indexer):
    dataset = encode_instances([instance("a", "x"), instance("b", id="b7")], {"bert": indexer})
    message = r"^instance b7: 'label' is missing; every training instance needs a label$"
    with pytest.raises(DataError, match=message):
        make(dataset, [1, 0])


def test_in_evaluation_unseen_and_missing_labels_are_ignored_by_the_loss(indexer):
    dataset = encode_instances([instance("a", "x"), instance("b", "z"), instance("c")], {"bert": indexer})
    assert make(dataset, [0, 1, 2], training=False).inputs["label"].tolist() == [1, -100, -100]


def test_masked_language_modelling_has_targets_and_no_labels(indexer):
    dataset = encode_instances([instance("a b c d e", "x"), instance("b")], {"bert": indexer})
    batch = make(dataset, [0, 1], loader=SimpleDataLoader(collator=MaskedLanguageModelCollator()))
    assert list(batch.inputs) == ["tokens", "target_ids"]
    assert batch.inputs["target_ids"].shape == (2, 7)


def test_masks_change_with_epoch_and_batch_in_training_only(indexer):
    dataset = of_lengths([200, 200], indexer)
    loader = SimpleDataLoader(collator=MaskedLanguageModelCollator())

    def targets(**place):
        return make(dataset, [0, 1], loader=loader, **place).inputs["target_ids"]

    assert torch.equal(targets(epoch=2, number=3), targets(epoch=2, number=3))
    assert not torch.equal(targets(epoch=2, number=3), targets(epoch=3, number=3))
    assert not torch.equal(targets(epoch=2, number=3), targets(epoch=2, number=4))
    assert torch.equal(targets(epoch=2, training=False), targets(epoch=3, training=False))


def test_orders_and_masks_draw_different_random_numbers(dataset):
    drawn = []

    class Recording(PaddingCollator, BucketBatchSampler):
        def batches(self, lengths, generator):
            drawn.append(generator.random())
            return [np.arange(3)]

        def collate(self, inputs, generator, token_indexers):
            drawn.append(generator.random())
            return inputs

    loader = SimpleDataLoader(batch_sampler=Recording(3), collator=Recording(3))
    make(dataset, loader.plan(dataset, seed=1, epoch=0)[0], loader=loader)
    assert drawn[0] != drawn[1]


def test_a_batch_moves_to_a_device_as_a_whole(indexer):
    dataset = encode_instances([instance("a", "x")], {"bert": indexer})
    moved = make(dataset, [0]).to("meta")
    tensors = [*moved.inputs["tokens"]["bert"].values(), moved.inputs["label"]]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@given(st.data())
def test_padding_and_unpadding_gives_back_the_rows(dataset, data):
    rows = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    tensors = make(dataset, rows).inputs["tokens"]["bert"]
    indexed = dataset.texts["tokens"]["bert"]
    expected = [indexed.input_ids[indexed.offsets[row] : indexed.offsets[row + 1]] for row in rows]
    found = [
        ids[mask].tolist() for ids, mask in zip(tensors["input_ids"], tensors["attention_mask"], strict=True)
    ]
    assert found == [row.tolist() for row in expected]


@given(
    rows=st.integers(1, 70),
    size=st.integers(1, 9),
    sampled=st.booleans(),
    drop_last=st.booleans(),
    per_epoch=st.none() | st.integers(1, 9),
)
def test_batches_are_counted_as_they_are_planned(indexer, rows, size, sampled, drop_last, per_epoch):
    dataset = of_lengths([2 + row % 5 for row in range(rows)], indexer)
    sampler = BucketBatchSampler(size, drop_last=drop_last) if sampled else None
    own = {} if sampled else {"batch_size": size, "drop_last": drop_last}
    loader = SimpleDataLoader(batch_sampler=sampler, batches_per_epoch=per_epoch, **own)
    assume(rows >= size or not drop_last)
    planned = loader.plan(dataset, seed=1, epoch=2)
    assert loader.num_batches(dataset, seed=1, epoch=2) == len(planned)

"""Training the occurring rows of an embedding apart is training all of them."""

import copy

import pytest
import torch
from torch import nn

from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.models.bert_for_classification import BertForClassification
from bertx.training.callbacks.trainer_callback import TrainerCallback
from bertx.training.occurring_rows import OccurringRows
from bertx.training.optimizers.blockwise_adamw import BlockwiseAdamW
from tests.training.tiny import make_config, make_split, make_trainer, records, vocabulary, weights

ROWS = torch.tensor([0, 3, 4, 9])


def pair(decay=0.1):
    """An embedding trained as ever, and a copy whose rows are taken out."""
    torch.manual_seed(0)
    whole = nn.Embedding(12, 5, padding_idx=0)
    cut = copy.deepcopy(whole)
    optimizers = [
        BlockwiseAdamW([{"params": [one.weight], "weight_decay": decay}], lr=0.05) for one in (whole, cut)
    ]
    return whole, cut, *optimizers


def step(embedding, optimizer, ids, seed):
    optimizer.zero_grad()
    target = torch.randn(len(ids), 5, generator=torch.Generator().manual_seed(seed))
    (embedding(ids) * target).sum().backward()
    if embedding.weight.grad.is_sparse:
        optimizer.gradient_norm()
    optimizer.step()


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_weights_and_moments_are_those_of_the_whole(is_sparse, decay):
    whole, cut, optimizer, cut_optimizer = pair(decay)
    rows = OccurringRows(cut, ROWS, cut_optimizer, is_sparse=is_sparse)
    for number in range(12):
        ids = ROWS[torch.tensor([number % 4, (number // 3) % 4, 0])]
        rows.take_out()
        step(whole, optimizer, ids, number)
        step(cut, cut_optimizer, ids, number)
        rows.decay()
        if number % 5 == 4:
            rows.put_back()
    rows.put_back()
    torch.testing.assert_close(cut.weight, whole.weight, rtol=1e-5, atol=1e-6)
    for name, moments in optimizer.state[whole.weight].items():
        torch.testing.assert_close(cut_optimizer.state[cut.weight][name], moments)


def test_in_between_the_parameter_has_the_rows_only_and_afterwards_all():
    _, cut, _, optimizer = pair()
    rows = OccurringRows(cut, ROWS, optimizer, is_sparse=False)
    rows.take_out()
    assert (cut.weight.shape, cut.padding_idx) == ((4, 5), 0)
    with pytest.raises(IndexError):
        cut(torch.tensor([1]))
    rows.put_back()
    assert (cut.weight.shape, cut.padding_idx, cut.sparse) == ((12, 5), 0, False)


def test_rows_that_are_looked_at_more_often_are_bit_equal():
    ends = []
    for looks in (range(9), [4]):
        _, cut, _, optimizer = pair()
        rows = OccurringRows(cut, ROWS, optimizer, is_sparse=False)
        for number in range(9):
            rows.take_out()
            step(cut, optimizer, ROWS[:3], number)
            rows.decay()
            if number in looks:
                rows.put_back()
        rows.put_back()
        ends.append(cut.weight.detach())
    assert torch.equal(*ends)


@pytest.mark.parametrize("disturb", ["weight", "moment"])
def test_rows_to_which_something_has_happened_are_not_left_waiting(disturb):
    _, cut, _, optimizer = pair()
    rows = OccurringRows(cut, ROWS, optimizer, is_sparse=False)
    step(cut, optimizer, ROWS, 0)
    tensor = cut.weight.detach() if disturb == "weight" else optimizer.state[cut.weight]["exp_avg"]
    tensor[5] += 1
    rows.take_out()
    assert cut.weight.shape == (12, 5)


class Looks(TrainerCallback):
    """Looks at the weights after every step, for which they must be whole."""

    def on_step(self, context, step):
        assert context.model.bert.embeddings.word.weight.shape[0] == context.model.bert.config.vocab_size


@pytest.mark.parametrize("more", [{}, {"gradual_unfreezing": {}}])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_ends_as_one_that_is_watched(tmp_path, precision, more):
    ends = []
    for name, callbacks in {"cut": [], "whole": [Looks()]}.items():
        torch.manual_seed(3)
        config = make_config(0.2).updated({"vocab_size": 90})
        model = BertForClassification(vocabulary(), config, dropout=0.1)
        split = make_split(tmp_path, records(23))
        split = Split(split.name, split.dataset, SimpleDataLoader(4), split.vocabulary, 5)
        settings = {"num_epochs": 2, "optimizer": {"type": "adamw", "lr": 0.01, "weight_decay": 0.1}}
        settings |= {"precision": precision, "grad_norm": 1.0, **more}
        trainer = make_trainer(model, split, settings, folder=tmp_path / name, callbacks=callbacks)
        trainer.train()
        assert (trainer.loop.rows is None) == (name == "whole")
        # A softmax does not see the bias of the keys: its gradient is noise, which AdamW makes large.
        ends.append({key: value for key, value in weights(model).items() if not key.endswith("key.bias")})
    tolerance = 1e-4 if precision == "fp32" else 2e-2
    torch.testing.assert_close(*ends, rtol=tolerance, atol=tolerance)

"""How much a training step and a prediction ask of torch: counts, which no busy machine changes.

The numbers are what a step needs today, with little room. A change that exceeds them has to be worth it; one
that stays far below may lower them.
"""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.models.bert_for_classification import BertForClassification
from bertx.training.precision import arithmetic
from bertx.training.shortcuts import shortcuts_taken
from tests.training.tiny import make_config, make_split, make_trainer, records, vocabulary

LAYERS = 2
PRODUCTS = ("mm", "addmm", "bmm")
PRODUCTS_OF_A_LAYER = 7 + 15  # forwards and backwards
PRODUCTS_OF_THE_HEAD = 4


class Counts(TorchDispatchMode):
    """Counts torch's operations, and the elements that they write for a whole vocabulary."""

    def __init__(self, vocab_size):
        super().__init__()
        self.operations, self.vocab_size, self.of_vocabulary = Counter(), vocab_size, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.operations[func.overloadpacket.__name__] += 1
        if isinstance(result, torch.Tensor) and result.dim() == 2 and len(result) == self.vocab_size:
            self.of_vocabulary += 1
        return result

    @property
    def products(self):
        return sum(self.operations[name] for name in PRODUCTS)


def trainer_of(folder, precision, **settings):
    torch.manual_seed(0)
    config = make_config(0.1).updated({"vocab_size": 90})
    split = make_split(folder, records(40))
    split = Split(split.name, split.dataset, SimpleDataLoader(8), split.vocabulary, 5)
    wanted = {"precision": precision, "optimizer": {"type": "adamw", "lr": 1e-3}, "grad_norm": 1.0}
    return make_trainer(BertForClassification(vocabulary(), config), split, wanted | settings, folder=None)


def counts_of_a_step(trainer, split):
    """Counts a step after the first ones, in which things are made that stay."""
    loop = trainer.loop
    batches = list(split.batches(0))
    with shortcuts_taken(loop):
        loop.model.train()
        for number in (1, 2):
            loop.rows.take_out()
            loop.steps.make(number, batches[:1])
            loop.rows.decay()
        with Counts(90) as counts:
            loop.rows.take_out()
            loop.steps.make(3, batches[:1])
            loop.rows.decay()
        loop.rows.put_back()
    return counts


@pytest.mark.parametrize(("precision", "most"), [("fp32", 580), ("bf16", 600)])
def test_a_training_step_asks_torch_for_no_more_than_it_needs(tmp_path, precision, most):
    trainer = trainer_of(tmp_path, precision)
    counts = counts_of_a_step(trainer, trainer.loop.train)
    assert counts.of_vocabulary == 0  # no gradient, moment or weight of a piece that does not occur
    assert counts.operations["_fused_adamw_"] == 2  # of weights that decay, and of those that do not
    assert counts.products == PRODUCTS_OF_A_LAYER * LAYERS + PRODUCTS_OF_THE_HEAD
    assert sum(counts.operations.values()) <= most


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_in_evaluation_no_weight_is_converted_again(tmp_path, precision):
    loop = trainer_of(tmp_path, precision).loop
    (batch,) = list(loop.train.batches(0))[:1]
    with torch.inference_mode(), arithmetic(precision, torch.device("cpu")):
        model = loop.model.eval()
        model(**batch.inputs)
        with Counts(90) as counts:
            model(**batch.inputs)
    assert counts.products == 6 * LAYERS + 2  # query, keys with values, output, two of attention and two wide
    assert counts.operations["_foreach_copy_"] == counts.operations["cat"] == 0
    assert sum(counts.operations.values()) <= 150

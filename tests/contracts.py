"""What every member of a family must do; `test_contracts.py` runs it over all registered names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bertx.bert.model import BertModel
from bertx.config.construct import filled, plan
from bertx.data.instance import Instance
from bertx.data.token_indexers.token_indexer import TokenIndexer

FIXTURES = Path(__file__).parent.parent / "fixtures"


def survives_a_round_trip(family, config) -> None:
    """A plan, written with its defaults, plans to the same."""
    once = filled(plan(family, config))
    assert filled(plan(family, once)) == once


def reads_instances(reader, path: Path) -> None:
    """A reader yields instances that its own `text_to_instance` would make of the same records."""
    instances = list(reader.read(path, labels_required=False))
    assert instances
    assert instances == [reader.text_to_instance(record) for _, record in reader.records(path)]
    assert all(isinstance(instance, Instance) for instance in instances)


def indexes_row_by_row(indexer: TokenIndexer) -> None:
    """Indexing many texts gives what indexing each alone gives."""
    texts = ["a gripping film", "", "dull " * 30]
    together = indexer.index(texts)
    alone = [indexer.index([text]) for text in texts]
    assert together.input_ids.tolist() == np.concatenate([one.input_ids for one in alone]).tolist()
    assert together.full_lengths.tolist() == [int(one.full_lengths[0]) for one in alone]


def cuts_every_row_once(sampler) -> None:
    """An epoch of a sampler, and its evaluation, hold every row once; the order follows the generator."""
    lengths = np.random.default_rng(0).integers(1, 60, 101)
    for batches in (sampler.batches(lengths, np.random.default_rng(1)), sampler.evaluation_batches(lengths)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(101))
    again = [sampler.batches(lengths, np.random.default_rng(1)) for _ in range(2)]
    assert [batch.tolist() for batch in again[0]] == [batch.tolist() for batch in again[1]]


def counts_alike_in_any_batches(make_metric) -> None:
    """A metric's value does not depend on the cut into batches; merging adds up; resetting forgets."""
    logits, labels = torch.randn(40, 3), torch.randint(0, 3, (40,))
    whole, parts, left, right = (make_metric() for _ in range(4))
    empty = whole.get_metric()
    whole(logits, labels)
    for start in range(0, 40, 7):
        parts(logits[start : start + 7], labels[start : start + 7])
    left(logits[:9], labels[:9])
    right(logits[9:], labels[9:])
    left.merge(right)
    assert whole.get_metric() == parts.get_metric() == left.get_metric()
    assert whole.get_metric(reset=True).keys() == empty.keys()
    assert all(np.isnan(value) for value in whole.get_metric().values())


def takes_a_step_down(make_optimizer, *, is_sparse: bool) -> None:
    """An optimizer lowers a quadratic and leaves frozen parameters alone."""
    moving, frozen = (torch.nn.Parameter(torch.ones(3, 2), requires_grad=grad) for grad in (True, False))
    optimizer = make_optimizer(named_parameters=[("moving", moving), ("frozen", frozen)])

    def loss() -> float:
        moving.grad = 2 * moving.detach()
        moving.grad = moving.grad.to_sparse(1) if is_sparse else moving.grad
        return float(moving.detach().square().sum())

    loss()
    optimizer.step(loss)
    assert loss() < 6
    assert bool((frozen == 1).all())


def fills_in_place(initializer, shape: tuple[int, ...]) -> None:
    """An initializer fills a tensor with finite numbers, in place."""
    tensor = torch.full(shape, torch.nan)
    initializer(tensor, "embeddings.token_type_embeddings.weight")  # one that bert-tiny has as well
    assert bool(tensor.isfinite().all())


def prefers_the_label(loss) -> None:
    """A loss is the smaller the likelier the label is, and 0 without known labels."""
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    sizes = [float(loss(logits, torch.tensor([label]))[0]) for label in range(3)]
    assert 0 < sizes[0] < sizes[1] < sizes[2]
    assert [float(value) for value in loss(logits, torch.tensor([-100]))] == [0, 0]


def makes_gradients_only(objective, model, batch) -> None:
    """An objective gives every parameter a gradient, counts the batch once and leaves the weights alone."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    output = objective(model, lambda: model(**batch.inputs), lambda output: output["loss"].backward())
    assert output["loss"].isfinite()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.accuracy.state_dict()["total"] == batch.size


def penalises_size(regularizer) -> None:
    """A regularizer's penalty is 0 at 0 and grows with the parameter."""
    sizes = [float(regularizer(torch.full((3,), size))) for size in (0.0, 1.0, 2.0)]
    assert sizes[0] == 0 and sizes == sorted(sizes) and sizes[2] > sizes[1]


def trains_only_updates(model) -> None:
    """A model with LoRA trains of its encoder the updates alone, and its head."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    encoders = [name for name, module in model.named_modules() if isinstance(module, BertModel)]
    inside = {name for name in trained if name.startswith(tuple(f"{encoder}." for encoder in encoders))}
    assert inside
    assert all(name.endswith((".lora_a", ".lora_b")) for name in inside)
    assert trained - inside

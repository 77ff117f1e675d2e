"""What the processes of `test_parallel.py` compute: differences from what one process would compute alone."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bertx.bert.config import BertConfig
from bertx.bert.lora import Lora, add_lora
from bertx.data.batch import Batch
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError
from bertx.models.bert_for_classification import BertForClassification
from bertx.training.processes.parallel import parallelize, sum_statistics, summed
from bertx.training.processes.shards import (
    add_gradients,
    full_optimizer_state,
    full_tensors,
    gradient_norm,
    load_full,
    load_optimizer_state,
    whole,
)
from bertx.world import World
from tests.processes import unpickled

CPU = torch.device("cpu")
CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=24,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    max_position_embeddings=16,
    initializer_range=0.3,
)
GROUPS = [[[0, 1, 2, 3, 4, 5, 6]], [[7, 8, 9, 10], [11]], [[0, 2, 4, 6, 8], [1, 3, 5, 7], [9, 11]], [[5]]]
"""Steps of batches of rows: 7 rows for 3 processes, and a last batch of 1 row."""


def share_of(rows, world):
    """What one process gets of a batch of some of 12 fixed rows."""
    numbers = np.random.default_rng(0)
    tensors = {
        "input_ids": torch.from_numpy(numbers.integers(0, 20, (12, 6))),
        "attention_mask": torch.arange(6) < torch.from_numpy(numbers.integers(1, 7, (12, 1))),
        "token_type_ids": torch.zeros(12, 6, dtype=torch.long),
    }
    rows = torch.tensor(list(rows))
    tokens = {name: tensor[rows] for name, tensor in tensors.items()}
    batch = Batch({"tokens": {"bert": tokens}, "label": rows % 3}, rows.numpy())
    return batch.share(world.rank, world.size)


def backward(parallel, group, world):
    """Leaves the gradients of the mean loss over all rows of a group of batches."""
    total = sum(len(rows) for rows in group)
    for number, rows in enumerate(group):
        batch = share_of(rows, world)
        with parallel.gradients(synchronized=number == len(group) - 1):
            loss = parallel(batch.inputs)["loss"]
            (loss * (0 if batch.is_filler else batch.size)).backward()
    for parameter in parallel.model.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(world.size / total)


def gradients(model):
    return {
        name: whole(parameter.grad).clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def furthest(found, wanted):
    """The largest difference of two dicts of tensors with the same names."""
    assert found.keys() == wanted.keys(), sorted(found.keys() ^ wanted.keys())
    return max(float((found[name] - wanted[name]).abs().max()) for name in wanted)


def make(kind):
    torch.manual_seed(0)
    model = BertForClassification(Vocabulary.from_instances({"labels": {"a": 3, "b": 2, "c": 1}}), CONFIG)
    if kind == "lora":
        add_lora(model.bert, Lora(rank=2))
        nn.init.normal_(next(p for n, p in model.named_parameters() if n.endswith("lora_b")))
    if kind == "unused":
        model.extra = nn.Linear(5, 3)
    return model


def gradients_of_a_step(world, strategy, kind):
    """How far the gradients and their norm are from those of one process, over several steps."""
    alone, shared = make(kind), make(kind)
    parallel = parallelize(shared, strategy, world, CPU)
    differences = []
    for group in GROUPS:
        for model in (alone, shared):
            model.zero_grad(set_to_none=True)
        backward(parallelize(alone, strategy, World(), CPU), group, World())
        backward(parallel, group, world)
        wanted = gradients(alone)
        norms = [float(gradient_norm(list(model.parameters()))) for model in (alone, shared)]
        found = gradients(shared)
        differences.append(max(furthest(found, wanted), abs(norms[0] - norms[1])))
    return max(differences)


def train(parallel, optimizer, world, groups):
    for group in groups:
        optimizer.zero_grad(set_to_none=True)
        backward(parallel, group, world)
        optimizer.step()


def twice(parallel, world, *, backwards):
    """Two forward passes before one backward pass as R-Drop does, or each with its own as FGM does."""
    batch = share_of(range(7), world)
    with parallel.gradients(synchronized=True):
        losses = []
        for _ in range(2):
            losses.append(parallel(batch.inputs)["loss"] * batch.size * world.size / 7)
            if backwards == 2:
                losses.pop().backward()
        if losses:
            sum(losses).backward()


def gradients_of_two_passes(world, strategy, backwards):
    alone, shared = make("plain"), make("plain")
    twice(parallelize(alone, strategy, World(), CPU), World(), backwards=backwards)
    parallel = parallelize(shared, strategy, world, CPU)
    differences = []
    for _ in range(2):
        shared.zero_grad(set_to_none=True)
        twice(parallel, world, backwards=backwards)
        differences.append(furthest(gradients(shared), gradients(alone)))
    return max(differences)


def with_thawing(world):
    """Gradients of a replica whose encoder is thawed after a step."""
    alone, shared = make("plain"), make("plain")
    for model in (alone, shared):
        model.bert.requires_grad_(False)
    pair = [
        (parallelize(alone, "ddp", World(), CPU), World()),
        (parallelize(shared, "ddp", world, CPU), world),
    ]
    for thawed in (False, True):
        for parallel, of in pair:
            parallel.model.zero_grad(set_to_none=True)
            parallel.model.bert.requires_grad_(thawed)
            parallel.renew()
            backward(parallel, GROUPS[1], of)
    return furthest(gradients(shared), gradients(alone))


def optimizer_of(model):
    # A large epsilon, so that gradients that are 0 but for rounding do not decide a step.
    return torch.optim.AdamW(model.parameters(), lr=0.01, eps=0.01)


def states(model, optimizer):
    """All tensors of a training by name, whole."""
    moments = full_optimizer_state(optimizer)["state"]
    flat = {f"{n}.{name}": tensor for n, values in moments.items() for name, tensor in values.items()}
    return {name: tensor.clone() for name, tensor in (full_tensors(model) | flat).items()}


def evaluate(model, world):
    with torch.inference_mode():
        return float(model(**share_of(range(4), world).inputs)["loss"])


def training(world, strategy):
    """Weights and moments after steps; when loaded from one process; after further steps."""
    alone, shared = make("plain"), make("plain")
    one, many = parallelize(alone, strategy, World(), CPU), parallelize(shared, strategy, world, CPU)
    first, second = optimizer_of(alone), optimizer_of(shared)
    evaluate(shared, world)
    train(one, first, World(), GROUPS)
    train(many, second, world, GROUPS)
    result = {"after": furthest(states(shared, second), states(alone, first))}
    train(one, first, World(), GROUPS)
    evaluate(shared, world)
    load_full(shared, {name: tensor.clone() for name, tensor in full_tensors(alone).items()})
    load_optimizer_state(second, copy.deepcopy(full_optimizer_state(first)))
    result["loaded"] = furthest(states(shared, second), states(alone, first))
    evaluate(shared, world)
    train(one, first, World(), GROUPS)
    train(many, second, world, GROUPS)
    return result | {"later": furthest(states(shared, second), states(alone, first))}


def with_penalty(world, strategy):
    """The gradient of a penalty on the weights is the same in all processes, and added once."""
    model = make("plain")
    parallel = parallelize(model, strategy, world, CPU)
    backward(parallel, GROUPS[1], world)
    before = gradients(model)
    penalty = sum(parameter.square().sum() for parameter in model.parameters())
    add_gradients(penalty, list(model.parameters()))
    wanted = {name: tensor + 2 * full_tensors(model)[name] for name, tensor in before.items()}
    return furthest(gradients(model), wanted)


def metrics(world):
    """What is counted of 7 and of 1 rows, summed over processes."""
    model = make("plain")
    for rows in (range(7), [9]):
        share = share_of(rows, world)
        if not share.is_filler:
            model(**share.inputs)
    own = model.get_metrics()
    with summed(model.statistics, world):
        together = model.get_metrics()
    kept = model.get_metrics() == own
    sum_statistics(model.statistics, world)
    alone = make("plain")
    for rows in (range(7), [9]):
        alone(**share_of(rows, World()).inputs)
    return {"is own again": kept, "is that of one": together == model.get_metrics() == alone.get_metrics()}


def refusal(world):
    """What FSDP says when parameters are thawed."""
    try:
        parallelize(make("plain"), "fsdp", world, CPU).renew()
    except ConfigError as error:
        return str(error)


def check(world: World, folder: Path):
    """Runs all."""
    result = {"metrics": metrics(world), "thawing": with_thawing(world), "refused": refusal(world)}
    for strategy in ("ddp", "fsdp"):
        for kind in ("plain", "lora", "unused"):
            result[f"{strategy} {kind}"] = gradients_of_a_step(world, strategy, kind)
        result[f"{strategy} two forward passes"] = gradients_of_two_passes(world, strategy, 1)
        result[f"{strategy} two backward passes"] = gradients_of_two_passes(world, strategy, 2)
        result[f"{strategy} penalty"] = with_penalty(world, strategy)
        result |= {f"{strategy} {name}": value for name, value in training(world, strategy).items()}
    return result | {"unpickled": unpickled()}

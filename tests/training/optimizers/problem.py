"""A small problem for optimizers: parameters of many shapes, drawn towards a new place in each step."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from safetensors.torch import load, save
from torch import nn

from bertx.config.construct import plan
from bertx.runs.planning import register_components
from bertx.training.optimizers.optimizer import Optimizer

register_components()

# The smallest settings of every registered optimizer.
OPTIMIZERS: dict[str, dict[str, object]] = {
    "adadelta": {},
    "adafactor": {},
    "adagrad": {},
    "adam": {},
    "adam_with_decay": {"lr": 0.01},
    "adamax": {},
    "adamw": {},
    "asgd": {},
    "averaged_sgd": {},
    "dense_sparse_adam": {},
    "huggingface_adafactor": {},
    "huggingface_adamw": {},
    "lbfgs": {},
    "mem_eff_adam": {},
    "multi": {"optimizers": {"default": "adam"}},
    "muon": {},
    "nadam": {},
    "qhadam": {},
    "qhm": {"lr": 0.1},
    "radam": {},
    "rmsprop": {},
    "rprop": {},
    "sgd": {"lr": 0.1},
    "sparse_adam": {},
    "sparseadam": {},
}
SPARSE = {"sparse_adam", "sparseadam"}  # these take sparse gradients only

Named = list[tuple[str, nn.Parameter]]


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def make_parameters(seed: int = 0, *, matrices_only: bool = False, dtype=torch.float32) -> Named:
    """Makes the parameters of an encoder of two layers and a head, with sizes that depend on the seed."""
    a, b, c = torch.randint(2, 7, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word.weight": (a, b),
        "bert.embeddings.norm.weight": (b,),
        "bert.layers.0.query.weight": (b, c),
        "bert.layers.0.query.bias": (c,),
        "bert.layers.1.query.weight": (c, b),
        "bert.layers.1.norm.bias": (b,),
        "head.tensor": (a, b, c),
        "head.bias": (a,),
    }
    named = [
        (name, nn.Parameter(drawn(*shape, seed=number, dtype=dtype)))
        for number, (name, shape) in enumerate(shapes.items())
    ]
    return [(name, p) for name, p in named if p.ndim == 2 or not matrices_only]


def make_optimizer(named: Named, name: str, **settings: object) -> torch.optim.Optimizer:
    return plan(Optimizer, {"type": name, **settings}).build(named_parameters=named)


def make_steps(
    optimizer: torch.optim.Optimizer, named: Named, steps: Sequence[int], *, is_sparse: bool = False
) -> list[torch.Tensor]:
    """Makes the steps of these numbers; returns all weights after each."""
    weights = []
    for step in steps:

        def loss(step: int = step) -> float:
            total = 0.0
            for number, (_, parameter) in enumerate(named):
                away = parameter.detach() - drawn(*parameter.shape, seed=1000 + 100 * step + number).to(
                    parameter
                )
                if is_sparse:
                    rows = drawn(len(away), seed=1000 + 100 * step + number) > 0
                    away[rows] = 0.0
                parameter.grad = away.to_sparse(1) if is_sparse else away
                total += float(away.float().square().sum()) / 2
            return total

        loss()
        optimizer.step(loss)
        weights.append(nn.utils.parameters_to_vector([parameter.detach() for _, parameter in named]).clone())
    return weights


def largest_difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """The largest difference of any weight after any step."""
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


def through_files(value: object) -> object:
    """Writes a state as JSON and safetensors, which hold nothing but plain values and tensors; reads it."""
    tensors: dict[str, torch.Tensor] = {}

    def taken_out(part: object) -> object:
        if isinstance(part, torch.Tensor):
            tensors[str(len(tensors))] = part.contiguous()
            return {"tensor": str(len(tensors) - 1)}
        if isinstance(part, dict):
            return {"items": [[key, taken_out(item)] for key, item in part.items()]}
        return [taken_out(item) for item in part] if isinstance(part, (list, tuple)) else part

    def put_back(part: object) -> object:
        if isinstance(part, dict) and "tensor" in part:
            return read[part["tensor"]]
        if isinstance(part, dict):
            return {key: put_back(item) for key, item in part["items"]}
        return [put_back(item) for item in part] if isinstance(part, list) else part

    text, data = json.dumps(taken_out(value)), save(tensors)
    read = load(data)
    return put_back(json.loads(text))

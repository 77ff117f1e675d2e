"""Whole tensors of a model and its optimizer, wherever their parts are.

A model that one process has, or every one has a replica of, has nothing to put together; one that is cut into
shards (FSDP2) has a part of each tensor in each process. What is saved is the same for all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from bertx.training.weights import tensors_of

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

OptimizerState: TypeAlias = "dict[str, object]"
"""What `torch.optim.Optimizer.state_dict` returns."""


def full_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Returns every parameter and buffer as a whole; all processes must ask for them together."""
    _shard_again(model)
    return {name: whole(tensor.detach()) for name, tensor in tensors_of(model).items()}


def load_full(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copies whole tensors into a model, which takes its shards of them; the same in all processes.

    Args:
        model: What to fill.
        tensors: One for each parameter and buffer, as `full_tensors` returns them.
    """
    _shard_again(model)
    with torch.no_grad():
        for name, tensor in tensors_of(model).items():
            tensor.copy_(cut_like(tensors[name], tensor))


def full_optimizer_state(optimizer: torch.optim.Optimizer) -> OptimizerState:
    """Returns an optimizer's state with whole tensors; all processes must ask for it together."""
    return {name: _whole_inside(value) for name, value in optimizer.state_dict().items()}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: OptimizerState) -> None:
    """Gives an optimizer the state that `full_optimizer_state` returned, of any number of processes.

    Args:
        optimizer: Of the same kind, with the same parameters.
        state: The state; the same in all processes.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    found = state["state"]
    if isinstance(found, dict) and any(shards_of(parameter) is not None for parameter in parameters):
        cut = {number: _cut_inside(values, parameters[number]) for number, values in found.items()}
        state = {**state, "state": cut}
    optimizer.load_state_dict(state)


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Returns the norm of all gradients together, a scalar, over all shards; equal in all processes."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return whole(torch.nn.utils.get_total_norm(gradients))


def add_gradients(value: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    """Adds the gradients of a value that all processes compute alike, such as a penalty on the weights.

    `value.backward()` would do for parameters that are not cut into shards.

    Args:
        value: A scalar.
        parameters: What to differentiate by; those that it does not depend on are left alone.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = torch.autograd.grad(value, learning, allow_unused=True)
    for parameter, gradient in zip(learning, gradients, strict=True):
        if gradient is not None:
            part = gradient if (cut := shards_of(gradient)) is None else _aligned(cut, parameter)
            parameter.grad = part if parameter.grad is None else parameter.grad + part


def whole(tensor: Tensor) -> Tensor:
    """Puts a tensor together from its shards, in the memory of the CPU; one that has none stays as it is."""
    shards = shards_of(tensor)
    return tensor if shards is None else shards.full_tensor().cpu()


def cut_like(tensor: Tensor, model: Tensor) -> Tensor:
    """Cuts a whole tensor as another one of its shape is cut; stays as it is if that one is not."""
    shards = shards_of(model)
    if shards is None:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # Every process has the whole and takes its part of that: nothing is sent.
    mesh, device = shards.device_mesh, shards.device
    return distribute_tensor(tensor.to(device), mesh, shards.placements, src_data_rank=None)


def shards_of(tensor: Tensor) -> DTensor | None:
    """Returns the tensor if it is cut into shards, else None."""
    if "torch.distributed.tensor" not in sys.modules:  # half a second, for who never cuts
        return None
    from torch.distributed.tensor import DTensor

    return tensor if isinstance(tensor, DTensor) else None


def _shard_again(model: nn.Module) -> None:
    """Puts the shards in place of the whole tensors that a pass through the model has left."""
    if "torch.distributed.fsdp" not in sys.modules:
        return
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def _aligned(gradient: DTensor, parameter: nn.Parameter) -> Tensor:
    """Cuts a gradient as its parameter is, whatever the differentiation has made of it."""
    shards = shards_of(parameter)
    return gradient if shards is None else gradient.redistribute(placements=shards.placements)


def _whole_inside(value: object) -> object:
    if isinstance(value, Tensor):
        return whole(value)
    if isinstance(value, dict):
        return {name: _whole_inside(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole_inside(item) for item in value]
    return value


def _cut_inside(values: Mapping[str, object], parameter: nn.Parameter) -> dict[str, object]:
    """Cuts what an optimizer keeps for a parameter: moments as the parameter itself."""
    return {
        name: cut_like(value, parameter)
        if isinstance(value, Tensor) and value.shape == parameter.shape
        else value
        for name, value in values.items()
    }

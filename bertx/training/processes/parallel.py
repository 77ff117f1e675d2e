"""One model in several processes: replicated (DDP) or in shards (FSDP2).

Each process computes the gradients of its share of a batch; the last backward pass of a step leaves the mean
over all processes in every one. What is saved is always whole, as one process would have it, so that a
checkpoint goes on with any number of processes.

Source: Li et al. 2020 (PyTorch Distributed); Zhao et al. 2023 (PyTorch FSDP), in its form for each parameter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, TypeAlias

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bertx.bert.model import BertLayer
from bertx.data.batch import Inputs
from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.metrics.metric import Statistic
from bertx.models.model import Model, Output
from bertx.training.weights import tensors_of
from bertx.world import World, naming_lost_peers

Strategy: TypeAlias = Literal["ddp", "fsdp"]


class Parallel:
    """A model that one process trains alone; base of the ways to share it.

    Args:
        model: What to train, already on its device.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def __call__(self, inputs: Inputs) -> Output:
        """Computes the model's output for a batch, in place of the model itself wherever there is a loss."""
        output: Output = self.model(**inputs)
        return output

    def gradients(self, *, synchronized: bool) -> AbstractContextManager[None]:
        """Returns the context of a forward and backward pass.

        Args:
            synchronized: Whether the backward pass leaves the mean of what all processes have gathered since
                the gradients were cleared; true for the last pass of a step, and only costs time before.
        """
        return nullcontext()

    def renew(self) -> None:
        """Takes notice of parameters that were frozen or thawed, in all processes alike."""


class Replicated(Parallel):
    """Keeps the whole model in every process (DDP).

    Args:
        model: What to train, already on its device; every process gets the weights of the main one.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.renew()

    def __call__(self, inputs: Inputs) -> Output:
        """Computes the model's output for a batch."""
        output: Output = self.replica(inputs)
        return output

    def gradients(self, *, synchronized: bool) -> AbstractContextManager[None]:
        """Returns the context of a forward and backward pass; see `Parallel`."""
        return nullcontext() if synchronized else self.replica.no_sync()

    def renew(self) -> None:
        """Takes notice of parameters that were frozen or thawed."""
        # Not every parameter need have a part in the loss, such as a pooler that nobody asks for.
        self.replica = DistributedDataParallel(_WithSpare(self.model), find_unused_parameters=True)


class _WithSpare(nn.Module):
    """A model beside a parameter that has no part in anything.

    With nothing but the model DDP warns, of every model that uses all its parameters, that it looked for some
    that are not; and it refuses one whose parameters are all frozen, as before gradual unfreezing begins.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.spare = nn.Parameter(torch.zeros((), device=next(model.parameters()).device))

    def forward(self, inputs: Inputs) -> Output:
        output: Output = self.model(**inputs)
        return output


class Sharded(Parallel):
    """Cuts every parameter, its gradient and the optimizer's state into one part for each process (FSDP2).

    A layer of BERT is put together only while it computes. The optimizer must be made afterwards.

    Args:
        model: What to train, already on its device; every process gets the weights of the main one.
        world: The processes.
        device: Where this one computes.
    """

    def __init__(self, model: Model, world: World, device: torch.device) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard

        super().__init__(model)
        with naming_lost_peers():
            for tensor in tensors_of(model).values():
                dist.broadcast(tensor.detach(), src=0)
            mesh = init_device_mesh(device.type, (world.size,))
            for layer in [module for module in model.modules() if isinstance(module, BertLayer)]:
                fully_shard(layer, mesh=mesh)
            self.shards = fully_shard(model, mesh=mesh)
            # Room for the whole parameters: made in the first pass it would be of no use to training if that
            # were an evaluation (inference tensors).
            for module in model.modules():
                if isinstance(module, FSDPModule):
                    module.unshard()
                    module.reshard()

    @contextmanager
    def gradients(self, *, synchronized: bool) -> Iterator[None]:
        """Returns the context of a forward and backward pass; see `Parallel`."""
        self.shards.set_requires_gradient_sync(synchronized)
        yield

    def renew(self) -> None:
        """Refuses: what a shard trains is settled when it is cut.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "distributed.strategy: fsdp cannot freeze or thaw parameters while it trains, as "
            "trainer.gradual_unfreezing does; choose ddp"
        )


def parallelize(model: Model, strategy: Strategy, world: World, device: torch.device) -> Parallel:
    """Shares a model among the processes; alone, leaves it as it is. The optimizer is made afterwards."""
    if world.size == 1:
        return Parallel(model)
    return Replicated(model) if strategy == "ddp" else Sharded(model, world, device)


def sum_statistics(statistics: Sequence[Statistic], world: World) -> None:
    """Gives each statistic the counts of all processes, added in the order of ranks; the same in all.

    To be done once, when counting is over: what is counted already would be counted twice.
    """
    if world.size == 1:
        return
    own: list[dict[str, JSON]] = [statistic.state_dict() for statistic in statistics]
    first, *others = world.gather(own)
    for number, statistic in enumerate(statistics):
        statistic.load_state_dict(first[number])
        for states in others:
            other = copy.deepcopy(statistic)
            other.load_state_dict(states[number])
            statistic.merge(other)


@contextmanager
def summed(statistics: Sequence[Statistic], world: World) -> Iterator[None]:
    """Gives each statistic the counts of all processes while the block runs, such as for a checkpoint."""
    own = [statistic.state_dict() for statistic in statistics]
    sum_statistics(statistics, world)
    try:
        yield
    finally:
        for statistic, state in zip(statistics, own, strict=True):
            statistic.load_state_dict(state)

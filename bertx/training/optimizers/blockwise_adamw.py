"""AdamW on a CPU, a block of weights at a time.

Source: Loshchilov & Hutter 2019 (Decoupled Weight Decay Regularization); torch's fused kernel does the sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, overload

import torch
from torch import Tensor, nn

BLOCK = 1 << 19
"""The most weights per block; their gradient, as float32, takes 2 MB, which a core's cache holds."""


@dataclass(frozen=True)
class Part:
    """A parameter, or some whole rows of it, flat.

    Attributes:
        parameter: The parameter.
        start: Where they begin.
        size: How many weights they have.
    """

    parameter: nn.Parameter
    start: int
    size: int

    def of(self, tensor: Tensor) -> Tensor:
        """Returns the same part of a contiguous tensor of the parameter's shape: as it is, if that is all."""
        is_whole = self.size == tensor.numel()
        return tensor if is_whole else tensor.view(-1)[self.start : self.start + self.size]


@dataclass(frozen=True)
class Block:
    """What one call of the kernel updates: views of weights and moments, the same from step to step.

    Attributes:
        parts: What it consists of.
        gradient: Memory for the gradients of all parts, one after the other, which other blocks use, too.
        rooms: The place of each part in it.
        weights: The weights of each part.
        exp_avgs: Their first moments.
        exp_avg_sqs: Their second moments.
        steps: How many updates they have had.
        mirrors: What is to have the values of some weights in another type.
        mirrored: Which weights these are.
    """

    parts: list[Part]
    gradient: Tensor
    rooms: list[Tensor]
    weights: list[Tensor]
    exp_avgs: list[Tensor]
    exp_avg_sqs: list[Tensor]
    steps: list[Tensor]
    mirrors: list[Tensor]
    mirrored: list[Tensor]

    def fetch_gradients(self) -> None:
        """Puts the gradients together, in the type of the weights."""
        dense, rooms = [], []
        for part, room in zip(self.parts, self.rooms, strict=True):
            gradient = part.parameter.grad
            assert gradient is not None
            if gradient.is_sparse:
                _spread_rows(gradient.coalesce(), part.start, room)
            else:
                dense.append(part.of(gradient.contiguous()))
                rooms.append(room)
        if dense:
            torch._foreach_copy_(rooms, dense)

    def update(self, group: Mapping[str, float], divisor: float) -> None:
        """Updates the weights by the gradients that were fetched, divided by a number."""
        scale = None
        if divisor != 1 and self.gradient.dtype == torch.float32:
            scale = torch.tensor(divisor)
        elif divisor != 1:  # the kernel divides by a float32
            self.gradient.div_(divisor)
        beta1, beta2 = cast("tuple[float, float]", group["betas"])
        torch._fused_adamw_(
            *(self.weights, self.rooms, self.exp_avgs, self.exp_avg_sqs, [], self.steps),
            amsgrad=False,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
            grad_scale=scale,
        )
        if self.mirrors:
            torch._foreach_copy_(self.mirrors, self.mirrored)


class BlockwiseAdamW(torch.optim.AdamW):
    """torch's AdamW, with the same state and the same result, for gradients in the form that is cheapest.

    A gradient may be of bfloat16, as matrix products leave it, or sparse, as lookups do: it becomes float32,
    and dense, only in the cache, where the update reads it. The arguments are torch's.

    Attributes:
        gradient_divisor: What gradients are divided by before the next step, which sets it back to 1.
        mirrors: Tensors that get the values of parameters in another type, while these are in the cache.
    """

    gradient_divisor: float
    mirrors: dict[nn.Parameter, Tensor]

    def __init__(
        self,
        params: Iterable[dict[str, object]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)
        self.gradient_divisor, self.mirrors = 1.0, {}
        self._blocks: dict[int, tuple[list[int], list[Block]]] = {}  # by group
        self._counts: dict[int, Tensor] = {}  # by group: the memory of all its parameters' numbers of steps

    @torch.no_grad()
    def gradient_norm(self) -> Tensor:
        """Returns the norm of all gradients together, a float64 scalar; compacts sparse ones."""
        squares = torch.zeros((), dtype=torch.float64)
        for number, group in enumerate(self.param_groups):
            learning = _learning(group)
            for parameter in learning:
                gradient = parameter.grad
                if gradient is not None and gradient.is_sparse:
                    parameter.grad = gradient.coalesce()
            for block in self._blocks_of(number, learning):
                block.fetch_gradients()
                squares += torch.dot(block.gradient, block.gradient)
        return squares.sqrt()

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Makes a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            learning = _learning(group)
            if not learning:  # all of it frozen, or without a part in the loss
                continue
            blocks = self._blocks_of(number, learning)
            self._counts[number] += 1
            for block in blocks:
                block.fetch_gradients()
                block.update(group, self.gradient_divisor)
        self.gradient_divisor = 1.0
        return loss

    def _blocks_of(self, group: int, parameters: Sequence[nn.Parameter]) -> list[Block]:
        """Cuts large parameters into blocks and puts small ones together."""
        known, blocks = self._blocks.get(group, ([], []))
        if known != self._places(parameters):
            bundles = list(_bundles(parameters))
            sizes = [sum(part.size for part in bundle) for bundle in bundles]
            buffers = {p.dtype: torch.empty(max(sizes), dtype=p.dtype) for p in parameters}
            states = [self.state[parameter] for parameter in parameters]
            self._counts[group] = torch.stack([state["step"] for state in states])
            for state, count in zip(states, self._counts[group].unbind(), strict=True):
                state["step"] = count
            blocks = [self._block(bundle, buffers) for bundle in bundles]
            self._blocks[group] = self._places(parameters), blocks
        return blocks

    def _places(self, parameters: Sequence[nn.Parameter]) -> list[int]:
        """Returns where everything lies: who replaces memory makes what was cut before invalid."""
        places = []
        for parameter in parameters:
            tensors = (parameter, *self._state_of(parameter).values(), self.mirrors.get(parameter, parameter))
            places += [tensor.data_ptr() for tensor in tensors]
        return places

    def _block(self, parts: list[Part], buffers: Mapping[torch.dtype, Tensor]) -> Block:
        sizes = [part.size for part in parts]
        gradient = buffers[parts[0].parameter.dtype][: sum(sizes)]
        states = [self.state[part.parameter] for part in parts]
        weights = [part.of(part.parameter.detach()) for part in parts]
        followed = [part for part in parts if part.parameter in self.mirrors]
        return Block(
            parts,
            gradient,
            rooms=[
                room.view_as(part) for room, part in zip(torch.split(gradient, sizes), weights, strict=True)
            ],
            weights=weights,
            exp_avgs=[part.of(state["exp_avg"]) for part, state in zip(parts, states, strict=True)],
            exp_avg_sqs=[part.of(state["exp_avg_sq"]) for part, state in zip(parts, states, strict=True)],
            steps=[state["step"] for state in states],
            mirrors=[part.of(self.mirrors[part.parameter]) for part in followed],
            mirrored=[part.of(part.parameter.detach()) for part in followed],
        )

    def _state_of(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        return state


def can_cut(named_parameters: Sequence[tuple[str, nn.Parameter]]) -> bool:
    """Tells whether all that is trained are whole tensors of numbers in the memory of the CPU."""
    return all(
        type(parameter) is nn.Parameter
        and parameter.device.type == "cpu"
        and parameter.is_floating_point()
        and parameter.is_contiguous()
        for _, parameter in named_parameters
        if parameter.requires_grad
    )


def _learning(group: Mapping[str, object]) -> list[nn.Parameter]:
    """Returns the parameters of a group that have a gradient."""
    return [p for p in cast("list[nn.Parameter]", group["params"]) if p.grad is not None]


def _bundles(parameters: Sequence[nn.Parameter]) -> Iterator[list[Part]]:
    """Yields the parts of each block."""
    bundle: list[Part] = []
    size = 0
    for part in (part for parameter in parameters for part in _parts(parameter)):
        is_other = bool(bundle) and bundle[0].parameter.dtype != part.parameter.dtype
        if bundle and (size + part.size > BLOCK or is_other):
            yield bundle
            bundle, size = [], 0
        bundle.append(part)
        size += part.size
    if bundle:
        yield bundle


def _parts(parameter: nn.Parameter) -> Iterator[Part]:
    """Cuts a parameter into equal parts of whole rows."""
    width = parameter.shape[-1] if parameter.dim() else 1
    count = math.ceil(parameter.numel() / BLOCK)
    size = max(math.ceil(parameter.numel() / width / max(count, 1)), 1) * width
    for start in range(0, parameter.numel(), size):
        yield Part(parameter, start, min(size, parameter.numel() - start))


def _spread_rows(gradient: Tensor, start: int, room: Tensor) -> None:
    """Writes some rows of a gradient that is mostly zero."""
    numbers, rows = gradient.indices()[0], gradient.values()
    width = rows.shape[1]
    first = start // width
    last = first + room.numel() // width
    low, high = torch.searchsorted(numbers, torch.tensor([first, last])).tolist()
    room.zero_().view(-1, width).index_copy_(0, numbers[low:high] - first, rows[low:high])

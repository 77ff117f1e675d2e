"""Layers compiled by torch, for training on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from textwrap import shorten

from bertx.bert.model import BertLayer
from bertx.training.loop import TrainingLoop
from bertx.training.processes.parallel import Sharded

logger = logging.getLogger(__name__)

WORTHWHILE_STEPS = 1000
"""Compiling takes about half a minute, and makes a step some tens of milliseconds faster at best."""
BACKEND = "inductor"


@contextmanager
def compiled(loop: TrainingLoop, wanted: bool | None) -> Iterator[None]:
    """Lets a loop compute with compiled layers, if that is wanted, or may be expected to pay.

    All layers share what is compiled for one of them, and so do batches of all lengths: lengths are symbols
    in it. A layer that cannot be compiled here, such as for want of a C compiler, is computed as it is.

    Args:
        loop: The loop.
        wanted: Whether to; None: on a GPU, where torch can compile for it, if there are many steps left.
    """
    layers = [module for module in loop.model.modules() if isinstance(module, BertLayer)]
    if not (_pays(loop) if wanted is None else wanted):
        layers = []
    for layer in layers:
        layer.compile(dynamic=True, backend=BACKEND)
    if layers and (reason := _failure(loop)) is not None:
        logger.warning("trainer.compile: torch cannot compile here (%s); going on without", reason)
        _leave_as_they_are(layers)
    try:
        yield
    finally:
        _leave_as_they_are(layers)


def _pays(loop: TrainingLoop) -> bool:
    steps_left = loop.length.num_steps - loop.position.step
    is_sharded = isinstance(loop.steps.parallel, Sharded)  # which puts each layer together when it is called
    is_possible = loop.steps.device.type == "cuda" and find_spec("triton") is not None
    return is_possible and not is_sharded and steps_left >= WORTHWHILE_STEPS


def _failure(loop: TrainingLoop) -> str | None:
    """Returns why a step cannot be compiled, found by making one that leaves no trace."""
    from torch._dynamo.exc import TorchDynamoException  # its import takes a second

    try:
        loop.steps.rehearse(loop.train.largest_batch(loop.position.epoch))
    except TorchDynamoException as error:
        return shorten(str(error), 120, placeholder=" ...")
    return None


def _leave_as_they_are(layers: list[BertLayer]) -> None:
    for layer in layers:
        layer._compiled_call_impl = None  # torch has no other way to take `compile` back

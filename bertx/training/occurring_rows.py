"""The rows of a word embedding that the training data can look up, trained apart from the others.

Of a vocabulary of 30,000 pieces a data set has some thousands, and a batch some hundreds. A dense gradient of
all rows is mostly zeros, which would be written, measured, multiplied and added in every step. AdamW does
nothing to a row that never had a gradient but let it decay, so those rows wait, and decay when somebody is
about to look.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bertx.data.encoded import EncodedDataset
from bertx.data.instance import JSON

logger = logging.getLogger(__name__)

WORTHWHILE = 0.7
"""The share of rows up to which it is less work to train them apart."""
MOMENTS = ("exp_avg", "exp_avg_sq")
CHUNK = 1 << 20  # tokens that are looked through at a time: the ids may be mapped from a file


class OccurringRows:
    """Trains some rows of an embedding apart.

    Model and optimizer are as ever until `take_out`, and again after `put_back`. In between the parameter has
    the rows in question only. What a row that waits is worth follows from its first value and from how much
    has decayed since, so it does not depend on how often anybody looked.

    Args:
        embedding: The embedding; from `take_out` to `put_back` it can look up no other rows.
        rows: int64, (rows,): which rows, ascending.
        optimizer: AdamW, which trains it.
        is_sparse: Whether its gradient has the rows of the batch only.
    """

    def __init__(
        self, embedding: nn.Embedding, rows: Tensor, optimizer: torch.optim.AdamW, *, is_sparse: bool
    ) -> None:
        self._is_sparse = is_sparse
        self._embedding, self._rows, self._optimizer = embedding, rows, optimizer
        weight = embedding.weight.detach()
        is_waiting = torch.ones(len(weight), dtype=torch.bool)
        is_waiting[rows] = False
        self._waiting = is_waiting.nonzero().flatten()  # (vocab - rows,)
        self._first = weight[self._waiting]  # (vocab - rows, hidden)
        self._positions = torch.full((len(weight),), len(weight))  # what does not occur is out of range
        self._positions[rows] = torch.arange(len(rows))
        self._padding = embedding.padding_idx
        self._decay = 1.0
        self._whole: dict[str, Tensor] = {}  # while the rows are out: weight and moments of all rows
        self._hook: torch.utils.hooks.RemovableHandle | None = None

    def state_dict(self) -> dict[str, JSON]:
        """Returns how much of the waiting rows is left."""
        return {"decay": self._decay}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Takes back what `state_dict` returned."""
        self._decay = state["decay"]

    def take_out(self) -> None:
        """Lets the parameter have the occurring rows only, if the others are but waiting."""
        if self._hook is not None or not self._are_waiting():
            return
        weight, state = self._embedding.weight, self._optimizer.state[self._embedding.weight]
        self._whole = {"weight": weight.data}
        weight.grad, weight.data = None, weight.data[self._rows]
        for name in MOMENTS:
            if name in state:
                self._whole[name], state[name] = state[name], state[name][self._rows]
        if self._padding is not None:
            self._embedding.padding_idx = int(self._positions[self._padding])
        self._embedding.sparse = self._is_sparse
        self._hook = self._embedding.register_forward_pre_hook(self._renumbered)

    def decay(self) -> None:
        """Notes that the optimizer has made a step, in which every row decays."""
        if self._hook is not None and self._embedding.weight.grad is not None:
            group = self._group()
            self._decay *= 1 - float(group["lr"]) * float(group["weight_decay"])

    def put_back(self) -> None:
        """Gives the parameter all of its rows, each as it is by now."""
        if self._hook is None:
            return
        self._hook.remove()
        weight, state = self._embedding.weight, self._optimizer.state[self._embedding.weight]
        whole = self._whole.pop("weight")
        whole[self._waiting] = self._now()
        whole[self._rows] = weight.data
        for name in MOMENTS:
            if name in state:
                moments = self._whole.pop(name, None)
                moments = torch.zeros_like(whole) if moments is None else moments
                moments[self._rows] = state[name]
                state[name] = moments
        weight.grad, weight.data = None, whole
        self._embedding.padding_idx, self._embedding.sparse, self._hook = self._padding, False, None

    def _group(self) -> Mapping[str, float]:
        """Returns the options of the embedding, which an optimizer that loads a state has in another dict."""
        groups, weight = self._optimizer.param_groups, self._embedding.weight
        return next(group for group in groups if any(p is weight for p in group["params"]))

    def _now(self) -> Tensor:
        """Returns the waiting rows as they are by now."""
        return self._first if self._decay == 1 else self._first * self._decay

    def _are_waiting(self) -> bool:
        """Tells whether nothing but decay has happened to the other rows, and nothing else will."""
        weight = self._embedding.weight
        moments = [
            self._optimizer.state[weight][name] for name in MOMENTS if name in self._optimizer.state[weight]
        ]
        return torch.equal(weight.detach()[self._waiting], self._now()) and not any(
            bool(moment[self._waiting].any()) for moment in moments
        )

    def _renumbered(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Turns ids into rows of the parameter as it is now."""
        return (self._positions[inputs[0]], *inputs[1:])


def occurring_rows(
    embedding: nn.Embedding,
    index: str,
    dataset: EncodedDataset,
    optimizer: torch.optim.Optimizer,
    *,
    is_sparse: bool,
) -> OccurringRows | None:
    """Prepares an embedding on a CPU for training on the rows that some data have; None if it does not pay.

    Args:
        embedding: What is looked up, and is used for nothing else.
        index: The token indexer whose ids are looked up.
        dataset: All that will be looked up in training.
        optimizer: What trains it, if it is trained.
        is_sparse: Whether its gradient is to have the rows of the batch only.
    """
    weight = embedding.weight
    is_trained = weight.requires_grad and any(
        weight is parameter for group in optimizer.param_groups for parameter in group["params"]
    )
    if index not in dataset.token_indexers:  # what is padding is not known
        return None
    if not is_trained or type(embedding) is not nn.Embedding or not isinstance(optimizer, torch.optim.AdamW):
        return None
    if weight.device.type != "cpu" or embedding._forward_pre_hooks or embedding._forward_hooks:
        return None
    occurs = np.zeros(embedding.num_embeddings, np.bool_)
    occurs[dataset.token_indexers[index].tokenizer.pad_token_id] = True
    for texts in dataset.texts.values():
        if index in texts:
            ids = texts[index].input_ids
            for start in range(0, len(ids), CHUNK):
                occurs[ids[start : start + CHUNK]] = True
    rows = torch.from_numpy(np.flatnonzero(occurs))
    if len(rows) > WORTHWHILE * embedding.num_embeddings:
        return None
    logger.info("%d of %d pieces occur; the others wait", len(rows), embedding.num_embeddings)
    return OccurringRows(embedding, rows, optimizer, is_sparse=is_sparse)

"""A model whose numbers or memory fail when a test wants it."""

from __future__ import annotations

import math
import weakref

import torch

from bertx.models.bert_for_classification import BertForClassification
from bertx.training.processes.parallel import Parallel
from bertx.training.steps import StepMaker
from tests.training.tiny import batch_of, make_config, make_split, records, vocabulary

CPU = torch.device("cpu")


class Fragile(BertForClassification):
    """Fails in chosen passes through it, counted from 1, or with too many rows."""

    def __init__(self, *, passes=(), how="loss", most_rows=10**9, validations=(), dropout=0.0, **settings):
        torch.manual_seed(0)
        super().__init__(vocabulary(), make_config(dropout), **settings)
        self.passes, self.how, self.most_rows, self.validations = passes, how, most_rows, validations
        self.passed, self.sizes, self.held = 0, [], lambda: None

    def forward(self, tokens, label=None):
        if not self.training:
            output = super().forward(tokens, label)
            return output | {"loss": output["loss"] * (math.nan if self.blind else 1.0)}
        activations = torch.zeros(3)
        self.passed, self.held = self.passed + 1, weakref.ref(activations)
        self.sizes.append(len(label))
        if len(label) > self.most_rows and self.how == "loss":
            raise torch.OutOfMemoryError("CUDA out of memory")
        output = super().forward(tokens, label)
        if len(label) > self.most_rows:
            output["loss"].register_hook(self._exhaust)
        if self.passed in self.passes:
            self._spoil(output)
        return output

    blind = False

    def _spoil(self, output):
        if self.how == "loss":
            output["loss"] = output["loss"] * math.nan
        else:
            output["loss"].register_hook(lambda gradient: gradient * math.inf)

    def _exhaust(self, gradient):
        raise torch.OutOfMemoryError("CUDA out of memory")


def split_of(tmp_path, count=24, batch_size=2):
    return make_split(tmp_path, records(count), batch_size=batch_size)


def steps_of(model, split, *, lr=0.0, precision="fp32", optimizer=torch.optim.SGD):
    return StepMaker(
        Parallel(model), split, optimizer(model.parameters(), lr=lr), device=CPU, precision=precision
    )


def gradients(model, split, groups):
    """The gradients and sums of one step."""
    sums, _ = steps_of(model, split).make(1, [batch_of(split, rows) for rows in groups])
    return {name: parameter.grad for name, parameter in model.named_parameters()}, sums

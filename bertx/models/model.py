"""The family of models: an encoder, a head, a loss and metrics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.config.registrable import Registrable
from bertx.data.instance import JSON
from bertx.metrics.metric import Statistic
from bertx.models.regularizers import Regularization, RegularizerApplicator

Output = dict[str, Tensor]


class Model(nn.Module, Registrable):
    """What a config trains; `forward` takes the fields of a batch by name.

    Its output holds `loss`, a mean over the batch, if the batch has what the loss needs.

    Args:
        regularizer: The penalty that training adds to the loss.
    """

    def __init__(self, regularizer: Regularization | None = None) -> None:
        super().__init__()
        self.regularizer = (
            RegularizerApplicator(regularizer) if isinstance(regularizer, list) else regularizer
        )

    @property
    @abstractmethod
    def encoder_configs(self) -> dict[str, BertConfig]:
        """The sizes of each encoder, by the name of the token indexer whose ids it reads.

        The first is the one that is trained.
        """

    @property
    def encoder_config(self) -> BertConfig:
        """The sizes of the encoder that is trained."""
        return next(iter(self.encoder_configs.values()))

    @abstractmethod
    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """Returns the metrics counted since the last reset; the names do not depend on the data."""

    @property
    @abstractmethod
    def statistics(self) -> list[Statistic]:
        """What `get_metrics` reports, as counts that can be added to those of other data."""

    @abstractmethod
    def decode(self, output: Output) -> dict[str, Tensor | list[JSON]]:
        """Makes an output readable: adds what a person reads, such as the label's string, one value a row."""

    @property
    def looked_up(self) -> dict[str, nn.Embedding]:
        """The embeddings of pieces that are only looked up, by token indexer: no output is made with them."""
        return {}

    @property
    def adapted(self) -> nn.Module | None:
        """The encoder and the head whose LoRA updates a run also saves as `peft` does; None: it does not."""
        return None

    def regularization_penalty(self) -> Tensor | None:
        """Returns the penalty to add to the training loss, a scalar; None without a regularizer."""
        return None if self.regularizer is None else self.regularizer(self)


@contextmanager
def uncounted(model: Model) -> Iterator[None]:
    """Leaves the metrics as they were, for passes through the model that are no further instances."""
    states = [statistic.state_dict() for statistic in model.statistics]
    try:
        yield
    finally:
        for statistic, state in zip(model.statistics, states, strict=True):
            statistic.load_state_dict(state)

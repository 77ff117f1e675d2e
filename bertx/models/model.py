"""The family of models: an encoder, a head, a loss and metrics."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from bertx.bert.config import BertConfig
from bertx.config.registrable import Registrable
from bertx.data.instance import JSON
from bertx.metrics.metric import Statistic
from bertx.models.regularizers import RegularizerApplicator

Output = dict[str, Tensor]


class Model(nn.Module, Registrable):
    """What a config trains; `forward` takes the fields of a batch by name.

    Its output holds `loss`, a mean over the batch, if the batch has what the loss needs.

    Args:
        regularizer: The penalty that training adds to the loss.
    """

    def __init__(self, regularizer: RegularizerApplicator | None = None) -> None:
        super().__init__()
        self.regularizer = regularizer

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
    def adapted(self) -> nn.Module | None:
        """The encoder and the head whose LoRA updates a run also saves as `peft` does; None: it does not."""
        return None

    def regularization_penalty(self) -> Tensor | None:
        """Returns the penalty to add to the training loss, a scalar; None without a regularizer."""
        return None if self.regularizer is None else self.regularizer(self)

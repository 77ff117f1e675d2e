"""Which parameters are trained: all, some for good, or ever more from epoch to epoch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from torch import nn

from bertx.bert.model import BertModel
from bertx.config.registrable import Configurable
from bertx.errors import ConfigError
from bertx.models.parameter_names import listed, name_pattern

logger = logging.getLogger(__name__)

TypeOptimization: TypeAlias = Literal[
    "additional_layers", "top_layer", "top4_layers", "all_encoder_layers", "all"
]

# How many layers of an encoder are trained, where it is not all.
_NUM_LAYERS: dict[TypeOptimization, int] = {"additional_layers": 0, "top_layer": 1, "top4_layers": 4}


def freeze(
    model: nn.Module,
    no_grad: Sequence[str] | None = None,
    type_optimization: TypeOptimization | None = None,
) -> None:
    """Freezes what is not to be trained; what is frozen already stays so.

    Of ParlAI's choices each trains what the one before does and more: what is no part of an encoder; its
    topmost layer; its four topmost layers; all its layers; its embeddings. None trains the pooler, which
    ParlAI leaves as it was pretrained.

    Args:
        model: Whose parameters.
        no_grad: Regular expressions that are searched for in names of parameters; one without a find is
            warned about.
        type_optimization: ParlAI's choice; None: everything.

    Raises:
        ConfigError: A choice or an expression is none, the model has no encoder for the choice, or nothing is
            left to train.
    """
    if type_optimization is not None:
        _freeze_encoders(model, type_optimization)
    for pattern in [name_pattern(expression, "trainer.no_grad") for expression in no_grad or []]:
        found = [parameter for name, parameter in model.named_parameters() if pattern.search(name)]
        for parameter in found:
            parameter.requires_grad = False
        if not found:
            names = listed(name for name, _ in model.named_parameters())
            logger.warning('trainer.no_grad: "%s" picks none of the parameters %s', pattern.pattern, names)
    if no_grad or type_optimization is not None:
        _require_something("trainer.no_grad, trainer.type_optimization", model)


def _freeze_encoders(model: nn.Module, choice: TypeOptimization) -> None:
    if choice not in get_args(TypeOptimization):
        choices = ", ".join(get_args(TypeOptimization))
        raise ConfigError(f'trainer.type_optimization: "{choice}"; expected one of {choices}')
    for encoder in _encoders(model, "trainer.type_optimization"):
        layers = list(reversed(encoder.layers))
        frozen: list[nn.Module] = layers[_NUM_LAYERS.get(choice, len(layers)) :]
        frozen += [] if choice == "all" else [encoder.embeddings]
        frozen += [] if encoder.pooler is None else [encoder.pooler]
        for part in frozen:
            part.requires_grad_(False)


class GradualUnfreezing(Configurable):
    """Trains what is no part of an encoder alone at first, then ever more of it, from its top down.

    The pooler is trained from the beginning; the embeddings count as the lowest layer. What is frozen already
    stays so.

    Source: Howard & Ruder 2018 (Universal Language Model Fine-tuning), section 3.3.

    Args:
        layers_per_epoch: How many layers join in each epoch.
        start: The epoch, from 0, in which the first of them join.

    Raises:
        ConfigError: A number is out of its range.
    """

    def __init__(self, layers_per_epoch: int = 1, start: int = 1) -> None:
        for name, value, least in (("layers_per_epoch", layers_per_epoch, 1), ("start", start, 0)):
            if value < least:
                raise ConfigError(f"trainer.gradual_unfreezing.{name}: {value}; expected at least {least}")
        self.layers_per_epoch, self.start = layers_per_epoch, start
        self._trainable: list[nn.Parameter] | None = None

    def set_epoch(self, model: nn.Module, epoch: int) -> None:
        """Freezes what is not to be trained in an epoch, from 0.

        What is trainable when this is first called is all that ever will be: call it after what else freezes,
        the optimizer's groups included, and always for the same model.

        Raises:
            ConfigError: The model has no encoder, or there is nothing to train.
        """
        if self._trainable is None:
            self._trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        num_open = max(0, epoch - self.start + 1) * self.layers_per_epoch
        frozen: set[nn.Parameter] = set()
        for encoder in _encoders(model, "trainer.gradual_unfreezing"):
            for part in [*reversed(encoder.layers), encoder.embeddings][num_open:]:
                frozen.update(part.parameters())
        for parameter in self._trainable:
            parameter.requires_grad = parameter not in frozen
        _require_something("trainer.gradual_unfreezing", model)


def _encoders(model: nn.Module, where: str) -> list[BertModel]:
    encoders = [module for module in model.modules() if isinstance(module, BertModel)]
    if not encoders:
        raise ConfigError(f"{where}: the model has no BertModel whose layers could be counted; use no_grad")
    return encoders


def _require_something(where: str, model: nn.Module) -> None:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(f"{where}: there is nothing to train: every parameter is frozen")

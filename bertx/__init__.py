"""Config-driven experiments with BERT.

    import bertx

    bertx.train("configs/quickstart.jsonnet", "runs/quickstart")
    run = bertx.load("runs/quickstart")
    run.predict(["a gripping film", "dull"])

Names are imported on first use, so that `import bertx` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertx.api import train as train
    from bertx.config.registrable import Configurable as Configurable
    from bertx.config.registrable import Lazy as Lazy
    from bertx.config.registrable import Runtime as Runtime
    from bertx.data.batch_samplers import BatchSampler as BatchSampler
    from bertx.data.collators import Collator as Collator
    from bertx.data.dataset_readers.dataset_reader import DatasetReader as DatasetReader
    from bertx.data.instance import Instance as Instance
    from bertx.data.instance import LabelField as LabelField
    from bertx.data.instance import MetadataField as MetadataField
    from bertx.data.instance import TextField as TextField
    from bertx.data.loader import DataLoader as DataLoader
    from bertx.data.token_indexers.token_indexer import TokenIndexer as TokenIndexer
    from bertx.data.vocabulary import Vocabulary as Vocabulary
    from bertx.metrics.metric import Metric as Metric
    from bertx.models.bert_for_classification import BertForClassification as BertForClassification
    from bertx.models.initializers.initializer import Initializer as Initializer
    from bertx.models.losses.classification_loss import ClassificationLoss as ClassificationLoss
    from bertx.models.model import Model as Model
    from bertx.models.regularizers import Regularizer as Regularizer
    from bertx.runs.prediction.precision import in_precision as in_precision
    from bertx.runs.run import Run as Run
    from bertx.runs.run import load as load
    from bertx.training.callbacks.trainer_callback import TrainerCallback as TrainerCallback
    from bertx.training.moving_averages import MovingAverage as MovingAverage
    from bertx.training.objectives.objective import Objective as Objective
    from bertx.training.optimizers.optimizer import Optimizer as Optimizer
    from bertx.training.schedulers.learning_rate_scheduler import (
        LearningRateScheduler as LearningRateScheduler,
    )
    from bertx.training.schedulers.momentum_schedulers import MomentumScheduler as MomentumScheduler
    from bertx.training.trainer import Trainer as Trainer

_HOMES = {
    "bertx.api": ("train",),
    "bertx.config.registrable": ("Configurable", "Lazy", "Runtime"),
    "bertx.data.batch_samplers": ("BatchSampler",),
    "bertx.data.collators": ("Collator",),
    "bertx.data.dataset_readers.dataset_reader": ("DatasetReader",),
    "bertx.data.instance": ("Instance", "LabelField", "MetadataField", "TextField"),
    "bertx.data.loader": ("DataLoader",),
    "bertx.data.token_indexers.token_indexer": ("TokenIndexer",),
    "bertx.data.vocabulary": ("Vocabulary",),
    "bertx.metrics.metric": ("Metric",),
    "bertx.models.bert_for_classification": ("BertForClassification",),
    "bertx.models.initializers.initializer": ("Initializer",),
    "bertx.models.losses.classification_loss": ("ClassificationLoss",),
    "bertx.models.model": ("Model",),
    "bertx.models.regularizers": ("Regularizer",),
    "bertx.runs.prediction.precision": ("in_precision",),
    "bertx.runs.run": ("Run", "load"),
    "bertx.training.callbacks.trainer_callback": ("TrainerCallback",),
    "bertx.training.schedulers.learning_rate_scheduler": ("LearningRateScheduler",),
    "bertx.training.schedulers.momentum_schedulers": ("MomentumScheduler",),
    "bertx.training.moving_averages": ("MovingAverage",),
    "bertx.training.objectives.objective": ("Objective",),
    "bertx.training.optimizers.optimizer": ("Optimizer",),
    "bertx.training.trainer": ("Trainer",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'bertx' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__

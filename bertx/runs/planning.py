"""From a config to a checked plan: all that bertx ships is known here, what opens runs too."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from bertx.config.construct import Places, plan
from bertx.config.registrable import Lazy
from bertx.config.signatures import config_parameters
from bertx.config.suggestions import is_slip
from bertx.errors import ConfigError
from bertx.experiment import Experiment

# Folders of which every module registers something.
FAMILIES = (
    "data.dataset_readers",
    "data.token_indexers",
    "metrics",
    "models",
    "models.initializers",
    "models.losses",
    "training.callbacks",
    "training.schedulers",
    "training.objectives",
    "training.optimizers",
    "runs.components",
)
# Further modules that register something.
MODULES = (
    "data.loader",
    "data.collators",
    "data.batch_samplers",
    "training.gradient_descent",
    "training.moving_averages",
)


def plan_experiment(
    config: object, source: str = "config", positions: Places | None = None
) -> Lazy[Experiment]:
    """Checks a config; nothing is built.

    Raises:
        ConfigError: One line for each problem.
    """
    register_components()
    planned = plan(Experiment, config, source, positions)
    check_index(planned, source)
    return planned


def check_index(planned: Lazy[Experiment], source: str = "config") -> None:
    """Checks that each reader has the token indexers that the model reads.

    The names of token indexers are the user's own, so that a slip in one shows only beside the model, whose
    parameters `index` and those that end in `_index` name them.

    Raises:
        ConfigError: One does not.
    """
    model = planned.settings["model"]
    for name, parameter in config_parameters(model.maker).items():
        index = model.settings.get(name, parameter.default)
        # A user's model may mean something else by the word.
        if (name == "index" or name.endswith("_index")) and isinstance(index, str):
            _check_index(planned, index, source)


def _check_index(planned: Lazy[Experiment], index: str, source: str) -> None:
    for key in ("dataset_reader", "validation_dataset_reader"):
        reader = planned.settings.get(key)
        indexers = None if reader is None else reader.settings.get("token_indexers")
        if isinstance(indexers, dict) and index not in indexers:
            place = next((lazy.place for lazy in indexers.values() if lazy.place), None) or source
            hint = f'; did you mean "{index}"?' if any(is_slip(name, index) for name in indexers) else ""
            raise ConfigError(
                f'{place}: {key}.token_indexers: none is called "{index}", which the model reads '
                f"(they are called: {', '.join(indexers)}){hint}"
            )


@functools.cache
def register_components() -> None:
    """Imports every module of the families, so that all that bertx ships has its registered name."""
    for family in FAMILIES:
        package = importlib.import_module(f"bertx.{family}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"bertx.{family}.{module.name}")
    for name in MODULES:
        importlib.import_module(f"bertx.{name}")

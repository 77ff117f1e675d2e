"""Sends the numbers of a training to MLflow."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bertx.data.instance import JSON
from bertx.errors import ConfigError
from bertx.training.callbacks.tracker import Tracker, config_of
from bertx.training.callbacks.trainer_callback import TrainerCallback, TrainingContext

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

PARAMETERS_PER_CALL = 100  # more are refused by the server
LONGEST_VALUE = 500  # characters of a parameter that every server takes


@TrainerCallback.register("mlflow")
class MlflowTracker(Tracker):
    """Sends config and numbers of a training to MLflow; a resumed training goes on in its run.

    A number that cannot be sent is lost with a warning; training goes on.

    Args:
        experiment: Where the run belongs; it is made if it is not there.
        tracking_uri: A server such as `http://host:5000`, or a store such as `sqlite:///runs/mlflow.db`;
            null: what `MLFLOW_TRACKING_URI` says, or MLflow's default.
        name: What the run is called; null: the name of the run folder.
        tags: Tags of the run.
        every: Optimizer steps between two points of loss and learning rate.

    Raises:
        ConfigError: The package is not installed, or `every` is not positive; later, that a run cannot be
            begun there.
    """

    package: ClassVar[str] = "mlflow"

    def __init__(
        self,
        experiment: str = "bertx",
        tracking_uri: str | None = None,
        *,
        name: str | None = None,
        tags: dict[str, str] | None = None,
        every: int = 10,
    ) -> None:
        super().__init__(every)
        self.experiment, self.tracking_uri, self.name, self.tags = experiment, tracking_uri, name, tags
        self._id = ""  # none yet
        self._arrived: dict[str, int] = {}

    def open(self, context: TrainingContext, folder: Path) -> None:
        """Begins a run, or goes on with the one of the interrupted training."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            self._client = MlflowClient(tracking_uri=self.tracking_uri)
            if not self._id:
                self._id = self._begin(folder)
            else:
                self._client.update_run(self._id, status="RUNNING")
                self._arrived = dict(_last_steps(self._client, self._id))
        except MlflowException as error:
            raise ConfigError(f'trainer.callbacks: "mlflow" cannot begin a run: {error}') from None

    def _begin(self, folder: Path) -> str:
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(self.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self.experiment)
        name = self.name or folder.absolute().name
        run = self._client.create_run(experiment, run_name=name, tags=self.tags).info.run_id
        settings = [Param(key, value[:LONGEST_VALUE]) for key, value in _leaves(config_of(folder))]
        for start in range(0, len(settings), PARAMETERS_PER_CALL):
            self._client.log_batch(run, params=settings[start : start + PARAMETERS_PER_CALL])
        return str(run)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends numbers; what the run has already from before an interruption, it keeps."""
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        now = int(time.time() * 1000)
        new = {name: value for name, value in numbers.items() if step > self._arrived.get(name, -1)}
        try:
            self._client.log_batch(self._id, [Metric(name, value, now, step) for name, value in new.items()])
        except MlflowException as error:
            logger.warning("mlflow: the numbers of step %d are not sent: %s", step, error)

    def close(self, *, failed: bool) -> None:
        """Tells how the training ended."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def state_dict(self) -> dict[str, JSON]:
        """Returns the name of the run there."""
        return {"id": self._id}

    def load_state_dict(self, state: Mapping[str, JSON]) -> None:
        """Takes back the name of the run there."""
        self._id = str(state["id"])


def _last_steps(client: MlflowClient, run: str) -> Iterator[tuple[str, int]]:
    for name in client.get_run(run).data.metrics:
        yield name, max(metric.step for metric in client.get_metric_history(run, name))


def _leaves(value: JSON, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields the settings of a config by their dotted names; a list is one setting."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)

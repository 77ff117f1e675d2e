"""Runs on a Ray cluster: a task for each, which asks for cores and GPUs and starts the run's own process.

All nodes must see the folder of the study, the data and the cache under the same paths.
"""

from __future__ import annotations

import logging
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bertx.ablation.running.job import Job, read_job
from bertx.ablation.running.local import WORKER, environment_of
from bertx.errors import ConfigError, Preempted, ProcessError

if TYPE_CHECKING:
    import ray


class RayExecutor:
    """Starts a Ray task for each run, on the cluster that `RAY_ADDRESS` names, or on a new one here.

    Args:
        num_cpus: Cores that each run asks for.
        num_gpus: GPUs that each run asks for.

    Raises:
        ConfigError: Ray is not installed.
        ProcessError: The cluster is too small for a run.
    """

    def __init__(self, num_cpus: int, num_gpus: int = 0) -> None:
        try:
            import ray
        except ImportError:
            raise ConfigError('--executor ray: ray is missing; pip install "bertx[ray]"') from None
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.ERROR)
        self._task = ray.remote(max_retries=0, num_cpus=num_cpus, num_gpus=num_gpus)(run_job)
        resources: Callable[[], dict[str, float]] = ray.cluster_resources
        there, asked = resources(), {"CPU": num_cpus, "GPU": num_gpus}
        # Ray finds a node for each; what does not fit beside the others waits with it.
        self._room = min(int(there.get(name, 0) // count) for name, count in asked.items() if count)
        if not self._room:
            raise ProcessError(
                f"--executor ray: the cluster has not {num_cpus} cores and {num_gpus} GPUs for a run"
            )
        self._running: list[RayRun] = []

    def has_room(self) -> bool:
        """Tells whether the cluster has room for another run."""
        self._running = [run for run in self._running if run.poll() is None]
        return len(self._running) < self._room

    def start(self, job: Job) -> RayRun:
        """Starts the task of a run."""
        run = RayRun(self._task.remote(str(job.file)))
        self._running.append(run)
        return run


class RayRun:
    """The task of a run."""

    def __init__(self, task: ray.ObjectRef[int]) -> None:
        self._task = task
        self._status: int | None = None

    def poll(self) -> int | None:
        """Returns the exit status; None: it still runs, or waits for its turn."""
        import ray

        if self._status is None and ray.wait([self._task], timeout=0)[0]:
            try:
                self._status = int(ray.get(self._task))
            except ray.exceptions.TaskCancelledError:
                self._status = Preempted.exit_status
            except ray.exceptions.RayError:  # the node is gone
                self._status = ProcessError.exit_status
        return self._status

    def stop(self, number: int) -> None:
        """Lets the run save itself and end, or end at once."""
        import ray

        ray.cancel(self._task, force=number not in (signal.SIGTERM, signal.SIGINT))


def run_job(path: str) -> int:
    """Runs the process of a job; is what a task does.

    Returns:
        The exit status of the process.
    """
    job = read_job(Path(path))
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        process = subprocess.Popen([*WORKER, path], env=environment_of(job), stdout=log, stderr=log)
        try:
            return process.wait()
        except KeyboardInterrupt:  # how Ray cancels
            process.terminate()
            return process.wait()

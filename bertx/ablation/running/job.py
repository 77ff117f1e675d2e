"""A job: what one run is given and where it leaves what, in files that every process of a study knows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertx.ablation.outcome import DIGITS
from bertx.atomic import write_json
from bertx.errors import CheckpointError

if TYPE_CHECKING:  # a process that looks after a run need not wait for torch
    from bertx.ablation.study.plan import PlannedRun, StudyPlan

RUNS, CONFIGS, JOBS, CLAIMS, FAILURES, LOGS = "runs", "configs", "jobs", "claims", "failures", "logs"
RECORD = "run.json"  # in a run folder: the last file that is written, so that with it the run is finished


@dataclass(frozen=True)
class Record:
    """What a finished run says of itself.

    Attributes:
        identity: Its identity.
        metrics: Those of its best weights, by plain names.
        seconds: The time of the training.
        peak_memory_bytes: The most memory that its process held; None: the system does not tell.
        num_parameters: The size of the model.
        num_trainable_parameters: How many of them were trained.
    """

    identity: str
    metrics: dict[str, float]
    seconds: float
    peak_memory_bytes: int | None
    num_parameters: int
    num_trainable_parameters: int


@dataclass(frozen=True, eq=False)
class Job:
    """A run, as its process is told of it; all paths are absolute.

    Attributes:
        identity: Its identity.
        name: The name of its files.
        title: What to call it before people.
        study: The folder of the study.
        folder: The run folder, relative to that of the study.
        search: Folders that relative paths of the config start from.
        include_packages: Modules with components of the user's own.
        device: Where to train; None: a GPU if there is one.
        num_threads: With how many threads.
        num_steps: How many steps it has; None: that is not known.
        on_test: Whether the test data are what is compared.
    """

    identity: str
    name: str
    title: str
    study: str
    folder: str
    search: list[str]
    include_packages: list[str]
    device: str | None
    num_threads: int
    num_steps: int | None
    on_test: bool

    @property
    def run_folder(self) -> Path:
        """The run folder."""
        return Path(self.study, self.folder)

    @property
    def config(self) -> Path:
        """The config."""
        return Path(self.study, CONFIGS, f"{self.name}.json")

    @property
    def file(self) -> Path:
        """This job, for its process."""
        return Path(self.study, JOBS, f"{self.name}.json")

    @property
    def claim(self) -> Path:
        """The file that is locked while the run is made."""
        return Path(self.study, CLAIMS, f"{self.identity}.lock")

    @property
    def failure(self) -> Path:
        """What went wrong the last time."""
        return Path(self.study, FAILURES, f"{self.identity}.json")

    @property
    def log(self) -> Path:
        """What its process writes."""
        return Path(self.study, LOGS, f"{self.name}.log")

    def record(self) -> Record | None:
        """Reads what the run says of itself; None: it is not finished."""
        try:
            found = json.loads((self.run_folder / RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.run_folder / RECORD}: cannot be read ({error})") from None
        return Record(**found) if found.get("identity") == self.identity else None

    def error(self) -> str | None:
        """Reads what went wrong the last time; None: nothing did."""
        try:
            found = json.loads(self.failure.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return str(found.get("error"))

    def fail(self, error: str) -> None:
        """Notes what went wrong."""
        write_json(self.failure, {"run": self.name, "error": error})


def write_job(job: Job, run: PlannedRun) -> None:
    """Writes what the process of a run reads."""
    for path, content in ((job.config, run.config), (job.file, asdict(job))):
        if not path.exists() or json.loads(path.read_text(encoding="utf-8")) != content:
            write_json(path, content)


def read_job(path: Path) -> Job:
    """Reads a job.

    Raises:
        CheckpointError: There is none.
    """
    try:
        return Job(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: no job of a study ({error})") from None


def make_job(plan: StudyPlan, run: PlannedRun, folder: Path, *, device: str | None, num_threads: int) -> Job:
    """Makes the job of a run; one that was made under another name keeps its folder.

    Args:
        plan: The plan of the study.
        run: The run.
        folder: The folder of the study.
        device: Where to train; None: a GPU if there is one.
        num_threads: With how many threads.
    """
    runs = folder / RUNS
    known = sorted(path.name for path in runs.glob(f"*-{run.identity[:DIGITS]}") if path.is_dir())
    return Job(
        identity=run.identity,
        name=run.name,
        title=run.title,
        study=str(folder.absolute()),
        folder=f"{RUNS}/{known[0] if known else run.name}",
        search=[str(path.absolute()) for path in plan.study.search],
        include_packages=[
            str(Path(name).absolute()) if name.endswith(".py") else name for name in plan.include_packages
        ],
        device=device,
        num_threads=num_threads,
        num_steps=run.draft.num_steps,
        on_test=plan.evaluated_on == "test",
    )

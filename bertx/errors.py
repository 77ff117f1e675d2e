"""The errors a user can cause, and the exit status of each.

    BertxError
    ├── UsageError        2   a command line that asks for something impossible
    ├── ConfigError       2   a config that says something wrong
    ├── StudyError        3   some runs of a study failed
    ├── DataError         4   a data file, a prediction input, an output path
    ├── CheckpointError   4   weights, a run folder or an archive
    ├── TrainingError     5   the numbers failed: NaN, infinity
    ├── ExportError       5   an exported model computes something else than its run
    ├── ProcessError     76   another process of the same run has ended or does not answer
    └── Preempted        75   a training was told to stop; it can go on

Each message says where, what is wrong (with the value), what was expected and what to do; one line per
problem. A programming error stays a `TypeError` or `ValueError`.
"""

from __future__ import annotations

from typing import ClassVar


class BertxError(Exception):
    """Base of every error that is the user's to mend; the command line prints it without a traceback."""

    exit_status: ClassVar[int] = 1


class UsageError(BertxError):
    """A command line that asks for something impossible."""

    exit_status = 2


class ConfigError(BertxError):
    """A config is wrong: one line per problem, each with its place."""

    exit_status = 2


class StudyError(BertxError):
    """Some runs of a study failed; the others are there."""

    exit_status = 3


class DataError(BertxError):
    """A data file cannot be read as what it should be, or an output cannot be written."""

    exit_status = 4


class CheckpointError(BertxError):
    """Weights, a run folder or an archive are missing, broken or of the wrong shape."""

    exit_status = 4


class TrainingError(BertxError):
    """Training cannot go on: the loss or a gradient is not a finite number."""

    exit_status = 5


class ProcessError(BertxError):
    """Another process of the same run has ended or does not answer; what it says itself is the cause."""

    exit_status = 76


class ExportError(BertxError):
    """An exported model does not compute what its run computes."""

    exit_status = 5


class Preempted(BertxError):
    """A training was told to stop, and has saved a checkpoint to go on from."""

    exit_status = 75

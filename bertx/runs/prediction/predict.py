"""Predicting for all records of an input, window by window.

Inside a window, texts of similar length are computed together; the next one is read and encoded meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from bertx.data.files import require
from bertx.data.prefetch import one_ahead
from bertx.errors import DataError, UsageError
from bertx.progress import Progress
from bertx.runs.prediction.computation import Computation, Computed, Encoded, OnError
from bertx.runs.prediction.precision import COMPARED, PredictionPrecision, in_precision, log_agreement
from bertx.runs.prediction.records import (
    FIRST_OF_A_FILE,
    FIRST_WINDOW,
    Item,
    items_of,
    part_of,
    windows,
)
from bertx.runs.prediction.sinks import OutputFile, Sinks, Tally, standard_output
from bertx.runs.prediction.workers import Opening, Task, computed_by
from bertx.runs.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionRequest:
    """What to predict and how.

    Attributes:
        source: The input: JSONL, or what the run's reader reads; None: standard input.
        output: The file to write; None: standard output.
        on_error: What a bad record does: `fail` ends the prediction; `skip` leaves it out; `quarantine`
            leaves it out and writes it to a file beside the output.
        keep_fields: Whether a line repeats all fields of its input.
        use_dataset_reader: Whether the input is a file as the run's reader reads it, not JSONL.
        batch_size: Records per batch; None: as many as fit a budget of tokens.
        shard: (i, n): predict the i-th (from 1) of n equal parts of the input only.
        resume: Whether to go on where an interrupted prediction to the same file stopped.
        silent: Whether to print nothing to standard output.
        precision: The arithmetic to compute in; `auto`: that in which the run was trained.
        workers: How many processes compute; 1: this one.
    """

    source: Path | None
    output: Path | None = None
    on_error: OnError = "fail"
    keep_fields: bool = False
    use_dataset_reader: bool = False
    batch_size: int | None = None
    shard: tuple[int, int] | None = None
    resume: bool = False
    silent: bool = False
    precision: PredictionPrecision = "auto"
    workers: int = 1


def predict(run: Run, request: PredictionRequest, opening: Opening | None = None) -> Tally:
    """Predicts for every record of the input.

    Args:
        run: The run.
        request: What to predict and how.
        opening: How other processes open the same run; several workers need it.

    Raises:
        DataError: The input or the output cannot be used, or a record is bad and `on_error` is `fail`.
        UsageError: The options exclude each other, or the processor lacks what they need.
        ConfigError: The model cannot be computed in the precision.
        ProcessError: A worker ended.
    """
    _check(request)
    reader = run.reader if request.use_dataset_reader else None
    items = items_of(request.source, reader)
    if request.shard is not None:
        total = sum(1 for _ in items)
        items = part_of(items_of(request.source, reader), request.shard, total)
    ready = in_precision(run, request.precision)
    with _sinks(run, request) as (sinks, tally), Progress("predict", None, unit="records") as progress:
        if request.precision == "int8":
            items = _compared(run, ready, request, items)
        _skip(items, tally)
        cut = windows(items, FIRST_OF_A_FILE if _is_file(request) else FIRST_WINDOW, tally.windows)
        with closing(_computed(ready, request, opening, cut)) as results:
            for window, (lines, bad, warnings) in results:
                for warning in warnings:
                    logger.warning("%s", warning)
                sinks.write(lines, bad)
                tally.add(window, written=len(lines), bad=len(bad))
                sinks.note(tally)
                progress.advance(len(window))
    if tally.bad:
        logger.warning("%d of %d records could not be read and were left out", tally.bad, tally.inputs)
    return tally


def _computed(
    run: Run, request: PredictionRequest, opening: Opening | None, source: Iterator[list[Item]]
) -> Generator[tuple[Sequence[Item], Computed]]:
    """Yields windows with what came out of them, in order."""
    if request.workers > 1 and opening is not None:
        task = Task(opening, request.precision, request.on_error, request.keep_fields, request.batch_size)
        yield from computed_by(request.workers, task, source)
        return
    computation = Computation(run, request.on_error, request.keep_fields, request.batch_size)
    encoded: Iterator[Encoded] = map(computation.encoded, source)
    # Standard input and pipes may keep a reader waiting, and nobody can interrupt that but this thread.
    if _is_file(request):
        encoded = one_ahead(encoded)
    for window in encoded:
        yield window.window, computation.computed(window)


def _compared(run: Run, ready: Run, request: PredictionRequest, items: Iterator[Item]) -> Iterator[Item]:
    """Logs what int8 changes for the first records; yields all of them."""
    first = list(islice(items, FIRST_WINDOW if request.source is None else COMPARED))
    # What is bad among them is told later, when it is its turn.
    instances = [entry.instance for entry in Computation(run, "skip", False, None).encoded(first).good]
    if instances:
        log_agreement(run, ready, instances)
    return chain(first, items)


def _check(request: PredictionRequest) -> None:
    if request.resume and request.output is None:
        raise UsageError("--resume needs --output-file: standard output cannot be continued")
    if request.on_error == "quarantine" and request.output is None:
        raise UsageError("--on-error quarantine needs --output-file: bad records go to a file beside it")
    if request.source is None and (request.shard or request.use_dataset_reader or request.resume):
        raise UsageError("standard input excludes --shard, --resume and --use-dataset-reader; give a file")
    if request.shard is not None and not 1 <= request.shard[0] <= request.shard[1]:
        raise UsageError(f"--shard {request.shard[0]}/{request.shard[1]}: expected I/N with I from 1 to N")
    if request.source is not None and request.output is not None and _same(request.source, request.output):
        raise UsageError(f"--output-file {request.output}: is the input; choose another file")
    if request.source is not None and not request.use_dataset_reader:
        require(request.source)  # before an output is touched


def _skip(items: Iterator[Item], done: Tally) -> None:
    """Reads over the records that an interrupted prediction has done.

    Raises:
        DataError: They are not the same.
    """
    found = Tally()
    for item in islice(items, done.inputs):
        found.add([item], written=0, bad=0)
    if found.digest != done.digest:
        raise DataError(
            f"the first {done.inputs} records of the input are not those that the interrupted prediction "
            "has done; leave out --resume to begin anew"
        )


def _is_file(request: PredictionRequest) -> bool:
    return request.source is not None and request.source.is_file()


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


@contextmanager
def _sinks(run: Run, request: PredictionRequest) -> Iterator[tuple[Sinks, Tally]]:
    if request.output is None:
        yield standard_output(silent=request.silent), Tally()
        return
    output = OutputFile(request.output, request.on_error == "quarantine", _identity(run, request))
    try:
        with output.open(resume=request.resume) as opened:
            yield opened
    except BaseException as error:
        if request.source is not None and output.beside("progress").exists():
            error.add_note(f"what is done is in {output.beside('partial')}; add --resume to go on from there")
        raise


def _identity(run: Run, request: PredictionRequest) -> str:
    """Hashes what decides the lines, beside the input and what happens to bad records."""
    options = [
        *(request.keep_fields, request.use_dataset_reader),
        *(request.batch_size, request.shard, request.precision),
    ]
    return hashlib.sha256(json.dumps([run.config, run.environment, options]).encode()).hexdigest()

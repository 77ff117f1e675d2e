"""Window by window: records become instances, instances predictions, predictions lines.

Inside a window, texts of similar length are computed together.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import orjson

from bertx.data.files import require
from bertx.data.instance import JSON, Instance, MetadataField
from bertx.errors import DataError, UsageError
from bertx.progress import Progress
from bertx.runs.prediction.records import Item, items_of, part_of, windows
from bertx.runs.prediction.sinks import OutputFile, Sinks, Tally, standard_output
from bertx.runs.run import Run

logger = logging.getLogger(__name__)

OnError: TypeAlias = Literal["fail", "skip", "quarantine"]
Good: TypeAlias = "tuple[Item, Mapping[str, JSON], Instance]"


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


def predict(run: Run, request: PredictionRequest) -> Tally:
    """Predicts for every record of the input.

    Raises:
        DataError: The input or the output cannot be used, or a record is bad and `on_error` is `fail`.
        UsageError: The options exclude each other.
    """
    _check(request)
    reader = run.reader if request.use_dataset_reader else None
    items = items_of(request.source, reader)
    if request.shard is not None:
        total = sum(1 for _ in items)
        items = part_of(items_of(request.source, reader), request.shard, total)
    with _sinks(run, request) as (sinks, tally), Progress("predict", None, unit="records") as progress:
        _skip(items, tally)
        for window in windows(items, tally.windows):
            lines, bad = _predict_window(run, request, window)
            sinks.write(lines, bad)
            tally.add(window, written=len(lines), bad=len(bad))
            sinks.note(tally)
            progress.advance(len(window))
    if tally.bad:
        logger.warning("%d of %d records could not be read and were left out", tally.bad, tally.inputs)
    return tally


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
    options = [request.keep_fields, request.use_dataset_reader, request.batch_size, request.shard]
    return hashlib.sha256(json.dumps([run.config, run.environment, options]).encode()).hexdigest()


def _predict_window(
    run: Run, request: PredictionRequest, window: list[Item]
) -> tuple[list[bytes], list[bytes]]:
    """Returns the output lines of a window and the lines for the quarantine."""
    good: list[Good] = []
    bad: dict[int, bytes] = {}

    def refuse(item: Item, error: DataError) -> None:
        if request.on_error == "fail":
            raise error
        logger.warning("%s", error)
        text = item.content().decode("utf-8", "replace")
        line = {"place": item.place, "error": str(error), "line": text}
        bad[item.number] = orjson.dumps(line) + b"\n"

    for item in window:
        try:
            record = item.record()
            good.append((item, record, run.instance(item.place, record)))
        except DataError as error:
            refuse(item, error)
    try:
        predictions = run.predict_instances([instance for _, _, instance in good], request.batch_size)
    except DataError:
        for item, unfit in _unfit(run, good):
            refuse(item, unfit)
        good = [entry for entry in good if entry[0].number not in bad]
        predictions = run.predict_instances([instance for _, _, instance in good], request.batch_size)
    lines = [
        orjson.dumps(
            _line(prediction, record, instance, request.keep_fields), option=orjson.OPT_APPEND_NEWLINE
        )
        for prediction, (_, record, instance) in zip(predictions, good, strict=True)
    ]
    return lines, [bad[number] for number in sorted(bad)]


def _unfit(run: Run, good: list[Good]) -> Iterator[tuple[Item, DataError]]:
    """Finds the records that the model cannot read, such as those that are too long."""
    for item, _, instance in good:
        try:
            run.require_fitting(item.place, instance)
        except DataError as error:
            yield item, error


def _line(
    prediction: dict[str, JSON], record: Mapping[str, JSON], instance: Instance, keep_fields: bool
) -> dict[str, JSON]:
    for field in instance.fields.values():
        if isinstance(field, MetadataField) and isinstance(field.metadata, dict) and "id" in field.metadata:
            prediction["id"] = field.metadata["id"]
    if keep_fields:
        for key, value in record.items():
            if key not in prediction:
                prediction[key] = value
            elif prediction[key] != value:
                prediction[f"input_{key}"] = value
    return prediction

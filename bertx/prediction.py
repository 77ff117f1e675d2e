"""`bertx predict`: records in, one JSON line for each out, in order, in constant memory.

Records are taken in windows; inside a window, texts of similar length are computed together. What is written
is complete up to the last window, and a note beside it says how far: an interrupted prediction can go on.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import orjson

from bertx.atomic import replacing
from bertx.data.files import numbered_lines, open_lines, parse_record, shown
from bertx.data.instance import JSON, Instance, MetadataField
from bertx.errors import DataError, UsageError
from bertx.progress import Progress
from bertx.run import BATCH_SIZE, Run

logger = logging.getLogger(__name__)

OnError: TypeAlias = Literal["fail", "skip", "quarantine"]

WINDOW = 8_192  # records that are in memory at one time
FIRST_WINDOW = 32  # small, then doubled: the first results come at once


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
        batch_size: Records per batch.
        shard: (i, n): predict the i-th (from 1) of n equal parts of the input only.
        resume: Whether to go on where an interrupted prediction to the same file stopped.
        silent: Whether to print nothing to standard output.
    """

    source: Path | None
    output: Path | None = None
    on_error: OnError = "fail"
    keep_fields: bool = False
    use_dataset_reader: bool = False
    batch_size: int = BATCH_SIZE
    shard: tuple[int, int] | None = None
    resume: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Item:
    """One input record.

    Attributes:
        place: Where it stands, such as `input.jsonl:17`.
        text: The line as it is; empty if a reader made the record.
        record: The parsed record; None until it is parsed.
    """

    place: str
    text: str
    record: Mapping[str, JSON] | None = None


@dataclass
class Tally:
    """How far a prediction is.

    Attributes:
        inputs: Input records done.
        written: Output lines written.
        bad: Records that could not be read.
    """

    inputs: int = 0
    written: int = 0
    bad: int = 0


def predict(run: Run, request: PredictionRequest) -> Tally:
    """Predicts for every record of the input.

    Raises:
        DataError: The input or the output cannot be used, or a record is bad and `on_error` is `fail`.
        UsageError: The options exclude each other.
    """
    _check(request)
    total = None
    if request.shard is not None:
        total = sum(1 for _ in _items(run, request))
    with _sinks(request) as (sinks, tally), Progress("predict", None, unit="records") as progress:
        items = _shard(_items(run, request), request.shard, total)
        for window in _windows(islice(items, tally.inputs, None)):
            lines, bad = _predict_window(run, request, window)
            sinks.write(lines, bad)
            tally.inputs += len(window)
            tally.written += len(lines)
            tally.bad += len(bad)
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


def _items(run: Run, request: PredictionRequest) -> Iterator[Item]:
    if request.source is None:
        lines, name = numbered_lines(sys.stdin.buffer, "standard input"), "standard input"
    elif request.use_dataset_reader:
        for place, record in run.reader.records(request.source):
            yield Item(place, "", record)
        return
    else:
        lines, name = open_lines(request.source), shown(request.source)
    for number, line in lines:
        if line and not line.isspace():
            yield Item(f"{name}:{number}", line)


def _shard(items: Iterator[Item], shard: tuple[int, int] | None, total: int | None) -> Iterator[Item]:
    if shard is None or total is None:
        return items
    number, parts = shard
    return islice(items, total * (number - 1) // parts, total * number // parts)


def _windows(items: Iterator[Item]) -> Iterator[list[Item]]:
    size = FIRST_WINDOW
    while window := list(islice(items, size)):
        yield window
        size = min(size * 2, WINDOW)


def _predict_window(
    run: Run, request: PredictionRequest, window: list[Item]
) -> tuple[list[bytes], list[bytes]]:
    """Returns the output lines of a window and the lines for the quarantine."""
    good: list[tuple[Mapping[str, JSON], Instance]] = []
    bad: list[bytes] = []
    for item in window:
        try:
            record = parse_record(item.text, item.place) if item.record is None else item.record
            good.append((record, run.instance(item.place, record)))
        except DataError as error:
            if request.on_error == "fail":
                raise
            logger.warning("%s", error)
            bad.append(orjson.dumps({"place": item.place, "error": str(error), "line": item.text}) + b"\n")
    predictions = run.predict_instances([instance for _, instance in good], request.batch_size)
    lines = [
        orjson.dumps(_line(prediction, record, instance, request.keep_fields)) + b"\n"
        for prediction, (record, instance) in zip(predictions, good, strict=True)
    ]
    return lines, bad


def _line(
    prediction: dict[str, JSON], record: Mapping[str, JSON], instance: Instance, keep_fields: bool
) -> dict[str, JSON]:
    line = dict(prediction)
    for field in instance.fields.values():
        if isinstance(field, MetadataField) and isinstance(field.metadata, dict) and "id" in field.metadata:
            line["id"] = field.metadata["id"]
    if keep_fields:
        for key, value in record.items():
            if key not in line:
                line[key] = value
            elif line[key] != value:
                line[f"input_{key}"] = value
    return line


class _Sinks:
    """Where lines go: standard output, or a file that gets its name when it is complete."""

    def __init__(self, lines: BinaryIO | None, bad: BinaryIO | None, note_path: Path | None) -> None:
        self._lines, self._bad, self._note_path = lines, bad, note_path

    def write(self, lines: Iterable[bytes], bad: Iterable[bytes]) -> None:
        for stream, rows in ((self._lines, lines), (self._bad, bad)):
            if stream is not None:
                stream.writelines(rows)
                stream.flush()

    def note(self, tally: Tally) -> None:
        """Notes how far the files are complete, for `--resume`."""
        if self._note_path is None or self._lines is None:
            return
        state = {
            **vars(tally),
            "bytes": self._lines.tell(),
            "bad_bytes": self._bad.tell() if self._bad else 0,
        }
        with replacing(self._note_path) as temporary:
            temporary.write_bytes(orjson.dumps(state))


@contextmanager
def _sinks(request: PredictionRequest) -> Iterator[tuple[_Sinks, Tally]]:
    if request.output is None:
        yield _Sinks(None if request.silent else sys.stdout.buffer, None, None), Tally()
        return
    output = request.output
    partial, note = output.with_name(f"{output.name}.partial"), output.with_name(f"{output.name}.progress")
    quarantine = output.with_name(f"{output.name}.quarantine") if request.on_error == "quarantine" else None
    state = _progress_so_far(note) if request.resume else {}
    if request.resume and not state and output.exists() and not partial.exists():
        raise UsageError(f"{output}: is complete; there is nothing to resume")
    tally = Tally(state.get("inputs", 0), state.get("written", 0), state.get("bad", 0))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with _continued(partial, state.get("bytes", 0)) as lines:
            if quarantine is None:
                yield _Sinks(lines, None, note), tally
            else:
                with _continued(quarantine, state.get("bad_bytes", 0)) as bad:
                    yield _Sinks(lines, bad, note), tally
        partial.replace(output)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{error.filename or output}: cannot be written: {error.strerror or error}"
        ) from error


def _progress_so_far(note: Path) -> dict[str, int]:
    try:
        state = orjson.loads(note.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{note}: cannot be read ({error}); delete it to start anew") from None
    if not isinstance(state, dict) or not all(isinstance(value, int) for value in state.values()):
        raise DataError(f"{note}: not a note of progress; delete it to start anew")
    return state


def _continued(path: Path, size: int) -> BinaryIO:
    """Opens a file for writing after its first `size` bytes; what comes after them is dropped."""
    file = path.open("r+b" if size else "wb")
    file.seek(size)
    file.truncate()
    return file

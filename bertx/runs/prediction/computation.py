"""What is done with one window: records become instances, instances predictions, predictions lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import orjson

from bertx.data.encoded import EncodedDataset
from bertx.data.instance import JSON, Instance, MetadataField
from bertx.errors import DataError
from bertx.runs.prediction.records import Item
from bertx.runs.run import Run

OnError: TypeAlias = Literal["fail", "skip", "quarantine"]


class Good(NamedTuple):
    """A record that can be read, and what was made of it."""

    item: Item
    record: Mapping[str, JSON]
    instance: Instance


class Encoded(NamedTuple):
    """A window that is ready for the model.

    Attributes:
        window: All its records.
        good: Those that can be read.
        dataset: Their token ids; None if there are none.
        refused: What is wrong with the others, by the number of the record.
    """

    window: Sequence[Item]
    good: Sequence[Good]
    dataset: EncodedDataset | None
    refused: dict[int, DataError]


class Computed(NamedTuple):
    """What came out of a window.

    Attributes:
        lines: The predictions.
        bad: A line for the quarantine for each record that could not be read.
        warnings: What is wrong with these.
    """

    lines: list[bytes]
    bad: list[bytes]
    warnings: list[str]


@dataclass(frozen=True)
class Computation:
    """Computes windows, one independent of the other.

    Attributes:
        run: The run.
        on_error: What a bad record does; `fail` raises, with the others it is left out.
        keep_fields: Whether a line repeats all fields of its input.
        batch_size: Records per batch; None: as many as fit a budget of tokens.
    """

    run: Run
    on_error: OnError
    keep_fields: bool
    batch_size: int | None

    def encoded(self, window: Sequence[Item]) -> Encoded:
        """Does what comes before the model.

        Raises:
            DataError: A record is bad, and `on_error` is `fail`.
        """
        refused: dict[int, DataError] = {}
        good: list[Good] = []
        for item in window:
            try:
                record = item.record()
                good.append(Good(item, record, self.run.instance(item.place, record)))
            except DataError as error:
                self._refuse(item, error, refused)
        try:
            dataset = self._dataset(good)
        except DataError:
            for item, unfit in self._unfit(good):
                self._refuse(item, unfit, refused)
            good = [entry for entry in good if entry.item.number not in refused]
            dataset = self._dataset(good)
        return Encoded(window, good, dataset, refused)

    def computed(self, encoded: Encoded) -> Computed:
        """Does the rest."""
        dataset = encoded.dataset
        predictions = [] if dataset is None else self.run.predictions(dataset, self.batch_size)
        lines = [
            orjson.dumps(self._line(prediction, entry), option=orjson.OPT_APPEND_NEWLINE)
            for prediction, entry in zip(predictions, encoded.good, strict=True)
        ]
        bad = []
        for item in encoded.window:
            if (error := encoded.refused.get(item.number)) is not None:
                text = item.content().decode("utf-8", "replace")
                bad.append(orjson.dumps({"place": item.place, "error": str(error), "line": text}) + b"\n")
        return Computed(lines, bad, [str(error) for error in encoded.refused.values()])

    def _refuse(self, item: Item, error: DataError, refused: dict[int, DataError]) -> None:
        if self.on_error == "fail":
            raise error
        refused[item.number] = error

    def _dataset(self, good: Sequence[Good]) -> EncodedDataset | None:
        return self.run.encoded([entry.instance for entry in good]) if good else None

    def _unfit(self, good: Sequence[Good]) -> Iterator[tuple[Item, DataError]]:
        """Finds the records that the model cannot read, such as those that are too long."""
        for item, _, instance in good:
            try:
                self.run.require_fitting(item.place, instance)
            except DataError as error:
                yield item, error

    def _line(self, prediction: dict[str, JSON], entry: Good) -> dict[str, JSON]:
        for field in entry.instance.fields.values():
            if (
                isinstance(field, MetadataField)
                and isinstance(field.metadata, dict)
                and "id" in field.metadata
            ):
                prediction["id"] = field.metadata["id"]
        if self.keep_fields:
            for key, value in entry.record.items():
                if key not in prediction:
                    prediction[key] = value
                elif prediction[key] != value:
                    prediction[f"input_{key}"] = value
        return prediction

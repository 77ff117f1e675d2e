"""The rows that an export is compared on: real ones, of several lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from bertx.assembly import check_lengths
from bertx.data.batch import pad
from bertx.data.encoded import NO_LABEL, EncodedDataset
from bertx.data.encoding import encode_instances
from bertx.data.files import shown
from bertx.errors import DataError
from bertx.models.bert_for_classification import BertForClassification
from bertx.runs.run import Run

FEWEST_ROWS = 256
MOST_ROWS = 1_024  # enough to find a difference; BERT-base on two cores computes them in about a minute
READ_ROWS = 10_000  # those that are compared are chosen among the first so many
BATCH_SIZES = (1, 2, 4, 8, 16, 32)  # over and over: a batch of one row, too, must be right

TEXT, LABEL = "tokens", "label"  # what `BertForClassification.forward` calls its arguments


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to compare on.

    Attributes:
        source: The files they are from.
        batches: What the encoder reads: `input_ids`, `attention_mask` and `token_type_ids`, int64, each
            (batch, tokens).
        labels: int64, (rows,): the true class; -100 if the model does not know it. None: a row has none.
        lengths: int64, (rows,): tokens of each row.
    """

    source: str
    batches: Sequence[dict[str, Tensor]]
    labels: npt.NDArray[np.int64] | None
    lengths: npt.NDArray[np.int64]


def real_rows(run: Run, model: BertForClassification, data: Path | None) -> Rows:
    """Reads the rows to compare on.

    Args:
        run: The run, whose reader reads them.
        model: Its model.
        data: A file of the user's; None: what the run was validated and tested on.

    Raises:
        DataError: They cannot be read, are too few or all of one length.
    """
    paths = _recorded(run) if data is None else [data]
    source = ", ".join(shown(path) for path in paths)
    instances = chain.from_iterable(run.reader.read(path, labels_required=False) for path in paths)
    dataset = encode_instances(islice(instances, READ_ROWS), run.reader.token_indexers)
    check_lengths(model, dataset, source)
    if len(dataset) < FEWEST_ROWS:
        raise DataError(
            f"{source}: {len(dataset)} rows; an export is compared with its run on {FEWEST_ROWS} or more; "
            "give a larger file with --data"
        )
    chosen = _of_all_lengths(dataset)
    lengths = dataset.lengths()[chosen]
    if lengths.min() == lengths.max():
        raise DataError(
            f"{source}: all rows have {lengths[0]} tokens; an export is compared with its run on rows of "
            "several lengths; give another file with --data"
        )
    return Rows(source, _batches(dataset, chosen, model.index), _labels(run, dataset, chosen), lengths)


def _recorded(run: Run) -> list[Path]:
    """Finds the files that the run was validated and tested on."""
    recorded = run.environment.get("data")
    splits = recorded if isinstance(recorded, dict) else {}
    paths = []
    for split in (splits.get("validation"), splits.get("test")):
        files = split.get("files") if isinstance(split, dict) else None
        for file in files if isinstance(files, list) else []:
            paths.append(Path(str(file.get("path"))) if isinstance(file, dict) else Path())
    here = [path for path in dict.fromkeys(paths) if path.is_file()]
    if not here:
        were = f" ({', '.join(map(str, paths))})" if paths else ""
        raise DataError(
            f"the data that this run was validated and tested on{were} are not here; give --data FILE with "
            f"{FEWEST_ROWS} rows or more, as the run's dataset reader reads them"
        )
    return here


def _of_all_lengths(dataset: EncodedDataset) -> npt.NDArray[np.int64]:
    """Chooses rows evenly from short to long, in the order of the data."""
    by_length = np.argsort(dataset.lengths(), kind="stable")
    places = np.linspace(0, len(dataset) - 1, min(len(dataset), MOST_ROWS)).astype(np.int64)
    return np.sort(by_length[places])


def _batches(dataset: EncodedDataset, rows: npt.NDArray[np.int64], index: str) -> list[dict[str, Tensor]]:
    indexed = dataset.texts[TEXT][index]
    pad_token_id = dataset.token_indexers[index].tokenizer.pad_token_id
    batches: list[dict[str, Tensor]] = []
    while len(rows):
        size = BATCH_SIZES[len(batches) % len(BATCH_SIZES)]
        batch = pad(indexed, rows[:size], pad_token_id)
        longest = int(batch["attention_mask"].sum(dim=1).max())  # of more different sizes than training has
        batches.append({name: tensor[:, :longest].long() for name, tensor in batch.items()})
        rows = rows[size:]
    return batches


def _labels(run: Run, dataset: EncodedDataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    column = dataset.labels.get(LABEL)
    if column is None or (column.codes[rows] == NO_LABEL).any():
        return None
    return dataset.label_ids(LABEL, run.vocabulary, rows)

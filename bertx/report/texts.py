"""What instances say, read again from the data of a run, if they are still what they were."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from bertx.ablation.outcome import Split
from bertx.data.instance import Instance, MetadataField, TextField
from bertx.errors import BertxError
from bertx.runs.run import Run, load

logger = logging.getLogger(__name__)


def instance_texts(folder: Path, split: Split) -> dict[str, str]:
    """Reads the texts of the instances that a run was evaluated on, by id.

    Args:
        folder: The run folder.
        split: The data.

    Returns:
        Nothing if the run or its data are gone or changed, or its reader needs modules that are not there.
    """
    try:
        run = load(folder, device="cpu")
        path = recorded_data(run, split)
        if path is None:
            return {}
        return read_texts(run, path)
    except BertxError as error:
        logger.info("%s: no texts: %s", folder, error)
        return {}


def read_texts(run: Run, path: Path) -> dict[str, str]:
    """Reads the texts of a file as a run reads it, by id.

    Raises:
        DataError: It cannot be read.
    """
    instances = enumerate(run.reader.read(path, labels_required=False))
    return {_identifier(instance, row): _text(instance) for row, instance in instances}


def recorded_data(run: Run, split: Split) -> Path | None:
    """Finds the file that a run was evaluated on; None if it is gone, has changed, or is not a single one."""
    data = run.environment.get("data")
    known = data.get(split) if isinstance(data, dict) else None
    files = known.get("files") if isinstance(known, dict) else None
    if not isinstance(files, list) or len(files) != 1 or not isinstance(files[0], dict):
        return None
    path = Path(str(files[0].get("path")))
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return path if digest == files[0].get("sha256") else None


def _identifier(instance: Instance, row: int) -> str:
    """Names an instance as `EncodedDataset.identifier` does."""
    for field in instance.fields.values():
        if isinstance(field, MetadataField) and isinstance(field.metadata, dict):
            name = field.metadata.get("id")
            if name is not None:
                return str(name)
    return str(row)


def _text(instance: Instance) -> str:
    found = [field for field in instance.fields.values() if isinstance(field, TextField)]
    return " / ".join(
        field.text if field.pair is None else f"{field.text} \u2016 {field.pair}" for field in found
    )

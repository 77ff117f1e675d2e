"""Google's checkpoints: the names of BERT's variables in TensorFlow 1, and what they are elsewhere.

A folder holds `bert_config.json`, `vocab.txt`, and `bert_model.ckpt.index` with its data; after fine-tuning,
`model.ckpt-STEP.index`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from bertx.bert.checkpoints.tensorflow_bundle import DTYPES, Bundle
from bertx.errors import CheckpointError

# A kernel is (inputs, outputs) in TensorFlow; `output_weights` are (outputs, inputs) already.
KINDS: Mapping[str, str] = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "output_weights": "weight",
    "output_bias": "bias",
    "word_embeddings": "word_embeddings.weight",
    "position_embeddings": "position_embeddings.weight",
    "token_type_embeddings": "token_type_embeddings.weight",
}
HEADS: Mapping[str, str] = {"": "classifier.", "cls.squad.": "qa_outputs."}  # of Google's own fine-tuning
OPTIMIZER_STATE = re.compile(
    r"(^|/)(adam_[mv]|global_step|beta[12]_power|Adam(_1)?|ExponentialMovingAverage)$"
)
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def find_index(path: Path) -> Path | None:
    """Finds the index of a TensorFlow checkpoint: `path` itself, or the one in a folder; None: there is none.

    Raises:
        CheckpointError: There are several, and the folder's `checkpoint` file names none of them.
    """
    if not path.is_dir():
        return path if path.suffix == ".index" and path.is_file() else None
    found = sorted(path.glob("*.index"))
    if len(found) > 1:
        latest = _latest(path / "checkpoint")
        found = [index for index in found if index.name == latest] or found
    if len(found) > 1:
        names = ", ".join(index.name for index in found)
        raise CheckpointError(f"{path}: several checkpoints ({names}); give the path of one")
    return found[0] if found else None


def read_tensorflow_tensors(index: Path) -> dict[str, Tensor]:
    """Reads the weights of a checkpoint; the state of the optimizer is left alone.

    Returns:
        Tensors by their names in files of Hugging Face; a head of Google's own fine-tuning is `classifier` or
        `qa_outputs`.

    Raises:
        CheckpointError: The files are damaged or incomplete, or saved by objects of TensorFlow 2.
    """
    bundle = Bundle(index)
    if OBJECT_GRAPH in bundle.entries:
        raise CheckpointError(
            f"{index}: saved by objects, as in TensorFlow 2; expected variables by name, as in Google's "
            "release of BERT; convert it with the code that wrote it"
        )
    tensors: dict[str, Tensor] = {}
    for name, entry in bundle.entries.items():
        if entry.dtype in DTYPES and not OPTIMIZER_STATE.search(name):
            tensor = bundle.tensor(name)
            is_kernel = name.endswith("/kernel") and tensor.dim() == 2
            tensors[_hub_name(name)] = tensor.t().contiguous() if is_kernel else tensor
    return tensors


def _hub_name(name: str) -> str:
    """Translates a name: `bert/encoder/layer_0/output/dense/kernel` and so on."""
    owner, _, kind = re.sub(r"/layer_(\d+)/", r"/layer/\1/", name).rpartition("/")
    owner = owner.replace("/", ".") + "." if owner else ""
    return HEADS.get(owner, owner) + KINDS.get(kind, kind)


def _latest(path: Path) -> str:
    """Returns the index file that a `checkpoint` file calls the latest; empty if it does not say."""
    try:
        found = re.search(r'^model_checkpoint_path: "(.*)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return ""
    return f"{Path(found[1]).name}.index" if found else ""

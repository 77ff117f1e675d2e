"""What a trained run and a new training must have in common where the one is the other's start or teacher."""

from __future__ import annotations

from pathlib import Path

from bertx.data.split import Split
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError
from bertx.runs.run import Run


def require_same_labels(ours: Vocabulary, theirs: Vocabulary, *, run: Path, key: str) -> None:
    """Checks that labels have the same numbers.

    Args:
        ours: The vocabulary of the training.
        theirs: That of the trained run.
        run: The run, for the message.
        key: What names it in the config, for the message.

    Raises:
        ConfigError: They have not; the message tells the difference.
    """
    for namespace in sorted(ours.get_namespaces() | theirs.get_namespaces()):
        here, there = (list(v.get_token_to_index_vocabulary(namespace)) for v in (ours, theirs))
        if here == there:
            continue
        new, lost = [name for name in here if name not in there], [name for name in there if name not in here]
        parts = [f"{', '.join(new)} in the training data only"] if new else []
        parts += [f"{', '.join(lost)} in the run only"] if lost else []
        if not parts:
            parts = [f"the same ones in another order, {', '.join(here)} and {', '.join(there)}"]
        advice = "train on the same labels"
        if not new:
            unpack = "" if run.is_dir() else "unpack the run, and "
            folder = "its vocabulary folder" if unpack else (run / "vocabulary").as_posix()
            advice = (
                f'{unpack}set vocabulary: {{type: "from_files", directory: "{folder}"}} to number them alike'
            )
        raise ConfigError(f"{key}: {run} has other {namespace} ({'; '.join(parts)}); {advice}")


def require_same_pieces(train: Split, run: Run, *, path: Path, key: str) -> None:
    """Checks that the token ids of the data mean to the run's model what they mean here.

    Args:
        train: The data.
        run: The trained run.
        path: Where it is, for the message.
        key: What names it in the config, for the message.

    Raises:
        ConfigError: The data have not the token indexers of the run, or other tokenizers.
    """
    for name in run.model.encoder_configs:
        ours, theirs = train.dataset.token_indexers.get(name), run.reader.token_indexers[name]
        if ours is None:
            known = ", ".join(train.dataset.token_indexers)
            raise ConfigError(
                f'{key}: the model of {path} reads a token indexer "{name}", but those of the data are: '
                f"{known}; name them alike in dataset_reader.token_indexers"
            )
        if ours.tokenizer.fingerprint() != theirs.tokenizer.fingerprint():
            raise ConfigError(
                f"{key}: the tokenizer of {path} is not that of dataset_reader.token_indexers.{name}: "
                "ids mean other pieces to it; give both the same pretrained_model"
            )

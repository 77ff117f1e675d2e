"""The WordPiece vocabulary: one piece per line of a UTF-8 file, the line number (from 0) is the id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from importlib.resources.abc import Traversable

from bertx.errors import CheckpointError, DataError


def read_vocab(path: Traversable) -> dict[str, int]:
    """Reads a `vocab.txt`. Empty lines at its end count for nothing.

    Raises:
        CheckpointError: The file is missing or not UTF-8.
        DataError: The file is empty, or has an empty line or the same piece twice.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); expected a vocabulary") from None
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path}: byte {error.start} is not UTF-8; expected one piece per line in UTF-8; "
            "convert the file, or check that it is a vocabulary"
        ) from None
    # Only line feeds end a line: str.splitlines would also cut at characters that are pieces themselves.
    pieces = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if pieces == [""]:
        raise DataError(f"{path}: the vocabulary is empty; expected one piece per line")
    vocab: dict[str, int] = {}
    for id_, piece in enumerate(pieces):
        if not piece:
            raise DataError(f"{path}:{id_ + 1}: the line is empty; expected one piece per line")
        if piece in vocab:
            raise DataError(
                f"{path}:{id_ + 1}: the piece {piece!r} already stands on line {vocab[piece] + 1}; "
                "expected every piece once; rename one of the two, so that the ids after it stay"
            )
        vocab[piece] = id_
    return vocab


def vocab_text(vocab: Mapping[str, int]) -> str:
    """Returns the content of a `vocab.txt`."""
    return "".join(f"{piece}\n" for piece in sorted(vocab, key=vocab.__getitem__))


def check_vocab(vocab: Mapping[str, int], special_tokens: Sequence[str], added_tokens: Set[str]) -> None:
    """Checks that ids have no gap and that all special tokens are known.

    Raises:
        DataError: The vocabulary is empty, has a gap, or lacks a special token.
    """
    if not vocab:
        raise DataError("the vocabulary is empty; expected one piece per id")
    gaps = sorted(set(range(len(vocab))) - set(vocab.values()))
    if gaps:
        raise DataError(
            f"no piece of the vocabulary has the id {gaps[0]}; "
            f"expected each id from 0 to {len(vocab) - 1} once, for {len(vocab)} pieces"
        )
    missing = [token for token in special_tokens if token not in vocab and token not in added_tokens]
    if missing:
        raise DataError(
            f"the vocabulary lacks {', '.join(missing)}; expected all of {', '.join(special_tokens)}; "
            'add what is missing, or name its own in tokenizer_config.json, e.g. "mask_token": "<mask>"'
        )

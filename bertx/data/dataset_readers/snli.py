"""Natural language inference: does a premise entail a hypothesis?"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.dataset_readers.text_classification_reader import TextClassificationReader
from bertx.data.files import read_records, shown
from bertx.data.instance import JSON, Instance
from bertx.data.token_indexers.token_indexer import TokenIndexer

logger = logging.getLogger(__name__)

NO_AGREEMENT = "-"  # the annotators' gold label where no three of five agreed
COLLAPSED = {"contradiction": "non-entailment", "neutral": "non-entailment"}


@DatasetReader.register("snli")
class SnliReader(TextClassificationReader):
    """Reads the JSONL files of SNLI and MultiNLI.

    Each line has `sentence1` (the premise), `sentence2` (the hypothesis), `gold_label` and perhaps `pairID`,
    which becomes the id. Pairs whose gold label is `-`, on which the annotators did not agree, are left out
    and counted in the log.

    Args:
        token_indexers: How texts become token ids, by the name under which a model asks for them.
        collapse_labels: Make one label, `non-entailment`, of `contradiction` and `neutral`.

    Source: Bowman et al. 2015 (SNLI), section 3, for the label `-`.
    """

    def __init__(self, token_indexers: dict[str, TokenIndexer], *, collapse_labels: bool = False) -> None:
        super().__init__(
            token_indexers,
            text_key="sentence1",
            label_key="gold_label",
            pair_key="sentence2",
            id_key="pairID",
        )
        self.collapse_labels = collapse_labels

    def records(self, path: Path) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Streams the records with an agreed label or none, each with its place.

        Raises:
            DataError: The file cannot be read, or a line is not a JSON object.
        """
        left_out = 0
        for place, record in read_records(path):
            if record.get(self.label_key) == NO_AGREEMENT:
                left_out += 1
            else:
                yield place, record
        if left_out:
            logger.info("%s: left out %d pairs without an agreed label (gold_label -)", shown(path), left_out)

    def text_to_instance(self, record: Mapping[str, JSON]) -> Instance:
        """Makes an instance of a pair; label and id may be absent, and the label `-` counts as absent.

        Raises:
            ValueError: A sentence is missing, or a value is of the wrong type.
        """
        label = record.get(self.label_key)
        if label == NO_AGREEMENT:
            record = {**record, self.label_key: None}
        elif self.collapse_labels and isinstance(label, str):
            record = {**record, self.label_key: COLLAPSED.get(label, label)}
        return super().text_to_instance(record)

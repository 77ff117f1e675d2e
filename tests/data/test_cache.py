import json
import logging
import os

import numpy as np
import pytest

from bertx.data.batch_samplers import BucketBatchSampler
from bertx.data.cache import cache_key
from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from bertx.data.encoding import encode_instances
from bertx.data.loader import SimpleDataLoader
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer
from bertx.errors import DataError
from tests.data.small import LINES, encode, everything, labels


def test_mapped_data_equals_data_in_memory(reader, file, cache):
    expected = everything(encode_instances(reader.read(file), reader.token_indexers))
    assert everything(encode(reader, file, cache)) == expected
    assert everything(encode(reader, file, cache)) == expected
    assert everything(encode(reader, file, None)) == expected


def test_batches_of_mapped_data_equal_those_in_memory(reader, file, cache):
    loader = SimpleDataLoader(batch_sampler=BucketBatchSampler(2))
    found = []
    for dataset in (encode_instances(reader.read(file), reader.token_indexers), encode(reader, file, cache)):
        for number, rows in enumerate(loader.plan(dataset, seed=1, epoch=0)):
            batch = loader.batch(
                dataset, rows, labels("x", "y"), seed=1, epoch=0, number=number, training=True
            )
            found.append(
                (batch.inputs["label"].tolist(), batch.inputs["tokens"]["bert"]["input_ids"].tolist())
            )
    assert found[:2] == found[2:]


def test_chunks_join_to_the_whole(reader, file, cache, monkeypatch):
    lines = [*LINES, '{"text": "a", "label": "z", "id": 3}', '{"text": "", "label": "y"}', *LINES]
    file.write_text("\n".join(lines), encoding="utf-8")
    expected = everything(encode(reader, file, None))
    monkeypatch.setattr("bertx.data.cache.CHUNK", 2)
    assert everything(encode(reader, file, cache)) == expected


def test_a_column_that_comes_late_or_stops_is_filled_up(indexer, file, monkeypatch):
    class LenientReader(TextClassificationJsonReader):
        label_key = None

        def read(self, path, *, labels_required=True):
            return super().read(path, labels_required=False)

    texts = [{"text": "a"}, {"text": "a", "label": "x", "id": 1}, {"text": "b"}]
    file.write_text("\n".join(map(json.dumps, texts)), encoding="utf-8")
    monkeypatch.setattr("bertx.data.cache.CHUNK", 1)
    dataset = encode(LenientReader({"bert": indexer}), file, None)
    assert dataset.labels["label"].codes.tolist() == [-1, 0, -1]
    assert [dataset.identifier(row) for row in range(3)] == ["0", "1", "2"]
    assert [dataset.metadata["metadata"][row] for row in range(3)] == [None, {"id": 1}, None]


def test_the_second_time_the_file_is_not_encoded(reader, file, cache, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "bertx")
    encode(reader, file, cache)
    monkeypatch.setattr(TextClassificationJsonReader, "records", None)
    assert len(encode(reader, file, cache)) == 3
    assert caplog.messages[0].startswith("train.jsonl: encoded 3 instances in ")
    assert caplog.messages[1].startswith("train.jsonl: 3 instances from the cache (")


def test_the_date_of_the_file_does_not_matter(reader, file):
    before = cache_key(reader, file, settings_hash="s", limit=None)
    os.utime(file, (1, 1))
    assert cache_key(reader, file, settings_hash="s", limit=None) == before


def test_each_changed_byte_of_the_file_is_another_key(reader, file):
    content = file.read_bytes()
    keys = set()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        keys.add(cache_key(reader, file, settings_hash="s", limit=None))
    assert len(keys) == len(content)


def test_settings_limit_indexers_and_reader_are_in_the_key(reader, file, pieces_file):
    class OtherReader(TextClassificationJsonReader):
        pass

    def indexers(**options) -> dict:
        return {"bert": BertPretrainedIndexer(str(pieces_file), **options)}

    keys = [
        cache_key(reader, file, settings_hash="s", limit=None),
        cache_key(reader, file, settings_hash="t", limit=None),
        cache_key(reader, file, settings_hash="s", limit=2),
        cache_key(OtherReader(reader.token_indexers), file, settings_hash="s", limit=None),
        *(
            cache_key(TextClassificationJsonReader(changed), file, settings_hash="s", limit=None)
            for changed in (
                {"other": reader.token_indexers["bert"]},
                indexers(max_pieces=128),
                indexers(do_lowercase=False),
                indexers(truncation="tail"),
            )
        ),
    ]
    assert len(set(keys)) == 8


def test_a_reader_without_a_source_file_is_not_cached(indexer, file, cache):
    namespace = {"Base": TextClassificationJsonReader, "__name__": "__console__"}
    exec("class Typed(Base): pass", namespace)
    encode(namespace["Typed"]({"bert": indexer}), file, cache)
    assert not cache.exists()


def test_the_limit_takes_the_first_instances(reader, file, cache):
    assert [len(encode(reader, file, cache, limit=limit)) for limit in (2, None, 9)] == [2, 3, 3]


def test_without_known_settings_nothing_is_kept(reader, file, cache):
    encode(reader, file, cache, settings_hash=None)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda entry: os.truncate(entry / "text-0-0.input_ids", 8),
            r"text-0-0.input_ids has 8 bytes; expected 48",
        ),
        (lambda entry: (entry / "label-0.codes").unlink(), "No such file or directory"),
        (
            lambda entry: (entry / "manifest.json").write_text("{", encoding="utf-8"),
            "Expecting property name",
        ),
        (lambda entry: (entry / "manifest.json").write_text("[]", encoding="utf-8"), "list indices must be"),
    ],
)
def test_a_broken_entry_is_made_again(reader, file, cache, caplog, damage, message):
    expected = everything(encode(reader, file, cache))
    (entry,) = cache.iterdir()
    damage(entry)
    assert everything(encode(reader, file, cache)) == expected
    assert "this entry of the cache is broken" in caplog.text
    assert message in caplog.text
    caplog.clear()
    assert everything(encode(reader, file, cache)) == expected
    assert (caplog.text, list(cache.iterdir())) == ("", [entry])


def test_a_cache_that_cannot_be_written_is_done_without(reader, file, tmp_path, caplog):
    (tmp_path / "occupied").write_text("a file", encoding="utf-8")
    dataset = encode(reader, file, tmp_path / "occupied")
    assert len(dataset) == 3
    assert "the cache cannot be written (File exists); going on without it" in caplog.text


def test_an_entry_in_a_read_only_cache_is_used(reader, file, cache):
    encode(reader, file, cache)
    (entry,) = cache.iterdir()
    cache.chmod(0o500)
    try:
        assert len(encode(reader, file, cache)) == 3
        assert list(cache.iterdir()) == [entry]
    finally:
        cache.chmod(0o700)


def test_an_error_leaves_nothing_behind(reader, file, cache):
    file.write_text("\n".join([*LINES, '{"label": "x"}']), encoding="utf-8")
    with pytest.raises(DataError, match=r'train\.jsonl:4: "text" is missing'):
        encode(reader, file, cache)
    assert list(cache.iterdir()) == []


def test_what_a_killed_run_left_is_removed_after_a_day(reader, file, cache):
    for name, age in {"old": 25, "new": 23}.items():
        folder = cache / f".unfinished-{name}"
        folder.mkdir(parents=True)
        os.utime(folder, (folder.stat().st_mtime - age * 3600,) * 2)
    encode(reader, file, cache)
    assert [entry.name for entry in cache.iterdir() if entry.name.startswith(".")] == [".unfinished-new"]


def test_a_file_without_instances_is_an_error(reader, file, cache):
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.jsonl: no instances; expected at least one record$"):
        encode(reader, file, cache)


def test_a_missing_file_is_an_error(reader, tmp_path, cache):
    for folder in (cache, None):
        with pytest.raises(DataError, match=r"absent\.jsonl: does not exist"):
            encode(reader, tmp_path / "absent.jsonl", folder)


def test_an_error_of_an_indexer_names_the_file(file, pieces_file):
    indexer = BertPretrainedIndexer(str(pieces_file), max_pieces=3, truncate_long_sequences=False)
    with pytest.raises(DataError, match=r"^train\.jsonl: the text 'a bx' has 5 pieces"):
        encode(TextClassificationJsonReader({"bert": indexer}), file, None)


def test_truncation_is_told_once_per_file_from_the_cache_too(file, pieces_file, cache, caplog):
    reader = TextClassificationJsonReader({"bert": BertPretrainedIndexer(str(pieces_file), max_pieces=3)})
    message = "train.jsonl: 2 of 3 texts (66.7 %) were longer than 3 pieces and lost 3 pieces (longest_first)"
    for _ in range(2):
        encode(reader, file, cache)
        assert caplog.messages == [message]
        caplog.clear()


@pytest.mark.data
def test_sst2_maps_to_what_it_encodes_to(data_folder, cache):
    path = data_folder / "sst2" / "dev.jsonl"
    indexer = BertPretrainedIndexer(str(data_folder / "vocab" / "bert-base-uncased.txt"), max_pieces=64)
    reader = TextClassificationJsonReader({"bert": indexer})
    encode(reader, path, cache)
    dataset = encode(reader, path, cache)
    expected = encode_instances(reader.read(path), reader.token_indexers)
    assert len(dataset) == 872
    assert everything(dataset) == everything(expected)
    assert np.isin(dataset.label_ids("label", labels("negative", "positive")), [0, 1]).all()

"""Data sets may be larger than the memory: what is held of them at one time is small."""

import gc
import tracemalloc
from contextlib import contextmanager

import pytest

from bertx.data.batch_samplers import BucketBatchSampler
from bertx.data.loader import SimpleDataLoader
from bertx.data.split import Split
from bertx.errors import DataError
from tests.data.small import encode, labels

ROWS = 6_000
TOKENS = 162  # of each row, [CLS] and [SEP] included
SIZE = ROWS * (4 * TOKENS + 8 + 3 * 4)  # bytes: ids, offset, two lengths and label of each row


@pytest.fixture
def long_file(tmp_path):
    path = tmp_path / "long.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in range(ROWS):
            file.write(f'{{"text": "{"a b c d e " * 32}", "label": "{"xy"[row % 2]}"}}\n')
    return path


@contextmanager
def peak_of_python_and_numpy():
    """Measures what is allocated at most inside; arrays that are mapped from files do not count."""
    found = []
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield found
        found.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


def test_encoding_holds_a_chunk_at_a_time(reader, long_file, cache, monkeypatch):
    monkeypatch.setattr("bertx.data.cache.CHUNK", 64)
    with peak_of_python_and_numpy() as peak:
        dataset = encode(reader, long_file, cache)
    assert int(dataset.lengths().sum()) == ROWS * TOKENS
    assert peak[0] < SIZE / 4


def test_an_epoch_holds_a_plan_and_a_batch_at_a_time(reader, long_file, cache):
    loader = SimpleDataLoader(batch_sampler=BucketBatchSampler(32))
    split = Split("long.jsonl", encode(reader, long_file, cache), loader, labels("x", "y"), 1)
    with peak_of_python_and_numpy() as peak:
        assert sum(batch.inputs["tokens"]["bert"]["input_ids"].numel() for batch in split.batches(0)) == (
            ROWS * TOKENS
        )
    assert peak[0] < SIZE / 4


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_before(reader, file, cache, tmp_path, enabled):
    (tmp_path / "broken.jsonl").write_text("{", encoding="utf-8")
    try:
        if not enabled:
            gc.disable()
        encode(reader, file, cache)
        with pytest.raises(DataError, match=r"broken.jsonl:1: not JSON"):
            encode(reader, tmp_path / "broken.jsonl", cache)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()

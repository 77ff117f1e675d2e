import shutil
import subprocess
import sys

from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from tests.data.small import LINES, encode

WRITER = """
import sys
from pathlib import Path
from bertx.data.cache import encode_file
from bertx.data.dataset_readers.text_classification_json import TextClassificationJsonReader
from bertx.data.token_indexers.bert_pretrained import BertPretrainedIndexer

pieces, file, cache = sys.argv[1:]
reader = TextClassificationJsonReader({"bert": BertPretrainedIndexer(pieces)})
print("ready", flush=True)
sys.stdin.readline()
dataset = encode_file(reader, Path(file), settings_hash="s", cache_folder=Path(cache))
print(int(dataset.texts["tokens"]["bert"].input_ids.sum()), dataset.identifier(7))
"""


def test_two_processes_at_once_leave_one_valid_entry(reader, file, cache, pieces_file):
    file.write_text("\n".join(LINES * 5000), encoding="utf-8")
    command = [sys.executable, "-c", WRITER, str(pieces_file), str(file), str(cache)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["300000 7\n"] * 2
    assert len(list(cache.iterdir())) == 1
    assert encode(reader, file, cache).texts["tokens"]["bert"].input_ids.sum() == 300000


def test_the_slower_of_two_writers_takes_the_entry_of_the_faster(reader, file, cache, monkeypatch):
    encode(reader, file, cache)
    (entry,) = cache.iterdir()
    original, opened = entry.rename(cache.parent / "faster"), []

    def read_slowly(self, path, *, labels_required=True):
        shutil.copytree(original, entry)  # the faster one finishes meanwhile
        opened.append(path)
        return iter(encode_these)

    encode_these = list(reader.read(file))
    monkeypatch.setattr(TextClassificationJsonReader, "read", read_slowly)
    assert len(encode(reader, file, cache)) == 3
    assert (opened, list(cache.iterdir())) == ([file], [entry])

from pathlib import Path

import pytest

from bertx.data.dataset_readers.dataset_reader import DatasetReader
from bertx.data.instance import Instance, LabelField, TextField
from bertx.errors import ConfigError, DataError


class LinesReader(DatasetReader):
    """What a user would write: no checks of its own."""

    label_key = "label"

    def records(self, path):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            text, _, label = line.partition("|")
            yield f"{path}:{number}", {"text": text} | ({"label": label} if label else {})

    def text_to_instance(self, record):
        if record["text"] == "bug":
            return {}["bug"]
        if record["text"] == "bad":
            raise ValueError("the text is 'bad'; expected better")
        fields = {"tokens": TextField(record["text"])}
        return Instance(fields | ({"label": LabelField(record["label"])} if "label" in record else {}))


@pytest.fixture
def lines(token_indexers):
    return LinesReader(token_indexers)


def write(content):
    Path("a.txt").write_text(content)
    return Path("a.txt")


def test_instances_are_streamed(lines):
    instances = lines.read(write("one|x\nbad|y"))
    assert next(instances) == Instance({"tokens": TextField("one"), "label": LabelField("x")})


def test_the_place_is_put_before_a_value_error(lines):
    with pytest.raises(DataError, match=r"^a\.txt:2: the text is 'bad'; expected better$"):
        list(lines.read(write("one|x\nbad|y")))


def test_a_missing_label_is_an_error_with_its_place(lines):
    message = r'^a\.txt:2: "label" is missing; every line of a labelled file needs text and label$'
    with pytest.raises(DataError, match=message):
        list(lines.read(write("one|x\ntwo")))


def test_a_missing_label_is_no_error_where_none_is_required(lines):
    assert list(lines.read(write("one"), labels_required=False)) == [Instance({"tokens": TextField("one")})]


def test_a_key_that_the_record_lacks_is_named_and_a_bug_is_not_hidden(lines):
    with pytest.raises(DataError, match=r'^a:1: "text" is missing; did you mean "texts"\?$'):
        lines.instance("a:1", {"texts": "one"})
    with pytest.raises(KeyError, match="bug"):
        lines.instance("a:1", {"text": "bug", "bug": 1})


def test_a_reader_needs_a_token_indexer():
    with pytest.raises(ConfigError, match="token_indexers: is empty; expected at least one, such as"):
        LinesReader({})


def test_the_files_of_a_path_are_the_path_itself(lines):
    assert lines.files(Path("a.txt")) == [Path("a.txt")]

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertx.data.dataset_readers.text_classification_csv import TextClassificationCsvReader
from bertx.data.instance import Instance, LabelField, MetadataField, TextField
from bertx.errors import ConfigError, DataError


def write(name, content):
    Path(name).write_bytes(content.encode())
    return Path(name)


def rows_of(reader, path):
    """Text and label of each row."""
    return [(i.fields["tokens"].text, i.fields["label"].label) for i in reader.read(path)]


def test_a_csv_file_with_a_header_is_read_by_name(token_indexers):
    file = write("a.csv", 'id,text,label\n7,"good, really",yes\n8,bad,no\n')
    instances = list(TextClassificationCsvReader(token_indexers, id_column="id").read(file))
    assert instances[0].fields == {
        "tokens": TextField("good, really"),
        "label": LabelField("yes"),
        "metadata": MetadataField({"id": "7"}),
    }
    assert instances[1].fields["tokens"] == TextField("bad")


def test_a_tsv_file_without_header_is_read_by_number(token_indexers):
    file = write("a.tsv", "good\tyes\tx\nbad\tno\ty\n")
    reader = TextClassificationCsvReader(token_indexers, text_column=0, label_column=1)
    assert rows_of(reader, file) == [("good", "yes"), ("bad", "no")]
    assert list(reader.records(file))[1] == ("a.tsv:2", {"text": "bad", "label": "no"})


def test_a_header_can_be_passed_over_when_columns_have_numbers(token_indexers):
    reader = TextClassificationCsvReader(token_indexers, text_column=1, label_column=0, header=True)
    assert rows_of(reader, write("a.csv", "y,x\n1,a\n")) == [("a", "1")]


def test_pairs_have_a_column_each(token_indexers):
    reader = TextClassificationCsvReader(token_indexers, pair_column="other")
    instance = next(reader.read(write("a.csv", "text,other,label\na,b,c\n")))
    assert instance.fields["tokens"] == TextField("a", "b")


def test_compressed_tables_keep_their_delimiter(token_indexers):
    Path("a.tsv.gz").write_bytes(gzip.compress(b"text\tlabel\na,b\tc\n"))
    assert rows_of(TextClassificationCsvReader(token_indexers), Path("a.tsv.gz")) == [("a,b", "c")]


def test_another_delimiter_can_be_set(token_indexers):
    reader = TextClassificationCsvReader(token_indexers, delimiter=";")
    assert rows_of(reader, write("a.txt", "text;label\na;b\n")) == [("a", "b")]


def test_quotes_are_plain_characters_with_quoting_off(token_indexers):
    reader = TextClassificationCsvReader(token_indexers, quoting=False)
    file = write("a.tsv", 'text\tlabel\n"open\tx\n\nshut"\ty\n')
    assert rows_of(reader, file) == [('"open', "x"), ('shut"', "y")]


def test_a_row_is_placed_at_its_first_line(token_indexers):
    file = write("a.csv", 'text,label\n"one\r\ntwo",x\n\n"three",y\n')
    records = list(TextClassificationCsvReader(token_indexers).records(file))
    assert records == [
        ("a.csv:2", {"text": "one\ntwo", "label": "x"}),
        ("a.csv:5", {"text": "three", "label": "y"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "txet,label\na,b\n",
            r'a\.csv:1: no column "text"; did you mean "txet"\?; the header has: txet, label',
        ),
        (
            "text,lable\na,b\n",
            r'a\.csv:2: no column "label" for the label; did you mean "lable"\?; every row',
        ),
        (
            "text,label\na,\n",
            r'a\.csv:2: "label" is empty; every line of a labelled file needs text and label',
        ),
        ("text,text,label\na,b,c\n", r'a\.csv:1: 2 columns are called "text"; rename all but one'),
        ("text,label\na,b\nc\n", r"a\.csv:3: 1 column, expected 2; if quotes are plain characters .* false$"),
        ("text,label\na,b,c\n", r"a\.csv:2: 3 columns, expected 2"),
        (
            'text,label\na,b\n"c,d\ne,f\n',
            r"a\.csv:3: a quote is opened and never closed .* set quoting to false",
        ),
        ('text,label\n"a"b,c\n', r"a\.csv:2: a quoted cell goes on after its closing quote"),
        (
            'text,label\n"' + "a" * 200_000 + '",b\n',
            r"a\.csv:2: a quote is opened .* over 131,072 characters",
        ),
        ("text,label\na,b\nc\0,d\n", r"a\.csv:3: a NUL character"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(token_indexers, content, message):
    with pytest.raises(DataError, match="^" + message):
        list(TextClassificationCsvReader(token_indexers).read(write("a.csv", content)))


def test_a_column_number_must_exist(token_indexers):
    reader = TextClassificationCsvReader(token_indexers, text_column=2, label_column=0)
    with pytest.raises(
        DataError, match=r"^a\.csv:1: no column 2 for text_column; the row has 2 columns, numbered"
    ):
        list(reader.read(write("a.csv", "a,b\n")))


def test_a_missing_label_column_has_its_number_in_the_message(token_indexers):
    reader = TextClassificationCsvReader(token_indexers, text_column=0, label_column=3)
    with pytest.raises(
        DataError, match=r"^a\.csv:1: no column 3 for the label; every row of a labelled file"
    ):
        list(reader.read(write("a.csv", "a,b\n")))


@pytest.mark.parametrize("columns", [{}, {"text_column": 0, "label_column": 1}])
def test_prediction_needs_no_label_column(token_indexers, columns):
    reader = TextClassificationCsvReader(token_indexers, **columns)
    instances = list(reader.read(write("a.csv", "text\na\n"), labels_required=False))
    assert instances[-1] == Instance({"tokens": TextField("a")})


def test_a_file_of_unknown_kind_needs_a_delimiter(token_indexers):
    with pytest.raises(DataError, match=r"a\.dat: the name does not end in \.csv or \.tsv; set delimiter"):
        list(TextClassificationCsvReader(token_indexers).read(write("a.dat", "text,label\n")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text_column": 0}, "columns are given by name and by number .*text_column 0, label_column 'label'"),
        ({"header": False}, "header: false, but columns are given by name"),
        ({"delimiter": "||"}, r"delimiter: '\|\|' must be one character"),
        ({"delimiter": '"'}, "delimiter: '\"' must be one character"),
    ],
)
def test_contradicting_settings_are_refused(token_indexers, settings, message):
    with pytest.raises(ConfigError, match=message):
        TextClassificationCsvReader(token_indexers, **settings)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)


@given(st.lists(st.tuples(cells, cells), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pythons_csv_writes_is_read_back(token_indexers, rows):
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("text", "label"), *rows])
    assert rows_of(TextClassificationCsvReader(token_indexers), write("a.csv", table.getvalue())) == rows


@pytest.mark.data
def test_the_quotes_of_goemotions_enclose_cells(token_indexers, data_folder):
    reader = TextClassificationCsvReader(token_indexers, text_column=0, label_column=1, id_column=2)
    instances = list(reader.read(data_folder / "goemotions" / "dev.tsv"))
    assert len(instances) == 5426
    assert instances[288].fields["tokens"] == TextField('play who you find fun, "tiers don\'t matter"')


@pytest.mark.data
def test_the_quotes_of_sts_b_are_plain_characters(token_indexers, data_folder):
    columns = {"text_column": "sentence1", "pair_column": "sentence2", "label_column": "score"}
    file = data_folder / "stsb" / "dev.tsv"
    instances = list(TextClassificationCsvReader(token_indexers, **columns, quoting=False).read(file))
    assert len(instances) == 1500
    assert instances[698].fields["tokens"].pair.startswith('"I had mainly been" is fine')
    with pytest.raises(DataError, match=r"dev\.tsv:700: .*; if quotes are plain .*, set quoting to false$"):
        list(TextClassificationCsvReader(token_indexers, **columns).read(file))

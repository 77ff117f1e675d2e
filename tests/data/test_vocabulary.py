import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.config.construct import plan
from bertx.data.label_counts import add_counts, count_labels
from bertx.data.vocabulary import Vocabulary
from bertx.errors import ConfigError, DataError
from tests.data.small import instance

WORDS = {"tokens": {"the": 2, "film": 5, "a": 2, "dull": 1}}


def test_the_most_frequent_label_comes_first_and_ties_stay_as_first_seen():
    vocabulary = Vocabulary.from_instances({"labels": {"neutral": 2, "negative": 3, "positive": 2}})
    assert vocabulary.get_token_to_index_vocabulary("labels") == {"negative": 0, "neutral": 1, "positive": 2}


def test_a_padded_namespace_starts_with_padding_and_oov():
    vocabulary = Vocabulary.from_instances(WORDS)
    expected = {0: "@@PADDING@@", 1: "@@UNKNOWN@@", 2: "film", 3: "the", 4: "a", 5: "dull"}
    assert vocabulary.get_index_to_token_vocabulary("tokens") == expected
    assert (vocabulary.is_padded("tokens"), vocabulary.is_padded("labels")) == (True, False)


def test_patterns_match_the_whole_name_or_a_suffix():
    vocabulary = Vocabulary(["*tags", "classes"])
    assert [
        vocabulary.is_padded(name) for name in ("pos_tags", "tags", "tags_x", "classes", "my_classes")
    ] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_max_vocab_size_cuts_before_min_count():
    vocabulary = Vocabulary.from_instances(WORDS, min_count={"tokens": 2}, max_vocab_size=2)
    assert list(vocabulary.get_token_to_index_vocabulary("tokens"))[2:] == ["film", "the"]


def test_max_vocab_size_may_differ_per_namespace_and_zero_keeps_all():
    counts = {"tokens": WORDS["tokens"], "labels": {"x": 1, "y": 1}}
    vocabulary = Vocabulary.from_instances(counts, max_vocab_size={"tokens": 1, "labels": 0})
    assert (vocabulary.get_vocab_size("tokens"), vocabulary.get_vocab_size("labels")) == (3, 2)


def test_tokens_to_add_come_after_the_counted_ones_and_only_once():
    vocabulary = Vocabulary.from_instances(
        {"labels": {"b": 2, "a": 1}}, tokens_to_add={"labels": ["z", "a"], "x_tags": ["O"]}
    )
    assert vocabulary.labels("labels") == ["b", "a", "z"]
    assert vocabulary.labels("x_tags") == ["O"]


def test_min_count_for_a_namespace_that_the_data_lacks_is_an_error():
    message = r"^min_count: the data has no namespace 'label'; it has: labels$"
    with pytest.raises(ConfigError, match=message):
        Vocabulary.from_instances({"labels": {"a": 1}}, min_count={"label": 2})


def test_an_unseen_token_has_the_index_of_oov():
    assert Vocabulary.from_instances(WORDS).get_token_index("unheard", "tokens") == 1


def test_an_unseen_label_is_named_with_those_there_are():
    vocabulary = Vocabulary.from_instances({"labels": {"negative": 2, "positive": 1}})
    message = (
        r"^label 'neutral' is not in the vocabulary \(labels: negative, positive\); it does not occur in the "
        r"data that the vocabulary was made of$"
    )
    with pytest.raises(DataError, match=message):
        vocabulary.get_token_index("neutral", "labels")


def test_of_many_labels_an_error_shows_twenty():
    vocabulary = Vocabulary.from_instances({"labels": {f"intent_{number}": 1 for number in range(150)}})
    with pytest.raises(DataError, match=r"intent_18, intent_19, \.\.\.\)"):
        vocabulary.get_token_index("other", "labels")


def test_asking_a_model_s_labels_of_an_absent_namespace_names_those_there_are():
    vocabulary = Vocabulary.from_instances({"labels": {"a": 1}, "pos_tags": {"O": 1}})
    message = (
        r"^vocabulary: there are no labels in namespace 'sentiment'; namespaces that have some: labels, "
        r"pos_tags; check that the data has labels, and the model's label_namespace$"
    )
    with pytest.raises(ConfigError, match=message):
        vocabulary.labels("sentiment")


def test_looking_at_a_namespace_does_not_create_it():
    vocabulary = Vocabulary()
    assert (vocabulary.get_vocab_size("tokens"), vocabulary.get_vocab_size("labels")) == (2, 0)
    assert vocabulary.get_namespaces() == set()


def test_an_index_out_of_range_is_an_error():
    vocabulary = Vocabulary.from_instances({"labels": {"a": 1}})
    assert vocabulary.get_token_from_index(0, "labels") == "a"
    for index in (1, -1):
        with pytest.raises(
            IndexError, match=rf"^index {index} is not in namespace 'labels', which has 1 tokens$"
        ):
            vocabulary.get_token_from_index(index, "labels")


def test_a_token_must_be_a_string():
    with pytest.raises(ValueError, match=r"^a token must be a string, got 3$"):
        Vocabulary().add_token_to_namespace(3, "labels")  # type: ignore[arg-type]


def test_statistics_name_each_namespace_with_size_and_first_tokens():
    assert Vocabulary.from_instances({"labels": {"b": 2, "a": 1}}).statistics() == "labels: 2 tokens: b, a"


def test_labels_are_counted_over_instances_and_data_sets():
    first = count_labels([instance("x", "b"), instance("x"), instance("x", "a"), instance("x", "b")])
    assert first == {"labels": {"b": 2, "a": 1}}
    total = add_counts([first, {"labels": {"c": 4, "a": 1}, "other": {"x": 1}}])
    assert total == {"labels": {"b": 2, "a": 2, "c": 4}, "other": {"x": 1}}
    assert list(total["labels"]) == ["b", "a", "c"]


def test_the_files_are_allennlp_s_byte_for_byte(tmp_path):
    vocabulary = Vocabulary.from_instances({"tokens": {"a\nb": 2, "naïve": 1}, "labels": {"x": 1}})
    vocabulary.save_to_files(tmp_path / "vocabulary")
    files = {file.name: file.read_bytes() for file in (tmp_path / "vocabulary").iterdir()}
    assert files == {
        "non_padded_namespaces.txt": b"*tags\n*labels\n",
        "tokens.txt": b"@@UNKNOWN@@\na@@NEWLINE@@b\nna\xc3\xafve\n",
        "labels.txt": b"x\n",
    }


def test_files_may_have_carriage_returns_and_lack_the_last_newline(tmp_path):
    (tmp_path / "non_padded_namespaces.txt").write_bytes(b"*labels\r\n")
    (tmp_path / "labels.txt").write_bytes(b"a\x0bb\r\nc\xc2\x85d")
    (tmp_path / ".lock").touch()
    assert Vocabulary.from_files(tmp_path).labels("labels") == ["a\x0bb", "c\x85d"]


# What cannot be written is refused: see the next test.
WRITABLE = st.text(st.characters(exclude_categories=["Cs"])).filter(
    lambda token: not token.endswith("\r") and "@@NEWLINE@@" not in token
)


@given(st.dictionaries(WRITABLE, st.integers(1, 9)))
def test_a_vocabulary_reads_back_equal(tmp_path_factory, counts):
    vocabulary = Vocabulary.from_instances({"labels": counts, "tokens": counts})
    folder = tmp_path_factory.mktemp("vocabulary")
    vocabulary.save_to_files(folder)
    assert Vocabulary.from_files(folder) == vocabulary


def test_a_token_that_would_not_read_back_the_same_is_refused(tmp_path):
    for token in ("a\r", "@@NEWLINE@@"):
        with pytest.raises(DataError, match="in namespace 'labels' would not read back the same from a file"):
            Vocabulary.from_instances({"labels": {token: 1}}).save_to_files(tmp_path)


def test_a_namespace_that_cannot_be_a_file_name_is_refused(tmp_path):
    with pytest.raises(DataError, match="namespace 'a/labels' cannot be the name of a file; rename it"):
        Vocabulary.from_instances({"a/labels": {"x": 1}}).save_to_files(tmp_path)


def test_saving_twice_is_fine_but_a_strange_file_is_not(tmp_path):
    vocabulary = Vocabulary.from_instances({"labels": {"x": 1}})
    vocabulary.save_to_files(tmp_path)
    vocabulary.save_to_files(tmp_path)
    (tmp_path / "old_labels.txt").touch()
    with pytest.raises(
        DataError, match=r"holds old_labels\.txt, which would be read as part of this vocabulary"
    ):
        vocabulary.save_to_files(tmp_path)


def test_a_folder_that_is_no_vocabulary_is_named(tmp_path):
    with pytest.raises(DataError, match=r": no non_padded_namespaces\.txt; expected the folder of a saved"):
        Vocabulary.from_files(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"film\n", r"tokens\.txt: no line is '@@UNKNOWN@@', the out-of-vocabulary token; expected one"),
        (b"@@UNKNOWN@@\na\na\n", r"tokens\.txt: 'a' occurs twice; expected every token once"),
        (b"@@UNKNOWN@@\n\xff\n", r"tokens\.txt: not UTF-8 at byte 12; expected a vocabulary file"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, message):
    (tmp_path / "non_padded_namespaces.txt").write_text("*labels\n", encoding="utf-8")
    (tmp_path / "tokens.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        Vocabulary.from_files(tmp_path)


def test_extending_keeps_the_old_indices(tmp_path):
    Vocabulary.from_instances({"labels": {"b": 1, "a": 1}}).save_to_files(tmp_path)
    extended = Vocabulary.extend(
        {"labels": {"c": 1, "d": 2, "a": 9}}, tmp_path, tokens_to_add={"labels": ["e"]}
    )
    assert extended.labels("labels") == ["b", "a", "d", "c", "e"]


def test_extending_with_another_padding_is_an_error(tmp_path):
    Vocabulary.from_instances({"classes": {"a": 1}}).save_to_files(tmp_path)
    message = r"^non_padded_namespaces: 'classes' is padded in .* and non-padded in the config"
    with pytest.raises(ConfigError, match=message):
        Vocabulary.extend({"classes": {"b": 1}}, tmp_path, non_padded_namespaces=["classes"])


def test_configs_choose_the_constructor(tmp_path):
    counter = {"labels": {"b": 1, "a": 2}}
    made = plan(Vocabulary, {"max_vocab_size": {"labels": 1}}).build(counter=counter)
    assert made.labels("labels") == ["a"]
    made.save_to_files(tmp_path)
    assert plan(Vocabulary, {"type": "from_files", "directory": str(tmp_path)}).build() == made
    extended = plan(Vocabulary, {"type": "extend", "directory": str(tmp_path)}).build(counter=counter)
    assert extended.labels("labels") == ["a", "b"]
    assert plan(Vocabulary, "empty").build() == Vocabulary()


def test_equality_sees_indices_patterns_and_special_tokens():
    vocabulary = Vocabulary.from_instances({"labels": {"a": 1, "b": 1}})
    assert vocabulary != Vocabulary.from_instances({"labels": {"b": 1, "a": 1}})
    assert vocabulary != Vocabulary.from_instances({"labels": {"a": 1, "b": 1}}, oov_token="?")
    assert vocabulary != Vocabulary.from_instances(
        {"labels": {"a": 1, "b": 1}}, non_padded_namespaces=["labels"]
    )
    assert pickle.loads(pickle.dumps(vocabulary)) == vocabulary

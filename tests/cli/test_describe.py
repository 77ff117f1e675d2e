import pytest

from tests.commands import bertx


def test_without_arguments_config_and_families_are_listed():
    out = bertx("describe").out
    assert "train_data_path" in out
    for family in ("Model", "DatasetReader", "TokenIndexer", "Optimizer", "Trainer", "Metric"):
        assert family in out


def test_a_family_lists_its_members():
    assert "adamw" in bertx("describe", "Optimizer").out


def test_a_component_tells_its_arguments_with_defaults_and_meanings():
    out = bertx("describe", "Model", "bert_for_classification").out
    assert "dropout" in out
    assert "The dropout probability on the pooled output" in out
    assert "vocab" not in out.split()


def test_components_of_the_users_own_are_described(tmp_path, registries):
    (tmp_path / "mine.py").write_text(
        "from bertx import Regularizer\n\n\n"
        '@Regularizer.register("described_by_test")\n'
        'class Mine(Regularizer):\n    """Does nothing at all."""\n'
    )
    done = bertx("describe", "Regularizer", "described_by_test", "--include-package", tmp_path / "mine.py")
    assert (done.status, "Does nothing at all" in done.out) == (0, True)


@pytest.mark.parametrize("arguments", [("Modle",), ("Model", "bert_for_clasification")])
def test_unknown_names_are_told_with_a_suggestion(arguments):
    done = bertx("describe", *arguments)
    assert (done.status, done.out) == (2, "")
    assert "did you mean" in done.err

from tests.commands import bertx
from tests.tiny import config, workplace


def test_good_configs_are_ok_and_nothing_is_built(tmp_path):
    paths = [workplace(tmp_path / name, config(train_data_path="no.jsonl")) for name in ("a", "b")]
    done = bertx("check", *paths)
    assert (done.status, done.out) == (0, f"{paths[0]}: ok\n{paths[1]}: ok\n")


def test_all_problems_of_all_configs_are_told(tmp_path):
    good = workplace(tmp_path / "good")
    wrong = workplace(tmp_path / "wrong", config(trainer__num_epocs=1, model__dropout="much"))
    done = bertx("check", wrong, good, tmp_path / "none.jsonnet")
    assert (done.status, done.out) == (2, f"{good}: ok\n")
    assert 'trainer.num_epocs: unknown key; did you mean "num_epochs"?' in done.err
    assert "model.dropout: expected a number" in done.err
    assert "none.jsonnet: no such file" in done.err


def test_overrides_and_ext_vars_are_checked_too(tmp_path):
    path = workplace(tmp_path / "a")
    done = bertx("check", path, "-o", "trainer.num_epochs=few")
    assert (done.status, "-o trainer.num_epochs=few" in done.err) == (2, True)
    assert bertx("check", path, "--ext-var", "noequals").status == 2

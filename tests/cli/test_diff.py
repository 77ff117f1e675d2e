from tests.commands import bertx


def test_a_run_and_its_archive_are_the_same(trained):
    done = bertx("diff", trained.run, trained.archive)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"old: {trained.run}\nnew: {trained.archive}\n\nconfig: the same\n")


def test_differences_are_no_failure_and_json_has_all_of_them(trained):
    weights = trained.run / "best" / "model.safetensors"
    done = bertx("diff", weights, trained.run, "--strip-prefix-1", "bert.", "--threshold", 0.1, "--json")
    assert done.status == 0
    assert list(done.json) == ["old", "new", "vocabulary", "weights"]
    states = {tensor["name"]: tensor["state"] for tensor in done.json["weights"]}
    assert states["classifier.bias"] == "same"
    assert (states["pooler.dense.bias"], states["bert.pooler.dense.bias"]) == ("removed", "added")


def test_a_path_that_does_not_exist_is_status_four(trained, tmp_path):
    done = bertx("diff", trained.run, tmp_path / "gone")
    assert (done.status, done.out) == (4, "")
    assert "gone: no such run folder or archive" in done.err
